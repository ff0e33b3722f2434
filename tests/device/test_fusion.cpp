// SPDX-License-Identifier: Apache-2.0
// Stages that share a launch: who arrives last at a group merges it, whatever earlier steps and other plans left in the
// workspace, which nobody ever clears.
#include <algorithm>
#include <memory>
#include <set>

#include "environment.hpp"
#include "model/variant.hpp"

namespace clsink::harness {
namespace {

constexpr int kRounds = 3;
constexpr int kManySteps = 400;
constexpr int kStepsARound = 2;  // of every plan, without the host in between

// More groups than a prologue routes.
const char* const kManyRouted =
    "f16/f16/f32 hq=44 hkv=22 d=32 b=3 kv=150 route=mean near=1,16 @ lens=150,0,33 data=sink seed=9";

// One kernel of a variant serves all of a group: only what is no compile-time parameter differs.
const char* const kSteps[] = {
    "f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=700 route=mean near=1,16 @ lens=700,333,64 data=sink seed=1",      // some routed
    "f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=700 route=mean near=0,0 @ lens=700,0,64 data=sink seed=2 tau=-2",  // no tiles
    "f16/f16/f32 hq=2 hkv=1 d=32 b=1 kv=1500 route=mean near=1,16 @ lens=1500 data=sink seed=3 tau=2",     // one group
    "f16/f16/f32 hq=4 hkv=2 d=32 b=4 kv=700 route=mask near=0,0 @ lens=17,650 data=random seed=4",         // fewer sequences
    "f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=700 @ lens=700,0,1 data=random seed=5",                            // dense
    "f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=700 @ lens=0,0,0 data=random seed=6",                              // empty
    "f16/f16/f32 hq=4 hkv=2 d=32 b=2 kv=700 keep=4,100 @ lens=3,1 data=random seed=7",                     // few tiles
    "f16/f16/f32 hq=40 hkv=20 d=32 b=3 kv=100 @ lens=100,0,33 data=random seed=8",                         // many groups
    kManyRouted,
    "f16/f16/f32 hq=44 hkv=22 d=32 b=4 kv=150 page=16 route=mask near=0,0 @ lens=150,17 data=sink seed=10 anchors=1",
};

// Every kind of step with every typical variant of the engine, so that forms of all kinds follow each other.
std::vector<Case> steps_of(Engine engine, const LaunchTuning& tuning) {
  std::vector<Case> cases;
  for (const char* text : kSteps) {
    for (Case c : with_typical_variants(parse_case(text))) {
      if (c.variant->engine != engine) continue;
      c.tuning = tuning;
      cases.push_back(c);
    }
  }
  return cases;
}

class SharedWorkspace {
 public:
  SharedWorkspace(const std::vector<Case>& cases, std::uint8_t poison, bool in_order)
      : in_order_(in_order), queue_(test_queue(in_order)) {
    std::int64_t bytes = 0;
    for (const Case& c : cases) {
      fixtures_.push_back(std::make_unique<Fixture>(c));
      bytes = std::max(bytes, fixtures_.back()->plan.workspace_bytes);
    }
    std::vector<std::uint8_t> content(static_cast<std::size_t>(bytes), poison);
    workspace_ = cl::Buffer(test_device().context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, content.size(), content.data());
    for (auto& fixture : fixtures_) fixture->on_device.buffers.workspace = {workspace_(), 0};
  }

  void run() {
    std::vector<Readback> first;
    for (int round = 0; round < kRounds; ++round) {
      for (auto& fixture : fixtures_) fixture->on_device.reset(queue_);  // its outputs; the workspace is not its own
      cl::Event last;
      for (int i = 0; i < kStepsARound; ++i) {
        for (auto& fixture : fixtures_) enqueue(*fixture, last);
      }
      queue_.finish();
      for (std::size_t i = 0; i < fixtures_.size(); ++i) {
        const Readback got = fixtures_[i]->on_device.read(queue_);
        EXPECT_TRUE(fixtures_[i]->good(got));
        if (round == 0) {
          first.push_back(got);
        } else {
          EXPECT_TRUE(same_bits(got.out, first[i].out) && same_bits(got.lse, first[i].lse)) << to_string(fixtures_[i]->c);
        }
      }
    }
  }

