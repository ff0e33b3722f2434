// SPDX-License-Identifier: Apache-2.0
// Every refusal has its code and a message that names the field; it is the same through C++ and C, and enqueues nothing.
#include <cmath>
#include <functional>
#include <limits>

#include "error_setup.hpp"

namespace clsink::harness {
namespace {

constexpr char kCosine[] = "f32 hq=4 hkv=2 d=64 b=2 kv=100 route=mean near=1,8";
constexpr char kDense[] = "f32 hq=4 hkv=2 d=64 b=2 kv=100";
constexpr char kPaged[] = "f32 hq=4 hkv=2 d=64 b=2 kv=100 page=16";
constexpr char kMask[] = "f32 hq=4 hkv=2 d=64 b=2 kv=100 route=mask near=1,8";

ErrorSetup& setup_of(const std::string& problem_text) {
  static std::map<std::string, std::unique_ptr<ErrorSetup>> setups;
  auto& setup = setups[problem_text];
  if (!setup) setup = std::make_unique<ErrorSetup>(problem_text);
  return *setup;
}

// The tau table has one name in C++ and another in C.
std::int32_t& tau_count(DecodeStep& step) { return step.tau.count; }
std::int32_t& tau_count(clsink_step& step) { return step.tau_count; }
TauTable::Point& tau_point(DecodeStep& step, std::size_t i) { return step.tau.points[i]; }
clsink_tau_point& tau_point(clsink_step& step, std::size_t i) { return step.tau[i]; }

// One change of a good step, the same for both APIs, and the words that its message must have.
struct BadStep {
  template <typename Change>
  BadStep(const char* problem_text, const char* words_expected, Change change)
      : problem(problem_text),
        words(words_expected),
        in_cpp([change](ErrorSetup& s, DecodeBuffers& b, DecodeStep& step) { change(s, b, step); }),
        in_c([change](ErrorSetup& s, clsink_buffers& b, clsink_step& step) { change(s, b, step); }) {}

