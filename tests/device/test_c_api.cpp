// SPDX-License-Identifier: Apache-2.0
// The C API: same results as the C++ one, structs of older and newer callers, null pointers, texts, log, threads, and no
// exception gets out, not even when memory runs out.
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "error_setup.hpp"

namespace {

// Allocations of this thread that may still succeed; negative: no limit.
thread_local long allocations_left = -1;

void* limited_allocation(std::size_t bytes) {
  if (allocations_left == 0) throw std::bad_alloc();
  if (allocations_left > 0) --allocations_left;
  void* memory = std::malloc(bytes != 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return limited_allocation(bytes); }
void* operator new[](std::size_t bytes) { return limited_allocation(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes != 0 ? bytes : 1); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes != 0 ? bytes : 1); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace clsink::harness {
namespace {

constexpr char kProblem[] = "f32 hq=4 hkv=2 d=64 b=2 kv=100 route=hybrid near=1,8";

template <typename T>
std::vector<T> read_back(ErrorSetup& s, cl_mem memory, std::size_t count) {
  std::vector<T> values(count);
  s.queue.enqueueReadBuffer(cl::Buffer(memory, true), CL_TRUE, 0, count * sizeof(T), values.data());
  return values;
}

void fill_inputs(ErrorSetup& s) {
  const auto fill = [&](cl_mem memory, std::size_t count, unsigned seed) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>((i * 2654435761U + seed) % 1000U) / 500.0F - 1.0F;
    s.queue.enqueueWriteBuffer(cl::Buffer(memory, true), CL_TRUE, 0, count * sizeof(float), values.data());
  };
  fill(s.buffers.q.memory, 2 * 4 * 64, 1);
  fill(s.buffers.k.memory, 2 * 2 * 100 * 64, 2);
  fill(s.buffers.v.memory, 2 * 2 * 100 * 64, 3);
  const cl_int lengths[] = {100, 37};
  s.queue.enqueueWriteBuffer(cl::Buffer(s.buffers.kv_len.memory, true), CL_TRUE, 0, sizeof lengths, lengths);
}

TEST(CApi, SameResultAsCpp) {
  ErrorSetup s(kProblem);
  fill_inputs(s);
  s.step.tau.count = s.c_step.tau_count = 2;
  s.step.tau.points[0] = {10, -0.5F};
  s.step.tau.points[1] = {90, 0.02F};
  s.c_step.tau[0] = {10, -0.5F};
  s.c_step.tau[1] = {90, 0.02F};
  s.step.floor = s.c_step.floor = -2.0F;
  s.buffers.statistics.memory = s.c_buffers.statistics.memory = s.buffer(4 * sizeof(GroupStatistics));
  s.buffers.lse.memory = s.c_buffers.lse.memory = s.buffer(8 * sizeof(float));

  s.context.enqueue(s.queue(), s.plan, s.buffers, s.step);
  const auto out = read_back<float>(s, s.buffers.out.memory, 2 * 4 * 64);
  const auto lse = read_back<float>(s, s.buffers.lse.memory, 8);
  const auto statistics = read_back<clsink_group_statistics>(s, s.buffers.statistics.memory, 4);
  s.restore();
  cl_event done = nullptr;
  ASSERT_EQ(clsink_enqueue(s.c_context.get(), s.queue(), s.c_plan.get(), &s.c_buffers, &s.c_step, 0, nullptr, &done), CLSINK_OK)
      << clsink_last_error();
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(clWaitForEvents(1, &done), CL_SUCCESS);
  clReleaseEvent(done);
  EXPECT_EQ(read_back<float>(s, s.buffers.out.memory, 2 * 4 * 64), out);
  EXPECT_EQ(read_back<float>(s, s.buffers.lse.memory, 8), lse);
  int routed = 0;
  for (std::size_t g = 0; g < 4; ++g) routed += statistics[g].routed;
  EXPECT_GT(routed, 0);  // floor and table arrived: with defaults nothing passes
  EXPECT_EQ(std::memcmp(read_back<clsink_group_statistics>(s, s.buffers.statistics.memory, 4).data(), statistics.data(),
                        4 * sizeof(clsink_group_statistics)),
            0);
}

TEST(CApi, StepsOfOlderCallers) {
  ErrorSetup s(kProblem);
  fill_inputs(s);
  const auto enqueue = [&] {
    return clsink_enqueue(s.c_context.get(), s.queue(), s.c_plan.get(), &s.c_buffers, &s.c_step, 0, nullptr, nullptr);
  };
  s.c_step.least_kv_len = -1;
  EXPECT_EQ(enqueue(), CLSINK_INVALID_BUFFER);
  EXPECT_NE(std::string(clsink_last_error()).find("least_kv_len is -1"), std::string::npos) << clsink_last_error();
  s.c_step.struct_size = offsetof(clsink_step, least_kv_len);  // whoever knew nothing of it has something else there
  EXPECT_EQ(enqueue(), CLSINK_OK) << clsink_last_error();
  s.queue.finish();
}

TEST(CApi, ProfiledStagesAndWaitList) {
  ErrorSetup s(kProblem);
  fill_inputs(s);
  const cl::CommandQueue profiling = s.device.queue(CL_QUEUE_PROFILING_ENABLE);
  clsink_stage_event stages[CLSINK_MAX_STAGES];
  size_t count = 0;
  ASSERT_EQ(clsink_enqueue_profiled(s.c_context.get(), profiling(), s.c_plan.get(), &s.c_buffers, &s.c_step, stages, &count),
            CLSINK_OK)
      << clsink_last_error();
  profiling.finish();
  std::string names;
  for (std::size_t i = 0; i < count; ++i) {
    names += std::string(names.empty() ? "" : " ") + stages[i].stage;
    cl_ulong begin = 0, end = 0;
    EXPECT_EQ(clGetEventProfilingInfo(stages[i].event, CL_PROFILING_COMMAND_START, sizeof begin, &begin, nullptr), CL_SUCCESS);
    EXPECT_EQ(clGetEventProfilingInfo(stages[i].event, CL_PROFILING_COMMAND_END, sizeof end, &end, nullptr), CL_SUCCESS);
    EXPECT_LE(begin, end);
    clReleaseEvent(stages[i].event);
  }
  const bool worklist = s.plan.variant.schedule == Schedule::kWorklist;
  EXPECT_EQ(names, worklist ? "route schedule decode combine" : "route decode combine");

  cl_int status = CL_SUCCESS;
  cl_event gate = clCreateUserEvent(s.device.context(), &status);
  ASSERT_EQ(status, CL_SUCCESS);
  cl_event done = nullptr;
  ASSERT_EQ(clsink_enqueue(s.c_context.get(), s.queue(), s.c_plan.get(), &s.c_buffers, &s.c_step, 1, &gate, &done), CLSINK_OK);
  s.queue.flush();
  cl_int state = CL_COMPLETE;
  clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, nullptr);
  EXPECT_NE(state, CL_COMPLETE);  // it waits
  clSetUserEventStatus(gate, CL_COMPLETE);
  EXPECT_EQ(clWaitForEvents(1, &done), CL_SUCCESS);
  clReleaseEvent(gate);
  clReleaseEvent(done);
}

TEST(CApi, PlansTextsAndFacts) {
  const OpenClDevice device = open_device();
  const ContextHandle context = make_context(device);
  const PlanHandle plan = make_plan(context.get(), kProblem);
  clsink_plan_info info;
  clsink_plan_info_init(&info, sizeof info);
  ASSERT_EQ(clsink_plan_get_info(plan.get(), &info), CLSINK_OK);
  const Context cpp(device.context(), device.device());
  const DecodePlan expected = cpp.plan(parse_problem(kProblem));
  EXPECT_EQ(info.text, to_string(expected));
  EXPECT_EQ(info.problem, to_string(expected.problem));
  EXPECT_EQ(info.variant, to_string(expected.variant));
  EXPECT_EQ(info.match_reason, expected.match_reason);
  EXPECT_EQ(info.match, static_cast<std::int32_t>(expected.match));
  EXPECT_EQ(info.workspace_bytes, expected.workspace_bytes);
  EXPECT_EQ(info.workers, expected.launch.workers);

  clsink_plan* again = nullptr;
  ASSERT_EQ(clsink_plan_from_text(context.get(), info.text, &again), CLSINK_OK) << clsink_last_error();
  const PlanHandle reread(again);
  clsink_plan_info reread_info;
  clsink_plan_info_init(&reread_info, sizeof reread_info);
  ASSERT_EQ(clsink_plan_get_info(reread.get(), &reread_info), CLSINK_OK);
  EXPECT_STREQ(reread_info.text, info.text);

  const std::string rows =
      "# clsink tuning db 1\ndevice \"*\"\n* | " + to_string(expected.variant) + " | workers_per_cu=3 min_tiles=2\n";
  ASSERT_EQ(clsink_context_add_tuning(context.get(), "mine", rows.c_str()), CLSINK_OK) << clsink_last_error();
  const PlanHandle by_row = make_plan(context.get(), kProblem);
  ASSERT_EQ(clsink_plan_get_info(by_row.get(), &reread_info), CLSINK_OK);
  EXPECT_NE(std::string(reread_info.text).find("workers_per_cu=3 min_tiles=2"), std::string::npos) << reread_info.text;
  EXPECT_EQ(std::string(reread_info.match_reason).rfind("generic row mine:3", 0), 0U) << reread_info.match_reason;

  clsink_device_facts facts;
  clsink_device_facts_init(&facts, sizeof facts);
  ASSERT_EQ(clsink_context_device(context.get(), &facts), CLSINK_OK);
  EXPECT_EQ(facts.name, cpp.device().name);
  EXPECT_EQ(facts.compute_units, cpp.device().compute_units);
  EXPECT_EQ(facts.max_alloc_bytes, cpp.device().max_alloc_bytes);

  std::vector<std::string> variants;
  const clsink_problem problem = parse(kProblem);
  const auto visit = [](const char* variant, void* list) {
    static_cast<std::vector<std::string>*>(list)->emplace_back(variant);
  };
  ASSERT_EQ(clsink_variants(context.get(), &problem, visit, &variants), CLSINK_OK);
  EXPECT_EQ(variants.size(), cpp.variants(expected.problem).size());
  for (const std::string& variant : variants) {
    clsink_plan_options options;
    clsink_plan_options_init(&options, sizeof options);
    options.variant = variant.c_str();
    options.workers_per_cu = 3;
    clsink_plan* forced = nullptr;
    ASSERT_EQ(clsink_plan_create(context.get(), &problem, &options, &forced), CLSINK_OK) << clsink_last_error();
    const PlanHandle owner(forced);
    clsink_plan_info_init(&info, sizeof info);
    ASSERT_EQ(clsink_plan_get_info(forced, &info), CLSINK_OK);
    EXPECT_EQ(info.variant, variant);
    EXPECT_EQ(info.match, CLSINK_MATCH_FORCED);
    EXPECT_NE(std::string(info.text).find("workers_per_cu=3"), std::string::npos) << info.text;
  }
}

TEST(CApi, ProblemsOfEveryKindRoundTrip) {
  const OpenClDevice device = open_device();
  const ContextHandle context = make_context(device);
  for (const char* text :
       {"f16 hq=8 hkv=2 d=128 b=3 kv=4096", "bf16/f16/f32 hq=3 hkv=3 d=40 b=1 kv=7 page=16 table_stride=9 keep=4,100",
        "f32 hq=4 hkv=2 d=64 b=2 kv=100 route=all near=0,0", "f32 hq=4 hkv=2 d=64 b=2 kv=100 route=mask near=3,12",
        "f16 hq=4 hkv=2 d=64 b=2 kv=100 q_strides=80,640 out_strides=72,320 k_strides=128,packed,51200 "
        "v_strides=64,8192,65536"}) {
    const PlanHandle plan = make_plan(context.get(), text);
    clsink_plan_info info;
    clsink_plan_info_init(&info, sizeof info);
    ASSERT_EQ(clsink_plan_get_info(plan.get(), &info), CLSINK_OK);
    EXPECT_EQ(info.problem, to_string(parse_problem(text)));
  }
}

TEST(CApi, StructsOfOlderAndNewerCallers) {
  const OpenClDevice device = open_device();
  const ContextHandle context = make_context(device);
  clsink_plan* plan = nullptr;

  // An older caller knew nothing behind v_strides: token set, surrogate, paging and routing keep their defaults.
  clsink_problem older = parse("f32 hq=4 hkv=2 d=64 b=2 kv=100");
  older.struct_size = offsetof(clsink_problem, token_set);
  std::memset(&older.token_set, 0x7F, sizeof older - older.struct_size);
  ASSERT_EQ(clsink_plan_create(context.get(), &older, nullptr, &plan), CLSINK_OK) << clsink_last_error();
  const PlanHandle owner(plan);
  clsink_plan_info info;
  clsink_plan_info_init(&info, sizeof info);
  ASSERT_EQ(clsink_plan_get_info(plan, &info), CLSINK_OK);
  EXPECT_EQ(info.problem, std::string("f32 hq=4 hkv=2 d=64 b=2 kv=100"));

  // A newer caller may have more fields as long as it does not use them.
  struct Newer {
    clsink_problem known;
    std::int64_t unknown;
  } newer = {parse("f32 hq=4 hkv=2 d=64 b=2 kv=100"), 0};
  newer.known.struct_size = sizeof newer;
  plan = nullptr;
  EXPECT_EQ(clsink_plan_create(context.get(), &newer.known, nullptr, &plan), CLSINK_OK) << clsink_last_error();
  clsink_plan_destroy(plan);
  newer.unknown = 1;
  plan = nullptr;
  EXPECT_EQ(clsink_plan_create(context.get(), &newer.known, nullptr, &plan), CLSINK_INVALID_PROBLEM);
  EXPECT_NE(std::string(clsink_last_error()).find("clsink_problem.struct_size"), std::string::npos) << clsink_last_error();

  for (const std::size_t size : {std::size_t{0}, std::size_t{4}, sizeof(clsink_problem) - 4}) {
    newer.known.struct_size = size;
    EXPECT_EQ(clsink_plan_create(context.get(), &newer.known, nullptr, &plan), CLSINK_INVALID_PROBLEM) << size;
  }
  EXPECT_EQ(plan, nullptr);

  // Outputs: nothing is written behind an older caller's struct, zero into what only a newer one knows.
  clsink_plan_info short_info;
  std::memset(&short_info, 0x55, sizeof short_info);
  clsink_plan_info_init(&short_info, offsetof(clsink_plan_info, text));
  ASSERT_EQ(clsink_plan_get_info(owner.get(), &short_info), CLSINK_OK);
  EXPECT_EQ(short_info.struct_size, offsetof(clsink_plan_info, text));
  EXPECT_EQ(short_info.workspace_bytes, info.workspace_bytes);
  EXPECT_EQ(short_info.workers, 0x55555555);
  struct NewerInfo {
    clsink_plan_info known;
    std::int64_t unknown;
  } newer_info;
  clsink_plan_info_init(&newer_info.known, sizeof newer_info);
  newer_info.unknown = 7;
  ASSERT_EQ(clsink_plan_get_info(owner.get(), &newer_info.known), CLSINK_OK);
  EXPECT_EQ(newer_info.unknown, 0);
}

TEST(CApi, NullPointers) {
  ErrorSetup s(kProblem);
  clsink_problem problem = parse(kProblem);
  clsink_plan* plan = nullptr;
  size_t count = 0;
  clsink_stage_event stages[CLSINK_MAX_STAGES];
  clsink_plan_info info;
  clsink_plan_info_init(&info, sizeof info);
  const auto visit = [](const char*, void*) {};
  clsink_context* const context = s.c_context.get();
  clsink_plan* const good = s.c_plan.get();
  const cl_command_queue queue = s.queue();

  const struct {
    clsink_status got, expected;
  } calls[] = {
      {clsink_problem_parse(nullptr, &problem), CLSINK_INVALID_PROBLEM},
      {clsink_problem_parse(kProblem, nullptr), CLSINK_INVALID_PROBLEM},
      {clsink_context_create(s.device.context(), s.device.device(), nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_context_device(nullptr, nullptr), CLSINK_INVALID_PLAN},
      {clsink_context_device(context, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_supports(nullptr, &problem), CLSINK_INVALID_PLAN},
      {clsink_supports(context, nullptr), CLSINK_INVALID_PROBLEM},
      {clsink_programs_built(nullptr, &count), CLSINK_INVALID_PLAN},
      {clsink_programs_built(context, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_plan_create(nullptr, &problem, nullptr, &plan), CLSINK_INVALID_PLAN},
      {clsink_plan_create(context, nullptr, nullptr, &plan), CLSINK_INVALID_PROBLEM},
      {clsink_plan_create(context, &problem, nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_context_add_tuning(nullptr, "x", ""), CLSINK_INVALID_PLAN},
      {clsink_context_add_tuning(context, nullptr, ""), CLSINK_INVALID_PROBLEM},
      {clsink_context_add_tuning(context, "x", nullptr), CLSINK_INVALID_PROBLEM},
      {clsink_context_add_tuning(context, "x", "no rows\n"), CLSINK_INVALID_PROBLEM},
      {clsink_plan_from_text(nullptr, "", &plan), CLSINK_INVALID_PLAN},
      {clsink_plan_from_text(context, nullptr, &plan), CLSINK_INVALID_PROBLEM},
      {clsink_plan_from_text(context, info.text, nullptr), CLSINK_INVALID_PROBLEM},
      {clsink_plan_get_info(nullptr, &info), CLSINK_INVALID_PLAN},
      {clsink_plan_get_info(good, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_variants(nullptr, &problem, visit, nullptr), CLSINK_INVALID_PLAN},
      {clsink_variants(context, nullptr, visit, nullptr), CLSINK_INVALID_PROBLEM},
      {clsink_variants(context, &problem, nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_prepare(nullptr, good), CLSINK_INVALID_PLAN},
      {clsink_prepare(context, nullptr), CLSINK_INVALID_PLAN},
      {clsink_enqueue(nullptr, queue, good, &s.c_buffers, &s.c_step, 0, nullptr, nullptr), CLSINK_INVALID_PLAN},
      {clsink_enqueue(context, nullptr, good, &s.c_buffers, &s.c_step, 0, nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_enqueue(context, queue, nullptr, &s.c_buffers, &s.c_step, 0, nullptr, nullptr), CLSINK_INVALID_PLAN},
      {clsink_enqueue(context, queue, good, nullptr, &s.c_step, 0, nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_enqueue(context, queue, good, &s.c_buffers, nullptr, 0, nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_enqueue(context, queue, good, &s.c_buffers, &s.c_step, 1, nullptr, nullptr), CLSINK_INVALID_BUFFER},
      {clsink_enqueue_profiled(context, queue, good, &s.c_buffers, &s.c_step, nullptr, &count), CLSINK_INVALID_BUFFER},
      {clsink_enqueue_profiled(context, queue, good, &s.c_buffers, &s.c_step, stages, nullptr), CLSINK_INVALID_BUFFER},
  };
  for (std::size_t i = 0; i < std::size(calls); ++i) EXPECT_EQ(calls[i].got, calls[i].expected) << "call " << i;
  EXPECT_EQ(plan, nullptr);
  EXPECT_TRUE(s.untouched());

  clsink_context_destroy(nullptr);
  clsink_plan_destroy(nullptr);
  clsink_problem_init(nullptr, sizeof(clsink_problem));
  clsink_step_init(nullptr, sizeof(clsink_step));
}

TEST(CApi, LogTellsWhatWasPlanned) {
  std::string log;
  clsink_context_options options;
  clsink_context_options_init(&options, sizeof options);
  options.log = [](int32_t, const char* message, void* user) {
    *static_cast<std::string*>(user) += std::string(message) + "\n";
  };
  options.log_user_data = &log;
  const OpenClDevice device = open_device();
  const ContextHandle context = make_context(device, &options);
  const PlanHandle plan = make_plan(context.get(), kProblem);
  clsink_plan_info info;
  clsink_plan_info_init(&info, sizeof info);
  ASSERT_EQ(clsink_plan_get_info(plan.get(), &info), CLSINK_OK);
  EXPECT_NE(log.find(info.variant), std::string::npos) << log;
}

TEST(CApi, LastErrorBelongsToItsThread) {
  EXPECT_EQ(clsink_prepare(nullptr, nullptr), CLSINK_INVALID_PLAN);
  const std::string mine = clsink_last_error();
  EXPECT_NE(mine, "");
  std::string theirs_before = "unset", theirs_after;
  std::thread([&] {
    theirs_before = clsink_last_error();
    clsink_problem_parse("f99", nullptr);
    theirs_after = clsink_last_error();
  }).join();
  EXPECT_EQ(theirs_before, "");
  EXPECT_NE(theirs_after.find("f99"), std::string::npos) << theirs_after;
  EXPECT_EQ(clsink_last_error(), mine);
}

// Lets every allocation of a call fail in turn, until the call succeeds.
template <typename Call>
int fail_each_allocation(Call&& call) {
  for (int allowed = 0; allowed < 10000; ++allowed) {
    allocations_left = allowed;
    const clsink_status status = call();
    allocations_left = -1;
    if (status == CLSINK_OK) return allowed;
    EXPECT_EQ(status, CLSINK_OUT_OF_MEMORY) << "allocation " << allowed << ": " << clsink_last_error();
  }
  return -1;
}

TEST(CApi, HostMemoryRunsOut) {
  ErrorSetup s(kProblem);
  const clsink_problem problem = parse(kProblem);
  clsink_plan* plan = nullptr;
  EXPECT_GT(fail_each_allocation([&] { return clsink_plan_create(s.c_context.get(), &problem, nullptr, &plan); }), 0);
  EXPECT_NE(plan, nullptr);
  clsink_plan_destroy(plan);
  clsink_problem parsed = problem;
  EXPECT_GE(fail_each_allocation([&] { return clsink_problem_parse(kProblem, &parsed); }), 0);
  EXPECT_GT(fail_each_allocation([&] { return s.enqueue_c(s.queue()); }), 0);
  s.queue.finish();
}

}  // namespace
}  // namespace clsink::harness
