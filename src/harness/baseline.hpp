// SPDX-License-Identifier: Apache-2.0
// What an OpenCL user would assemble today without this library: CLBlast's batched GEMM for Q K^T, a softmax kernel,
// CLBlast's batched GEMM for P V. CLBlast refuses half precision on most devices, so everything is f32.
#pragma once

#include <cstdint>

#include "harness/opencl_device.hpp"

#include <optional>
#include <string>

#include <clsink/problem.hpp>

namespace clsink::harness {

class ClblastBaseline {
 public:
  /// Why the baseline cannot do this problem, or nothing. Only dense, contiguous, packed f32 problems fit.
  static std::optional<std::string> refuses(const DecodeProblem& problem);

  /// Strides of the problem are filled in (as in a plan). Throws clsink::Error if refused.
  ClblastBaseline(const cl::Context& context, const cl::Device& device, const DecodeProblem& problem);

  /// Attends with every sequence at max_kv_len; V begins `v_offset_bytes` behind K in `cache`. The queue is in-order.
  void enqueue(const cl::CommandQueue& queue, const cl::Buffer& q, const cl::Buffer& cache, std::int64_t v_offset_bytes,
               const cl::Buffer& out, float scale);

 private:
  DecodeProblem problem_;
  cl::Kernel softmax_;
  cl::Buffer scores_;
};

}  // namespace clsink::harness