  const char* problem;
  const char* words;
  std::function<void(ErrorSetup&, DecodeBuffers&, DecodeStep&)> in_cpp;
  std::function<void(ErrorSetup&, clsink_buffers&, clsink_step&)> in_c;
};

cl_mem foreign_buffer(ErrorSetup& s) {
  static const cl::Context foreign(s.device.device);
  return s.buffer(foreign, 1 << 20);
}

const float kNan = std::numeric_limits<float>::quiet_NaN();

const std::vector<BadStep>& bad_steps() {
  static const std::vector<BadStep> steps = {
      {kDense, "buffers.q is null", [](auto&, auto& b, auto&) { b.q.memory = nullptr; }},
      {kDense, "buffers.k is null", [](auto&, auto& b, auto&) { b.k.memory = nullptr; }},
      {kDense, "buffers.v is null", [](auto&, auto& b, auto&) { b.v.memory = nullptr; }},
      {kDense, "buffers.kv_len is null", [](auto&, auto& b, auto&) { b.kv_len.memory = nullptr; }},
      {kDense, "buffers.out is null", [](auto&, auto& b, auto&) { b.out.memory = nullptr; }},
      {kDense, "buffers.workspace is null", [](auto&, auto& b, auto&) { b.workspace.memory = nullptr; }},
      {kPaged, "buffers.page_table is null", [](auto&, auto& b, auto&) { b.page_table.memory = nullptr; }},
      {kMask, "buffers.head_mask is null", [](auto&, auto& b, auto&) { b.head_mask.memory = nullptr; }},

      {kDense, "buffers.q holds", [](auto& s, auto& b, auto&) { b.q.memory = s.buffer(2 * 4 * 64 * 4 - 4); }},
      {kDense, "buffers.k holds", [](auto& s, auto& b, auto&) { b.k.memory = s.buffer(2 * 2 * 100 * 64 * 4 - 4); }},
      {kDense, "buffers.v holds", [](auto&, auto& b, auto&) { b.v.offset_bytes = 16; }},
      {kDense, "buffers.kv_len holds", [](auto& s, auto& b, auto&) { b.kv_len.memory = s.buffer(4); }},
      {kDense, "buffers.out holds", [](auto&, auto& b, auto&) { b.out.offset_bytes = 16; }},
      {kDense, "buffers.workspace holds",
       [](auto& s, auto& b, auto&) { b.workspace.memory = s.buffer(static_cast<std::size_t>(s.plan.workspace_bytes) - 1); }},
      {kDense, "buffers.lse holds", [](auto& s, auto& b, auto&) { b.lse.memory = s.buffer(2 * 4 * 4 - 1); }},
      {kDense, "buffers.status holds",
       [](auto& s, auto& b, auto&) {
         b.status = {s.buffer(4), 4};
       }},
      {kPaged, "buffers.page_table holds", [](auto&, auto& b, auto&) { b.page_table.offset_bytes = 4; }},
      {kPaged, "buffers.k holds", [](auto& s, auto& b, auto&) { b.k.memory = s.buffer(2 * 16 * 64 * 4 - 4); }},
      {kMask, "buffers.head_mask holds", [](auto&, auto& b, auto&) { b.head_mask.offset_bytes = 4; }},
      {kCosine, "buffers.tau_offsets holds", [](auto& s, auto& b, auto&) { b.tau_offsets.memory = s.buffer(4); }},
      {kCosine, "buffers.anchor holds", [](auto& s, auto& b, auto&) { b.anchor.memory = s.buffer(4); }},
      {kCosine, "buffers.statistics holds", [](auto& s, auto& b, auto&) { b.statistics.memory = s.buffer(63); }},
      {kDense, "beyond the buffer", [](auto&, auto& b, auto&) { b.q.offset_bytes = 1 << 20; }},

      {kDense, "buffers.q.offset_bytes is 8", [](auto&, auto& b, auto&) { b.q.offset_bytes = 8; }},
      {kDense, "buffers.k.offset_bytes is 4", [](auto&, auto& b, auto&) { b.k.offset_bytes = 4; }},
      {kDense, "buffers.v.offset_bytes is 2", [](auto&, auto& b, auto&) { b.v.offset_bytes = 2; }},
      {kDense, "buffers.out.offset_bytes is 12", [](auto&, auto& b, auto&) { b.out.offset_bytes = 12; }},
      {kDense, "buffers.workspace.offset_bytes is 1", [](auto&, auto& b, auto&) { b.workspace.offset_bytes = 1; }},
      {kDense, "buffers.kv_len.offset_bytes is 2", [](auto&, auto& b, auto&) { b.kv_len.offset_bytes = 2; }},

      {kDense, "buffers.q belongs to another cl_context", [](auto& s, auto& b, auto&) { b.q.memory = foreign_buffer(s); }},
      {kDense, "buffers.workspace belongs to another cl_context",
       [](auto& s, auto& b, auto&) { b.workspace.memory = foreign_buffer(s); }},
      {kDense, "buffers.lse belongs to another cl_context", [](auto& s, auto& b, auto&) { b.lse.memory = foreign_buffer(s); }},

      {kDense, "buffers.page_table is given", [](auto& s, auto& b, auto&) { b.page_table.memory = s.buffer(64); }},
      {kDense, "buffers.statistics is given", [](auto& s, auto& b, auto&) { b.statistics.memory = s.buffer(64); }},
      {kDense, "buffers.tau_offsets is given", [](auto& s, auto& b, auto&) { b.tau_offsets.memory = s.buffer(64); }},
      {kCosine, "buffers.head_mask is given", [](auto& s, auto& b, auto&) { b.head_mask.memory = s.buffer(64); }},

      {kDense, "step.batch is 3", [](auto&, auto&, auto& step) { step.batch = 3; }},
      {kDense, "step.batch is -1", [](auto&, auto&, auto& step) { step.batch = -1; }},
      {kDense, "step.least_kv_len is -1", [](auto&, auto&, auto& step) { step.least_kv_len = -1; }},
      {kDense, "step.least_kv_len is 1000001", [](auto&, auto&, auto& step) { step.least_kv_len = 1000001; }},
      {kDense, "step.scale is nan", [](auto&, auto&, auto& step) { step.scale = kNan; }},
      {kCosine, "step.tau.count is 0", [](auto&, auto&, auto& step) { tau_count(step) = 0; }},
      {kCosine, "step.tau.count is 17", [](auto&, auto&, auto& step) { tau_count(step) = 17; }},
      {kCosine, "step.tau.points[0].tau is nan", [](auto&, auto&, auto& step) { tau_point(step, 0).tau = kNan; }},
      {kCosine, "step.tau.points[1].kv_len is 1",
       [](auto&, auto&, auto& step) {
         tau_count(step) = 2;
         tau_point(step, 1) = {1, 0.5F};
       }},
  };
  return steps;
}

TEST(Errors, RefusedStepsEnqueueNothing) {
  for (const BadStep& bad : bad_steps()) {
    SCOPED_TRACE(std::string(bad.problem) + ": " + bad.words);
    ErrorSetup& s = setup_of(bad.problem);
    DecodeBuffers buffers = s.buffers;
    DecodeStep step = s.step;
    bad.in_cpp(s, buffers, step);
    const auto [code, message] = error_of([&] { s.context.enqueue(s.queue(), s.plan, buffers, step); });
    EXPECT_EQ(code, ErrorCode::kInvalidBuffer);
    EXPECT_NE(message.find(bad.words), std::string::npos) << message;

    clsink_buffers c_buffers = s.c_buffers;
    clsink_step c_step = s.c_step;
    bad.in_c(s, c_buffers, c_step);
    EXPECT_EQ(clsink_enqueue(s.c_context.get(), s.queue(), s.c_plan.get(), &c_buffers, &c_step, 0, nullptr, nullptr),
              CLSINK_INVALID_BUFFER);
    EXPECT_NE(std::string(clsink_last_error()).find(bad.words), std::string::npos) << clsink_last_error();
    EXPECT_TRUE(s.untouched());
  }
}

// What RefusedStepsEnqueueNothing looks at does change when a step runs.
TEST(Errors, GoodStepsTouchTheOutput) {
  for (const char* problem : {kDense, kCosine, kPaged, kMask}) {
    ErrorSetup& s = setup_of(problem);
    s.context.enqueue(s.queue(), s.plan, s.buffers, s.step);
    s.queue.finish();
    EXPECT_FALSE(s.untouched()) << problem;
    s.restore();
    EXPECT_EQ(s.enqueue_c(s.queue()), CLSINK_OK) << clsink_last_error();
    s.queue.finish();
    EXPECT_FALSE(s.untouched()) << problem;
    s.restore();
  }
}

// A step may serve layers that route and others that do not.
TEST(Errors, TheTauTableOfStepsWithoutCosinesIsNotLookedAt) {
  for (const char* problem : {kDense, kMask}) {
    for (const std::int32_t count : {-1, 17, 1 << 30}) {
      ErrorSetup& s = setup_of(problem);
      s.step.tau.count = s.c_step.tau_count = count;
      s.context.enqueue(s.queue(), s.plan, s.buffers, s.step);
      EXPECT_EQ(s.enqueue_c(s.queue()), CLSINK_OK) << clsink_last_error();
      s.queue.finish();
      s.step.tau.count = s.c_step.tau_count = 1;
      s.restore();
    }
  }
}

TEST(Errors, Queues) {
  ErrorSetup& s = setup_of(kDense);
  const cl::Context foreign(s.device.device);
  const cl::CommandQueue foreign_queue(foreign, s.device.device);
  const std::pair<cl_command_queue, const char*> queues[] = {{nullptr, "queue is null"},
                                                             {foreign_queue(), "queue belongs to another cl_context"}};
  for (const auto& [queue, words] : queues) {
    const cl_command_queue bad = queue;
    const auto [code, message] = error_of([&] { s.context.enqueue(bad, s.plan, s.buffers, s.step); });
    EXPECT_EQ(code, ErrorCode::kInvalidBuffer);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_EQ(s.enqueue_c(bad), CLSINK_INVALID_BUFFER);
    EXPECT_NE(std::string(clsink_last_error()).find(words), std::string::npos) << clsink_last_error();
  }
  EXPECT_EQ(error_of([&] { s.context.enqueue(s.queue(), s.plan, s.buffers, s.step, {nullptr}); }).first,
            ErrorCode::kInvalidBuffer);
  const cl_event null_event = nullptr;
  EXPECT_EQ(clsink_enqueue(s.c_context.get(), s.queue(), s.c_plan.get(), &s.c_buffers, &s.c_step, 1, &null_event, nullptr),
            CLSINK_INVALID_BUFFER);
  EXPECT_TRUE(s.untouched());
}

TEST(Errors, Plans) {
  ErrorSetup& s = setup_of(kDense);
  ErrorSetup unprepared(kDense, false);
  const auto refused = [&](const DecodePlan& plan, const char* words) {
    const auto [code, message] = error_of([&] { s.context.enqueue(s.queue(), plan, s.buffers, s.step); });
    EXPECT_EQ(code, ErrorCode::kInvalidPlan);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  refused(DecodePlan{}, "not made by");
  refused(unprepared.plan, "another Context");
  EXPECT_EQ(error_of([&] { s.context.prepare(unprepared.plan); }).first, ErrorCode::kInvalidPlan);
  EXPECT_EQ(error_of([&] { unprepared.context.enqueue(s.queue(), unprepared.plan, s.buffers, s.step); }).first,
            ErrorCode::kInvalidPlan);

  const auto enqueue_c = [&](clsink_context* context, const clsink_plan* plan) {
    return clsink_enqueue(context, s.queue(), plan, &s.c_buffers, &s.c_step, 0, nullptr, nullptr);
  };
  EXPECT_EQ(enqueue_c(s.c_context.get(), unprepared.c_plan.get()), CLSINK_INVALID_PLAN);
  EXPECT_NE(std::string(clsink_last_error()).find("another Context"), std::string::npos) << clsink_last_error();
  EXPECT_EQ(enqueue_c(unprepared.c_context.get(), unprepared.c_plan.get()), CLSINK_INVALID_PLAN);
  EXPECT_NE(std::string(clsink_last_error()).find("not prepared"), std::string::npos) << clsink_last_error();
  EXPECT_EQ(clsink_prepare(s.c_context.get(), unprepared.c_plan.get()), CLSINK_INVALID_PLAN);
  EXPECT_TRUE(s.untouched());
}

std::int32_t& page_size(DecodeProblem& p) { return p.kv_layout.page_size; }
std::int32_t& page_size(clsink_problem& p) { return p.page_size; }
std::int64_t& page_table_stride(DecodeProblem& p) { return p.kv_layout.page_table_stride; }
std::int64_t& page_table_stride(clsink_problem& p) { return p.page_table_stride; }
CacheStrides& k_strides(DecodeProblem& p) { return p.kv_layout.k; }
clsink_cache_strides& k_strides(clsink_problem& p) { return p.k_strides; }

struct BadProblem {
  template <typename Change>
  BadProblem(const char* words_expected, Change change)
      : words(words_expected),
        in_cpp([change](DecodeProblem& p) { change(p); }),
        in_c([change](clsink_problem& p) { change(p); }) {}

  const char* words;
  std::function<void(DecodeProblem&)> in_cpp;
  std::function<void(clsink_problem&)> in_c;
};

TEST(Errors, Problems) {
  const BadProblem problems[] = {
      {"num_q_heads is 5", [](auto& p) { p.num_q_heads = 5; }},
      {"num_q_heads is 0", [](auto& p) { p.num_q_heads = 0; }},
      {"num_kv_heads is 0", [](auto& p) { p.num_kv_heads = 0; }},
      {"num_kv_heads is -2", [](auto& p) { p.num_kv_heads = -2; }},
      {"group_size is 17", [](auto& p) { p.num_q_heads = 34; }},
      {"head_dim is 24", [](auto& p) { p.head_dim = 24; }},
      {"head_dim is 68", [](auto& p) { p.head_dim = 68; }},
      {"head_dim is 264", [](auto& p) { p.head_dim = 264; }},
      {"max_batch is 0", [](auto& p) { p.max_batch = 0; }},
      {"max_kv_len is 0", [](auto& p) { p.max_kv_len = 0; }},
      {"max_kv_len is -1", [](auto& p) { p.max_kv_len = -1; }},
      {"page_size is -1", [](auto& p) { page_size(p) = -1; }},
      {"page_table_stride is 6",
       [](auto& p) {
         page_size(p) = 16;
         page_table_stride(p) = 6;
       }},
      {"q_strides.head is 65", [](auto& p) { p.q_strides.head = 65; }},
      {"out_strides.sequence is -8", [](auto& p) { p.out_strides.sequence = -8; }},
      {"k.token is 66", [](auto& p) { k_strides(p).token = 66; }},
      {"token_set.keep_first is -1",
       [](auto& p) {
         p.token_set = {-1, 4};
       }},
      {"token_set.keep_last is -4",
       [](auto& p) {
         p.token_set = {1, -4};
       }},
  };
  ErrorSetup& s = setup_of(kDense);
  for (const BadProblem& bad : problems) {
    SCOPED_TRACE(bad.words);
    DecodeProblem problem = parse_problem(kDense);
    bad.in_cpp(problem);
    const auto [code, message] = error_of([&] { s.context.plan(problem); });
    EXPECT_EQ(code, ErrorCode::kInvalidProblem);
    EXPECT_NE(message.find(bad.words), std::string::npos) << message;
    EXPECT_TRUE(s.context.supports(problem).has_value());

    clsink_problem c_problem = parse(kDense);
    bad.in_c(c_problem);
    clsink_plan* plan = nullptr;
    EXPECT_EQ(clsink_plan_create(s.c_context.get(), &c_problem, nullptr, &plan), CLSINK_INVALID_PROBLEM);
    EXPECT_NE(std::string(clsink_last_error()).find(bad.words), std::string::npos) << clsink_last_error();
    EXPECT_EQ(plan, nullptr);
    EXPECT_NE(clsink_supports(s.c_context.get(), &c_problem), CLSINK_OK);
  }
}

TEST(Errors, ForcedVariantsAndTexts) {
  ErrorSetup& s = setup_of(kDense);
  DecodeVariant variant = s.plan.variant;
  variant.vec = 3;
  EXPECT_EQ(error_of([&] { s.context.plan(s.plan.problem, variant); }).first, ErrorCode::kUnsupportedDevice);
  const clsink_problem problem = parse(kDense);
  clsink_plan_options options;
  clsink_plan_options_init(&options, sizeof options);
  clsink_plan* plan = nullptr;
  const std::string text = to_string(variant);
  options.variant = text.c_str();
  EXPECT_EQ(clsink_plan_create(s.c_context.get(), &problem, &options, &plan), CLSINK_UNSUPPORTED_DEVICE);
  for (const char* bad : {"", "simt", "simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8",
                          "simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=x stages=1",
                          "simt schedule=worklist fusion=some wg=128 tile_kv=32 vec=8 stages=1"}) {
    EXPECT_EQ(error_of([&] { parse_variant(bad); }).first, ErrorCode::kInvalidProblem) << bad;
    options.variant = bad;
    EXPECT_EQ(clsink_plan_create(s.c_context.get(), &problem, &options, &plan), CLSINK_INVALID_PROBLEM) << bad;
  }
  for (const char* bad : {"", "nonsense", "f32 hq=4 hkv=2 d=64 b=2 kv=100 | | "}) {
    EXPECT_EQ(error_of([&] { s.context.plan_from_text(bad); }).first, ErrorCode::kInvalidProblem) << bad;
    EXPECT_EQ(clsink_plan_from_text(s.c_context.get(), bad, &plan), CLSINK_INVALID_PROBLEM) << bad;
  }
  EXPECT_EQ(plan, nullptr);
}

TEST(Errors, ContextsAndDevices) {
  const OpenClDevice device = open_device();
  EXPECT_EQ(error_of([&] { Context(nullptr, device.device()); }).first, ErrorCode::kUnsupportedDevice);
  EXPECT_EQ(error_of([&] { Context(device.context(), nullptr); }).first, ErrorCode::kUnsupportedDevice);
  clsink_context* context = nullptr;
  EXPECT_EQ(clsink_context_create(nullptr, device.device(), nullptr, &context), CLSINK_UNSUPPORTED_DEVICE);
  EXPECT_EQ(clsink_context_create(device.context(), nullptr, nullptr, &context), CLSINK_UNSUPPORTED_DEVICE);
  EXPECT_EQ(context, nullptr);
}

TEST(Errors, DeviceOfAnotherContext) {
  const OpenClDevice device = open_device();
  const cl_device_partition_property halves[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
  cl_device_id part = nullptr;
  cl_uint count = 0;
  // Asked first: Mesa 22.3 has a null pointer where the function should be.
  const bool has_parts = device.device.getInfo<CL_DEVICE_PARTITION_MAX_SUB_DEVICES>() > 1;
  if (has_parts) clCreateSubDevices(device.device(), halves, 0, nullptr, &count);
  if (count == 0) GTEST_SKIP() << "this device has no parts, and there is no second one to be wrong";
  std::vector<cl_device_id> parts(count);
  ASSERT_EQ(clCreateSubDevices(device.device(), halves, count, parts.data(), nullptr), CL_SUCCESS);
  part = parts.front();
  const auto [code, message] = error_of([&] { Context(device.context(), part); });
  EXPECT_EQ(code, ErrorCode::kUnsupportedDevice);
  EXPECT_NE(message.find("does not belong"), std::string::npos) << message;
  for (cl_device_id id : parts) clReleaseDevice(id);
}

// A plan is a plain value: one with a parameter that no kernel has shows what a failed build says.
TEST(Errors, BuildFailureHasSpecLogAndLine) {
  ErrorSetup s(kDense, false);
  DecodePlan plan = s.plan;
  plan.variant.vec = 3;
  plan.match = MatchLevel::kForced;
  const auto [code, message] = error_of([&] { s.context.prepare(plan); });
  EXPECT_EQ(code, ErrorCode::kBuildFailed);
  const std::string variant = to_string(plan.variant), file = "engines/" + variant.substr(0, variant.find(' ')) + ".clh:";
  for (const std::string& words :
       {"variant '" + variant, std::string("'decode'"), std::string("-DVEC=3"), file, std::string("VEC")}) {
    EXPECT_NE(message.find(words), std::string::npos) << "no '" << words << "' in:\n" << message;
  }
  EXPECT_EQ(error_of([&] { s.context.enqueue(s.queue(), plan, s.buffers, s.step); }).first, ErrorCode::kInvalidPlan);
  EXPECT_TRUE(s.untouched());
  s.context.prepare(s.plan);  // the good one still works
  s.context.enqueue(s.queue(), s.plan, s.buffers, s.step);
  s.queue.finish();
  EXPECT_FALSE(s.untouched());
}

}  // namespace
}  // namespace clsink::harness
