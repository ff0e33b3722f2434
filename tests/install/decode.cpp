// SPDX-License-Identifier: Apache-2.0
// A C++ program of a stranger: dense decode on its own OpenCL context, where all keys are equal, so that the output is the
// mean of the values. Prints the largest error and returns 0 if it is small.
#include <cmath>
#include <cstdio>
#include <vector>

#include <clsink/clsink.hpp>

namespace {

cl_mem make_buffer(cl_context context, std::size_t bytes, const void* data) {
  const cl_mem_flags flags = CL_MEM_READ_WRITE | (data != nullptr ? CL_MEM_COPY_HOST_PTR : 0);
  return clCreateBuffer(context, flags, bytes, const_cast<void*>(data), nullptr);
}

template <typename T>
cl_mem make_buffer(cl_context context, const std::vector<T>& data) {
  return make_buffer(context, data.size() * sizeof(T), data.data());
}

}  // namespace

int main() {
  constexpr int kHeads = 4, kDim = 128, kLength = 1000;
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  clGetPlatformIDs(1, &platform, nullptr);
  clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr);
  cl_context opencl = clCreateContext(nullptr, 1, &device, nullptr, nullptr, nullptr);
  cl_command_queue queue = clCreateCommandQueue(opencl, device, 0, nullptr);

  clsink::DecodeProblem problem;
  problem.q_dtype = problem.kv_dtype = problem.out_dtype = clsink::DType::kF32;
  problem.num_q_heads = kHeads;
  problem.num_kv_heads = 1;
  problem.head_dim = kDim;
  problem.max_kv_len = kLength;
  std::vector<float> values(kLength * kDim), mean(kDim), out(kHeads * kDim);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i * i % 1009) / 1009.0F;
    mean[i % kDim] += values[i] / kLength;
  }

  double worst = 0.0;
  try {
    clsink::Context context(opencl, device);
    const clsink::DecodePlan plan = context.prepare(context.plan(problem));
    clsink::DecodeBuffers buffers;
    buffers.q.memory = make_buffer(opencl, std::vector<float>(kHeads * kDim, 0.25F));
    buffers.k.memory = make_buffer(opencl, std::vector<float>(kLength * kDim, 0.5F));
    buffers.v.memory = make_buffer(opencl, values);
    buffers.kv_len.memory = make_buffer(opencl, std::vector<cl_int>{kLength});
    buffers.out.memory = make_buffer(opencl, out);
    buffers.workspace.memory = make_buffer(opencl, static_cast<std::size_t>(plan.workspace_bytes), nullptr);
    clsink::DecodeStep step;
    step.scale = 0.1F;
    context.enqueue(queue, plan, buffers, step);
    clEnqueueReadBuffer(queue, buffers.out.memory, CL_TRUE, 0, out.size() * sizeof(float), out.data(), 0, nullptr, nullptr);
  } catch (const clsink::Error& error) {
    std::fprintf(stderr, "%s: %s\n", to_string(error.code()), error.what());
    return 1;
  }
  for (std::size_t i = 0; i < out.size(); ++i) worst = std::fmax(worst, std::fabs(out[i] - mean[i % kDim]));
  std::printf("clsink %s from C++: largest error %.2e\n", clsink::version(), worst);
  return worst < 1e-5 ? 0 : 1;
}
