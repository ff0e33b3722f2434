// SPDX-License-Identifier: Apache-2.0
#include "planning/fits.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>

#include "cl_kernels/decode_args.h"
#include "model/variant.hpp"
#include "planning/ceil_div.hpp"

namespace clsink {
namespace {

constexpr std::int32_t kSimtMaxWg = 256;
constexpr std::int64_t kSimtMaxLocalBytes = 32 * 1024;
// Accumulators and loaded rows of one work-item; beyond this every GPU compiler spills.
constexpr std::int32_t kMaxPrivateFloats = 192;

constexpr std::int32_t kSubgroupMinLanes = 4;
constexpr std::int32_t kSubgroupMaxLanes = 64;
constexpr std::int32_t kSubgroupMaxRowLanes = 32;

constexpr std::int32_t kNvFenceMinCapability = 70;  // fence.acq_rel
constexpr std::int32_t kNvMmaSlice = 16;            // tokens that a warp takes at once
constexpr std::int32_t kNvMmaMaxWg = 512;
constexpr std::int32_t kNvRegisters = 65536;       // of a work-group
constexpr std::int32_t kNvMmaOtherRegisters = 40;  // of a work-item: addresses, logits, loops
constexpr std::int32_t kNvMmaMinCapability = 80;   // bf16

// The quantities of engines/simt.clh.
struct SimtShape {
  std::int32_t chunks, rows, tokens_each, parts, states;
};

SimtShape simt_shape(const DecodeProblem& p, const DecodeVariant& v) {
  SimtShape shape{};
  shape.chunks = p.head_dim / v.vec;
  shape.rows = v.wg / shape.chunks;
  shape.tokens_each = p.group_size() > 8 ? 1 : 2;
  shape.parts = v.wg * shape.tokens_each / v.tile_kv;
  shape.states = shape.rows * p.group_size();
  return shape;
}

// Queries, partial scores, the states' rescaling, maxima and sums, rows of the merge, and a tile of K with padded rows.
std::int64_t simt_local_bytes(const DecodeProblem& p, const DecodeVariant& v) {
  const SimtShape s = simt_shape(p, v);
  const std::int64_t floats = std::int64_t{p.group_size()} * p.head_dim + std::int64_t{s.parts} * v.tile_kv * p.group_size() +
                              3 * std::int64_t{s.states} + std::int64_t{s.rows} * p.head_dim;
  return 4 * floats + std::int64_t{v.tile_kv} * (s.chunks | 1) * v.vec * size_of(p.kv_dtype);
}

// Warps that share a slice, each with a part of the heads: engines/nv_mma.clh.
std::int32_t nv_mma_head_split(const DecodeProblem& p) { return p.group_size() > 8 && p.head_dim > 128 ? 2 : 1; }

// Accumulators of some heads of every warp, the warps' maxima and sums.
std::int64_t nv_mma_local_bytes(const DecodeProblem& p, const DecodeVariant& v) {
  const std::int64_t heads = std::min(p.group_size(), 4);
  return v.wg / 32 / nv_mma_head_split(p) * (heads * (p.head_dim + 4) * 4 + p.group_size() * std::int64_t{8});
}

// The quantities of engines/subgroup.clh.
struct SubgroupShape {
  std::int32_t lanes, pieces, split, rows;
};

SubgroupShape subgroup_shape(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  const std::int32_t size = sub_group_lanes(facts, v), chunks = p.head_dim / v.vec;
  SubgroupShape shape{};
  shape.lanes = facts.sub_group_shuffle == SubGroupShuffle::kNone ? size : kSubgroupMinLanes;
  while (shape.lanes < std::min({chunks, size, kSubgroupMaxRowLanes})) shape.lanes *= 2;
  shape.pieces = ceil_div(chunks, shape.lanes);
  shape.split = ceil_div(p.group_size(), v.heads);
  shape.rows = v.wg / size / shape.split * (size / shape.lanes);
  return shape;
}

// Accumulators of a head of every split, the rows' maxima and sums.
std::int64_t subgroup_local_bytes(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  const SubgroupShape s = subgroup_shape(facts, p, v);
  return s.rows * (std::int64_t{s.split} * p.head_dim * 4 + p.group_size() * std::int64_t{8});
}

std::int64_t engine_local_bytes(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  switch (v.engine) {
    case Engine::kSimt:
      return simt_local_bytes(p, v);
    case Engine::kNvMma:
      return nv_mma_local_bytes(p, v);
    case Engine::kSubgroup:
      return subgroup_local_bytes(facts, p, v);
    case Engine::kCpu:
      break;
  }
  return 0;
}

// Token ranges, scores and prefix sums of prologue.clh, lanes of merge.clh.
std::int64_t fusion_local_bytes(const DecodeProblem& p, const DecodeVariant& v) {
  if (v.fusion == Fusion::kNone) return 0;
  const bool worklist = v.schedule == Schedule::kWorklist;
  std::int64_t bytes = 0;
  if (routes_in_prologue(p, v)) {
    bytes += (worklist ? CLSINK_MAX_PROLOGUE_GROUPS : 1) * static_cast<std::int64_t>(sizeof(token_ranges));
    const std::int64_t groups_at_once = worklist ? std::max(v.wg / (2 * p.group_size()), 1) : 1;
    bytes += groups_at_once * p.group_size() * 12 * 4;
  }
  if (worklist) bytes += 4 * std::int64_t{ceil_div(v.wg, 8) * 8};
  if (v.fusion == Fusion::kSingle) bytes += v.wg * std::int64_t{8 + 4 * (v.wg == 1 ? p.head_dim : 4)};
  return bytes;
}

std::optional<std::string> simt_misfit(const DecodeProblem& p, const DecodeVariant& v) {
  if (v.vec != 4 && v.vec != 8) return fmt::format("vec is {}, simt has 4 and 8", v.vec);
  if (v.vec * size_of(p.kv_dtype) > 16) {
    return fmt::format("vec {} of {}-byte elements exceeds a 16-byte load", v.vec, size_of(p.kv_dtype));
  }
  if (v.wg > kSimtMaxWg) return fmt::format("wg is {}, simt has at most {}", v.wg, kSimtMaxWg);
  if (v.tile_kv % 2 != 0) return fmt::format("tile_kv is {}, must be even", v.tile_kv);
  if (v.wg % v.tile_kv != 0) return fmt::format("tile_kv {} does not divide wg {}", v.tile_kv, v.wg);
  if (p.head_dim / v.vec > v.wg) return fmt::format("a row of {} pieces is longer than wg {}", p.head_dim / v.vec, v.wg);
  const SimtShape s = simt_shape(p, v);
  const std::int32_t row_steps = ceil_div(v.tile_kv, s.rows), copy_steps = ceil_div(v.tile_kv * s.chunks, v.wg);
  const std::int32_t piece_words = v.vec * size_of(p.kv_dtype) / 4;
  const std::int32_t floats = p.group_size() * (v.vec + s.tokens_each) + (row_steps + copy_steps) * piece_words + row_steps;
  if (floats > kMaxPrivateFloats) {
    return fmt::format("{} floats per work-item (group_size {}, vec {}, tile_kv {}) exceed {} registers", floats,
                       p.group_size(), v.vec, v.tile_kv, kMaxPrivateFloats);
  }
  return std::nullopt;
}

std::optional<std::string> nv_mma_misfit(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (facts.nv_compute_capability < kNvMmaMinCapability) {
    return fmt::format("nv_mma needs an NVIDIA device of compute capability {}, this one has {}", kNvMmaMinCapability,
                       facts.nv_compute_capability);
  }
  if (p.kv_dtype == DType::kF32) return "nv_mma has f16 and bf16 caches only";
  if (p.q_dtype != p.kv_dtype) return "nv_mma needs q of the caches' type";
  if (p.head_dim % 16 != 0) return fmt::format("head_dim is {}, nv_mma needs a multiple of 16", p.head_dim);
  if (v.vec != 8) return fmt::format("vec is {}, nv_mma has 8", v.vec);
  if (v.wg % 32 != 0 || v.wg > kNvMmaMaxWg) {
    return fmt::format("wg is {}, nv_mma has multiples of 32 up to {}", v.wg, kNvMmaMaxWg);
  }
  const std::int32_t head_split = nv_mma_head_split(p);
  if (v.wg % (32 * head_split) != 0) {
    return fmt::format("wg is {}, at group_size {} and head_dim {} nv_mma has pairs of warps", v.wg, p.group_size(),
                       p.head_dim);
  }
  const std::int32_t tokens = v.wg / 32 / head_split * kNvMmaSlice;
  if (v.tile_kv % tokens != 0) {
    return fmt::format("tile_kv is {}, must be a multiple of {}: {} tokens for each warp", v.tile_kv, tokens, kNvMmaSlice);
  }
  if (v.stages > 2) return fmt::format("stages is {}, nv_mma has 1 and 2", v.stages);
  const std::int32_t head_tiles = ceil_div(p.group_size(), 8) / head_split;
  const std::int32_t words = head_tiles * p.head_dim * 3 / 8 + v.stages * p.head_dim / 4;  // accumulators and q, rows
  const std::int32_t registers = std::min(kMaxPrivateFloats, kNvRegisters / v.wg - kNvMmaOtherRegisters);
  if (words > registers) {
    return fmt::format("{} words per work-item (group_size {}, head_dim {}, stages {}) exceed {} registers", words,
                       p.group_size(), p.head_dim, v.stages, registers);
  }
  return std::nullopt;
}

std::optional<std::string> sub_group_misfit(const DeviceFacts& facts, const DecodeVariant& v) {
  if (v.sub_group_size == 0) {
    if (facts.sub_group_size == 0) return "the device has no sub-groups of one size for all kernels";
    return std::nullopt;
  }
  const auto& sizes = facts.sub_group_sizes;
  if (std::find(sizes.begin(), sizes.end(), v.sub_group_size) == sizes.end()) {
    return fmt::format("kernels cannot ask for sub-groups of {}, but {}", v.sub_group_size,
                       sizes.empty() ? "for none" : fmt::format("for {}", fmt::join(sizes, ", ")));
  }
  return std::nullopt;
}

std::optional<std::string> subgroup_misfit(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (auto reason = sub_group_misfit(facts, v)) return reason;
  const std::int32_t size = sub_group_lanes(facts, v);
  if (size < kSubgroupMinLanes || size > kSubgroupMaxLanes || (size & (size - 1)) != 0) {
    return fmt::format("sub-groups of {}, the subgroup engine has powers of two from {} to {}", size, kSubgroupMinLanes,
                       kSubgroupMaxLanes);
  }
  if (v.vec != 4 && v.vec != 8) return fmt::format("vec is {}, the subgroup engine has 4 and 8", v.vec);
  if (v.vec * size_of(p.kv_dtype) > 16) {
    return fmt::format("vec {} of {}-byte elements exceeds a 16-byte load", v.vec, size_of(p.kv_dtype));
  }
  if (v.heads < 1 || v.heads > p.group_size()) {
    return fmt::format("heads is {}, a group of {} has 1 to {} for a sub-group", v.heads, p.group_size(), p.group_size());
  }
  const std::int32_t split = ceil_div(p.group_size(), v.heads);
  if (v.wg % (size * split) != 0) {
    return fmt::format("wg is {}, must be a multiple of {}: sub-groups of {} for each {} of {} heads", v.wg, size * split, size,
                       v.heads, p.group_size());
  }
  const SubgroupShape s = subgroup_shape(facts, p, v);
  if (v.stages > v.tile_kv || v.tile_kv % (s.rows * v.stages) != 0) {
    return fmt::format("tile_kv is {}, must be a multiple of {} rows x {} stages", v.tile_kv, s.rows, v.stages);
  }
  const std::int32_t heads = ceil_div(p.group_size(), split), piece_words = v.vec * size_of(p.kv_dtype) / 4;
  const std::int32_t floats = heads * (2 * s.pieces * v.vec + 2) + v.stages * (2 * s.pieces * piece_words + heads);
  if (floats > kMaxPrivateFloats) {
    return fmt::format("{} floats per work-item (heads {}, head_dim {}, stages {}) exceed {} registers", floats, heads,
                       p.head_dim, v.stages, kMaxPrivateFloats);
  }
  return std::nullopt;
}

std::optional<std::string> fusion_misfit(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (v.fusion == Fusion::kNone) return std::nullopt;
  if (v.fusion == Fusion::kPrologue) {
    const std::int64_t groups = std::int64_t{p.max_batch} * p.num_kv_heads;
    if (v.schedule == Schedule::kWorklist && p.routing.enabled && groups > CLSINK_MAX_PROLOGUE_GROUPS) {
      return fmt::format("{} groups, a prologue routes at most {}", groups, CLSINK_MAX_PROLOGUE_GROUPS);
    }
    if (v.schedule == Schedule::kStatic && !p.routing.enabled) return "nothing runs before decode that a prologue could do";
    return std::nullopt;
  }
  if (!facts.device_scope_fence && facts.nv_compute_capability < kNvFenceMinCapability) {
    return "the device has no memory fence between work-groups";
  }
  return std::nullopt;
}

std::optional<std::string> cpu_misfit(const DeviceFacts& facts, const DecodeVariant& v) {
  if (!facts.is_cpu) return "the cpu engine needs a CPU device";
  // It would use one lane, and Mesa's llvmpipe (22.3.6) compiles it for minutes: LLVM's coroutine frames.
  if (facts.lanes_are_work_items) return "the device's vectors hold work-items, a worker of the cpu engine is a single one";
  if (v.wg != 1) return fmt::format("wg is {}, the cpu engine has 1", v.wg);
  if (v.vec != 8 && v.vec != 16) return fmt::format("vec is {}, the cpu engine has 8 and 16", v.vec);
  if (v.tile_kv % v.vec != 0) return fmt::format("tile_kv {} is no multiple of vec {}", v.tile_kv, v.vec);
  return std::nullopt;
}

std::optional<std::string> engine_misfit(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (v.engine != Engine::kNvMma && v.engine != Engine::kSubgroup && v.stages != 1) {
    return fmt::format("stages is {}, the {} engine has 1", v.stages, to_string(v.engine));
  }
  if (v.engine != Engine::kSubgroup && (v.heads != 0 || v.sub_group_size != 0)) {
    return fmt::format("heads {} and sub_group_size {} are of the subgroup engine, others have 0", v.heads, v.sub_group_size);
  }
  switch (v.engine) {
    case Engine::kSimt:
      return simt_misfit(p, v);
    case Engine::kCpu:
      return cpu_misfit(facts, v);
    case Engine::kNvMma:
      return nv_mma_misfit(facts, p, v);
    case Engine::kSubgroup:
      return subgroup_misfit(facts, p, v);
  }
  return "unknown engine";
}

}  // namespace

std::optional<std::string> unsupported_reason(const DeviceFacts& facts) {
  if (!facts.little_endian) return "the device is big-endian";
  if (facts.max_work_group_size < 1) return fmt::format("max_work_group_size is {}", facts.max_work_group_size);
  return std::nullopt;
}

std::int64_t local_bytes(const DeviceFacts& facts, const DecodeProblem& problem, const DecodeVariant& variant) {
  return engine_local_bytes(facts, problem, variant) + fusion_local_bytes(problem, variant);
}

std::optional<std::string> misfit_reason(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (auto reason = unsupported_reason(facts)) return reason;
  if (v.wg < 1 || v.tile_kv < 1 || v.vec < 1 || v.stages < 1 || v.tile_kv > 256) {
    return fmt::format("wg {}, tile_kv {} (at most 256), vec {} and stages {} must be positive", v.wg, v.tile_kv, v.vec,
                       v.stages);
  }
  if (v.wg > facts.max_work_group_size) {
    return fmt::format("wg is {}, the device's limit is {}", v.wg, facts.max_work_group_size);
  }
  const std::int64_t tiles =
      std::int64_t{p.max_batch} * p.num_kv_heads * (ceil_div(p.max_kv_len, v.tile_kv) + CLSINK_GPU_GROUP_TILES);
  if (tiles > INT32_MAX) return fmt::format("{} tiles of {} tokens, the kernels count to {}", tiles, v.tile_kv, INT32_MAX);
  if (auto reason = engine_misfit(facts, p, v)) return reason;
  if (auto reason = fusion_misfit(facts, p, v)) return reason;
  const std::int64_t bytes = local_bytes(facts, p, v);
  const std::int64_t limit =
      v.engine == Engine::kSimt ? std::min(facts.local_mem_bytes, kSimtMaxLocalBytes) : facts.local_mem_bytes;
  if (bytes > limit) return fmt::format("needs {} bytes of local memory, the limit is {}", bytes, limit);
  return std::nullopt;
}

std::vector<VariantFit> search_space(const DeviceFacts& facts, const DecodeProblem& problem) {
  std::vector<VariantFit> variants;
  const auto add = [&](Engine engine, std::int32_t wg, std::int32_t tile_kv, std::int32_t vec, std::int32_t stages = 1,
                       std::int32_t heads = 0, std::int32_t sub_group_size = 0) {
    for (const Schedule schedule : {Schedule::kWorklist, Schedule::kStatic}) {
      for (const Fusion fusion : {Fusion::kNone, Fusion::kPrologue, Fusion::kSingle}) {
        const DecodeVariant variant{engine, schedule, fusion, wg, tile_kv, vec, stages, heads, sub_group_size};
        variants.push_back({variant, misfit_reason(facts, problem, variant).value_or("")});
      }
    }
  };
  for (const std::int32_t wg : {64, 128, 256}) {
    for (const std::int32_t tile_kv : {8, 16, 32, 64}) {
      for (const std::int32_t vec : {4, 8}) add(Engine::kSimt, wg, tile_kv, vec);
    }
  }
  for (const std::int32_t tile_kv : {16, 32, 64}) {
    for (const std::int32_t vec : {8, 16}) add(Engine::kCpu, 1, tile_kv, vec);
  }
  for (const std::int32_t wg : {64, 128, 256, 384}) {
    for (const std::int32_t stages : {1, 2}) add(Engine::kNvMma, wg, wg / 2, 8, stages);
  }
  std::vector<std::int32_t> sizes = facts.sub_group_sizes;  // 0: the device's own
  if (facts.sub_group_size != 0) sizes.push_back(0);
  for (const std::int32_t size : sizes) {
    for (const std::int32_t heads : {1, 2, 4, 8}) {
      for (const std::int32_t wg : {64, 128, 256}) {
        for (const std::int32_t stages : {1, 2, 4}) {
          for (const std::int32_t vec : {4, 8}) add(Engine::kSubgroup, wg, 64, vec, stages, heads, size);
        }
      }
    }
  }
  return variants;
}

std::vector<DecodeVariant> fitting_variants(const DeviceFacts& facts, const DecodeProblem& problem) {
  std::vector<DecodeVariant> fitting;
  for (const VariantFit& candidate : search_space(facts, problem)) {
    if (candidate.misfit.empty()) fitting.push_back(candidate.variant);
  }
  return fitting;
}

}  // namespace clsink
