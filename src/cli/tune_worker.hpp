// SPDX-License-Identifier: Apache-2.0
// A sweep over cells in this process: what `clsink tune` starts in a process of its own, because a candidate may hang a device
// or end the process.
#pragma once

#include <string>
#include <vector>

#include <clsink/problem.hpp>

namespace clsink::cli {

struct SweepOptions {
  std::vector<DecodeProblem> problems;  ///< the most important first
  std::string suite;                    ///< what the journal calls them
  std::string device;                   ///< part of its name; empty: the default
  std::vector<std::string> tuning_files;
  std::string journal;
  double end_us = 0;      ///< of harness::wall_clock_us, when time is up
  bool going_on = false;  ///< in the place of a process that was lost: what was skipped stays so
};

/// The exit code of a process whose device answers no more after the candidate that the journal has begun last.
constexpr int kExitDeviceLost = 3;

/// Tunes what the journal has not finished, until time is up; prints a line for every cell. Exit code; ends the process with
/// kExitDeviceLost.
int run_sweep(const SweepOptions& options);

/// Prints the cells with what is planned for each and how many candidates there are; measures nothing. Exit code.
int print_sweep(const SweepOptions& options);

}  // namespace clsink::cli
