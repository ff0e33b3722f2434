// SPDX-License-Identifier: Apache-2.0
// One thing to be timed: a variant on a problem with a fixed share of its groups routed.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <clsink/context.hpp>

#include "cli/bench_data.hpp"

namespace clsink::cli {

/// Which kv heads are routed so that the share comes nearest to `fraction`: every so-many-th head, or the last ones.
std::vector<bool> routed_heads(int num_kv_heads, double fraction, bool contiguous);

/// The problem's own routing, or else the cosine's with the default surrogate.
DecodeProblem with_routing(DecodeProblem problem);

class BenchStep {
 public:
  /// `routed` decides over every kv head: by the caller's mask, or by tau offsets that no cosine can pass or fail.
  BenchStep(Context& context, const harness::OpenClDevice& opencl, DecodePlan plan, BenchData& data, std::vector<bool> routed);

  void enqueue(const cl::CommandQueue& queue);
  /// One step on a profiling queue; its kernels' times join stage_us(). Blocks.
  void profile(const cl::CommandQueue& profiling_queue);

  /// Runs once and compares the first and last dense and routed groups with the reference.
  double relative_error(const cl::CommandQueue& queue);

  const DecodePlan& plan() const { return plan_; }
  const std::vector<bool>& routed() const { return routed_; }
  /// Samples of every kernel, in launch order.
  const std::vector<std::pair<std::string, std::vector<double>>>& stage_us() const { return stage_us_; }

 private:
  DecodeBuffers buffers();

  Context& context_;
  DecodePlan plan_;
  BenchData& data_;
  std::vector<bool> routed_;
  DecodeStep step_;
  cl::Buffer workspace_, head_mask_, tau_offsets_;
  std::vector<std::pair<std::string, std::vector<double>>> stage_us_;
};

}  // namespace clsink::cli
