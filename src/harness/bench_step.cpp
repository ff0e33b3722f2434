// SPDX-License-Identifier: Apache-2.0
#include "harness/bench_step.hpp"

#include <algorithm>
#include <clsink/error.hpp>
#include <limits>
#include <utility>

#include "harness/timing.hpp"
#include "harness/traffic.hpp"

namespace clsink::harness {
namespace {

constexpr float kBelowAnyCosine = -2;

double event_us(const cl::Event& event) {
  return 1e-3 * static_cast<double>(event.getProfilingInfo<CL_PROFILING_COMMAND_END>() -
                                    event.getProfilingInfo<CL_PROFILING_COMMAND_START>());
}

}  // namespace

DecodeProblem with_routing(DecodeProblem problem) {
  if (!problem.routing.enabled) problem.routing = SinkRouting::cosine(Policy::kMean);
  return problem;
}

BenchStep::BenchStep(Context& context, const OpenClDevice& opencl, const DecodePlan& plan, BenchData& data, Load load)
    : context_(context), plan_(context.prepare(plan)), data_(data), load_(std::move(load)) {
  const DecodeProblem& problem = plan_.problem;
  workspace_ = cl::Buffer(opencl.context, CL_MEM_READ_WRITE, static_cast<std::size_t>(plan_.workspace_bytes));
  statistics_ = cl::Buffer(opencl.context, CL_MEM_READ_WRITE, load_.routed.size() * sizeof(GroupStatistics));
  q_ = data.make_q(opencl, load_.routed);
  kv_len_ = upload(opencl, load_.kv_lens);
  if (problem.routing.enabled && problem.routing.score == Score::kMask) {
    if (load_.pattern == Pattern::kRagged) {
      throw Error(ErrorCode::kInvalidProblem, "pattern ragged: a mask routes the same kv heads in every sequence");
    }
    std::vector<std::int32_t> mask;
    for (std::int32_t head = 0; head < problem.num_kv_heads; ++head) mask.push_back(load_.is_routed(0, head) ? 1 : 0);
    head_mask_ = upload(opencl, std::move(mask));
  }
  step_.batch = problem.max_batch;
  step_.scale = data.scale();
  step_.least_kv_len = *std::min_element(load_.kv_lens.begin(), load_.kv_lens.end());
  step_.tau = TauTable::constant(BenchData::kTauBetween);
  step_.floor = kBelowAnyCosine;
}

DecodeBuffers BenchStep::buffers() {
  DecodeBuffers buffers = data_.buffers();
  buffers.q = {q_(), 0};
  buffers.kv_len = {kv_len_(), 0};
  buffers.workspace = {workspace_(), 0};
  buffers.head_mask = {head_mask_(), 0};
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

void BenchStep::time_enqueues(const cl::CommandQueue& queue, int count) {
  const auto enqueues = [&] {
    for (int i = 0; i < count; ++i) enqueue(queue);
  };
  queue.finish();
  enqueue_us_.push_back(time_repeats(count, enqueues).wall_us);
  queue.finish();
}

std::vector<CheckedGroup> BenchStep::groups_to_check() const {
  std::vector<CheckedGroup> groups;
  const auto add = [&](std::ptrdiff_t index, bool routed) {
    const auto sequence = static_cast<std::int32_t>(index / load_.num_kv_heads());
    const std::int32_t kv_len = load_.kv_lens[static_cast<std::size_t>(sequence)];
    groups.push_back({sequence, static_cast<std::int32_t>(index % load_.num_kv_heads()), kv_len, routed,
                      attended_set(plan_.problem, kv_len, routed)});
  };
  for (const bool decision : {false, true}) {
    const auto first = std::find(load_.routed.begin(), load_.routed.end(), decision);
    if (first == load_.routed.end()) continue;
    const auto last = std::find(load_.routed.rbegin(), load_.routed.rend(), decision);
    const std::ptrdiff_t first_index = first - load_.routed.begin(), last_index = load_.routed.rend() - last - 1;
    add(first_index, decision);
    if (last_index != first_index) add(last_index, decision);
  }
  return groups;
}

bool BenchStep::routed_as_wanted(const cl::CommandQueue& queue) {
  if (!plan_.problem.routing.enabled) return load_.num_routed() == 0;
  DecodeBuffers with_statistics = buffers();
  with_statistics.statistics = {statistics_(), 0};
  context_.enqueue(queue(), plan_, with_statistics, step_);
  std::vector<GroupStatistics> groups(load_.routed.size());
  queue.enqueueReadBuffer(statistics_, CL_TRUE, 0, groups.size() * sizeof(GroupStatistics), groups.data());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::int32_t kv_len = load_.kv_lens[i / static_cast<std::size_t>(load_.num_kv_heads())];
    const bool wanted = load_.routed[i] && !routing_spares_nothing(plan_.problem, kv_len);
    if ((groups[i].routed != 0) != wanted) return false;
  }
  return true;
}

double BenchStep::relative_error(const cl::CommandQueue& queue) {
  data_.spoil_output(queue);
  enqueue(queue);
  queue.finish();
  const double error = data_.relative_error(queue, groups_to_check());
  return routed_as_wanted(queue) ? error : std::numeric_limits<double>::infinity();
}

}  // namespace clsink::harness
