// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "harness/baseline.hpp"
#include "harness/bench_data.hpp"
#include "harness/bench_step.hpp"
#include "harness/compare.hpp"
#include "harness/launch_timing.hpp"
#include "harness/traffic.hpp"

namespace clsink::cli {
namespace {

using harness::BenchData;
using harness::BenchStep;
using harness::bytes_to_read;
using harness::Candidate;
using harness::Load;
using harness::repeated;
using harness::Sample;
using harness::with_routing;

constexpr int kMostEnqueues = 64;  // timed on an idle queue: no driver's queue is full by then
constexpr int kLeastEnqueues = 4;
constexpr double kBaselineSeconds = 5;  // of a baseline row in all
constexpr int kLeastBaselineSamples = 3;
constexpr double kBaselineTolerance = 1e-3;
constexpr const char* kBaselineName = "CLBlast (f32, twice the bytes)";

std::vector<double> values_of(const Candidate& candidate, double Sample::*field) {
  std::vector<double> values;
  for (const Sample& sample : candidate.samples) values.push_back(sample.*field);
  return values;
}

class ProblemBench {
 public:
  ProblemBench(Bench& bench, const DecodeProblem& problem)
      : bench_(bench),
        problem_(problem),
        plain_(bench.context.plan(problem).problem),
        data_(bench.opencl, plain_, least_step_bytes()),
        queue_(bench.opencl.queue()),
        profiling_queue_(bench.opencl.queue(CL_QUEUE_PROFILING_ENABLE)) {}

  std::vector<BenchRow> run() {
    add_steps();
    if (bench_.options.clblast) add_baseline();
    bench_.remark(fmt::format("{}: {} candidates take turns", to_string(problem_), candidates_.size()));
    harness::run_interleaved(candidates_, bench_.options.limits, bench_.stop);
    return finished_rows();
  }

 private:
  // A row, its own candidate and the read kernel's.
  struct Entry {
    BenchRow row;
    std::unique_ptr<BenchStep> step;  // none: the baseline
    std::size_t candidate, read_candidate;
    std::size_t equal;  // index of the entry's equal counterpart, or kNone
  };
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  // Of every routed fraction that the heads can show.
  std::vector<Load> loads() const {
    std::vector<Load> found;
    std::set<std::int32_t> done;
    for (const double fraction : bench_.options.routed) {
      if (!done.insert(harness::routed_count(problem_.num_kv_heads, fraction)).second) continue;
      found.push_back(harness::make_load(plain_, fraction, bench_.options.pattern, bench_.options.longest_over_shortest));
    }
    return found;
  }

  std::int64_t least_step_bytes() const {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Load& load : loads()) least = std::min(least, bytes_to_read(with_routing(plain_), load));
    return least;
  }

  DecodePlan plan_of(const DecodeProblem& problem, const std::string& variant) const {
    if (variant.empty()) return bench_.context.plan(problem);
    if (variant.find('|') == std::string::npos) return bench_.context.plan(problem, parse_variant(variant));
    return bench_.context.plan_from_text(to_string(problem) + " | " + variant);
  }

  void add_steps() {
    std::vector<std::string> variants = bench_.options.variants;
    if (variants.empty()) variants.emplace_back();
    for (const std::string& variant : variants) {
      for (const Load& load : loads()) {
        if (bench_.stop()) return;
        add_step(variant, load);
        const Load equal = harness::equal_load(with_routing(plain_), load);
        if (bench_.stop() || (equal.kv_lens == load.kv_lens && equal.routed == load.routed)) continue;
        entries_.back().equal = entries_.size();
        add_step(variant, equal);
      }
    }
  }

  void add_step(const std::string& variant, const Load& load) {
    const DecodePlan plan = plan_of(load.num_routed() > 0 ? with_routing(problem_) : problem_, variant);
    Entry entry;
    entry.row.routed = static_cast<double>(load.num_routed()) / static_cast<double>(load.routed.size());
    entry.row.lengths = load.lengths;
    entry.row.pattern = to_string(load.pattern);
    entry.row.kv_tokens = load.kv_tokens();
    entry.row.variant = to_string(plan.variant);
    if (variant.find('|') != std::string::npos) entry.row.variant = variant;
    entry.row.bytes = bytes_to_read(plan.problem, load);
    entry.step = std::make_unique<BenchStep>(bench_.context, bench_.opencl, plan, data_, load);
    entry.row.error = entry.step->relative_error(queue_);
    entry.row.tolerance = harness::tolerance(problem_.out_dtype);

    BenchStep& step = *entry.step;
    const auto timed = repeated(queue_, [this, &step] { step.enqueue(queue_); });
    const auto measure = [this, &step, timed] {
      const Sample sample = timed();
      step.time_enqueues(queue_, harness::repeats_of(sample.wall_us, kLeastEnqueues, kMostEnqueues));
      step.profile(profiling_queue_);
      return sample;
    };
    add_entry(std::move(entry), measure, data_, std::numeric_limits<double>::infinity());
  }

  void add_entry(Entry entry, std::function<Sample()> measure, BenchData& data, double budget_seconds) {
    const std::int64_t granularity = harness::ReadBandwidth::kGranularityBytes;
    const std::int64_t bytes =
        std::clamp((entry.row.bytes + granularity - 1) / granularity * granularity, granularity, data.cache_bytes());
    const auto read = [this, &data, bytes] { bench_.read.enqueue(queue_, data.next_cache(), bytes); };
    entry.row.problem = to_string(problem_);
    entry.row.copies = data.num_copies();
    entry.equal = kNone;
    entry.row.judge_by_cpu_time = harness::judged_by_cpu_time(bench_.context.device());
    entry.read_candidate = candidates_.size();
    candidates_.push_back({repeated(queue_, read), budget_seconds, {}});
    entry.candidate = candidates_.size();
    candidates_.push_back({std::move(measure), budget_seconds, {}});
    entries_.push_back(std::move(entry));
  }

