// SPDX-License-Identifier: Apache-2.0
// Recorded attention of a language model: the 16 decode steps of a layer as a batch over one cache that all sequences
// share (block stride 0). Witnesses are the double reference and what was recorded by another program.
#include <algorithm>
#include <cmath>

#include "environment.hpp"
#include "harness/trace.hpp"

namespace clsink::harness {
namespace {

constexpr float kBelowAnyCosine = -2;
// The recorded values are stored in single precision.
constexpr double kRecordedTolerance = 2e-5;

const Trace& trace() {
  static const Trace loaded = load_trace(CLSINK_SOURCE_DIR "/tests/data/smollm2_trace.json");
  return loaded;
}

Case trace_case() {
  Case c;
  c.problem = trace().problem(trace().layers.front().tokens);
  c.problem.kv_layout.k.block = c.problem.kv_layout.v.block = 0;
  c.kv_lens = trace().kv_lens();
  c.scale = trace().scale;
  return c;
}

Case routed_case(const TokenSet& surrogate, float tau, Policy policy = Policy::kMean) {
  Case c = trace_case();
  c.problem.routing = SinkRouting::cosine(policy);
  c.problem.routing.surrogate = surrogate;
  c.tau = TauTable::constant(tau);
  return c;
}

struct LayerRun {
  Readback got;
  Outcome outcome;
};

ReferenceResult reference_of(const Case& c, const TraceLayer& layer) {
  return reference_decode(c.problem, step_of(c), trace_reference_inputs(trace(), layer, c.kv_lens));
}

LayerRun run(const Case& c, const TraceLayer& layer, const ReferenceResult& reference) {
  const DecodePlan plan = test_context().prepare(plan_of(test_context(), c));
  DeviceCase on_device(test_device(), plan, c, trace_inputs(trace(), layer, c.kv_lens));
  cl::CommandQueue queue = test_device().queue();
  test_context().enqueue(queue(), plan, on_device.buffers, on_device.step);
  LayerRun result;
  result.got = on_device.read(queue);
  result.outcome = compare(plan.problem, reference, result.got, c.optional_outputs);
  return result;
}

LayerRun run(const Case& c, const TraceLayer& layer) { return run(c, layer, reference_of(c, layer)); }

// A threshold between the middle two scores of the layer's groups.
float median_score(const TraceLayer& layer) {
  const ReferenceResult all = reference_of(routed_case({1, 64}, kBelowAnyCosine), layer);
  std::vector<float> scores;
  for (const GroupStatistics& group : all.statistics) scores.push_back(group.mean_score);
  std::sort(scores.begin(), scores.end());
  return (scores[scores.size() / 2 - 1] + scores[scores.size() / 2]) / 2;
}

TEST(Trace, IsTheRecordingThatTheseTestsAreAbout) {
  EXPECT_EQ(trace().layers.size(), 5U);
  EXPECT_EQ(trace().steps, 16);
  EXPECT_EQ(trace().kv_lens().back(), trace().layers.front().tokens);
}

TEST(Trace, DenseAgreesWithTheReferenceForEveryVariant) {
  for (const TraceLayer& layer : trace().layers) {
    const ReferenceResult reference = reference_of(trace_case(), layer);
    for (const Case& c : with_typical_variants(trace_case())) {
      const Outcome outcome = run(c, layer, reference).outcome;
      EXPECT_TRUE(outcome.ok()) << "layer " << layer.number << ", " << to_string(*c.variant) << ": " << outcome.summary();
    }
  }
}

TEST(Trace, HalfRoutedAgreesWithTheReferenceForEverySurrogate) {
  for (const TraceLayer& layer : trace().layers) {
    const float tau = median_score(layer);
    for (const TokenSet surrogate : {TokenSet{0, 0}, TokenSet{1, 0}, TokenSet{1, 64}}) {
      const Outcome outcome = run(routed_case(surrogate, tau), layer).outcome;
      EXPECT_TRUE(outcome.ok()) << "layer " << layer.number << ", surrogate {" << surrogate.keep_first << ", "
                                << surrogate.keep_last << "}: " << outcome.summary();
      EXPECT_EQ(outcome.routed_groups, outcome.groups / 2);
      EXPECT_EQ(outcome.excluded_groups, 0);
    }
  }
}

TEST(Trace, EveryPolicyDecidesAsTheReference) {
  for (const TraceLayer& layer : trace().layers) {
    for (const Policy policy : {Policy::kAll, Policy::kHybrid}) {
      const Outcome outcome = run(routed_case({1, 64}, median_score(layer), policy), layer).outcome;
      EXPECT_TRUE(outcome.ok()) << "layer " << layer.number << ", policy " << static_cast<int>(policy) << ": "
                                << outcome.summary();
    }
  }
}

TEST(Trace, StatisticsAreTheRecordedOnes) {
  const int group_size = trace().num_q_heads / trace().num_kv_heads;
  for (const TraceLayer& layer : trace().layers) {
    const Readback got = run(routed_case({1, 64}, kBelowAnyCosine), layer).got;
    ASSERT_EQ(got.statistics.size() * group_size, layer.cosine.size());
    for (std::size_t group = 0; group < got.statistics.size(); ++group) {
      double cosine = 0, least = 1, logit = 0;
      for (int j = 0; j < group_size; ++j) {
        const std::size_t row = group * group_size + j;
        cosine += layer.cosine[row];
        least = std::min<double>(least, layer.cosine[row]);
        logit += layer.sink_logit[row];
      }
      EXPECT_NEAR(got.statistics[group].mean_score, cosine / group_size, kRecordedTolerance);
      EXPECT_NEAR(got.statistics[group].min_score, least, kRecordedTolerance);
      EXPECT_NEAR(got.statistics[group].sink_logit, logit / group_size, kRecordedTolerance * std::max(1.0, std::abs(logit)));
      EXPECT_EQ(got.statistics[group].routed, 1);
    }
  }
}

TEST(Trace, SinkAndWindowGiveTheRecordedOutput) {
  for (const TraceLayer& layer : trace().layers) {
    const Readback got = run(routed_case({1, 64}, kBelowAnyCosine), layer).got;
    ASSERT_EQ(got.out.size(), layer.sink_window.size());
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < got.out.size(); ++i) {
      const double recorded = layer.sink_window[i], delta = got.out[i] - recorded;
      difference += delta * delta;
      norm += recorded * recorded;
    }
    EXPECT_LT(std::sqrt(difference / norm), kRecordedTolerance) << "layer " << layer.number;
  }
}

}  // namespace
}  // namespace clsink::harness
