// SPDX-License-Identifier: Apache-2.0
// DecodePlan: a problem joined with how it will run on one device. A plain value: copy, print, compare it.
#pragma once

#include <cstdint>
#include <string>

#include <clsink/export.h>
#include <clsink/problem.hpp>

namespace clsink {

enum class Engine : std::uint8_t {
  kSimt,      ///< any GPU: work-groups of up to 256 work-items, local memory, no sub-groups
  kCpu,       ///< one work-item per worker, wide vectors, no barriers
  kNvMma,     ///< NVIDIA tensor cores (compute capability 8.0 and up), 16-bit q and caches
  kSubgroup,  ///< sub-groups that share rows of K and V and stream them for themselves
};

enum class Schedule : std::uint8_t {
  kStatic,    ///< one worker per (group, split); workers without work exit early
  kWorklist,  ///< a fixed number of workers, each with an equal share of all groups' tiles, split after routing
};

/// Which stages of a step share a launch.
enum class Fusion : std::uint8_t {
  kNone,      ///< route, schedule, decode, combine: a launch each, as far as the problem needs them
  kPrologue,  ///< every worker of decode routes and schedules for itself: for few groups
  kSingle,  ///< and the last workers of a group combine it: one launch, or two where more groups are routed than a prologue can
};

/// What a caller cannot observe beyond rounding: every variant gives the same answer.
/// Text: "simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8 stages=1"; heads and sub_group_size stand there unless
/// they are 0.
struct DecodeVariant {
  Engine engine = Engine::kSimt;
  Schedule schedule = Schedule::kWorklist;
  Fusion fusion = Fusion::kNone;
  std::int32_t wg = 128;      ///< work-items of a worker
  std::int32_t tile_kv = 32;  ///< tokens of a tile, the smallest piece of work
  std::int32_t vec = 8;       ///< elements that a work-item loads at once
  /// nv_mma: 2 loads the next K and V while it works on one, 1 by turns; subgroup: tokens that a row of lanes has under way;
  /// others: 1
  std::int32_t stages = 1;
  std::int32_t heads = 0;           ///< subgroup: heads of a group that a sub-group takes; others: 0
  std::int32_t sub_group_size = 0;  ///< subgroup: lanes that the kernel asks for, 0: the device's own; others: 0
  friend bool operator==(const DecodeVariant& a, const DecodeVariant& b) {
    return a.engine == b.engine && a.schedule == b.schedule && a.fusion == b.fusion && a.wg == b.wg && a.tile_kv == b.tile_kv &&
           a.vec == b.vec && a.stages == b.stages && a.heads == b.heads && a.sub_group_size == b.sub_group_size;
  }
  friend bool operator!=(const DecodeVariant& a, const DecodeVariant& b) { return !(a == b); }
};

CLSINK_API std::string to_string(const DecodeVariant& variant);
/// Strict: every field exactly once, what is 0 not at all. Throws Error(kInvalidProblem).
CLSINK_API DecodeVariant parse_variant(const std::string& text);

/// A variant of the search space on a device and a problem.
struct VariantFit {
  DecodeVariant variant;
  std::string misfit;  ///< why it cannot run there; empty: it can
};

/// How work is spread; changes no kernel.
struct LaunchTuning {
  std::int32_t workers_per_cu = 4;  ///< workers for each compute unit
  std::int32_t min_tiles = 1;       ///< a worker takes at least so many tiles, so that partials stay few
  friend bool operator==(const LaunchTuning& a, const LaunchTuning& b) {
    return a.workers_per_cu == b.workers_per_cu && a.min_tiles == b.min_tiles;
  }
};

/// "workers_per_cu=4 min_tiles=1".
CLSINK_API std::string to_string(const LaunchTuning& tuning);
/// Strict, as parse_variant. Throws Error(kInvalidProblem).
CLSINK_API LaunchTuning parse_launch_tuning(const std::string& text);

/// How well the tuning row fitted, from best to worst.
enum class MatchLevel : std::uint8_t { kForced, kDevice, kFamily, kVendor, kGeneric };

/// Bounds, workspace and geometry of the launches. Byte offsets are into the workspace.
struct LaunchSpec {
  LaunchTuning tuning;
  std::int32_t workers = 0;             ///< work-groups of the decode kernel at max_batch
  std::int32_t mergers = 0;             ///< work-groups that merge a group (fusion single only)
  std::int32_t group_tiles = 0;         ///< that a short group counts for in the work list beside its own
  std::int32_t splits = 1;              ///< workers of a group (static schedule), else 1
  std::int64_t group_offset = 0;        ///< token ranges of every group (routing only)
  std::int64_t slot_offset = 0;         ///< which partials are whose (worklist only)
  std::int64_t share_offset = 0;        ///< every worker's share of the tiles (worklist only)
  std::int64_t partial_ml_offset = 0;   ///< running maximum and sum of every partial, unless beside its accumulators (single)
  std::int64_t partial_acc_offset = 0;  ///< accumulators of every partial
  friend bool operator==(const LaunchSpec& a, const LaunchSpec& b) {
    return a.tuning == b.tuning && a.workers == b.workers && a.splits == b.splits && a.mergers == b.mergers &&
           a.group_tiles == b.group_tiles && a.group_offset == b.group_offset && a.slot_offset == b.slot_offset &&
           a.share_offset == b.share_offset && a.partial_ml_offset == b.partial_ml_offset &&
           a.partial_acc_offset == b.partial_acc_offset;
  }
};

struct DecodePlan {
  DecodeProblem problem;  ///< with every packed stride filled in
  DecodeVariant variant;
  LaunchSpec launch;
  std::int64_t workspace_bytes = 0;  ///< independent of the context length; 256 at least
  MatchLevel match = MatchLevel::kGeneric;
  std::string match_reason;      ///< one sentence: which tuning row, what kept better ones out, what did not build
  std::uint64_t context_id = 0;  ///< the Context that made it

  /// Same problem, variant and launch; where it came from does not count.
  friend bool operator==(const DecodePlan& a, const DecodePlan& b) {
    return a.problem == b.problem && a.variant == b.variant && a.launch == b.launch && a.workspace_bytes == b.workspace_bytes;
  }
};

/// "PROBLEM | VARIANT | workers_per_cu=4 min_tiles=1". Context::plan_from_text reads it back.
CLSINK_API std::string to_string(const DecodePlan& plan);
CLSINK_API const char* to_string(MatchLevel level) noexcept;

}  // namespace clsink
