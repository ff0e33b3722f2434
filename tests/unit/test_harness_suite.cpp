// SPDX-License-Identifier: Apache-2.0
// Case texts, covering arrays and the comparison that decides whether a test fails.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "harness/compare.hpp"
#include "harness/inputs.hpp"
#include "harness/suite.hpp"

namespace clsink::harness {
namespace {

const char* const kGrid = CLSINK_SOURCE_DIR "/tests/suites/grid.txt";

TEST(CaseText, RoundTrips) {
  const std::string text =
      "f16 hq=8 hkv=2 d=64 b=3 kv=100 route=mean | simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8 stages=1 | "
      "workers_per_cu=3 "
      "min_tiles=2 @ lens=0,1,17 seed=9 data=sink scale=0.5 tau=16:0.25,64:0.5 floor=0.5 anchors=1 tau_offsets=1 optional=0 "
      "exact=1 offset=32 v_at=128";
  const Case c = parse_case(text);
  EXPECT_EQ(to_string(c), text);
  EXPECT_EQ(c.kv_lens, (std::vector<std::int32_t>{0, 1, 17}));
  EXPECT_EQ(c.tau.count, 2);
  EXPECT_EQ(c.tuning->workers_per_cu, 3);
  const std::string brief = "f32 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=5 seed=1 data=random";
  EXPECT_EQ(to_string(parse_case(brief)), brief);
}

TEST(CaseText, RefusesWhatItDoesNotKnow) {
  for (const char* text : {"f16 hq=1 hkv=1 d=32 b=1 kv=5", "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ seed=1",
                           "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=1 data=odd", "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=1 colour=red",
                           "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=1.5", "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=3e35",
                           "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=4294967297", "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=1 seed=-1",
                           "f16 hq=1 hkv=1 d=32 b=1 kv=5 @ lens=1 scale=x", "f16 hq=1 hkv=1 d=32 b=1 kv=5 | | | @ lens=1"}) {
    EXPECT_THROW(parse_case(text), Error) << text;
  }
}

TEST(Suite, EveryGridCaseSurvivesItsText) {
  const std::vector<Case> cases = suite_cases(read_suite(kGrid), 2);
  EXPECT_LT(cases.size(), 100U);
  for (const Case& c : cases) {
    const Case back = parse_case(to_string(c));
    EXPECT_EQ(back.kv_lens, c.kv_lens);
    EXPECT_EQ(to_string(back), to_string(c));
  }
}

TEST(Suite, RefusesUnknownWords) {
  EXPECT_THROW(parse_suite("no colon"), Error);
  EXPECT_THROW(parse_suite("axis:"), Error);
  EXPECT_THROW(make_case({{"layout", "spiral"}}, 1), Error);
  EXPECT_THROW(make_case({{"colour", "red"}}, 1), Error);
  EXPECT_THROW(read_suite("/nowhere/grid.txt"), Error);
}

std::size_t combinations_missing(const std::vector<Axis>& axes, const std::vector<std::vector<int>>& rows) {
  std::set<std::tuple<int, int, int, int>> seen;
  std::size_t wanted = 0;
  for (int a = 0; a < static_cast<int>(axes.size()); ++a) {
    for (int b = a + 1; b < static_cast<int>(axes.size()); ++b) {
      wanted += axes[a].values.size() * axes[b].values.size();
      for (const auto& row : rows) seen.emplace(a, row[a], b, row[b]);
    }
  }
  return wanted - seen.size();
}

TEST(Suite, PairwiseCoversEveryPair) {
  const std::vector<Axis> axes = read_suite(kGrid);
  auto rows = covering_array(axes, 2);
  EXPECT_EQ(rows, covering_array(axes, 2));
  EXPECT_EQ(combinations_missing(axes, rows), 0U);
  rows.erase(rows.begin());  // the first row is never superfluous: it was greedily the best
  EXPECT_GT(combinations_missing(axes, rows), 0U);
}

TEST(Suite, ThreeWiseCoversEveryTriple) {
  const std::vector<Axis> axes = {{"a", {"0", "1", "2"}}, {"b", {"0", "1"}}, {"c", {"0", "1", "2", "3"}}, {"d", {"0", "1"}}};
  const auto rows = covering_array(axes, 3);
  EXPECT_LT(rows.size(), 3U * 2 * 4 * 2);
  std::set<std::tuple<int, int, int>> abc, bcd, abd, acd;
  for (const auto& row : rows) {
    abc.emplace(row[0], row[1], row[2]);
    abd.emplace(row[0], row[1], row[3]);
    acd.emplace(row[0], row[2], row[3]);
    bcd.emplace(row[1], row[2], row[3]);
  }
  EXPECT_EQ(abc.size() + abd.size() + acd.size() + bcd.size(), 24U + 12 + 24 + 16);
}

TEST(Suite, PairedAxesAreInPairsOnly) {
  const std::vector<Axis> axes = parse_suite("paired a: 0 1 2 3 4 5\nb: 0 1 2\nc: 0 1 2\npaired d: 0 1 2 3\ne: 0 1");
  const auto rows = covering_array(axes, 3);
  EXPECT_EQ(combinations_missing(axes, rows), 0U);
  std::set<std::tuple<int, int, int>> bce;
  for (const auto& row : rows) bce.emplace(row[1], row[2], row[4]);
  EXPECT_EQ(bce.size(), 3U * 3 * 2);
  EXPECT_LT(rows.size(), 6U * 3 * 3);  // which the triples of a, b and c would need
}

TEST(Inputs, SinkHeavyGroupsSplitThePolicies) {
  Case c = parse_case("f32 hq=24 hkv=6 d=128 b=2 kv=64 route=mean near=1,4 @ lens=64,50 seed=5 data=sink");
  const Inputs inputs = make_inputs(c);
  int routed[3];
  for (const Policy policy : {Policy::kMean, Policy::kAll, Policy::kHybrid}) {
    c.problem.routing.policy = policy;
    const ReferenceResult r = reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs));
    routed[static_cast<int>(policy)] = 0;
    for (const GroupStatistics& s : r.statistics) routed[static_cast<int>(policy)] += s.routed;
  }
  EXPECT_EQ(routed[0], 8);  // two of three groups
  EXPECT_EQ(routed[1], 4);  // one of three
  EXPECT_GE(routed[2], 4);
}

