// SPDX-License-Identifier: Apache-2.0
// From a problem and device facts to a plan: variant, workers, workspace. Pure functions.
#pragma once

#include <optional>
#include <string>

#include <clsink/device.hpp>
#include <clsink/plan.hpp>

#include "model/program_spec.hpp"
#include "planning/tuning_db.hpp"

namespace clsink {

/// Nothing, or why the problem cannot run on the device.
std::optional<std::string> unsupported_reason(const DeviceFacts& facts, const DecodeProblem& problem, const TuningDb& db);

/// The planned variant, none of the dropped ones. Throws Error(kInvalidProblem) or Error(kUnsupportedDevice).
DecodePlan make_plan(const DeviceFacts& facts, const DecodeProblem& problem, const TuningDb& db,
                     const std::vector<DroppedVariant>& dropped = {}, TuningDb::Rows rows = TuningDb::Rows::kAll);

/// The caller's variant; without `tuning`, that of the row that would have been chosen for the same engine.
DecodePlan make_plan(const DeviceFacts& facts, const DecodeProblem& problem, const TuningDb& db, const DecodeVariant& variant,
                     const std::optional<LaunchTuning>& tuning);

/// Work-groups of one kernel of a step with `batch` sequences.
std::size_t work_groups(const DecodePlan& plan, Kernel kernel, std::int32_t batch);

/// How many of `workers` share a work list of `groups`: all, but at most a sixteenth of them is left out so that groups of
/// equal length come out in equal numbers for each worker, or in equal parts, and no worker begins a second group for a few
/// tiles. On an H200 64 sequences of 4K, 8 kv heads each, take 256 us with 264 workers and 251 with 256.
std::int32_t even_workers(std::int32_t workers, std::int32_t groups);

}  // namespace clsink
