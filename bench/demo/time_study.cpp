// SPDX-License-Identifier: Apache-2.0
#include "time_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <functional>
#include <limits>
#include <optional>

#include "harness/baseline.hpp"
#include "harness/compare.hpp"
#include "harness/storage.hpp"
#include "routing_study.hpp"

namespace clsink::demo {
namespace {

using harness::Candidate;
using harness::Sample;

constexpr double kSampleUs = 3000;  // a sample repeats its launches until it lasts about so long
constexpr int kMostRepeats = 200;
constexpr double kBaselineSeconds = 5;  // more than that for its samples: left out
constexpr int kLeastBaselineSamples = 3;
constexpr double kBaselineTolerance = 1e-3;
// Equal tokens round alike, so in a repeated context fp32 errors add up that cancel in a real one: 2.3e-5 at 32K tokens
// (layer 5, PoCL 3.1 on an AMD EPYC, 2026-11-22), where the recording itself has 8e-7.
constexpr double kRepeatedTolerance = 1e-4;
constexpr std::int64_t kBaselineBytes = std::int64_t{1} << 30;  // largest buffer asked of a device for the baseline

class TimeStudy {
 public:
  TimeStudy(const harness::OpenClDevice& device, Context& context, const harness::Trace& trace,
            const harness::TraceLayer& recorded, const TimeRequest& request)
      : device_(device),
        context_(context),
        trace_(trace),
        request_(request),
        recorded_tokens_(recorded.tokens),
        layer_(harness::repeated(recorded, trace, request.kv_len)),
        queue_(device.queue()) {
    step_.batch = trace.steps;
    step_.scale = trace.scale;
    step_.least_kv_len = request.kv_len;
    step_.tau = TauTable::constant(request.tau);
    const DecodeProblem problem = trace.problem(request.kv_len);
    q_ = upload(problem.q_dtype, layer_.q);
    k_ = cache(problem.kv_dtype, {&layer_.k});
    v_ = cache(problem.kv_dtype, {&layer_.v});
    kv_len_ = ints(std::vector<std::int32_t>(static_cast<std::size_t>(trace.steps), request.kv_len));
    out_ = cl::Buffer(device.context, CL_MEM_READ_WRITE, layer_.q.size() * sizeof(float));
  }

  std::vector<TimeRow> run() {
    const harness::ReferenceResult dense = add_plan(kDense, trace_.problem(request_.kv_len));
    for (const Surrogate& surrogate : kSurrogates) {
      if (!request_.all_surrogates && surrogate.name != kSurrogates[kSinkWindow].name) continue;
      DecodeProblem problem = trace_.problem(request_.kv_len);
      problem.routing = SinkRouting::cosine(Policy::kMean);
      problem.routing.surrogate = surrogate.set;
      add_plan(surrogate.name, problem);
    }
    measure();
    if (request_.baseline && add_baseline(dense)) measure();
    return std::move(rows_);
  }

 private:
  cl::Buffer upload(DType dtype, const std::vector<float>& values) {
    std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(size_of(dtype)));
    harness::store_row(dtype, values.data(), values.size(), bytes.data());
    return cl::Buffer(device_.context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes.size(), bytes.data());
  }

  cl::Buffer ints(std::vector<std::int32_t> values) {
    return cl::Buffer(device_.context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, values.size() * sizeof(std::int32_t),
                      values.data());
  }

  // Each part once for every sequence, one part after the other.
  cl::Buffer cache(DType dtype, const std::vector<const std::vector<float>*>& parts) {
    const std::size_t part_bytes = parts.front()->size() * static_cast<std::size_t>(size_of(dtype));
    const std::size_t copies = static_cast<std::size_t>(trace_.steps);
    cl::Buffer buffer(device_.context, CL_MEM_READ_ONLY, parts.size() * copies * part_bytes);
    std::vector<std::byte> bytes(part_bytes);
    std::size_t offset = 0;
    for (const std::vector<float>* part : parts) {
      harness::store_row(dtype, part->data(), part->size(), bytes.data());
      for (std::size_t copy = 0; copy < copies; ++copy, offset += part_bytes) {
        queue_.enqueueWriteBuffer(buffer, CL_TRUE, offset, part_bytes, bytes.data());
      }
    }
    return buffer;
  }

  // Enqueues once into an output full of NaN, and compares.
  harness::Outcome checked(const DecodeProblem& problem, const harness::ReferenceResult& reference,
                           const std::function<void()>& enqueue) {
    queue_.enqueueFillBuffer(out_, std::numeric_limits<float>::quiet_NaN(), 0, layer_.q.size() * sizeof(float));
    enqueue();
    harness::Readback got;
    got.out.resize(layer_.q.size());
    queue_.enqueueReadBuffer(out_, CL_TRUE, 0, got.out.size() * sizeof(float), got.out.data());
    return harness::compare(problem, reference, got, false);
  }