class Compare : public testing::Test {
 protected:
  Compare()
      : c_(parse_case("f32 hq=4 hkv=2 d=32 b=1 kv=20 route=mean near=1,2 @ lens=20 seed=2 data=sink")),
        inputs_(make_inputs(c_)) {
    reference_ = reference_decode(c_.problem, step_of(c_), reference_inputs(c_.problem, inputs_));
    for (double x : reference_.out) got_.out.push_back(static_cast<float>(x));
    for (double x : reference_.lse) got_.lse.push_back(static_cast<float>(x));
    got_.statistics = reference_.statistics;
  }
  Outcome run() const { return compare(c_.problem, reference_, got_, true); }

  Case c_;
  Inputs inputs_;
  ReferenceResult reference_;
  Readback got_;
};

TEST_F(Compare, SameIsGood) {
  EXPECT_TRUE(run().ok()) << run().summary();
  EXPECT_LT(run().error, 1e-6);
}

TEST_F(Compare, NotANumberFails) {
  got_.out[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(run().ok());
}

TEST_F(Compare, OneWrongRowFails) {
  got_.out[40] *= 1.001F;
  got_.out[41] += 0.001F;
  EXPECT_FALSE(run().ok());
  EXPECT_GT(run().worst_row_error, 1e-5);
}

TEST_F(Compare, WrongLseStatisticsStatusAndDamageFail) {
  const Readback good = got_;
  got_.lse[1] += 0.01F;
  EXPECT_FALSE(run().ok());
  got_ = good;
  got_.lse[1] = -std::numeric_limits<float>::infinity();
  EXPECT_FALSE(run().ok());
  got_ = good;
  got_.statistics[1].min_score += 1e-3F;
  EXPECT_FALSE(run().ok());
  got_ = good;
  got_.statistics[1].routed ^= 1;
  EXPECT_FALSE(run().ok());
  got_ = good;
  got_.status = kStatusKvLenNegative;
  EXPECT_FALSE(run().ok());
  got_ = good;
  got_.damage.push_back("out: byte 3 overwritten");
  EXPECT_FALSE(run().ok());
}

TEST_F(Compare, DecisionsAtTheThresholdAreExcludedAndCounted) {
  reference_.margin[1] = 1e-6;
  got_.statistics[1].routed ^= 1;
  got_.out[70] += 1;
  EXPECT_TRUE(run().ok()) << run().summary();
  EXPECT_EQ(run().excluded_groups, 1);
}

TEST_F(Compare, ZeroRowsMustBeExactlyZero) {
  std::fill(reference_.out.begin(), reference_.out.begin() + 32, 0.0);
  std::fill(got_.out.begin(), got_.out.begin() + 32, 0.0F);
  EXPECT_TRUE(run().ok());
  got_.out[3] = 1e-30F;
  EXPECT_FALSE(run().ok());
}

}  // namespace
}  // namespace clsink::harness
