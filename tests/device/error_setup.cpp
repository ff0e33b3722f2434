// SPDX-License-Identifier: Apache-2.0
#include "error_setup.hpp"

namespace clsink::harness {
namespace {

constexpr unsigned char kPattern = 0xA5;

std::size_t bytes_of(cl_mem memory) {
  std::size_t bytes = 0;
  clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof bytes, &bytes, nullptr);
  return bytes;
}

}  // namespace

ContextHandle make_context(const OpenClDevice& device, const clsink_context_options* options) {
  clsink_context* context = nullptr;
  EXPECT_EQ(clsink_context_create(device.context(), device.device(), options, &context), CLSINK_OK) << clsink_last_error();
  return ContextHandle(context);
}

clsink_problem parse(const std::string& problem_text) {
  clsink_problem problem;
  clsink_problem_init(&problem, sizeof problem);
  EXPECT_EQ(clsink_problem_parse(problem_text.c_str(), &problem), CLSINK_OK) << clsink_last_error();
  return problem;
}

PlanHandle make_plan(const clsink_context* context, const std::string& problem_text) {
  const clsink_problem problem = parse(problem_text);
  clsink_plan* plan = nullptr;
  EXPECT_EQ(clsink_plan_create(context, &problem, nullptr, &plan), CLSINK_OK) << clsink_last_error();
  return PlanHandle(plan);
}

ErrorSetup::ErrorSetup(const std::string& problem_text, bool prepared)
    : device(open_device()),
      context(device.context(), device.device()),
      plan(context.plan(parse_problem(problem_text))),
      c_context(make_context(device)),
      c_plan(make_plan(c_context.get(), problem_text)),
      queue(device.queue()) {
  if (prepared) {
    plan = context.prepare(plan);
    EXPECT_EQ(clsink_prepare(c_context.get(), c_plan.get()), CLSINK_OK) << clsink_last_error();
  }
  place_buffers();
  step.batch = plan.problem.max_batch;
  step.scale = 0.125F;
  step.tau = TauTable::constant(0.5F);
  clsink_step_init(&c_step, sizeof c_step);
  c_step.batch = step.batch;
  c_step.scale = step.scale;
  c_step.tau_count = 1;
  c_step.tau[0] = {1, 0.5F};
  restore();
}

void ErrorSetup::place_buffers() {
  const DecodeProblem& p = plan.problem;
  const std::size_t batch = static_cast<std::size_t>(p.max_batch), rows = batch * static_cast<std::size_t>(p.num_q_heads);
  const std::size_t head_dim = static_cast<std::size_t>(p.head_dim), kv_heads = static_cast<std::size_t>(p.num_kv_heads);
  const std::size_t page = static_cast<std::size_t>(p.kv_layout.page_size), kv_len = static_cast<std::size_t>(p.max_kv_len);
  const std::size_t pages = page != 0 ? (kv_len + page - 1) / page : 0;
  const std::size_t tokens = batch * (page != 0 ? pages * page : kv_len);
  const std::size_t cache = tokens * kv_heads * head_dim * static_cast<std::size_t>(size_of(p.kv_dtype));
  clsink_buffers_init(&c_buffers, sizeof c_buffers);
  const auto place = [&](BufferView& view, clsink_buffer& c_view, std::size_t bytes) {
    view.memory = c_view.memory = buffer(bytes);
  };
  place(buffers.q, c_buffers.q, rows * head_dim * static_cast<std::size_t>(size_of(p.q_dtype)));
  place(buffers.k, c_buffers.k, cache);
  place(buffers.v, c_buffers.v, cache);
  place(buffers.kv_len, c_buffers.kv_len, batch * 4);
  place(buffers.out, c_buffers.out, rows * head_dim * static_cast<std::size_t>(size_of(p.out_dtype)));
  place(buffers.workspace, c_buffers.workspace, static_cast<std::size_t>(plan.workspace_bytes));
  if (page != 0) place(buffers.page_table, c_buffers.page_table, batch * pages * 4);
  if (p.routing.enabled && p.routing.score == Score::kMask) place(buffers.head_mask, c_buffers.head_mask, kv_heads * 4);
}

cl_mem ErrorSetup::buffer(const cl::Context& owner, std::size_t bytes) {
  held_.emplace_back(owner, CL_MEM_READ_WRITE, bytes);
  return held_.back()();
}

void ErrorSetup::restore() {
  for (const BufferView& view : {buffers.out, buffers.workspace}) {
    const std::vector<unsigned char> pattern(bytes_of(view.memory), kPattern);
    queue.enqueueWriteBuffer(cl::Buffer(view.memory, true), CL_TRUE, 0, pattern.size(), pattern.data());
  }
}

bool ErrorSetup::untouched() {
  for (const BufferView& view : {buffers.out, buffers.workspace}) {
    std::vector<unsigned char> bytes(bytes_of(view.memory));
    queue.enqueueReadBuffer(cl::Buffer(view.memory, true), CL_TRUE, 0, bytes.size(), bytes.data());
    for (const unsigned char byte : bytes) {
      if (byte != kPattern) return false;
    }
  }
  return true;
}

}  // namespace clsink::harness
