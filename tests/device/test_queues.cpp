// SPDX-License-Identifier: Apache-2.0
// Queues and events.
#include <algorithm>
#include <chrono>
#include <thread>

#include "environment.hpp"

namespace clsink::harness {
namespace {

const char* const kCase = "f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=700 route=mean near=1,16 @ lens=700,64,301 data=sink seed=";

Case numbered(int seed) { return parse_case(kCase + std::to_string(seed)); }

cl_int status_of(const cl::Event& event) { return event.getInfo<CL_EVENT_COMMAND_EXECUTION_STATUS>(); }

TEST(Queues, InOrderStepsShareAWorkspace) {
  Fixture a(numbered(1)), b(numbered(2));
  b.on_device.buffers.workspace = a.on_device.buffers.workspace;
  cl::CommandQueue queue = test_device().queue();
  for (int i = 0; i < 10; ++i) {
    a.enqueue(queue);
    b.enqueue(queue);
  }
  EXPECT_TRUE(a.good(a.on_device.read(queue)));
  EXPECT_TRUE(b.good(b.on_device.read(queue)));
}

TEST(Queues, OutOfOrderStepsChainedByEventsShareAWorkspace) {
  Fixture a(numbered(1)), b(numbered(2));
  b.on_device.buffers.workspace = a.on_device.buffers.workspace;
  cl::CommandQueue queue = test_queue(false);
  cl::Event last;
  for (int i = 0; i < 20; ++i) {
    Fixture& next = i % 2 == 0 ? a : b;
    next.enqueue_after(queue, last);
  }
  last.wait();
  EXPECT_TRUE(a.good(a.on_device.read(queue)));
  EXPECT_TRUE(b.good(b.on_device.read(queue)));
}

TEST(Queues, OutOfOrderStepsWithTheirOwnWorkspaces) {
  Fixture a(numbered(1)), b(numbered(2));
  cl::CommandQueue queue = test_queue(false);
  for (int i = 0; i < 10; ++i) {
    a.enqueue(queue);
    b.enqueue(queue);
    queue.finish();
  }
  EXPECT_TRUE(a.good(a.on_device.read(queue)));
  EXPECT_TRUE(b.good(b.on_device.read(queue)));
}

// enqueue returns while its step cannot begin yet: it neither waits nor starts early.
TEST(Queues, StepsWaitForTheirEventsWithoutBlockingTheHost) {
  for (const bool in_order : {true, false}) {
    Fixture fixture(numbered(3));
    cl::CommandQueue queue = in_order ? test_device().queue() : test_queue(false);
    fixture.on_device.reset(queue);
    cl::UserEvent gate(test_device().context);
    cl_event raw = nullptr;
    fixture.context.enqueue(queue(), fixture.plan, fixture.on_device.buffers, fixture.on_device.step, {gate()}, &raw);
    const cl::Event done(raw);
    queue.flush();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_GT(status_of(done), CL_COMPLETE);
    gate.setStatus(CL_COMPLETE);
    done.wait();
    EXPECT_TRUE(fixture.good(fixture.on_device.read(queue)));
  }
}

TEST(Queues, ProfiledStagesAreInOrder) {
  Fixture fixture(numbered(4));
  cl::CommandQueue queue = test_device().queue(CL_QUEUE_PROFILING_ENABLE);
  fixture.on_device.reset(queue);
  const auto kernels = fixture.enqueue_profiled(queue);
  EXPECT_TRUE(fixture.good(fixture.on_device.read(queue)));
  std::vector<std::string> names;
  // Mesa 22.3 has no timer and says so; its events hold constants.
  const bool has_timer = test_device().device.getInfo<CL_DEVICE_PROFILING_TIMER_RESOLUTION>() > 0;
  cl_ulong last_end = 0;
  for (const auto& [name, event] : kernels) {
    names.push_back(name);
    EXPECT_GE(event.getProfilingInfo<CL_PROFILING_COMMAND_START>(), last_end) << name;
    if (has_timer) last_end = event.getProfilingInfo<CL_PROFILING_COMMAND_END>();
  }
  EXPECT_EQ(std::count(names.begin(), names.end(), "decode"), 1);
}

}  // namespace
}  // namespace clsink::harness