  void add_baseline() {
    DecodeProblem problem = problem_;
    problem.q_dtype = problem.kv_dtype = problem.out_dtype = DType::kF32;
    problem.routing = SinkRouting{};
    problem = bench_.context.plan(problem).problem;
    auto refusal = harness::ClblastBaseline::refuses(problem);
    if (!refusal) refusal = set_up_baseline(problem);
    if (refusal) bench_.remark(fmt::format("baseline left out: {}", *refusal));
  }

  std::optional<std::string> set_up_baseline(const DecodeProblem& problem) {
    const Load load = harness::make_load(problem, 0, harness::Pattern::kSpread, 1);
    const std::int64_t bytes = bytes_to_read(problem, load);
    baseline_data_ = std::make_unique<BenchData>(bench_.opencl, problem, bytes);
    const cl::Buffer q = baseline_data_->make_q(bench_.opencl, load.routed);
    baseline_ = std::make_unique<harness::ClblastBaseline>(bench_.opencl.context, bench_.opencl.device, problem);
    const auto enqueue = [this, q] {
      baseline_->enqueue(queue_, q, baseline_data_->next_cache(), baseline_data_->v_offset_bytes(), baseline_data_->out(),
                         baseline_data_->scale());
    };
    const auto once = [&] {
      return 1e-6 * harness::time_repeats(1, [&] {
                      enqueue();
                      queue_.finish();
                    }).wall_us;
    };
    baseline_data_->spoil_output(queue_);
    once();  // CLBlast compiles at the first call
    Entry entry;
    entry.row.error = baseline_data_->relative_error(queue_, {{0, 0, problem.max_kv_len, false, problem.token_set}});
    entry.row.tolerance = kBaselineTolerance;
    const double seconds = once();
    if (seconds * kLeastBaselineSamples > kBaselineSeconds) return fmt::format("one step takes {:.1f} s", seconds);
    entry.row.variant = kBaselineName;
    entry.row.bytes = bytes;
    entry.row.kv_tokens = load.kv_tokens();
    add_entry(std::move(entry), repeated(queue_, enqueue), *baseline_data_, kBaselineSeconds);
    return std::nullopt;
  }

  harness::Summary summary_of(std::size_t candidate, double Sample::*field) const {
    return harness::summarize(values_of(candidates_[candidate], field));
  }

  std::vector<double> judged_us(std::size_t candidate) const {
    const bool by_cpu_time = harness::judged_by_cpu_time(bench_.context.device());
    return values_of(candidates_[candidate], by_cpu_time ? &Sample::cpu_us : &Sample::wall_us);
  }

  // The first that does the same lengths with nothing routed.
  const Entry* dense_counterpart(const Entry& entry) const {
    const auto dense = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& other) {
      return other.row.routed == 0 && (!entry.step || !other.step || other.step->load().kv_lens == entry.step->load().kv_lens);
    });
    return dense != entries_.end() ? &*dense : nullptr;
  }

  void compare(Entry& entry) const {
    BenchRow& row = entry.row;
    const std::vector<double> times = judged_us(entry.candidate);
    row.percent_of_read = 100 * harness::paired_ratio(judged_us(entry.read_candidate), times);
    if (const Entry* dense = dense_counterpart(entry)) {
      row.speedup = harness::paired_ratio(judged_us(dense->candidate), times);
    }
    if (entry.equal >= entries_.size()) return;
    const Entry& equal = entries_[entry.equal];  // of the same bytes, to a row
    row.percent_of_equal = 100 * harness::paired_ratio(judged_us(equal.candidate), times) * static_cast<double>(row.bytes) /
                           static_cast<double>(equal.row.bytes);
  }

  std::vector<BenchRow> finished_rows() {
    std::vector<BenchRow> rows;
    for (Entry& entry : entries_) {
      BenchRow& row = entry.row;
      row.wall_us = summary_of(entry.candidate, &Sample::wall_us);
      row.cpu_us = summary_of(entry.candidate, &Sample::cpu_us);
      row.read_wall_us = summary_of(entry.read_candidate, &Sample::wall_us);
      row.read_cpu_us = summary_of(entry.read_candidate, &Sample::cpu_us);
      if (row.wall_us.count == 0) continue;
      compare(entry);
      if (entry.step) {
        row.enqueue_us = harness::median(entry.step->enqueue_us());
        for (const auto& [stage, samples] : entry.step->stage_us()) row.stage_us.emplace_back(stage, harness::median(samples));
      }
      rows.push_back(row);
    }
    return rows;
  }

  Bench& bench_;
  DecodeProblem problem_;
  DecodeProblem plain_;  // with every stride
  BenchData data_;
  cl::CommandQueue queue_, profiling_queue_;
  std::unique_ptr<BenchData> baseline_data_;
  std::unique_ptr<harness::ClblastBaseline> baseline_;
  std::vector<Candidate> candidates_;
  std::vector<Entry> entries_;
};

}  // namespace

std::vector<BenchRow> bench_problem(Bench& bench, const DecodeProblem& problem) { return ProblemBench(bench, problem).run(); }

}  // namespace clsink::cli
