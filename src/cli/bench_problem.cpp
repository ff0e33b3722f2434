// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>

#include "cli/bench_data.hpp"
#include "cli/bench_step.hpp"
#include "cli/traffic.hpp"
#include "harness/baseline.hpp"
#include "harness/compare.hpp"

namespace clsink::cli {
namespace {

using harness::Candidate;
using harness::Sample;

constexpr double kSampleUs = 5000;  // a sample repeats its launches until it lasts about so long
constexpr int kMostRepeats = 500;
constexpr double kBaselineSeconds = 5;  // of a baseline row in all
constexpr int kLeastBaselineSamples = 3;
constexpr double kBaselineTolerance = 1e-3;
constexpr const char* kBaselineName = "CLBlast (f32, twice the bytes)";

// Launches in a row and one wait, after a warm-up that also tells how many launches make a sample.
std::function<Sample()> repeated(const cl::CommandQueue& queue, const std::function<void()>& enqueue) {
  const auto run = [queue, enqueue](int repeats) {
    return harness::time_repeats(repeats, [&] {
      for (int i = 0; i < repeats; ++i) enqueue();
      queue.finish();
    });
  };
  run(1);
  const double once_us = run(1).wall_us;
  const int repeats = std::clamp(static_cast<int>(kSampleUs / std::max(once_us, 1.0)), 1, kMostRepeats);
  return [run, repeats] { return run(repeats); };
}

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
        data_(bench.opencl, plain_),
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
  };

  DecodePlan plan_of(const DecodeProblem& problem, const std::string& variant) const {
    if (variant.empty()) return bench_.context.plan(problem);
    if (variant.find('|') == std::string::npos) return bench_.context.plan(problem, parse_variant(variant));
    return bench_.context.plan_from_text(to_string(problem) + " | " + variant);
  }

  void add_steps() {
    std::vector<std::string> variants = bench_.options.variants;
    if (variants.empty()) variants.emplace_back();
    for (const std::string& variant : variants) {
      std::set<std::ptrdiff_t> done;  // few heads cannot show every fraction
      for (const double fraction : bench_.options.routed) {
        if (bench_.stop()) return;
        const std::vector<bool> routed = routed_heads(problem_.num_kv_heads, fraction, bench_.options.contiguous);
        if (done.insert(std::count(routed.begin(), routed.end(), true)).second) add_step(variant, routed);
      }
    }
  }

  void add_step(const std::string& variant, const std::vector<bool>& routed) {
    const auto num_routed = std::count(routed.begin(), routed.end(), true);
    const DecodePlan plan = plan_of(num_routed > 0 ? with_routing(problem_) : problem_, variant);
    Entry entry;
    entry.row.routed = static_cast<double>(num_routed) / static_cast<double>(routed.size());
    entry.row.variant = to_string(plan.variant);
    if (variant.find('|') != std::string::npos) entry.row.variant = variant;
    entry.row.bytes = bytes_to_read(plan.problem, routed);
    entry.step = std::make_unique<BenchStep>(bench_.context, bench_.opencl, plan, data_, routed);
    entry.row.error = entry.step->relative_error(queue_);
    entry.row.tolerance = harness::tolerance(problem_.out_dtype);

    BenchStep& step = *entry.step;
    const auto timed = repeated(queue_, [this, &step] { step.enqueue(queue_); });
    const auto measure = [this, &step, timed] {
      const Sample sample = timed();
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
    entry.row.judge_by_cpu_time = judged_by_cpu_time(bench_.context.device());
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
    baseline_data_ = std::make_unique<BenchData>(bench_.opencl, problem);
    baseline_ = std::make_unique<harness::ClblastBaseline>(bench_.opencl.context, bench_.opencl.device, problem);
    const auto enqueue = [this] {
      baseline_->enqueue(queue_, baseline_data_->q(), baseline_data_->next_cache(), baseline_data_->v_offset_bytes(),
                         baseline_data_->out(), baseline_data_->scale());
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
    entry.row.error = baseline_data_->relative_error(queue_, {{0, false}}, {});
    entry.row.tolerance = kBaselineTolerance;
    const double seconds = once();
    if (seconds * kLeastBaselineSamples > kBaselineSeconds) return fmt::format("one step takes {:.1f} s", seconds);
    entry.row.variant = kBaselineName;
    entry.row.bytes = bytes_to_read(problem, {});
    add_entry(std::move(entry), repeated(queue_, enqueue), *baseline_data_, kBaselineSeconds);
    return std::nullopt;
  }

  harness::Summary summary_of(std::size_t candidate, double Sample::*field) const {
    return harness::summarize(values_of(candidates_[candidate], field));
  }

  std::vector<BenchRow> finished_rows() {
    const auto judged = judged_by_cpu_time(bench_.context.device()) ? &Sample::cpu_us : &Sample::wall_us;
    const auto dense = std::find_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.row.routed == 0; });
    std::vector<BenchRow> rows;
    for (Entry& entry : entries_) {
      BenchRow& row = entry.row;
      row.wall_us = summary_of(entry.candidate, &Sample::wall_us);
      row.cpu_us = summary_of(entry.candidate, &Sample::cpu_us);
      row.read_wall_us = summary_of(entry.read_candidate, &Sample::wall_us);
      row.read_cpu_us = summary_of(entry.read_candidate, &Sample::cpu_us);
      if (row.wall_us.count == 0) continue;
      const std::vector<double> times = values_of(candidates_[entry.candidate], judged);
      row.percent_of_read = 100 * harness::paired_ratio(values_of(candidates_[entry.read_candidate], judged), times);
      if (dense != entries_.end()) row.speedup = harness::paired_ratio(values_of(candidates_[dense->candidate], judged), times);
      if (entry.step) {
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
