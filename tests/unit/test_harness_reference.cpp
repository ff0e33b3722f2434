// SPDX-License-Identifier: Apache-2.0
// The reference against results worked out by hand: it is the specification, so nothing else checks it.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "harness/inputs.hpp"
#include "harness/reference.hpp"

namespace clsink::harness {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One sequence, one kv head, two channels: small enough to think about.
struct Small {
  DecodeProblem problem;
  DecodeStep step;
  Inputs inputs;

  explicit Small(std::vector<float> q, std::vector<float> k, std::vector<float> v) {
    problem.q_dtype = problem.kv_dtype = problem.out_dtype = DType::kF32;
    problem.num_q_heads = static_cast<int>(q.size()) / 2;
    problem.num_kv_heads = 1;
    problem.head_dim = 2;
    problem.max_kv_len = 100;
    step.scale = 1;
    inputs.tokens = static_cast<int>(k.size()) / 2;
    inputs.kv_lens = {inputs.tokens};
    inputs.q = std::move(q);
    inputs.k = std::move(k);
    inputs.v = std::move(v);
  }
  void route(Policy policy, float tau, TokenSet surrogate = {1, 0}) {
    problem.routing = SinkRouting::cosine(policy);
    problem.routing.surrogate = surrogate;
    step.tau = TauTable::constant(tau);
  }
  ReferenceResult run() const { return reference_decode(problem, step, reference_inputs(problem, inputs)); }
};

// Two query heads, cosines 1 and 0 with K0.
Small two_heads() { return Small({2, 0, 0, 3}, {5, 0, 0, 1, 1, 1}, {1, 10, 2, 20, 3, 30}); }

TEST(Reference, OneTokenIsItsValue) {
  const ReferenceResult r = Small({1, 2}, {3, 4}, {5, 6}).run();
  EXPECT_DOUBLE_EQ(r.out[0], 5);
  EXPECT_DOUBLE_EQ(r.out[1], 6);
  EXPECT_DOUBLE_EQ(r.lse[0], 11);
  EXPECT_EQ(r.status, 0);
}

TEST(Reference, WeightsOneToThree) {
  Small small({1, 0}, {0, 7, std::log(3.0F), 7}, {1, 0, 5, 4});
  const ReferenceResult r = small.run();
  EXPECT_NEAR(r.out[0], 0.25 * 1 + 0.75 * 5, 1e-6);
  EXPECT_NEAR(r.out[1], 3, 1e-6);
  EXPECT_NEAR(r.lse[0], std::log(4.0), 1e-6);
  small.step.scale = 0;  // all logits 0
  EXPECT_DOUBLE_EQ(small.run().out[0], 3);
  EXPECT_DOUBLE_EQ(small.run().lse[0], std::log(2.0));
}

TEST(Reference, HugeLogitsDoNotOverflow) {
  const ReferenceResult r = Small({1e5F, 0}, {1, 0, -1, 0}, {1, 2, 3, 4}).run();
  EXPECT_DOUBLE_EQ(r.out[0], 1);
  EXPECT_DOUBLE_EQ(r.lse[0], 1e5);
}

TEST(Reference, InputsAreRoundedFirst) {
  Small small({1, 0}, {1, 0}, {1.0F + 1.0F / 4096, 1.0F + 1.0F / 512});
  small.problem.kv_dtype = DType::kF16;
  EXPECT_DOUBLE_EQ(small.run().out[0], 1);
  EXPECT_DOUBLE_EQ(small.run().out[1], 1.0 + 1.0 / 512);
  small.problem.kv_dtype = DType::kBF16;
  EXPECT_DOUBLE_EQ(small.run().out[1], 1);
}

TEST(Reference, GroupsReadTheirOwnKvHead) {
  Small small({1, 0, 1, 0, 1, 0, 1, 0}, {0, 0, 0, 0}, {1, 2, 3, 4});
  small.problem.num_kv_heads = 2;
  small.inputs.tokens = 1;
  small.inputs.kv_lens = {1};
  const ReferenceResult r = small.run();
  EXPECT_EQ(r.out, (std::vector<double>{1, 2, 1, 2, 3, 4, 3, 4}));
}

TEST(Reference, TokenSets) {
  const auto kept = [](TokenSet set, int anchor, int kv_len) {
    std::string text;
    for (int t = -1; t <= kv_len; ++t) text += contains(set, anchor, kv_len, t) ? 'x' : '.';
    return text;
  };
  EXPECT_EQ(kept({}, 0, 4), ".xxxx.");
  EXPECT_EQ(kept({0, 2}, 0, 4), "...xx.");
  EXPECT_EQ(kept({1, 2}, 0, 5), ".x..xx.");
  EXPECT_EQ(kept({2, 1}, 1, 6), "..xx..x.");
  EXPECT_EQ(kept({3, 3}, 2, 6), "...xxxx.");
  EXPECT_EQ(kept({9, 0}, 3, 5), "....xx.");
  EXPECT_EQ(kept({0, 0}, 0, 3), ".....");
  EXPECT_EQ(kept({INT32_MAX, 0}, 1, 3), "..xx.");
}

TEST(Reference, WindowIsDenseOverItsTokens) {
  Small small({0, 0}, {1, 1, 1, 1, 1, 1}, {1, 0, 3, 0, 5, 0});
  small.problem.token_set = {0, 2};
  EXPECT_DOUBLE_EQ(small.run().out[0], 4);
  small.problem.token_set = {1, 1};
  EXPECT_DOUBLE_EQ(small.run().out[0], 3);
  small.inputs.anchors = {1};
  EXPECT_DOUBLE_EQ(small.run().out[0], 4);
}

TEST(Reference, StatisticsAndPolicies) {
  Small small = two_heads();
  small.step.scale = 0.5F;
  small.route(Policy::kMean, 0.4F);
  const ReferenceResult r = small.run();
  EXPECT_FLOAT_EQ(r.statistics[0].mean_score, 0.5F);
  EXPECT_FLOAT_EQ(r.statistics[0].min_score, 0);
  EXPECT_FLOAT_EQ(r.statistics[0].sink_logit, 2.5F);
  EXPECT_EQ(r.statistics[0].routed, 1);
  EXPECT_NEAR(r.margin[0], 0.1, 1e-6);
  EXPECT_EQ(r.out, (std::vector<double>{1, 10, 1, 10}));  // the value of token 0
  small.route(Policy::kMean, 0.6F);
  EXPECT_EQ(small.run().statistics[0].routed, 0);
  small.route(Policy::kMean, 0.5F);
  EXPECT_EQ(small.run().statistics[0].routed, 0);  // must exceed tau
  small.route(Policy::kAll, 0.4F);
  EXPECT_EQ(small.run().statistics[0].routed, 0);
  small.route(Policy::kAll, -0.1F);
  EXPECT_EQ(small.run().statistics[0].routed, 1);
  small.route(Policy::kHybrid, 0.4F);
  small.step.floor = -0.1F;
  EXPECT_EQ(small.run().statistics[0].routed, 1);
  small.step.floor = 0.1F;
  EXPECT_EQ(small.run().statistics[0].routed, 0);
}

TEST(Reference, Surrogates) {
  Small small = two_heads();
  small.route(Policy::kMean, 0.4F, {0, 0});
  EXPECT_EQ(small.run().out, (std::vector<double>{0, 0, 0, 0}));
  EXPECT_EQ(small.run().lse[0], -kInfinity);
  small.step.scale = 0;  // uniform weights
  small.route(Policy::kMean, 0.4F, {1, 1});
  EXPECT_DOUBLE_EQ(small.run().out[0], 2);
  small.route(Policy::kMean, 0.4F, {1, 2});  // holds every token: dense, not routed
  EXPECT_EQ(small.run().statistics[0].routed, 0);
  EXPECT_EQ(small.run().margin[0], kInfinity);
  small.problem.token_set = {0, 1};  // inside {1, 1}: the window itself is attended to
  small.route(Policy::kMean, 0.4F, {1, 1});
  EXPECT_EQ(small.run().statistics[0].routed, 0);
  EXPECT_DOUBLE_EQ(small.run().out[0], 3);
}

TEST(Reference, AnchorMovesTheSink) {
  Small small = two_heads();
  small.inputs.anchors = {2};  // K2 = (1, 1): cosine .707 with both heads
  small.route(Policy::kAll, 0.7F);
  ReferenceResult r = small.run();
  EXPECT_NEAR(r.statistics[0].min_score, std::sqrt(0.5), 1e-6);
  EXPECT_EQ(r.out, (std::vector<double>{3, 30, 3, 30}));
  for (const int anchor : {-1, 3}) {
    small.inputs.anchors = {anchor};
    small.route(Policy::kMean, -1);
    r = small.run();
    EXPECT_EQ(r.status, kStatusAnchorOutOfRange);
    EXPECT_EQ(r.statistics[0].routed, 0);
    EXPECT_FLOAT_EQ(r.statistics[0].mean_score, 0.5F);  // of token 0
  }
}

TEST(Reference, MaskAndOffsets) {
  Small small = two_heads();
  small.problem.routing = SinkRouting::mask();
  small.problem.routing.surrogate = {1, 0};
  small.inputs.head_mask = {1};
  EXPECT_EQ(small.run().statistics[0].routed, 1);
  EXPECT_FLOAT_EQ(small.run().statistics[0].mean_score, 0.5F);
  small.inputs.head_mask = {0};
  EXPECT_EQ(small.run().statistics[0].routed, 0);
  small.route(Policy::kMean, 0.6F);
  small.inputs.tau_offsets = {-0.2F};
  EXPECT_EQ(small.run().statistics[0].routed, 1);
  small.inputs.tau_offsets = {kInfinity};
  EXPECT_EQ(small.run().statistics[0].routed, 0);
  small.inputs.tau_offsets.clear();
  small.route(Policy::kMean, kInfinity);
  EXPECT_EQ(small.run().statistics[0].routed, 0);
}

TEST(Reference, ZeroVectorScoresZero) {
  Small small({0, 0}, {1, 0, 1, 0}, {1, 1, 1, 1});
  small.route(Policy::kMean, -0.1F);
  EXPECT_EQ(small.run().statistics[0].mean_score, 0);
  EXPECT_EQ(small.run().statistics[0].routed, 1);
}

TEST(Reference, FaultyLengths) {
  Small small = two_heads();
  small.route(Policy::kMean, -1);
  small.inputs.kv_lens = {0};
  ReferenceResult r = small.run();
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.lse[1], -kInfinity);
  EXPECT_EQ(r.out[3], 0);
  EXPECT_EQ(r.statistics[0].mean_score, 0);
  EXPECT_EQ(r.statistics[0].routed, 0);
  small.inputs.kv_lens = {-5};
  EXPECT_EQ(small.run().status, kStatusKvLenNegative);
  small.problem.max_kv_len = 1;
  small.inputs.kv_lens = {3};
  r = small.run();
  EXPECT_EQ(r.status, kStatusKvLenAboveBound);
  EXPECT_EQ(r.out, (std::vector<double>{1, 10, 1, 10}));
}

TEST(Reference, TauIsLinearInTheLogarithm) {
  TauTable tau;
  tau.points[0] = {16, 0.25F};
  tau.points[1] = {64, 0.75F};
  tau.points[2] = {128, 0.5F};
  tau.count = 3;
  EXPECT_DOUBLE_EQ(tau_at(tau, 1), 0.25);
  EXPECT_DOUBLE_EQ(tau_at(tau, 16), 0.25);
  EXPECT_DOUBLE_EQ(tau_at(tau, 32), 0.5);
  EXPECT_DOUBLE_EQ(tau_at(tau, 64), 0.75);
  EXPECT_DOUBLE_EQ(tau_at(tau, 128), 0.5);
  EXPECT_DOUBLE_EQ(tau_at(tau, 1 << 20), 0.5);
  EXPECT_DOUBLE_EQ(tau_at(TauTable::constant(0.3F), 99), 0.3F);
}

}  // namespace
}  // namespace clsink::harness
