// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_step.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace clsink::cli {
namespace {

constexpr float kBeyondAnyCosine = 4;

// First and last kv head that is routed, first and last that is not, each with its decision.
std::vector<std::pair<int, bool>> heads_to_check(const std::vector<bool>& routed) {
  std::vector<std::pair<int, bool>> heads;
  for (const bool decision : {false, true}) {
    const auto first = std::find(routed.begin(), routed.end(), decision);
    if (first == routed.end()) continue;
    const auto last = std::find(routed.rbegin(), routed.rend(), decision);
    const auto first_head = static_cast<int>(first - routed.begin());
    const auto last_head = static_cast<int>(routed.rend() - last) - 1;
    heads.emplace_back(first_head, decision);
    if (last_head != first_head) heads.emplace_back(last_head, decision);
  }
  return heads;
}

template <typename T>
cl::Buffer upload(const harness::OpenClDevice& opencl, std::vector<T> values) {
  return cl::Buffer(opencl.context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, values.size() * sizeof(T), values.data());
}

double event_us(const cl::Event& event) {
  return 1e-3 * static_cast<double>(event.getProfilingInfo<CL_PROFILING_COMMAND_END>() -
                                    event.getProfilingInfo<CL_PROFILING_COMMAND_START>());
}

}  // namespace

std::vector<bool> routed_heads(int num_kv_heads, double fraction, bool contiguous) {
  const int count = std::clamp(static_cast<int>(std::lround(fraction * num_kv_heads)), 0, num_kv_heads);
  std::vector<bool> routed(static_cast<std::size_t>(num_kv_heads));
  for (int head = 0; head < num_kv_heads; ++head) {
    const bool spread = (head + 1) * count / num_kv_heads > head * count / num_kv_heads;
    routed[static_cast<std::size_t>(head)] = contiguous ? head >= num_kv_heads - count : spread;
  }
  return routed;
}

DecodeProblem with_routing(DecodeProblem problem) {
  if (!problem.routing.enabled) problem.routing = SinkRouting::cosine(Policy::kMean);
  return problem;
}

BenchStep::BenchStep(Context& context, const harness::OpenClDevice& opencl, DecodePlan plan, BenchData& data,
                     std::vector<bool> routed)
    : context_(context), plan_(std::move(plan)), data_(data), routed_(std::move(routed)) {
  workspace_ = cl::Buffer(opencl.context, CL_MEM_READ_WRITE, static_cast<std::size_t>(plan_.workspace_bytes));
  std::vector<std::int32_t> mask;
  std::vector<float> offsets;
  for (const bool head_routed : routed_) {
    mask.push_back(head_routed ? 1 : 0);
    offsets.push_back(head_routed ? -kBeyondAnyCosine : kBeyondAnyCosine);
  }
  head_mask_ = upload(opencl, std::move(mask));
  tau_offsets_ = upload(opencl, std::move(offsets));
  step_.batch = plan_.problem.max_batch;
  step_.scale = data.scale();
  step_.tau = TauTable::constant(0);
  step_.floor = -kBeyondAnyCosine;
  context_.prepare(plan_);
}

DecodeBuffers BenchStep::buffers() {
  DecodeBuffers buffers = data_.buffers();
  buffers.workspace = {workspace_(), 0};
  if (!plan_.problem.routing.enabled) return buffers;
  if (plan_.problem.routing.score == Score::kMask) {
    buffers.head_mask = {head_mask_(), 0};
  } else {
    buffers.tau_offsets = {tau_offsets_(), 0};
  }
  return buffers;
}

void BenchStep::enqueue(const cl::CommandQueue& queue) { context_.enqueue(queue(), plan_, buffers(), step_); }

void BenchStep::profile(const cl::CommandQueue& profiling_queue) {
  std::vector<Context::StageEvent> stages;
  context_.enqueue_profiled(profiling_queue(), plan_, buffers(), step_, stages);
  profiling_queue.finish();
  for (const Context::StageEvent& stage : stages) {
    const cl::Event event(stage.event);  // takes over the reference
    const auto known =
        std::find_if(stage_us_.begin(), stage_us_.end(), [&](const auto& row) { return row.first == stage.stage; });
    if (known != stage_us_.end()) {
      known->second.push_back(event_us(event));
    } else {
      stage_us_.push_back({stage.stage, {event_us(event)}});
    }
  }
}

double BenchStep::relative_error(const cl::CommandQueue& queue) {
  data_.spoil_output(queue);
  enqueue(queue);
  queue.finish();
  return data_.relative_error(queue, heads_to_check(routed_), plan_.problem.routing.surrogate);
}

}  // namespace clsink::cli
