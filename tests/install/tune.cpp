// SPDX-License-Identifier: Apache-2.0
// A program of a stranger that tunes in its own process before it plans.
#include <cstdio>

#include <clsink/tune.hpp>

int main() {
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  clGetPlatformIDs(1, &platform, nullptr);
  clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr);
  cl_context opencl = clCreateContext(nullptr, 1, &device, nullptr, nullptr, nullptr);
  clsink::Context context(opencl, device);
  const clsink::DecodeProblem problem = clsink::parse_problem("f32 hq=4 hkv=4 d=32 b=1 kv=200");
  clsink::TuneBudget budget;
  budget.seconds = 1;
  const clsink::TuneResult result = clsink::tune(context, opencl, device, problem, budget);
  if (!result.complete) return 1;
  context.add_tuning("tuned here", result.rows);
  const clsink::DecodePlan plan = context.plan(problem);
  std::printf("%s\n%s", plan.match_reason.c_str(), result.rows.c_str());
  return plan.variant == result.variant ? 0 : 1;
}
