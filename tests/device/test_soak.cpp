// SPDX-License-Identifier: Apache-2.0
// A million steps of changing lengths, batches and problems in one process: answers stay right, memory stays flat.
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>

#include "environment.hpp"

namespace clsink::harness {
namespace {

constexpr int kSteps = 1'000'000;
constexpr int kWarmUpSteps = 50'000;
constexpr int kStepsInFlight = 500;
constexpr std::int64_t kMayGrowBytes = 4 << 20;  // a leak of 4 bytes a step
constexpr auto kLimit = std::chrono::minutes(10);

std::int64_t resident_bytes() {
  std::int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// One context; its problems each with several lengths and numbers of sequences, some steps in one launch.
std::vector<std::unique_ptr<Fixture>> steps_of(Context& context) {
  std::vector<std::unique_ptr<Fixture>> fixtures;
  for (const char* lens : {"64,1,30", "0", "17,64", "3,0,40,64", "64,63,62,61"}) {
    for (const char* problem :
         {"f32 hq=2 hkv=1 d=32 b=4 kv=64", "f16/f16/f32 hq=2 hkv=2 d=32 b=4 kv=64 route=mean near=1,4",
          "f32 hq=2 hkv=1 d=32 b=4 kv=64 | cpu schedule=static fusion=none wg=1 tile_kv=16 vec=8 stages=1"}) {
      const Case c = parse_case(std::string(problem) + " @ seed=5 data=sink lens=" + lens);
      if (c.variant && !context.device().is_cpu) continue;
      fixtures.push_back(std::make_unique<Fixture>(c, context));
    }
  }
  return fixtures;
}

TEST(Soak, AMillionSteps) {
  Context context(test_device().context(), test_device().device());
  const auto fixtures = steps_of(context);
  const std::size_t built = context.programs_built();
  cl::CommandQueue queue = test_device().queue();
  const auto end = std::chrono::steady_clock::now() + kLimit;
  std::int64_t warm_bytes = 0;
  for (int step = 1; step <= kSteps; ++step) {
    Fixture& fixture = *fixtures[static_cast<std::size_t>(step) % fixtures.size()];
    if (step % 7 == 0) {
      cl::Event none;
      fixture.enqueue_after(queue, none);
    } else {
      fixture.enqueue(queue);
    }
    if (step % kStepsInFlight != 0) continue;
    ASSERT_TRUE(fixture.good(fixture.on_device.read(queue))) << "step " << step;
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "step " << step;
    fixture.on_device.reset(queue);  // so that the next look sees what later steps wrote
    if (step == kWarmUpSteps) warm_bytes = resident_bytes();
  }
  const std::int64_t grown = resident_bytes() - warm_bytes;
  std::printf("%d steps, %lld bytes resident after %d, %lld more at the end\n", kSteps, static_cast<long long>(warm_bytes),
              kWarmUpSteps, static_cast<long long>(grown));
  EXPECT_LT(grown, kMayGrowBytes);
  EXPECT_EQ(context.programs_built(), built);
}

}  // namespace
}  // namespace clsink::harness
