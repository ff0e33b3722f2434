// SPDX-License-Identifier: Apache-2.0
// How everything here is timed: candidates take turns in one process, so that a disturbance hits all of them, and the
// figures are medians with their spread. Knows nothing of OpenCL.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace clsink::harness {

/// The value below which the share `fraction` of the samples lies, interpolated; 0 without samples.
double percentile(std::vector<double> samples, double fraction);
double median(std::vector<double> samples);
/// Median absolute deviation from the median, in percent of the median; 0 if the median is 0.
double mad_percent(const std::vector<double>& samples);

struct Summary {
  std::size_t count = 0;
  double median = 0;
  double p10 = 0;
  double p90 = 0;
  double mad_percent = 0;
};
Summary summarize(const std::vector<double>& samples);

/// Median of a[i] / b[i]: how many times longer a takes than b, if both were measured in the same rounds. A disturbance
/// that lasts longer than a round hits both and cancels. 0 without pairs.
double paired_ratio(const std::vector<double>& a, const std::vector<double>& b);

/// Elapsed time, and processor time of all threads of this process: on a CPU device with one thread the latter does not
/// grow while other programs have the core.
struct Sample {
  double wall_us = 0;
  double cpu_us = 0;
};
double wall_clock_us();
double process_cpu_us();

/// Now, as "2026-11-22T17:05:00Z".
std::string utc_date();

/// Times one call of `work` that does `repeats` equal pieces; the sample is that of one piece.
Sample time_repeats(int repeats, const std::function<void()>& work);

struct Candidate {
  std::function<Sample()> measure;
  /// A slow candidate sits out after so many seconds of wall time in all.
  double budget_seconds = std::numeric_limits<double>::infinity();
  std::vector<Sample> samples;
};

/// Rounds end at whichever limit comes first; one round is always run.
struct RoundLimits {
  int rounds = std::numeric_limits<int>::max();
  double seconds = std::numeric_limits<double>::infinity();
};

/// Measures every candidate once a round; a round starts one candidate later than the one before, so that none always
/// follows the same neighbour. Returns early once `stop` says so (asked before every sample). Returns complete rounds.
int run_interleaved(std::vector<Candidate>& candidates, const RoundLimits& limits, const std::function<bool()>& stop);

}  // namespace clsink::harness
