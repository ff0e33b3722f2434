// SPDX-License-Identifier: Apache-2.0
#include "harness/baseline.hpp"

#include <fmt/format.h>

#include <clsink/error.hpp>

#if CLSINK_WITH_CLBLAST
#include <clblast.h>
#endif

namespace clsink::harness {

#if CLSINK_WITH_CLBLAST
namespace {

// One work-group per row, in place.
constexpr const char* kSoftmaxSource = R"(
#define WG 128
__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void softmax_rows(__global float *rows, const uint count) {
  __local float shared[WG];
  const size_t lid = get_local_id(0);
  __global float *row = rows + get_group_id(0) * (ulong)count;
  float largest = -FLT_MAX;
  for (uint i = lid; i < count; i += WG) largest = fmax(largest, row[i]);
  shared[lid] = largest;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint half_size = WG / 2; half_size > 0; half_size /= 2) {
    if (lid < half_size) shared[lid] = fmax(shared[lid], shared[lid + half_size]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  largest = shared[0];
  barrier(CLK_LOCAL_MEM_FENCE);
  float sum = 0.0f;
  for (uint i = lid; i < count; i += WG) {
    row[i] = exp(row[i] - largest);
    sum += row[i];
  }
  shared[lid] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (uint half_size = WG / 2; half_size > 0; half_size /= 2) {
    if (lid < half_size) shared[lid] += shared[lid + half_size];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const float scale = 1.0f / shared[0];
  for (uint i = lid; i < count; i += WG) row[i] *= scale;
}
)";
constexpr std::size_t kSoftmaxWorkGroupSize = 128;

struct Gemm {
  clblast::Transpose b_transposed;
  std::size_t m, n, k;
  float alpha;
};

void check(clblast::StatusCode status, const char* what) {
  if (status == clblast::StatusCode::kSuccess) return;
  throw Error(ErrorCode::kOpenCl, fmt::format("CLBlast GemmStridedBatched ({}): status {}", what, static_cast<int>(status)));
}

// For every group: c[m][n] = alpha * a[m][k] * b, everything packed row after row.
clblast::StatusCode multiply(const Gemm& gemm, const cl::Buffer& a, const cl::Buffer& b, std::size_t b_offset,
                             const cl::Buffer& c, std::size_t groups, cl_command_queue queue) {
  const std::size_t b_row = gemm.b_transposed == clblast::Transpose::kYes ? gemm.k : gemm.n;
  return clblast::GemmStridedBatched<float>(clblast::Layout::kRowMajor, clblast::Transpose::kNo, gemm.b_transposed, gemm.m,
                                            gemm.n, gemm.k, gemm.alpha, a(), 0, gemm.k, gemm.m * gemm.k, b(), b_offset, b_row,
                                            gemm.n * gemm.k, 0.0F, c(), 0, gemm.n, gemm.m * gemm.n, groups, &queue, nullptr);
}

}  // namespace
#endif

std::optional<std::string> ClblastBaseline::refuses(const DecodeProblem& problem) {
#if CLSINK_WITH_CLBLAST
  const auto is_f32 = [](DType dtype) { return dtype == DType::kF32; };
  if (!is_f32(problem.q_dtype) || !is_f32(problem.kv_dtype) || !is_f32(problem.out_dtype)) return "CLBlast: only f32";
  const CacheStrides packed{problem.head_dim, static_cast<std::int64_t>(problem.head_dim) * problem.max_kv_len,
                            static_cast<std::int64_t>(problem.head_dim) * problem.max_kv_len * problem.num_kv_heads};
  if (problem.kv_layout.is_paged() || !(problem.kv_layout.k == packed) || !(problem.kv_layout.v == packed)) {
    return "CLBlast: only contiguous, packed caches";
  }
  if (!problem.token_set.dense() || problem.routing.enabled) return "CLBlast: only dense problems";
  return std::nullopt;
#else
  (void)problem;
  return "built without CLBlast (CLSINK_WITH_CLBLAST=OFF)";
#endif
}

ClblastBaseline::ClblastBaseline(const cl::Context& context, const cl::Device& device, const DecodeProblem& problem)
    : problem_(problem) {
  if (const auto reason = refuses(problem)) throw Error(ErrorCode::kUnsupportedDevice, *reason);
#if CLSINK_WITH_CLBLAST
  try {
    cl::Program program(context, kSoftmaxSource);
    program.build({device});
    softmax_ = cl::Kernel(program, "softmax_rows");
  } catch (const cl::BuildError& error) {
    throw Error(ErrorCode::kBuildFailed, "baseline softmax kernel:\n" + error.getBuildLog().at(0).second);
  }
  const std::size_t rows = static_cast<std::size_t>(problem.max_batch) * problem.num_q_heads;
  scores_ = cl::Buffer(context, CL_MEM_READ_WRITE, rows * problem.max_kv_len * sizeof(float));
#else
  (void)context;
  (void)device;
#endif
}

void ClblastBaseline::enqueue(const cl::CommandQueue& queue, const cl::Buffer& q, const cl::Buffer& cache,
                              std::int64_t v_offset_bytes, const cl::Buffer& out, float scale) {
#if CLSINK_WITH_CLBLAST
  const std::size_t groups = static_cast<std::size_t>(problem_.max_batch) * problem_.num_kv_heads;
  const std::size_t group_size = problem_.group_size(), tokens = problem_.max_kv_len, channels = problem_.head_dim;
  const std::size_t v_offset = static_cast<std::size_t>(v_offset_bytes) / sizeof(float);

  const Gemm scores{clblast::Transpose::kYes, group_size, tokens, channels, scale};
  check(multiply(scores, q, cache, 0, scores_, groups, queue()), "Q K^T");
  softmax_.setArg(0, scores_);
  softmax_.setArg(1, static_cast<cl_uint>(tokens));
  queue.enqueueNDRangeKernel(softmax_, cl::NullRange, cl::NDRange(groups * group_size * kSoftmaxWorkGroupSize),
                             cl::NDRange(kSoftmaxWorkGroupSize));
  const Gemm values{clblast::Transpose::kNo, group_size, channels, tokens, 1.0F};
  check(multiply(values, scores_, cache, v_offset, out, groups, queue()), "P V");
#else
  (void)queue, (void)q, (void)cache, (void)v_offset_bytes, (void)out, (void)scale;
#endif
}

}  // namespace clsink::harness
