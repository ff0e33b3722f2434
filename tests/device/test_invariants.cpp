// SPDX-License-Identifier: Apache-2.0
// What must not change the answer, without asking the reference what the answer is.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "environment.hpp"
#include "planning/planner.hpp"

namespace clsink::harness {
namespace {

const char* const kRoutedText =
    "f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=1100 route=mean near=1,16 @ lens=1100,1,0,333,64 seed=4 data=sink";
constexpr double kRounding = 4e-6;  // two fp32 summation orders over about a thousand tokens

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

TEST(Invariants, EveryVariantAndWorkerCountGivesTheSameAnswer) {
  cl::CommandQueue queue = test_device().queue();
  std::vector<float> first;
  for (Case c : with_typical_variants(parse_case(kRoutedText))) {
    for (const LaunchTuning tuning : {LaunchTuning{1, 1}, LaunchTuning{2, 3}, LaunchTuning{7, 1}, LaunchTuning{64, 1}}) {
      c.tuning = tuning;
      Fixture fixture(c);
      const Readback got = fixture.run(queue);
      EXPECT_TRUE(fixture.good(got));
      if (first.empty()) first = got.out;
      EXPECT_LE(distance(got.out, first), kRounding) << to_string(c);
    }
  }
}

// Fewer workers than are launched share a list of many groups: what the others find in the workspace is nobody's share.
TEST(Invariants, WorkersWithoutAShareTouchNothing) {
  constexpr int kLeastWorkers = 16;
  const int compute_units = test_context().device().compute_units;
  const LaunchTuning tuning{(kLeastWorkers + compute_units - 1) / compute_units, 1};
  const int workers = tuning.workers_per_cu * compute_units, groups = 2 * (workers - 1);
  ASSERT_LT(even_workers(workers, groups), workers);
  std::string lens = "70";
  for (int i = 1; i < groups / 2; ++i) lens += ",70";
  const std::string text =
      "f16/f16/f32 hq=2 hkv=2 d=32 b=" + std::to_string(groups / 2) + " kv=70 @ data=sink seed=11 lens=" + lens;
  std::set<Fusion> tried;
  for (Case c : with_typical_variants(parse_case(text))) {
    if (c.variant->schedule != Schedule::kWorklist || !tried.insert(c.variant->fusion).second) continue;
    c.tuning = tuning;
    Fixture fixture(c);
    cl::CommandQueue queue = test_device().queue();
    fixture.on_device.reset(queue);
    const BufferView& workspace = fixture.on_device.buffers.workspace;
    queue.enqueueFillBuffer(cl::Buffer(workspace.memory, true), cl_uchar{1}, workspace.offset_bytes,
                            static_cast<std::size_t>(fixture.plan.workspace_bytes));  // shares of groups far away
    fixture.enqueue(queue);
    EXPECT_TRUE(fixture.good(fixture.on_device.read(queue)));
  }
}

TEST(Invariants, RepeatedRunsAreBitIdentical) {
  cl::CommandQueue queue = test_device().queue();
  for (const Case& c : with_typical_variants(parse_case(kRoutedText))) {
    Fixture fixture(c);
    const Readback first = fixture.run(queue);
    for (int i = 0; i < 5; ++i) {
      if (i % 2 == 0) fixture.on_device.reset(queue);  // else over what the last step left in the workspace
      fixture.enqueue(queue);
      const Readback again = fixture.on_device.read(queue);
      EXPECT_TRUE(same_bits(again.out, first.out) && same_bits(again.lse, first.lse)) << to_string(c);
    }
  }
}

// least_kv_len is a word on speed alone, even a wrong one.
TEST(Invariants, LeastLengthChangesNothing) {
  cl::CommandQueue queue = test_device().queue();
  for (const Case& c :
       with_typical_variants(parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=1 kv=1100 @ lens=70 seed=7 data=random"))) {
    Fixture fixture(c);
    ASSERT_EQ(fixture.on_device.step.least_kv_len, 70);
    const Readback first = fixture.run(queue);
    for (const std::int32_t least : {0, c.problem.max_kv_len}) {
      fixture.on_device.step.least_kv_len = least;
      const Readback again = fixture.run(queue);
      EXPECT_TRUE(same_bits(again.out, first.out) && same_bits(again.lse, first.lse)) << least << ": " << to_string(c);
    }
  }
}

TEST(Invariants, TauInfinityIsDenseBitForBit) {
  cl::CommandQueue queue = test_device().queue();
  for (Case c : with_typical_variants(parse_case(kRoutedText))) {
    c.tuning = LaunchTuning{3, 1};
    c.tau = TauTable::constant(std::numeric_limits<float>::infinity());
    Fixture routed(c);
    const Readback with = routed.run(queue);
    c.problem.routing.enabled = false;
    // Without routing and work list nothing is left to fuse; the shares are the same.
    DecodeVariant& variant = *c.variant;
    if (variant.schedule == Schedule::kStatic && variant.fusion == Fusion::kPrologue) variant.fusion = Fusion::kNone;
    Fixture dense(c);
    const Readback without = dense.run(queue);
    EXPECT_TRUE(same_bits(with.out, without.out) && same_bits(with.lse, without.lse)) << to_string(c);
    for (const GroupStatistics& s : with.statistics) EXPECT_EQ(s.routed, 0);
  }
}

TEST(Invariants, OrderOfTokensDoesNotMatter) {
  cl::CommandQueue queue = test_device().queue();
  Case base = parse_case("f16/f16/f32 hq=8 hkv=2 d=64 b=8 kv=1100 route=mean near=1,0 @ lens=1001 seed=7 data=sink");
  for (const Case& c : with_typical_variants(base)) {
    Fixture plain(c);
    const Readback before = plain.run(queue);
    Inputs reversed = plain.inputs;  // all but token 0
    for (int kv_head = 0; kv_head < c.problem.num_kv_heads; ++kv_head) {
      for (int token = 1; token < 1001; ++token) {
        for (auto tensor : {&Inputs::k, &Inputs::v}) {
          std::copy_n(&(plain.inputs.*tensor)[plain.inputs.row(c.problem, 0, kv_head, 1001 - token)], c.problem.head_dim,
                      &(reversed.*tensor)[reversed.row(c.problem, 0, kv_head, token)]);
        }
      }
    }
    DeviceCase on_device(test_device(), plain.plan, c, reversed);
    test_context().enqueue(queue(), plain.plan, on_device.buffers, on_device.step);
    const Readback after = on_device.read(queue);
    EXPECT_LE(distance(after.out, before.out), kRounding) << to_string(c);
    EXPECT_FALSE(same_bits(after.out, before.out)) << "the order was not changed";
    for (std::size_t i = 0; i < after.statistics.size(); ++i) {
      EXPECT_EQ(after.statistics[i].routed, before.statistics[i].routed);
    }
  }
}

TEST(Invariants, SequencesDoNotSeeEachOther) {
  cl::CommandQueue queue = test_device().queue();
  Case c = parse_case(kRoutedText);
  Fixture together(c);
  const Readback all = together.run(queue);
  Inputs alone = together.inputs;
  alone.kv_lens = {1100};
  c.kv_lens = {1100};
  DeviceCase on_device(test_device(), together.plan, c, alone);
  test_context().enqueue(queue(), together.plan, on_device.buffers, on_device.step);
  const Readback one = on_device.read(queue);
  const std::vector<float> first(all.out.begin(), all.out.begin() + static_cast<std::ptrdiff_t>(one.out.size()));
  EXPECT_LE(distance(one.out, first), kRounding);
}

TEST(Invariants, OptionalOutputsChangeNothing) {
  cl::CommandQueue queue = test_device().queue();
  Fixture fixture(parse_case(kRoutedText));
  const Readback with = fixture.run(queue);
  DecodeBuffers& buffers = fixture.on_device.buffers;
  for (const auto optional : {&DecodeBuffers::lse, &DecodeBuffers::statistics, &DecodeBuffers::status}) {
    buffers.*optional = {};
    const Readback without = fixture.run(queue);
    EXPECT_TRUE(same_bits(with.out, without.out));
    EXPECT_TRUE(fixture.good(without));
  }
}

}  // namespace
}  // namespace clsink::harness
