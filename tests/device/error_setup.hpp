// SPDX-License-Identifier: Apache-2.0
// One small problem set up twice, through C++ and through C, on the same buffers, each exactly as large as it must be.
// A refused step must leave out and workspace as they were.
#pragma once

#include <clsink/clsink.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <clsink/clsink.hpp>

#include "harness/opencl_device.hpp"

namespace clsink::harness {

struct ContextDeleter {
  void operator()(clsink_context* context) const { clsink_context_destroy(context); }
};
struct PlanDeleter {
  void operator()(clsink_plan* plan) const { clsink_plan_destroy(plan); }
};
using ContextHandle = std::unique_ptr<clsink_context, ContextDeleter>;
using PlanHandle = std::unique_ptr<clsink_plan, PlanDeleter>;

ContextHandle make_context(const OpenClDevice& device, const clsink_context_options* options = nullptr);
PlanHandle make_plan(const clsink_context* context, const std::string& problem_text);
clsink_problem parse(const std::string& problem_text);

class ErrorSetup {
 public:
  explicit ErrorSetup(const std::string& problem_text, bool prepared = true);

  OpenClDevice device;
  Context context;
  DecodePlan plan;
  ContextHandle c_context;
  PlanHandle c_plan;
  cl::CommandQueue queue;
  DecodeBuffers buffers;
  clsink_buffers c_buffers;
  DecodeStep step;
  clsink_step c_step;

  /// A buffer of this many bytes that lives as long as the setup.
  cl_mem buffer(std::size_t bytes) { return buffer(device.context, bytes); }
  cl_mem buffer(const cl::Context& owner, std::size_t bytes);

  clsink_status enqueue_c(cl_command_queue on) const {
    return clsink_enqueue(c_context.get(), on, c_plan.get(), &c_buffers, &c_step, 0, nullptr, nullptr);
  }
  /// Whether anything ran since the setup or the last restore().
  bool untouched();
  void restore();

 private:
  void place_buffers();

  std::vector<cl::Buffer> held_;
};

/// The code and message of the Error that `body` throws; fails the test if it throws none.
template <typename Body>
std::pair<ErrorCode, std::string> error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  ADD_FAILURE() << "nothing was refused";
  return {ErrorCode::kInternal, ""};
}

}  // namespace clsink::harness
