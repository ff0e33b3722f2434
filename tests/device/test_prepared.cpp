// SPDX-License-Identifier: Apache-2.0
// After prepare a step is launches and nothing else: no object is created, nothing is built, the host never waits. Checked
// on the OpenCL calls themselves.
#include "environment.hpp"
#include "opencl_calls.hpp"

namespace clsink::harness {
namespace {

const OpenClCalls kNone;

Case dense() { return parse_case("f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=300 @ lens=300,0,64 data=random seed=8"); }
Case routed() {
  return parse_case("f16/f16/f32 hq=4 hkv=2 d=32 b=3 kv=300 page=16 route=mean near=1,16 @ lens=300,0,64 data=sink seed=8");
}

// Otherwise the other tests would see nothing whatever happened.
TEST(Prepared, CallsAreCounted) {
  Context context(test_device().context(), test_device().device());
  const DecodePlan plan = context.plan(routed().problem);
  OpenClCalls calls = opencl_calls_of([&] { context.prepare(plan); });
  for (const char* name : {"clCreateProgramWithSource", "clBuildProgram", "clCreateKernel"}) EXPECT_GT(calls[name], 0) << name;
  calls = opencl_calls_of([&] {
    cl::CommandQueue queue = test_device().queue();
    Fixture(routed(), context).run(queue);
  });
  for (const char* name :
       {"clCreateCommandQueue", "clCreateBuffer", "clEnqueueWriteBuffer", "clEnqueueReadBuffer", "clFinish"}) {
    EXPECT_GT(calls[name], 0) << name;
  }
}

TEST(Prepared, PlanningAndPreparingAgainCreateNothing) {
  for (const Case& c : {dense(), routed()}) {
    test_context().prepare(test_context().plan(c.problem));
    EXPECT_EQ(opencl_calls_of([&] { test_context().prepare(test_context().plan(c.problem)); }), kNone);
  }
}

void expect_only_launches(Fixture& fixture, cl::CommandQueue& queue, bool with_events) {
  cl::UserEvent gate(test_device().context);
  std::vector<cl_event> wait_for;
  if (with_events) wait_for.push_back(gate());
  cl_event done = nullptr;
  const OpenClCalls calls = opencl_calls_of([&] {
    fixture.context.enqueue(queue(), fixture.plan, fixture.on_device.buffers, fixture.on_device.step, wait_for,
                            with_events ? &done : nullptr);
  });
  EXPECT_EQ(calls, kNone);
  gate.setStatus(CL_COMPLETE);
  cl::Event{done};
  queue.finish();
}

TEST(Prepared, StepsAreLaunchesAndNothingElse) {
  for (const Case& text : {dense(), routed()}) {
    for (const Case& c : with_typical_variants(text)) {
      SCOPED_TRACE(to_string(c));
      Case shorter = c;
      shorter.kv_lens = {17, 290};
      Fixture first(c), second(shorter);  // one plan; other buffers, lengths and numbers of sequences
      ASSERT_TRUE(first.plan == second.plan);
      for (const bool in_order : {true, false}) {
        cl::CommandQueue queue = test_queue(in_order);
        for (const bool with_events : {false, true}) {
          first.on_device.reset(queue);
          for (int turn = 0; turn < 3; ++turn) {
            expect_only_launches(first, queue, with_events);
            second.on_device.step.batch = 2 - turn;  // at last none
            second.on_device.step.tau = TauTable::constant(static_cast<float>(turn - 1));
            second.on_device.step.scale *= 2;
            expect_only_launches(second, queue, with_events);
            if (HasFailure()) return;  // an enqueue that waits would wait for its gate for ever
          }
          EXPECT_TRUE(first.good(first.on_device.read(queue)));
        }
      }
      second.on_device.step.batch = 2;
      second.on_device.buffers.lse = second.on_device.buffers.statistics = second.on_device.buffers.status = {};
      cl::CommandQueue queue = test_device().queue();
      expect_only_launches(second, queue, false);
    }
  }
}

}  // namespace
}  // namespace clsink::harness
