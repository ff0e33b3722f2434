// SPDX-License-Identifier: Apache-2.0
// Measures one problem: every variant at every routed fraction, the read kernel for each, and the baseline, in turns.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <clsink/context.hpp>

#include "cli/bench_report.hpp"
#include "harness/bench_load.hpp"
#include "harness/opencl_device.hpp"
#include "harness/read_bandwidth.hpp"
#include "harness/timing.hpp"

namespace clsink::cli {

struct BenchOptions {
  std::vector<std::string> variants;  ///< VARIANT or "VARIANT | TUNING"; none: what the planner chooses
  std::vector<double> routed;         ///< fractions of the kv heads
  harness::Pattern pattern = harness::Pattern::kSpread;
  std::int32_t longest_over_shortest = 1;  ///< of the sequences' lengths
  bool clblast = false;
  harness::RoundLimits limits;
};

struct Bench {
  const harness::OpenClDevice& opencl;
  Context& context;
  harness::ReadBandwidth& read;
  BenchOptions options;
  std::function<bool()> stop;                      ///< asked between samples: end early with what there is
  std::function<void(const std::string&)> remark;  ///< told what begins, and what was left out and why
};

/// Rows without samples (after an early stop) are left out.
std::vector<BenchRow> bench_problem(Bench& bench, const DecodeProblem& problem);

}  // namespace clsink::cli
