// SPDX-License-Identifier: Apache-2.0
#include "environment.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>

namespace clsink::harness {
namespace {

testing::AssertionResult failure(const Case& c, const std::string& reason) {
  return testing::AssertionFailure() << reason << "\n  repeat: clsink verify --case \"" << to_string(c) << "\"";
}

DecodePlan prepared(Context& context, const Case& c) {
  DecodePlan plan = plan_of(context, c);
  context.prepare(plan);
  return plan;
}

}  // namespace

const OpenClDevice& test_device() {
  static const OpenClDevice device = open_device();
  return device;
}

Context& test_context() {
  static Context context(test_device().context(), test_device().device());
  return context;
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

std::vector<Case> with_typical_variants(const Case& c) {
  const std::vector<Case> all = with_every_variant(c);
  if (full_tier()) return all;
  std::vector<Case> typical;
  for (const Engine engine : {Engine::kSimt, Engine::kCpu}) {
    for (const Schedule schedule : {Schedule::kWorklist, Schedule::kStatic}) {
      const auto fits = [&](const Case& one) { return one.variant->engine == engine && one.variant->schedule == schedule; };
      const auto first = std::find_if(all.begin(), all.end(), fits);
      if (first == all.end()) continue;
      typical.push_back(*first);
      const auto last = std::find_if(all.rbegin(), all.rend(), fits);
      if (engine == Engine::kCpu && *last->variant != *first->variant) typical.push_back(*last);
    }
  }
  return typical;
}

Fixture::Fixture(const Case& of, Context& with)
    : context(with),
      c(of),
      inputs(make_inputs(c)),
      reference(reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs))),
      plan(prepared(context, c)),
      on_device(test_device(), plan, c, inputs) {}

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
