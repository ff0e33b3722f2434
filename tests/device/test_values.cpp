// SPDX-License-Identifier: Apache-2.0
// Lengths, data and thresholds that break kernels, with every variant.
#include <algorithm>
#include <cmath>
#include <limits>

#include "environment.hpp"

namespace clsink::harness {
namespace {

// One program per variant serves all tests here: only what changes no kernel differs.
const char* const kDense = "f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=1100 @ seed=1 data=random lens=";
const char* const kRouted = "f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=1100 route=mean near=1,16 @ seed=2 data=sink lens=";

TEST(Values, LengthsAroundTilesAndBeyondTheWorkers) {
  for (const char* base : {kDense, kRouted}) {
    for (Case c : with_typical_variants(parse_case(std::string(base) + "1"))) {
      const int tile = c.variant->tile_kv;
      c.kv_lens = {0, 1, tile - 1, tile, tile + 1, 2 * tile + 1, 127, 1009};
      EXPECT_TRUE(passes(c));
    }
  }
}

TEST(Values, OnlyEmptySequences) {
  for (const char* base : {kDense, kRouted}) {
    for (const Case& c : with_typical_variants(parse_case(std::string(base) + "0,0,0"))) EXPECT_TRUE(passes(c));
  }
}

TEST(Values, OneLongSequenceAmongEmptyOnes) {
  for (const char* base : {kDense, kRouted}) {
    for (const Case& c : with_typical_variants(parse_case(std::string(base) + "0,0,0,1100,0,0,0,0"))) EXPECT_TRUE(passes(c));
  }
}

TEST(Values, HugeLogitsAndEqualKeys) {
  for (const char* base : {kDense, kRouted}) {
    for (const DataKind data : {DataKind::kHugeLogits, DataKind::kEqualKeys}) {
      for (Case c : with_typical_variants(parse_case(std::string(base) + "1100,64,7"))) {
        c.data = data;
        EXPECT_TRUE(passes(c));
      }
    }
  }
}

TEST(Values, AllOrNoneOrSomeGroupsRouted) {
  for (Case c : with_typical_variants(parse_case(std::string(kRouted) + "1100,700,900,33"))) {
    for (const float tau : {-2.0F, 0.4F, 2.0F}) {
      c.tau = TauTable::constant(tau);
      EXPECT_TRUE(passes(c));
    }
  }
}

TEST(Values, SurrogatesOfEveryKind) {
  Case base = parse_case(std::string(kRouted) + "1100,700,65,17,16,1");
  base.tau = TauTable::constant(-2);
  for (const TokenSet surrogate : {TokenSet{0, 0}, TokenSet{1, 0}, TokenSet{1, 64}, TokenSet{40, 33}, TokenSet{0, 1}}) {
    base.problem.routing.surrogate = surrogate;
    for (const Case& c : with_typical_variants(base)) EXPECT_TRUE(passes(c));
  }
}

TEST(Values, AnchorsAnywhere) {
  Case base = parse_case(std::string(kRouted) + "1100,700,65,17,16,1,0");
  base.anchors = true;
  for (const TokenSet set : {TokenSet{}, TokenSet{33, 70}}) {
    base.problem.token_set = set;
    for (Case c : with_typical_variants(base)) {
      for (c.seed = 10; c.seed < 14; ++c.seed) EXPECT_TRUE(passes(c));
    }
  }
}

TEST(Values, TauTableAndOffsets) {
  Case c = parse_case(
      "f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=1100 route=mean near=1,4 @ lens=9,16,17,100,256,257,1024,1100 seed=3 data=sink "
      "tau=16:-0.9,256:0.99,1024:0.2");
  EXPECT_TRUE(passes(c));
  c.tau_offsets = true;
  EXPECT_TRUE(passes(c));
}

TEST(Values, MaskRoutesAndStatisticsAreCosines) {
  for (const std::uint32_t seed : {1U, 2U}) {
    Case c = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=1100 route=mask near=1,16 @ lens=1100,40,16,0 data=sink");
    c.seed = seed;
    EXPECT_TRUE(passes(c));
    c.optional_outputs = false;
    EXPECT_TRUE(passes(c));
  }
}

// A threshold just above and just below the score of group 0: the decision must follow, and nothing is excluded.
TEST(Values, ScoresJustUnderAndOverTheThreshold) {
  constexpr float kStep = 1.2e-5F;
  for (const Policy policy : {Policy::kMean, Policy::kAll, Policy::kHybrid}) {
    Case c = parse_case(std::string(kRouted) + "300");
    c.problem.routing.policy = policy;
    c.tau = TauTable::constant(-2);
    const Inputs inputs = make_inputs(c);
    const auto reference_now = [&] { return reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs)); };
    const GroupStatistics scores = reference_now().statistics[0];
    for (const bool over : {false, true}) {
      const float step = over ? -kStep : kStep;
      c.tau = TauTable::constant((policy == Policy::kAll ? scores.min_score : scores.mean_score) + step);
      c.floor = -2;
      if (policy == Policy::kHybrid) {
        c.tau = TauTable::constant(-2);
        c.floor = scores.min_score + step;
      }
      const ReferenceResult reference = reference_now();
      EXPECT_EQ(reference.statistics[0].routed, over ? 1 : 0);
      EXPECT_GT(reference.margin[0], kDecisionMargin);
      EXPECT_TRUE(passes(c, inputs, reference));
    }
  }
}

TEST(Values, ZeroQueriesAndKeysScoreZero) {
  Case c = parse_case(std::string(kRouted) + "200,100");
  Inputs inputs = make_inputs(c);
  std::fill(inputs.q.begin(), inputs.q.begin() + 64, 0.0F);
  std::fill(inputs.k.begin() + static_cast<std::ptrdiff_t>(inputs.row(c.problem, 1, 0, 0)),
            inputs.k.begin() + static_cast<std::ptrdiff_t>(inputs.row(c.problem, 1, 0, 1)), 0.0F);
  for (const float tau : {-0.01F, 0.01F}) {
    c.tau = TauTable::constant(tau);
    EXPECT_TRUE(passes(c, inputs, reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs))));
  }
}

}  // namespace
}  // namespace clsink::harness
