// SPDX-License-Identifier: Apache-2.0
// One thing to be timed: a variant on a problem with a load.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <clsink/context.hpp>

#include "harness/bench_data.hpp"
#include "harness/bench_load.hpp"

namespace clsink::harness {

/// The problem's own routing, or else the cosine's with the default surrogate.
DecodeProblem with_routing(DecodeProblem problem);

class BenchStep {
 public:
  /// The load's routing comes about by queries that lean towards the sink or away from it, or by the caller's mask, which
  /// cannot tell sequences apart: Error(kInvalidProblem) if it would have to.
  BenchStep(Context& context, const OpenClDevice& opencl, const DecodePlan& plan, BenchData& data, Load load);

  void enqueue(const cl::CommandQueue& queue);
  /// One step on a profiling queue; its kernels' times join stage_us(). Blocks.
  void profile(const cl::CommandQueue& profiling_queue);
  /// Times so many enqueues on an idle queue without what they enqueue; joins enqueue_us(). Blocks.
  void time_enqueues(const cl::CommandQueue& queue, int count);

  /// Runs and compares the first and last dense and routed groups with the reference. Infinity, too, if any group at all
  /// was not routed as the load says.
  double relative_error(const cl::CommandQueue& queue);

  const DecodePlan& plan() const { return plan_; }
  const Load& load() const { return load_; }
  /// Samples of every kernel, in launch order.
  const std::vector<std::pair<std::string, std::vector<double>>>& stage_us() const { return stage_us_; }
  /// Samples of an enqueue's wall time on the host.
  const std::vector<double>& enqueue_us() const { return enqueue_us_; }

 private:
  DecodeBuffers buffers();
  std::vector<CheckedGroup> groups_to_check() const;
  bool routed_as_wanted(const cl::CommandQueue& queue);

  Context& context_;
  DecodePlan plan_;
  BenchData& data_;
  Load load_;
  DecodeStep step_;
  cl::Buffer workspace_, q_, kv_len_, head_mask_, statistics_;
  std::vector<std::pair<std::string, std::vector<double>>> stage_us_;
  std::vector<double> enqueue_us_;
};

}  // namespace clsink::harness
