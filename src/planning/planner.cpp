// SPDX-License-Identifier: Apache-2.0
#include "planning/planner.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <clsink/error.hpp>

#include "cl_kernels/decode_args.h"
#include "model/problem.hpp"
#include "model/variant.hpp"
#include "planning/ceil_div.hpp"
#include "planning/fits.hpp"

namespace clsink {
namespace {

constexpr std::int64_t kSectionAlignBytes = 256;
constexpr std::int64_t kMaxWorkers = 65535;
constexpr std::int64_t kMinMergedChannels = 64;  // of a merger: 8 of its work-items share each of 16 pieces

// Tiles of the largest token set that a group of the problem can have.
std::int64_t max_tiles(const DecodeProblem& p, const DecodeVariant& v) { return ceil_div(p.max_kv_len, v.tile_kv); }

// Hands out sections of the workspace.
class Sections {
 public:
  std::int64_t take(std::int64_t bytes) {
    const std::int64_t offset = bytes_;
    bytes_ += ceil_div(bytes, kSectionAlignBytes) * kSectionAlignBytes;
    return offset;
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
};

// Of one head's partial where fusion is single: of every 4 channels 3 pairs of floats, each with a tag (partials.clh).
std::int64_t tagged_bytes(const DecodeProblem& p) { return p.head_dim / 4 * std::int64_t{3 * 16}; }

void lay_out_workspace(DecodePlan& plan) {
  const DecodeProblem& p = plan.problem;
  LaunchSpec& launch = plan.launch;
  const std::int64_t groups = std::int64_t{p.max_batch} * p.num_kv_heads;
  const bool worklist = plan.variant.schedule == Schedule::kWorklist;
  std::int64_t slots = 0;
  if (worklist) {
    slots = 2 * std::int64_t{launch.workers};
  } else if (launch.splits > 1) {
    slots = groups * launch.splits;
  }
  Sections sections;
  launch.group_offset = sections.take(p.routing.enabled ? groups * static_cast<std::int64_t>(sizeof(token_ranges)) : 0);
  launch.slot_offset = sections.take(worklist ? groups * 16 : 0);
  launch.share_offset = sections.take(worklist ? launch.workers * std::int64_t{16} : 0);
  const bool tagged = plan.variant.fusion == Fusion::kSingle;
  launch.partial_ml_offset = sections.take(tagged ? 0 : slots * p.group_size() * 8);
  launch.partial_acc_offset = sections.take(slots * p.group_size() * (tagged ? tagged_bytes(p) : p.head_dim * std::int64_t{4}));
  plan.workspace_bytes = std::max(sections.bytes(), kSectionAlignBytes);  // an OpenCL buffer is never empty
}

// As many workers as fill the machine, but none with less than min_tiles.
void spread_work(DecodePlan& plan, const DeviceFacts& facts) {
  const DecodeProblem& p = plan.problem;
  LaunchSpec& launch = plan.launch;
  const std::int64_t groups = std::int64_t{p.max_batch} * p.num_kv_heads, tiles = max_tiles(p, plan.variant);
  const std::int64_t compute_units = std::max(facts.compute_units, 1);
  const std::int64_t wanted = std::min(compute_units * launch.tuning.workers_per_cu, kMaxWorkers);
  if (plan.variant.schedule == Schedule::kWorklist) {
    launch.splits = 1;
    launch.workers = static_cast<std::int32_t>(std::min(ceil_div(groups * tiles, launch.tuning.min_tiles), wanted));
  } else {
    // No more workers than wanted, or the last ones share a compute unit that others have for themselves.
    const std::int64_t splits = std::min(wanted / groups, ceil_div(tiles, launch.tuning.min_tiles));
    launch.splits = static_cast<std::int32_t>(std::max<std::int64_t>(splits, 1));
    launch.workers = static_cast<std::int32_t>(groups * launch.splits);
  }
  // A GPU's worker that begins a group waits for its first tokens and for what it leaves of the one before: on an H200 2 us,
  // the time of 1 or 2 tiles (32K tokens, half routed: 29.1 us counted as 0, 28.8 as 1, 27.2 as 2).
  if (plan.variant.schedule == Schedule::kWorklist && plan.variant.engine != Engine::kCpu)
    launch.group_tiles = CLSINK_GPU_GROUP_TILES;
  // More mergers than one wait for one another, so all of them must be resident: at most half of the device. Others than
  // NVIDIA's may run work-groups one after the other.
  if (plan.variant.fusion == Fusion::kSingle) {
    const std::int64_t useful = ceil_div(p.group_size() * p.head_dim, kMinMergedChannels);
    const std::int64_t resident = facts.nv_compute_capability > 0 ? wanted / 2 / groups : 1;
    launch.mergers = static_cast<std::int32_t>(std::clamp<std::int64_t>(resident, 1, useful));
  }
}

DecodePlan assemble(const DeviceFacts& facts, const DecodeProblem& resolved, const DecodeVariant& variant,
                    const LaunchTuning& tuning) {
  DecodePlan plan;
  plan.problem = resolved;
  plan.variant = variant;
  plan.launch.tuning = tuning;
  spread_work(plan, facts);
  lay_out_workspace(plan);
  return plan;
}

}  // namespace

std::optional<std::string> unsupported_reason(const DeviceFacts& facts, const DecodeProblem& problem, const TuningDb& db) {
  if (auto reason = invalid_reason(problem)) return reason;
  if (auto reason = unsupported_reason(facts)) return reason;
  const TuningDb::Match match = db.find(facts, resolve(problem));
  if (!match.row) return match.reason;
  return std::nullopt;
}

DecodePlan make_plan(const DeviceFacts& facts, const DecodeProblem& problem, const TuningDb& db,
                     const std::vector<DroppedVariant>& dropped, TuningDb::Rows rows) {
  const DecodeProblem resolved = resolve(problem);
  if (auto reason = unsupported_reason(facts)) throw Error(ErrorCode::kUnsupportedDevice, *reason);
  const TuningDb::Match match = db.find(facts, resolved, dropped, rows);
  if (!match.row) throw Error(ErrorCode::kUnsupportedDevice, match.reason);
  DecodePlan plan = assemble(facts, resolved, match.row->variant, match.row->tuning);
  plan.match = match.level;
  plan.match_reason = match.reason;
  return plan;
}

DecodePlan make_plan(const DeviceFacts& facts, const DecodeProblem& problem, const TuningDb& db, const DecodeVariant& variant,
                     const std::optional<LaunchTuning>& tuning) {
  const DecodeProblem resolved = resolve(problem);
  if (auto reason = misfit_reason(facts, resolved, variant)) {
    throw Error(ErrorCode::kUnsupportedDevice, fmt::format("variant '{}': {}", to_string(variant), *reason));
  }
  LaunchTuning spread;
  if (tuning) {
    if (tuning->workers_per_cu < 1) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("workers_per_cu is {}, must be positive", tuning->workers_per_cu));
    }
    if (tuning->min_tiles < 1) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("min_tiles is {}, must be positive", tuning->min_tiles));
    }
    spread = *tuning;
  } else if (const TuningDb::Match match = db.find(facts, resolved); match.row && match.row->variant.engine == variant.engine) {
    spread = match.row->tuning;
  }
  DecodePlan plan = assemble(facts, resolved, variant, spread);
  plan.match = MatchLevel::kForced;
  plan.match_reason = "the caller's variant";
  return plan;
}

