// SPDX-License-Identifier: Apache-2.0
// tune(): finds the fastest variant of a problem on the caller's device, in the caller's process, without files or console.
// Of the library clsink_tuning (CMake clsink::tuning), which brings the reference and the clocks that it needs.
#pragma once

#include <functional>
#include <string>

#include <clsink/export.h>
#include <clsink/context.hpp>

namespace clsink {

struct TuneBudget {
  double seconds = 30;              ///< a build that is under way is not interrupted
  std::function<bool()> stop = {};  ///< asked between samples: end early with what there is
  /// Told how far it is, 0 to 1, and what is being done.
  std::function<void(double, const std::string&)> progress = {};
};

struct TuneResult {
  DecodeVariant variant;  ///< the winner: what was planned before, unless another one is faster beyond the noise
  LaunchTuning launch;
  double us = 0;           ///< median time of a step, caches not warm
  double mad_percent = 0;  ///< its median absolute deviation
  double gain = 1;         ///< how many times longer the plan of a device takes that nobody has tuned
  int candidates = 0;      ///< that were built, verified and timed
  int rejected = 0;        ///< that did not build, run or agree with the reference
  bool complete = false;   ///< false: the budget ended before candidates were compared; the rest is not set
  /// A file with one tuning row: Context::add_tuning(name, rows) makes the context plan by it; keep it for the next start.
  std::string rows;
};

/// Tunes `problem` on the context's device: allocates caches of its own there, of at most a fourth of the device's memory,
/// half of the kv heads routed if the problem routes. Every candidate is held to the reference before it is timed. The context
/// stays as it is; other work on the device disturbs the times. Throws Error, as plan and prepare do, if the problem cannot
/// run.
CLSINK_API TuneResult tune(Context& context, cl_context opencl_context, cl_device_id device, const DecodeProblem& problem,
                           const TuneBudget& budget = {});

}  // namespace clsink
