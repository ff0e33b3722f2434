// SPDX-License-Identifier: Apache-2.0
#include "planning/fits.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "model/variant.hpp"

namespace clsink {
namespace {

constexpr std::int32_t kSimtMaxWg = 256;
constexpr std::int64_t kSimtMaxLocalBytes = 32 * 1024;
// Private accumulators of one work-item; beyond this every GPU compiler spills.
constexpr std::int32_t kSimtMaxFloats = 192;

std::int32_t ceil_div(std::int32_t a, std::int32_t b) { return (a + b - 1) / b; }

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

std::optional<std::string> simt_misfit(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (v.vec != 4 && v.vec != 8) return fmt::format("vec is {}, simt has 4 and 8", v.vec);
  if (v.vec * size_of(p.kv_dtype) > 16) {
    return fmt::format("vec {} of {}-byte elements exceeds a 16-byte load", v.vec, size_of(p.kv_dtype));
  }
  if (v.wg > kSimtMaxWg) return fmt::format("wg is {}, simt has at most {}", v.wg, kSimtMaxWg);
  if (v.wg > facts.max_work_group_size) {
    return fmt::format("wg is {}, the device's limit is {}", v.wg, facts.max_work_group_size);
  }
  if (v.tile_kv % 2 != 0) return fmt::format("tile_kv is {}, must be even", v.tile_kv);
  if (v.wg % v.tile_kv != 0) return fmt::format("tile_kv {} does not divide wg {}", v.tile_kv, v.wg);
  if (p.head_dim / v.vec > v.wg) return fmt::format("a row of {} pieces is longer than wg {}", p.head_dim / v.vec, v.wg);
  const SimtShape s = simt_shape(p, v);
  const std::int32_t row_steps = ceil_div(v.tile_kv, s.rows), copy_steps = ceil_div(v.tile_kv * s.chunks, v.wg);
  const std::int32_t piece_words = v.vec * size_of(p.kv_dtype) / 4;
  const std::int32_t floats = p.group_size() * (v.vec + s.tokens_each) + (row_steps + copy_steps) * piece_words + row_steps;
  if (floats > kSimtMaxFloats) {
    return fmt::format("{} floats per work-item (group_size {}, vec {}, tile_kv {}) exceed {} registers", floats,
                       p.group_size(), v.vec, v.tile_kv, kSimtMaxFloats);
  }
  const std::int64_t bytes = simt_local_bytes(p, v), limit = std::min(facts.local_mem_bytes, kSimtMaxLocalBytes);
  if (bytes > limit) return fmt::format("needs {} bytes of local memory, the limit is {}", bytes, limit);
  return std::nullopt;
}

std::optional<std::string> cpu_misfit(const DeviceFacts& facts, const DecodeVariant& v) {
  if (!facts.is_cpu) return "the cpu engine needs a CPU device";
  if (v.wg != 1) return fmt::format("wg is {}, the cpu engine has 1", v.wg);
  if (v.vec != 8 && v.vec != 16) return fmt::format("vec is {}, the cpu engine has 8 and 16", v.vec);
  if (v.tile_kv % v.vec != 0) return fmt::format("tile_kv {} is no multiple of vec {}", v.tile_kv, v.vec);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> unsupported_reason(const DeviceFacts& facts) {
  if (!facts.little_endian) return "the device is big-endian";
  if (facts.max_work_group_size < 1) return fmt::format("max_work_group_size is {}", facts.max_work_group_size);
  return std::nullopt;
}

std::int64_t local_bytes(const DecodeProblem& problem, const DecodeVariant& variant) {
  return variant.engine == Engine::kSimt ? simt_local_bytes(problem, variant) : 0;
}

std::optional<std::string> misfit_reason(const DeviceFacts& facts, const DecodeProblem& p, const DecodeVariant& v) {
  if (auto reason = unsupported_reason(facts)) return reason;
  if (v.wg < 1 || v.tile_kv < 1 || v.vec < 1 || v.tile_kv > 256) {
    return fmt::format("wg {}, tile_kv {} (at most 256) and vec {} must be positive", v.wg, v.tile_kv, v.vec);
  }
  return v.engine == Engine::kSimt ? simt_misfit(facts, p, v) : cpu_misfit(facts, v);
}

std::vector<DecodeVariant> fitting_variants(const DeviceFacts& facts, const DecodeProblem& problem) {
  std::vector<DecodeVariant> variants;
  const auto add = [&](Engine engine, std::int32_t wg, std::int32_t tile_kv, std::int32_t vec) {
    for (const Schedule schedule : {Schedule::kWorklist, Schedule::kStatic}) {
      const DecodeVariant variant{engine, schedule, wg, tile_kv, vec};
      if (!misfit_reason(facts, problem, variant)) variants.push_back(variant);
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
  return variants;
}

}  // namespace clsink