  harness::ReferenceResult add_plan(const char* what, const DecodeProblem& problem) {
    const DecodePlan plan = context_.prepare(context_.plan(problem));
    workspaces_.emplace_back(device_.context, CL_MEM_READ_WRITE, static_cast<std::size_t>(plan.workspace_bytes));
    DecodeBuffers buffers;
    buffers.q.memory = q_();
    buffers.k.memory = k_();
    buffers.v.memory = v_();
    buffers.kv_len.memory = kv_len_();
    buffers.out.memory = out_();
    buffers.workspace.memory = workspaces_.back()();
    const auto enqueue = [this, plan, buffers] { context_.enqueue(queue_(), plan, buffers, step_); };
    const std::vector<std::int32_t> kv_lens(static_cast<std::size_t>(trace_.steps), request_.kv_len);
    harness::ReferenceResult reference =
        harness::reference_decode(plan.problem, step_, harness::trace_reference_inputs(trace_, layer_, kv_lens));
    const harness::Outcome outcome = checked(plan.problem, reference, enqueue);
    const bool beyond = request_.kv_len > recorded_tokens_;
    if (!(outcome.error <= (beyond ? kRepeatedTolerance : harness::tolerance(plan.problem.out_dtype)))) {
      throw Error(ErrorCode::kInternal, fmt::format("{}: {}", to_string(plan), outcome.summary()));
    }
    add_candidate(what, outcome.error, enqueue);
    return reference;
  }

  // Alone, because it is so slow that it would leave cold caches to whoever comes after it. False if left out.
  bool add_baseline(const harness::ReferenceResult& reference) {
    DecodeProblem problem = trace_.problem(request_.kv_len);
    problem.q_dtype = problem.kv_dtype = DType::kF32;
    problem = context_.plan(problem).problem;
    const std::int64_t k_bytes = problem.kv_layout.k.block * trace_.steps * size_of(DType::kF32);
    if (harness::ClblastBaseline::refuses(problem) || 2 * k_bytes > kBaselineBytes) return false;
    baseline_.emplace(device_.context, device_.device, problem);
    baseline_q_ = upload(DType::kF32, layer_.q);
    baseline_cache_ = cache(DType::kF32, {&layer_.k, &layer_.v});
    const auto enqueue = [this, k_bytes] {
      baseline_->enqueue(queue_, baseline_q_, baseline_cache_, k_bytes, out_, trace_.scale);
    };
    const harness::Outcome outcome = checked(problem, reference, enqueue);  // CLBlast compiles at the first call
    if (!(outcome.error <= kBaselineTolerance)) {
      throw Error(ErrorCode::kInternal, fmt::format("CLBlast at {} tokens: {}", request_.kv_len, outcome.summary()));
    }
    if (sample(enqueue, 1).wall_us * 1e-6 * kLeastBaselineSamples > kBaselineSeconds) return false;
    add_candidate(kBaseline, outcome.error, enqueue);
    return true;
  }

  Sample sample(const std::function<void()>& enqueue, int repeats) {
    return harness::time_repeats(repeats, [&] {
      for (int i = 0; i < repeats; ++i) enqueue();
      queue_.finish();
    });
  }

  void add_candidate(const char* what, double error, const std::function<void()>& enqueue) {
    TimeRow row;
    row.layer = layer_.number;
    row.kv_len = request_.kv_len;
    row.what = what;
    row.error = error;
    rows_.push_back(row);
    sample(enqueue, 1);
    const double once_us = sample(enqueue, 1).wall_us;
    const int repeats = std::clamp(static_cast<int>(kSampleUs / std::max(once_us, 1.0)), 1, kMostRepeats);
    Candidate candidate;
    candidate.measure = [this, enqueue, repeats] { return sample(enqueue, repeats); };
    candidates_.push_back(candidate);
  }

  // Measures the rows that have no figures yet, in turns.
  void measure() {
    const std::size_t first = rows_.size() - candidates_.size();
    harness::RoundLimits limits;
    limits.seconds = request_.seconds;
    harness::run_interleaved(candidates_, limits, [] { return false; });
    const auto wall_us = [](const Candidate& candidate) {
      std::vector<double> values;
      for (const Sample& one : candidate.samples) values.push_back(one.wall_us);
      return values;
    };
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      TimeRow& row = rows_[first + i];
      row.wall_us = harness::summarize(wall_us(candidates_[i]));
      row.speedup = first == 0 ? harness::paired_ratio(wall_us(candidates_.front()), wall_us(candidates_[i]))
                               : rows_.front().wall_us.median / row.wall_us.median;
    }
    candidates_.clear();
  }

  const harness::OpenClDevice& device_;
  Context& context_;
  const harness::Trace& trace_;
  TimeRequest request_;
  std::int32_t recorded_tokens_;
  harness::TraceLayer layer_;
  cl::CommandQueue queue_;
  DecodeStep step_;
  cl::Buffer q_, k_, v_, kv_len_, out_, baseline_q_, baseline_cache_;
  std::vector<cl::Buffer> workspaces_;
  std::optional<harness::ClblastBaseline> baseline_;
  std::vector<TimeRow> rows_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<TimeRow> study_time(const harness::OpenClDevice& device, Context& context, const harness::Trace& trace,
                                const harness::TraceLayer& layer, const TimeRequest& request) {
  return TimeStudy(device, context, trace, layer, request).run();
}

}  // namespace clsink::demo
