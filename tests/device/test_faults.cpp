// SPDX-License-Identifier: Apache-2.0
// Devices that promise what they do not keep: what cannot be built is dropped in the open, what is too small is named, what
// fails leaves the rest as it was.

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "environment.hpp"
#include "error_setup.hpp"
#include "logged.hpp"
#include "model/problem.hpp"
#include "model/program_spec.hpp"
#include "opencl_faults.hpp"

namespace clsink::harness {
namespace {

constexpr char kCase[] = "f16/f16/f32 hq=8 hkv=2 d=64 b=3 kv=300 route=mean near=1,16 @ lens=300,0,64 data=sink seed=8";

// The compiler options of the plan's decode kernel, the only one that knows the whole variant.
std::string decode_options(const DecodePlan& plan, const DeviceFacts& facts) {
  for (const ProgramSpec& spec : program_specs(plan, facts)) {
    if (spec.kernel == Kernel::kDecode) return build_options(spec);
  }
  return "";
}

bool is_decode(const std::string& options) { return options.find("-DVEC=0") == std::string::npos; }

std::string name_of(cl_kernel kernel) { return cl::Kernel(kernel, true).getInfo<CL_KERNEL_FUNCTION_NAME>(); }

testing::AssertionResult runs(Context& context, const std::string& text = kCase) {
  Fixture fixture(parse_case(text), context);
  cl::CommandQueue queue = test_device().queue();
  return fixture.good(fixture.run(queue));
}

TEST(Faults, AVariantThatDoesNotBuildGivesWay) {
  Logged lying;
  const DecodePlan planned = lying.context.plan(parse_case(kCase).problem);
  const std::string refused = decode_options(planned, lying.context.device());
  OpenClFaults faults;
  faults.build = [&](const std::string& options) { return options == refused ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS; };
  const WithFaults with(faults);
  const DecodePlan plan = lying.context.prepare(planned);
  EXPECT_NE(plan.variant, planned.variant);
  EXPECT_EQ(plan, lying.context.plan(plan.problem, plan.variant, plan.launch.tuning));  // workspace and launch are its own
  const std::string said =
      "dropped '" + to_string(planned.variant) + "': kernel 'decode' did not build (CL_BUILD_PROGRAM_FAILURE)";
  EXPECT_NE(plan.match_reason.find(said), std::string::npos) << plan.match_reason;
  EXPECT_EQ(lying.count(LogLevel::kWarning, "dropped variant '" + to_string(planned.variant) + "'"), 1);
  EXPECT_EQ(lying.count(LogLevel::kWarning, refused), 1);
  EXPECT_TRUE(runs(lying.context));

  const std::size_t built = lying.context.programs_built();
  EXPECT_EQ(lying.context.prepare(planned), plan);
  EXPECT_EQ(lying.context.prepare(plan), plan);
  EXPECT_EQ(lying.context.programs_built(), built);

  Fixture fixture(parse_case(kCase), lying.context);
  cl::CommandQueue queue = test_device().queue();
  const auto [code, message] =
      error_of([&] { lying.context.enqueue(queue(), planned, fixture.on_device.buffers, fixture.on_device.step); });
  EXPECT_EQ(code, ErrorCode::kInvalidPlan);
  EXPECT_NE(message.find("prepare returned another"), std::string::npos) << message;
}

TEST(Faults, AForcedVariantIsNamedAndNotReplaced) {
  Logged lying;
  const DecodePlan planned = lying.context.plan(parse_case(kCase).problem);
  const DecodePlan forced = lying.context.plan(planned.problem, planned.variant);
  OpenClFaults faults;
  faults.build = [&](const std::string& options) { return is_decode(options) ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS; };
  const WithFaults with(faults);
  for (const DecodePlan& plan : {forced, lying.context.plan_from_text(to_string(planned))}) {
    const auto [code, message] = error_of([&] { lying.context.prepare(plan); });
    EXPECT_EQ(code, ErrorCode::kBuildFailed);
    EXPECT_EQ(message.find("variant '" + to_string(forced.variant) + "': kernel 'decode' did not build"), 0U) << message;
  }
  EXPECT_EQ(lying.count(LogLevel::kWarning, ""), 0);
}

// The compiler dies and leaves no log either.
TEST(Faults, WhenNothingBuildsTheErrorSaysWhatWasTried) {
  Logged lying;
  const DecodePlan planned = lying.context.plan(parse_case(kCase).problem);
  {
    OpenClFaults faults;
    faults.build = [](const std::string& options) { return is_decode(options) ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS; };
    faults.build_log = CL_INVALID_VALUE;
    const WithFaults with(faults);
    const auto [code, message] = error_of([&] { lying.context.prepare(planned); });
    EXPECT_EQ(code, ErrorCode::kBuildFailed);
    EXPECT_NE(message.find("dropped '" + to_string(planned.variant) + "': "), std::string::npos) << message;
    EXPECT_NE(message.find("no tuning row fits"), std::string::npos) << message;
    EXPECT_NE(message.find("no build log: CL_INVALID_VALUE"), std::string::npos) << message;
    EXPECT_GT(lying.count(LogLevel::kWarning, "dropped variant"), 1);

    const ContextHandle context = make_context(test_device());
    const PlanHandle plan = make_plan(context.get(), to_string(planned.problem));
    EXPECT_EQ(clsink_prepare(context.get(), plan.get()), CLSINK_BUILD_FAILED);
    EXPECT_NE(std::string(clsink_last_error()).find("no tuning row fits"), std::string::npos) << clsink_last_error();
    clsink_plan_info info;
    clsink_plan_info_init(&info, sizeof info);
    EXPECT_EQ(clsink_plan_get_info(plan.get(), &info), CLSINK_OK);
    EXPECT_EQ(info.variant, to_string(planned.variant));  // as it was
  }
  EXPECT_TRUE(runs(test_context()));
}

TEST(Faults, ACPlanBecomesTheOneThatWasBuilt) {
  ErrorSetup s("f32 hq=4 hkv=2 d=64 b=2 kv=100", false);
  const std::string refused = decode_options(s.plan, s.context.device());
  {
    OpenClFaults faults;
    faults.build = [&](const std::string& options) { return options == refused ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS; };
    const WithFaults with(faults);
    ASSERT_EQ(clsink_prepare(s.c_context.get(), s.c_plan.get()), CLSINK_OK) << clsink_last_error();
    s.plan = s.context.prepare(s.plan);
  }
  clsink_plan_info info;
  clsink_plan_info_init(&info, sizeof info);
  ASSERT_EQ(clsink_plan_get_info(s.c_plan.get(), &info), CLSINK_OK);
  EXPECT_EQ(info.text, to_string(s.plan));
  EXPECT_EQ(info.variant, to_string(s.plan.variant));
  EXPECT_EQ(info.match_reason, s.plan.match_reason);
  EXPECT_NE(s.plan.match_reason.find("dropped '"), std::string::npos);
  EXPECT_EQ(info.workspace_bytes, s.plan.workspace_bytes);
  s.buffers.workspace.memory = s.c_buffers.workspace.memory = s.buffer(static_cast<std::size_t>(info.workspace_bytes));
  s.restore();
  EXPECT_EQ(s.enqueue_c(s.queue()), CLSINK_OK) << clsink_last_error();
  s.queue.finish();
  EXPECT_FALSE(s.untouched());
}

// PoCL runs its kernels as a GPU would, if it is asked to be one.
OpenClFaults small_gpu(std::size_t max_work_group_size, cl_ulong local_mem_bytes) {
  OpenClFaults faults;
  faults.device_says(CL_DEVICE_TYPE, cl_device_type{CL_DEVICE_TYPE_GPU});
  faults.device_says(CL_DEVICE_VENDOR, std::string("Nobody Ltd"));
  faults.device_says(CL_DEVICE_VERSION, std::string("OpenCL 1.2 "));
  faults.device_says(CL_DEVICE_EXTENSIONS, std::string());
  faults.device_says(CL_DEVICE_IMAGE_SUPPORT, cl_bool{CL_FALSE});
  faults.device_says(CL_DEVICE_ADDRESS_BITS, cl_uint{32});
  faults.device_says(CL_DEVICE_MAX_COMPUTE_UNITS, cl_uint{1});
  faults.device_says(CL_DEVICE_MAX_WORK_GROUP_SIZE, max_work_group_size);
  faults.device_says(CL_DEVICE_LOCAL_MEM_SIZE, local_mem_bytes);
  faults.launch = [=](cl_kernel raw, std::size_t work_items) {
    const cl::Kernel kernel(raw, true);
    if (work_items > max_work_group_size) return CL_INVALID_WORK_GROUP_SIZE;
    const auto local = kernel.getWorkGroupInfo<CL_KERNEL_LOCAL_MEM_SIZE>(test_device().device);
    return local > local_mem_bytes ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
  };
  return faults;
}

TEST(Faults, SmallDevicesWorkAsTheySayTheyAre) {
  const char* const cases[] = {kCase, "f32 hq=4 hkv=4 d=128 b=1 kv=200 page=16 @ lens=200 data=random seed=8"};
  for (const auto& [work_items, local_bytes] : {std::pair<std::size_t, cl_ulong>{64, 16 << 10}, {256, 16 << 10}}) {
    const WithFaults with(small_gpu(work_items, local_bytes));
    Logged small;
    EXPECT_EQ(small.context.device().address_bits, 32);
    for (const char* text : cases) {
      const DecodePlan plan = small.context.plan(parse_case(text).problem);
      EXPECT_EQ(plan.variant.engine, Engine::kSimt);
      EXPECT_TRUE(runs(small.context, text)) << work_items;
    }
    // planning knew; Mesa counts more local memory than a kernel has
    if (small.context.device().platform.find("rusticl") == std::string::npos) {
      EXPECT_EQ(small.all(LogLevel::kWarning), "");
    }
  }
}

TEST(Faults, DevicesThatAreTooSmallAreToldWhy) {
  const struct {
    std::size_t work_items;
    cl_ulong local_bytes;
    const char* words;
  } devices[] = {{1, 32 << 10, "the device's limit is 1"}, {256, 1 << 10, "bytes of local memory, the limit is 1024"}};
  for (const auto& device : devices) {
    const WithFaults with(small_gpu(device.work_items, device.local_bytes));
    Logged small;
    const DecodeProblem problem = parse_case(kCase).problem;
    const auto [code, message] = error_of([&] { small.context.plan(problem); });
    EXPECT_EQ(code, ErrorCode::kUnsupportedDevice);
    EXPECT_NE(message.find(device.words), std::string::npos) << message;
    EXPECT_EQ(small.context.supports(problem), message);
    EXPECT_TRUE(small.context.variants(problem).empty());
  }
}

TEST(Faults, ACpuNeedsNeitherWorkGroupsNorLocalMemory) {
  OpenClFaults faults = small_gpu(1, 0);
  faults.device_says(CL_DEVICE_TYPE, cl_device_type{CL_DEVICE_TYPE_CPU});
  faults.device_says(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, cl_uint{8});  // its vectors do not hold work-items
  const bool runs_here = test_device().device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU;  // a GPU can only be planned for
  const WithFaults with(faults);
  Logged small;
  const DecodePlan plan = small.context.plan(parse_case(kCase).problem);
  EXPECT_EQ(plan.variant.engine, Engine::kCpu);
  EXPECT_EQ(plan.variant.wg, 1);
  if (runs_here) {
    EXPECT_TRUE(runs(small.context));
  }
  EXPECT_EQ(small.count(LogLevel::kWarning, ""), 0);
}

// A limit that shows only when the kernel is launched, as registers do.
TEST(Faults, AVariantThatDoesNotRunGivesWay) {
  for (const cl_int code : {CL_INVALID_WORK_GROUP_SIZE, CL_OUT_OF_RESOURCES}) {
    OpenClFaults faults = small_gpu(256, 32 << 10);
    faults.launch = [=](cl_kernel kernel, std::size_t work_items) {
      return work_items > 64 && name_of(kernel) == "decode" ? code : CL_SUCCESS;
    };
    const WithFaults with(faults);
    Logged lying;
    const DecodePlan planned = lying.context.plan(parse_case(kCase).problem), plan = lying.context.prepare(planned);
    EXPECT_GT(planned.variant.wg, 64);
    EXPECT_EQ(plan.variant.wg, 64);
    EXPECT_NE(plan.match_reason.find("': kernel 'decode' does not run: clEnqueueNDRangeKernel"), std::string::npos)
        << plan.match_reason;
    EXPECT_TRUE(runs(lying.context));
  }
}

// Memory may be there the next time: nothing is dropped for it.
TEST(Faults, MemoryThatIsMissingAtPrepareIsAnErrorOnce) {
  OpenClFaults no_build, no_buffer, no_launch, no_log;
  no_build.build = [](const std::string&) { return CL_OUT_OF_HOST_MEMORY; };
  no_buffer.allocate = [](std::size_t) { return CL_MEM_OBJECT_ALLOCATION_FAILURE; };
  no_launch.launch = [](cl_kernel, std::size_t) { return CL_MEM_OBJECT_ALLOCATION_FAILURE; };
  Logged scarce;
  const ContextHandle c_context = make_context(test_device());
  const DecodePlan planned = scarce.context.plan(parse_case(kCase).problem);
  const PlanHandle c_plan = make_plan(c_context.get(), to_string(planned.problem));
  const std::pair<OpenClFaults, const char*> shortages[] = {{no_build, "the build of kernel '"},
                                                            {no_buffer, "clCreateBuffer returned CL_MEM_OBJECT_ALLOCATION"},
                                                            {no_launch, "clEnqueueNDRangeKernel of kernel '"}};
  for (const auto& [faults, words] : shortages) {
    const WithFaults with(faults);
    const auto [code, message] = error_of([&] { scarce.context.prepare(planned); });
    EXPECT_EQ(code, ErrorCode::kOutOfMemory);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_EQ(clsink_prepare(c_context.get(), c_plan.get()), CLSINK_OUT_OF_MEMORY);
    EXPECT_NE(std::string(clsink_last_error()).find(words), std::string::npos) << clsink_last_error();
  }
  EXPECT_EQ(scarce.context.prepare(planned), planned);
  EXPECT_EQ(clsink_prepare(c_context.get(), c_plan.get()), CLSINK_OK) << clsink_last_error();
  EXPECT_EQ(scarce.count(LogLevel::kWarning, ""), 0);
}

// Fails the launch after so many good ones.
OpenClFaults launch_fails_after(int good, cl_int code) {
  OpenClFaults faults;
  faults.launch = [good, code](cl_kernel, std::size_t) mutable { return good-- > 0 ? CL_SUCCESS : code; };
  return faults;
}

TEST(Faults, AStepThatFailsHalfwayLosesNothing) {
  for (const bool in_order : {true, false}) {
    Fixture fixture(parse_case(kCase));
    cl::CommandQueue queue = test_queue(in_order);
    const auto launches = static_cast<int>(test_context().launches(fixture.plan).size());
    for (const cl_int fault : {CL_OUT_OF_RESOURCES, CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_HOST_MEMORY}) {
      for (int good = 0; good < launches; ++good) {
        const int before = live_events();
        cl_event done = nullptr;
        {
          const WithFaults with(launch_fails_after(good, fault));
          const auto [code, message] = error_of([&] {
            fixture.context.enqueue(queue(), fixture.plan, fixture.on_device.buffers, fixture.on_device.step, {}, &done);
          });
          EXPECT_EQ(code, ErrorCode::kOutOfMemory);
          EXPECT_NE(message.find("clEnqueueNDRangeKernel of kernel '"), std::string::npos) << message;
        }
        EXPECT_EQ(done, nullptr);
        EXPECT_EQ(live_events(), before);
        EXPECT_TRUE(fixture.good(fixture.run(queue)));
      }
    }
  }
}

TEST(Faults, TheCApiReturnsWhatHappened) {
  ErrorSetup s("f32 hq=4 hkv=2 d=64 b=2 kv=100");
  const int before = live_events();
  clsink_stage_event stages[CLSINK_MAX_STAGES] = {};
  std::size_t count = 77;
  {
    const WithFaults with(launch_fails_after(1, CL_OUT_OF_RESOURCES));
    EXPECT_EQ(clsink_enqueue_profiled(s.c_context.get(), s.queue(), s.c_plan.get(), &s.c_buffers, &s.c_step, stages, &count),
              CLSINK_OUT_OF_MEMORY);
  }
  {
    const WithFaults with(launch_fails_after(0, CL_INVALID_COMMAND_QUEUE));
    EXPECT_EQ(s.enqueue_c(s.queue()), CLSINK_OPENCL);
  }
  EXPECT_NE(std::string(clsink_last_error()).find("CL_INVALID_COMMAND_QUEUE"), std::string::npos) << clsink_last_error();
  EXPECT_EQ(count, 77U);
  EXPECT_EQ(stages[0].event, nullptr);
  EXPECT_EQ(live_events(), before);
  EXPECT_EQ(clsink_enqueue_profiled(s.c_context.get(), s.queue(), s.c_plan.get(), &s.c_buffers, &s.c_step, stages, &count),
            CLSINK_OK);
  EXPECT_EQ(live_events(), before + static_cast<int>(count));
  s.queue.finish();
  std::for_each_n(stages, count, [](const clsink_stage_event& stage) { clReleaseEvent(stage.event); });
  EXPECT_EQ(live_events(), before);
}

TEST(Faults, TheLogTellsHowLongEveryBuildTook) {
  OpenClFaults slow;
  slow.build = [](const std::string&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return CL_SUCCESS;
  };
  const WithFaults with(slow);
  Logged logged;
  logged.context.prepare(logged.context.plan(parse_case(kCase).problem));
  const auto built = static_cast<int>(logged.context.programs_built());
  EXPECT_GE(built, 1);
  EXPECT_EQ(logged.count(LogLevel::kInfo, "building kernel '"), built);
  EXPECT_EQ(logged.count(LogLevel::kInfo, "built kernel '"), built);
  EXPECT_EQ(logged.count(LogLevel::kInfo, "in 0.00 s"), 0);
}

// How a caller who cannot wait ends prepare between two builds.
TEST(Faults, WhatTheLogThrowsEndsPrepare) {
  bool patient = false;
  const auto log = [&](LogLevel, const std::string& line) {
    if (!patient && line.find("built kernel") == 0) throw std::runtime_error("enough");
  };
  Context context(test_device().context(), test_device().device(), {log});
  const DecodePlan plan = context.plan(parse_case(kCase).problem);
  EXPECT_THROW(context.prepare(plan), std::runtime_error);
  EXPECT_EQ(context.programs_built(), 0U);
  patient = true;
  EXPECT_TRUE(runs(context));
}

}  // namespace
}  // namespace clsink::harness
