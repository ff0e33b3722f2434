// SPDX-License-Identifier: Apache-2.0
#include "harness/timing.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <utility>

namespace clsink::harness {

double percentile(std::vector<double> samples, double fraction) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const double place = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(samples.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, samples.size() - 1);
  return samples[below] + (place - static_cast<double>(below)) * (samples[above] - samples[below]);
}

double median(std::vector<double> samples) { return percentile(std::move(samples), 0.5); }

double mad_percent(const std::vector<double>& samples) {
  const double middle = median(samples);
  if (middle == 0) return 0;
  std::vector<double> deviations;
  for (const double sample : samples) deviations.push_back(std::abs(sample - middle));
  return 100 * median(std::move(deviations)) / std::abs(middle);
}

Summary summarize(const std::vector<double>& samples) {
  return {samples.size(), median(samples), percentile(samples, 0.1), percentile(samples, 0.9), mad_percent(samples)};
}

double paired_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (b[i] > 0) ratios.push_back(a[i] / b[i]);
  }
  return median(std::move(ratios));
}

std::string utc_date() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

double wall_clock_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double process_cpu_us() {
#ifdef CLOCK_PROCESS_CPUTIME_ID
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return 1e6 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_nsec);
#else
  return 1e6 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
#endif
}

Sample time_repeats(int repeats, const std::function<void()>& work) {
  const double wall = wall_clock_us();
  const double cpu = process_cpu_us();
  work();
  return {(wall_clock_us() - wall) / repeats, (process_cpu_us() - cpu) / repeats};
}

int run_interleaved(std::vector<Candidate>& candidates, const RoundLimits& limits, const std::function<bool()>& stop) {
  const double begin_us = wall_clock_us();
  std::vector<double> spent_seconds(candidates.size(), 0);
  for (int round = 0;; ++round) {
    const double seconds = 1e-6 * (wall_clock_us() - begin_us);
    if (round > 0 && (round >= limits.rounds || seconds >= limits.seconds)) return round;
    for (std::size_t turn = 0; turn < candidates.size(); ++turn) {
      const std::size_t index = (turn + static_cast<std::size_t>(round)) % candidates.size();
      Candidate& candidate = candidates[index];
      if (stop()) return round;
      if (spent_seconds[index] >= candidate.budget_seconds) continue;
      const double sample_begin_us = wall_clock_us();
      candidate.samples.push_back(candidate.measure());
      spent_seconds[index] += 1e-6 * (wall_clock_us() - sample_begin_us);
    }
  }
}

}  // namespace clsink::harness