std::int32_t even_workers(std::int32_t workers, std::int32_t groups) {
  if (groups < 1) return workers;
  std::int32_t even = workers / groups * groups;  // workers with equal parts of a group
  if (groups > workers) {                         // or with equal numbers of groups
    const std::int32_t each = static_cast<std::int32_t>(ceil_div(groups, workers));
    even = groups % each == 0 ? groups / each : 0;
  }
  return 16 * std::int64_t{even} >= 15 * std::int64_t{workers} ? even : workers;
}

std::size_t work_groups(const DecodePlan& plan, Kernel kernel, std::int32_t batch) {
  const DecodeProblem& p = plan.problem;
  const std::size_t groups = static_cast<std::size_t>(batch) * static_cast<std::size_t>(p.num_kv_heads);
  switch (kernel) {
    case Kernel::kRoute:
      return groups;
    case Kernel::kSchedule:
      return 1;
    case Kernel::kDecode:
      return plan.variant.schedule == Schedule::kWorklist
                 ? static_cast<std::size_t>(plan.launch.workers)
                 : groups * static_cast<std::size_t>(plan.launch.splits + plan.launch.mergers);
    case Kernel::kCombine:
      return groups * static_cast<std::size_t>(p.group_size());
  }
  return 0;
}

}  // namespace clsink
