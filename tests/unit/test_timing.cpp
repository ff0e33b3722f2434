// SPDX-License-Identifier: Apache-2.0
// Medians, spreads and the order of interleaved measurements.
#include "harness/timing.hpp"

#include <gtest/gtest.h>

namespace clsink::harness {
namespace {

TEST(Timing, MedianOfOddEvenAndNoSamples) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(median({}), 0);
}

TEST(Timing, PercentileInterpolatesAndClamps) {
  const std::vector<double> samples{50, 10, 40, 20, 30};
  EXPECT_DOUBLE_EQ(percentile(samples, 0), 10);
  EXPECT_DOUBLE_EQ(percentile(samples, 0.1), 14);
  EXPECT_DOUBLE_EQ(percentile(samples, 0.9), 46);
  EXPECT_DOUBLE_EQ(percentile(samples, 2), 50);
}

TEST(Timing, SummaryIgnoresOneOutlier) {
  const Summary summary = summarize({100, 102, 98, 100, 5000});
  EXPECT_EQ(summary.count, 5U);
  EXPECT_DOUBLE_EQ(summary.median, 100);
  EXPECT_DOUBLE_EQ(summary.mad_percent, 2);
  EXPECT_GT(summary.p90, 1000);
  EXPECT_DOUBLE_EQ(mad_percent({0, 0, 0}), 0);
}

TEST(Timing, PairedRatioCancelsWhatHitsBoth) {
  EXPECT_DOUBLE_EQ(paired_ratio({2, 20, 200}, {1, 10, 100}), 2);
  EXPECT_DOUBLE_EQ(paired_ratio({3, 8, 100}, {1, 4}), 2.5);  // the unpaired sample does not count
  EXPECT_DOUBLE_EQ(paired_ratio({1}, {}), 0);
}

TEST(Timing, SampleIsOfOneRepeat) {
  const double begin_us = wall_clock_us();
  const Sample sample = time_repeats(4, [] {
    const double until_us = process_cpu_us() + 4000;
    while (process_cpu_us() < until_us) {
    }
  });
  const double elapsed_us = wall_clock_us() - begin_us;
  EXPECT_GE(sample.cpu_us, 1000);
  EXPECT_LT(sample.cpu_us, 1900);
  EXPECT_LE(4 * sample.wall_us, elapsed_us);
}

std::vector<Candidate> recorders(int count, std::vector<int>& order) {
  std::vector<Candidate> candidates(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    candidates[static_cast<std::size_t>(i)].measure = [i, &order] {
      order.push_back(i);
      return Sample{static_cast<double>(i), 0};
    };
  }
  return candidates;
}

TEST(Timing, RoundsRotate) {
  std::vector<int> order;
  std::vector<Candidate> candidates = recorders(3, order);
  EXPECT_EQ(run_interleaved(candidates, {4}, [] { return false; }), 4);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2}));
  EXPECT_EQ(candidates[2].samples.size(), 4U);
  EXPECT_DOUBLE_EQ(candidates[2].samples[3].wall_us, 2);
}

TEST(Timing, StopsInTheMiddleOfARound) {
  std::vector<int> order;
  std::vector<Candidate> candidates = recorders(3, order);
  EXPECT_EQ(run_interleaved(candidates, {}, [&] { return order.size() == 5; }), 1);
  EXPECT_EQ(order.size(), 5U);
}

TEST(Timing, OneRoundEvenWithoutTime) {
  std::vector<int> order;
  std::vector<Candidate> candidates = recorders(2, order);
  EXPECT_EQ(run_interleaved(candidates, {100, 0.0}, [] { return false; }), 1);
  EXPECT_EQ(order.size(), 2U);
}

TEST(Timing, SlowCandidateSitsOutAfterItsBudget) {
  std::vector<int> order;
  std::vector<Candidate> candidates = recorders(2, order);
  candidates[1].budget_seconds = 0;
  candidates[1].measure = nullptr;
  EXPECT_EQ(run_interleaved(candidates, {3}, [] { return false; }), 3);
  EXPECT_EQ(order, (std::vector<int>{0, 0, 0}));
}

}  // namespace
}  // namespace clsink::harness