 private:
  void enqueue(Fixture& fixture, cl::Event& last) {
    if (in_order_) {
      fixture.enqueue(queue_);
      return;
    }
    fixture.enqueue_after(queue_, last);
  }

  bool in_order_;
  cl::CommandQueue queue_;
  std::vector<std::unique_ptr<Fixture>> fixtures_;
  cl::Buffer workspace_;
};

class Fused : public testing::TestWithParam<Engine> {};

TEST_P(Fused, AllFormsShareAWorkspaceThatNobodyClears) {
  for (const bool in_order : {true, false}) {
    // few workers: each has whole groups and pieces of others; many: a group has more partials than are merged at once
    for (const LaunchTuning tuning : {LaunchTuning{1, 1}, LaunchTuning{64, 1}, LaunchTuning{4, 3}}) {
      for (const int poison : {0xff, 0x00}) {
        SharedWorkspace(steps_of(GetParam(), tuning), static_cast<std::uint8_t>(poison), in_order).run();
      }
    }
  }
}

std::set<Engine> engines_of_the_device() {
  std::set<Engine> engines;
  for (const Case& c : with_every_variant(parse_case(kSteps[0]))) engines.insert(c.variant->engine);
  return engines;
}

INSTANTIATE_TEST_SUITE_P(Engines, Fused, testing::ValuesIn(engines_of_the_device()));

// A step that is over leaves its counters ready: only its tag tells them from the next step's. The same plan many times,
// as who arrives last is another one every time.
TEST(FusedSteps, ManyInARow) {
  for (const Case& c : with_typical_variants(parse_case(kSteps[0]))) {
    if (c.variant->fusion != Fusion::kSingle) continue;
    Fixture fixture(c);
    cl::CommandQueue queue = test_device().queue();
    const Readback first = fixture.run(queue);
    EXPECT_TRUE(fixture.good(first));
    int others = 0;
    for (int i = 0; i < kManySteps; ++i) {
      const Readback got = fixture.run(queue);
      others += same_bits(got.out, first.out) && same_bits(got.lse, first.lse) ? 0 : 1;
    }
    EXPECT_EQ(others, 0) << "of " << kManySteps << " steps: " << to_string(c);
    for (int i = 0; i < kManySteps; ++i) fixture.enqueue(queue);  // without the host in between
    EXPECT_TRUE(fixture.good(fixture.on_device.read(queue)));
  }
}

// Which kernels a step launches is told by its plan; a device without a fence between work-groups has fewer forms.
TEST(FusedSteps, LaunchesOfEveryForm) {
  std::vector<Case> cases = with_typical_variants(parse_case(kSteps[0]));
  for (const Case& c : with_typical_variants(parse_case(kManyRouted))) cases.push_back(c);
  for (const Case& c : cases) {
    Fixture fixture(c);
    cl::CommandQueue queue = test_device().queue(CL_QUEUE_PROFILING_ENABLE);
    fixture.on_device.reset(queue);
    std::vector<std::string> names;
    for (const auto& kernel : fixture.enqueue_profiled(queue)) names.push_back(kernel.first);
    EXPECT_TRUE(fixture.good(fixture.on_device.read(queue)));
    std::vector<std::string> expected;
    if (!routes_in_prologue(c.problem, *c.variant)) expected.push_back("route");
    if (c.variant->fusion == Fusion::kNone && c.variant->schedule != Schedule::kStatic) expected.push_back("schedule");
    expected.push_back("decode");
    if (c.variant->fusion != Fusion::kSingle) expected.push_back("combine");
    EXPECT_EQ(names, expected) << to_string(c);
  }
}

}  // namespace
}  // namespace clsink::harness
