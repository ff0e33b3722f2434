// SPDX-License-Identifier: Apache-2.0
#include "environment.hpp"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <set>
#include <sstream>

namespace clsink::harness {
namespace {

testing::AssertionResult failure(const Case& c, const std::string& reason) {
  return testing::AssertionFailure() << reason << "\n  repeat: clsink verify --case \"" << to_string(c) << "\"";
}

}  // namespace

// Neither is ever destroyed: a runtime's own static objects may go before the program's (oclgrind's do, and abort it).
const OpenClDevice& test_device() {
  static const OpenClDevice& device = *new OpenClDevice(open_device());
  return device;
}

Context& test_context() {
  static Context& context = *new Context(test_device().context(), test_device().device());
  return context;
}

cl::CommandQueue test_queue(bool in_order) {
  const auto supported = test_device().device.getInfo<CL_DEVICE_QUEUE_PROPERTIES>();
  return test_device().queue(in_order ? 0 : supported & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

testing::AssertionResult passes(const Case& c, const Inputs& inputs, const ReferenceResult& reference) {
  try {
    const Outcome outcome = run_case(test_device(), test_context(), c, inputs, reference);
    if (!outcome.ok()) return failure(c, outcome.summary());
    return testing::AssertionSuccess() << outcome.summary();
  } catch (const std::exception& error) {
    return failure(c, error.what());
  }
}

testing::AssertionResult passes(const Case& c) {
  const Inputs inputs = make_inputs(c);
  return passes(c, inputs, reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs)));
}

std::vector<Case> with_every_variant(const Case& c) {
  std::vector<Case> cases;
  for (const DecodeVariant& variant : test_context().variants(c.problem)) {
    cases.push_back(c);
    cases.back().variant = variant;
  }
  return cases;
}

bool full_tier() {
  const char* value = std::getenv("CLSINK_FULL");
  return value != nullptr && std::string(value) == "1";
}

VariantWords words_of(const DecodeVariant& variant) {
  VariantWords words;
  std::istringstream text(to_string(variant));
  text >> words.engine >> words.schedule >> words.fusion;
  for (std::string field; text >> field;) words.fields.push_back(field);
  return words;
}

bool builds_fast(const DecodeVariant& variant) {
  static const bool on_cpu = test_device().device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU;
  return !on_cpu || variant.engine == Engine::kCpu;
}

std::vector<Case> with_typical_variants(const Case& c) {
  std::set<std::string> seen;
  std::vector<Case> typical;
  for (const Case& one : with_every_variant(c)) {
    const DecodeVariant& v = *one.variant;
    const VariantWords words = words_of(v);
    bool is_new = seen.insert(words.engine + words.schedule + words.fusion).second;
    for (const std::string& field : words.fields) {
      const bool counts = v.fusion == Fusion::kNone && (full_tier() || v.engine == Engine::kCpu);
      is_new = (counts && seen.insert(words.engine + field).second) || is_new;
    }
    // A single launch has the prologue's work list in it, so that one schedule each will do.
    const bool is_spare = (v.fusion == Fusion::kPrologue && v.schedule != Schedule::kStatic) ||
                          (v.fusion == Fusion::kSingle && v.schedule != Schedule::kWorklist);
    if (is_new && (full_tier() || builds_fast(v) || !is_spare)) typical.push_back(one);
  }
  return typical;
}

Fixture::Fixture(const Case& of, Context& with)
    : context(with),
      c(of),
      inputs(make_inputs(c)),
      reference(reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs))),
      plan(context.prepare(plan_of(context, c))),
      on_device(test_device(), plan, c, inputs) {}

void Fixture::enqueue_after(cl::CommandQueue& queue, cl::Event& last) {
  std::vector<cl_event> wait_for;
  if (last() != nullptr) wait_for.push_back(last());
  cl_event done = nullptr;
  context.enqueue(queue(), plan, on_device.buffers, on_device.step, wait_for, &done);
  last = cl::Event(done);
}

std::vector<std::pair<std::string, cl::Event>> Fixture::enqueue_profiled(cl::CommandQueue& queue) {
  std::vector<Context::StageEvent> stages;
  context.enqueue_profiled(queue(), plan, on_device.buffers, on_device.step, stages);
  std::vector<std::pair<std::string, cl::Event>> kernels;
  for (const Context::StageEvent& stage : stages) kernels.emplace_back(stage.stage, cl::Event(stage.event));
  return kernels;
}

Readback Fixture::run(cl::CommandQueue& queue) {
  on_device.reset(queue);
  enqueue(queue);
  return on_device.read(queue);
}

testing::AssertionResult Fixture::good(const Readback& got) const {
  const Outcome outcome = compare(plan.problem, reference, got, on_device.buffers.status.memory != nullptr);
  return outcome.ok() ? testing::AssertionSuccess() << outcome.summary() : failure(c, outcome.summary());
}

}  // namespace clsink::harness
