// SPDX-License-Identifier: Apache-2.0
#include "tuning/tune_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <limits>
#include <memory>
#include <random>

#include "harness/bench_data.hpp"
#include "harness/bench_load.hpp"
#include "harness/bench_step.hpp"
#include "harness/compare.hpp"
#include "harness/launch_timing.hpp"
#include "harness/traffic.hpp"

namespace clsink::tuning {
namespace {

constexpr double kRoutedShare = 0.5;
// Of a cell's time: for first runs of variants, and for these and other launches of the best ones; the rest is for rounds.
constexpr double kVariantShare = 0.6, kLaunchShare = 0.75;
constexpr double kHopeless = 2;  // times slower than the best so far, in its first sample
constexpr int kBestVariants = 3;
constexpr int kOwnTurns = 3;     // of the planned engine's variants, before one of another engine
constexpr int kLeastRounds = 3;  // before anything is dropped
constexpr int kEnoughRounds = 24;
constexpr double kDropPercent = 3;
constexpr std::uint32_t kOrderSeed = 1;

// Its sequences are measured at one length: a row from that must not be one that others suffer from.
constexpr const char* kStaticBatch =
    "sequences of a batch may differ in length, and a static schedule gives each as many workers";

constexpr LaunchTuning kFirstLaunch{2, 1};  // of engines that no tuning row names

class Cell {
 public:
  Cell(Context& context, const harness::OpenClDevice& opencl, harness::ReadBandwidth& read, const DecodeProblem& problem,
       const CellOptions& options, Observer& observer)
      : context_(context),
        opencl_(opencl),
        read_(read),
        problem_(problem),
        options_(options),
        observer_(observer),
        begin_us_(harness::wall_clock_us()),
        queue_(opencl.queue()),
        planned_(context.plan(problem)),
        load_(harness::make_load(planned_.problem, problem.routing.enabled ? kRoutedShare : 0, harness::Pattern::kSpread, 1)),
        bytes_(harness::bytes_to_read(planned_.problem, load_)),
        data_(opencl, planned_.problem, bytes_) {}

  CellResult run() {
    const DecodePlan untuned = context_.plan_untuned(planned_.problem);
    add_read_kernel();
    admit_or_throw(candidate_of(planned_));
    expected_.assign(runners_.front().output.begin(), runners_.front().output.end());
    if (candidate_of(untuned) != candidate_of(planned_)) admit_or_throw(candidate_of(untuned));
    untuned_ = runners_.size() - 1;
    try_variants();
    try_launches();
    const int rounds = run_rounds();
    return result(rounds);
  }

 private:
  // A candidate that is still in, or the read kernel.
  struct Runner {
    Candidate candidate;
    std::unique_ptr<harness::BenchStep> step;
    std::function<harness::Sample()> measure;
    std::vector<float> output;
    double error = 0, first_us = 0;
    std::vector<double> us;  // by round
    bool in = true;
  };
  static constexpr std::size_t kPlanned = 0;

  static Candidate candidate_of(const DecodePlan& plan) { return {plan.variant, plan.launch.tuning}; }

  double seconds() const { return 1e-6 * (harness::wall_clock_us() - begin_us_); }
  bool time_left(double share) const { return !observer_.stop() && seconds() < share * options_.seconds; }
  double judged_us(const harness::Sample& sample) const { return harness::judged_us(context_.device(), sample); }

  bool known_bad(const Candidate& candidate) const { return options_.known_bad && options_.known_bad(candidate); }

  bool answers() {
    try {
      read_runner_.measure();
      return true;
    } catch (const cl::Error&) {
      return false;
    }
  }
  // Some drivers take nothing any more from a process in which a kernel went wrong: what came next would be blamed for it.
  void throw_if_lost(const std::string& reason) {
    if (answers()) return;
    observer_.device_lost(reason);
    throw Error(ErrorCode::kOpenCl, fmt::format("the device answers no more: {}", reason));
  }

  bool tried(const Candidate& candidate) const { return std::find(tried_.begin(), tried_.end(), candidate) != tried_.end(); }

  void reject(const Candidate& candidate, Rejection why, const std::string& reason) {
    observer_.rejected(candidate, why, reason.substr(0, reason.find('\n')));
  }

  // Builds, verifies and runs it; what goes wrong is why it is out.
  std::optional<std::pair<Rejection, std::string>> first_run(const Candidate& candidate, Runner& runner) {
    FirstRun first;
    runner.candidate = candidate;
    double begin_us = harness::wall_clock_us();
    const auto lap = [&begin_us] {
      const double now_us = harness::wall_clock_us(), lap_s = 1e-6 * (now_us - begin_us);
      begin_us = now_us;
      return lap_s;
    };
    try {
      const DecodePlan plan = context_.plan(planned_.problem, candidate.variant, candidate.launch);
      runner.step = std::make_unique<harness::BenchStep>(context_, opencl_, plan, data_, load_);
    } catch (const Error& error) {
      return std::pair{error.code() == ErrorCode::kUnsupportedDevice ? Rejection::kConstraint : Rejection::kBuild,
                       error.what()};
    } catch (const cl::Error& error) {
      return std::pair{Rejection::kLaunch, fmt::format("{} returned {}", error.what(), error.err())};
    }
    first.prepare_s = lap();
    try {
      first.error = runner.error = runner.step->relative_error(queue_);
      runner.output = data_.read_output(queue_);
      first.verify_s = lap();
      if (auto reason = wrong_reason(runner)) return std::pair{Rejection::kWrong, *reason};
      harness::BenchStep& step = *runner.step;
      runner.measure = harness::repeated(queue_, [this, &step] { step.enqueue(queue_); });
      first.us = runner.first_us = judged_us(runner.measure());
    } catch (const Error& error) {
      return std::pair{Rejection::kLaunch, error.what()};
    } catch (const cl::Error& error) {
      return std::pair{Rejection::kLaunch, fmt::format("{} returned {}", error.what(), error.err())};
    }
    observer_.ran(candidate, first);
    return std::nullopt;
  }

  // Some groups against the reference on the host, all of them against the first candidate, which was held to the same.
  std::optional<std::string> wrong_reason(const Runner& runner) const {
    const double tolerance = harness::tolerance(planned_.problem.out_dtype);
    if (!(runner.error <= tolerance)) {
      return fmt::format("{:.1e} from the reference, allowed are {:.0e}", runner.error, tolerance);
    }
    if (expected_.empty()) return std::nullopt;
    const double apart = harness::relative_distance(runner.output, expected_);
    if (!(apart <= 2 * tolerance)) {
      return fmt::format("{:.1e} from the planned variant's output, allowed are {:.0e}", apart, 2 * tolerance);
    }
    return std::nullopt;
  }

  bool admit(const Candidate& candidate, std::optional<std::pair<Rejection, std::string>>* failure = nullptr) {
    tried_.push_back(candidate);
    observer_.begins(candidate);
    Runner runner;
    const auto out = first_run(candidate, runner);
    if (out) {
      throw_if_lost(out->second);
      reject(candidate, out->first, out->second);
      if (failure != nullptr) *failure = out;
      return false;
    }
    ++ran_;
    best_first_us_ = std::min(best_first_us_, runner.first_us);
    if (failure == nullptr && runner.first_us > kHopeless * best_first_us_) {
      reject(candidate, Rejection::kSlow,
             fmt::format("{:.1f} us in its first sample, another one {:.1f}", runner.first_us, best_first_us_));
      return false;
    }
    runners_.push_back(std::move(runner));
    return true;
  }

  // What is compared with must run.
  void admit_or_throw(const Candidate& candidate) {
    if (known_bad(candidate)) {
      throw Error(ErrorCode::kBuildFailed,
                  fmt::format("what the device gets for {} was thrown out before", to_string(problem_)));
    }
    std::optional<std::pair<Rejection, std::string>> failure;
    if (admit(candidate, &failure)) return;
    throw Error(ErrorCode::kBuildFailed, fmt::format("what the device gets for {} does not pass ({}): {}", to_string(problem_),
                                                     to_string(failure->first), failure->second));
  }

  void add_read_kernel() {
    const std::int64_t granularity = harness::ReadBandwidth::kGranularityBytes;
    const std::int64_t bytes =
        std::clamp((bytes_ + granularity - 1) / granularity * granularity, granularity, data_.cache_bytes());
    read_runner_.measure = harness::repeated(queue_, [this, bytes] { read_.enqueue(queue_, data_.next_cache(), bytes); });
  }

  // The launch that the candidate's engine has in the rows that were planned, or one to begin with.
  LaunchTuning first_launch(const DecodeVariant& variant) const {
    for (const Runner& runner : runners_) {
      if (runner.candidate.variant.engine == variant.engine) return runner.candidate.launch;
    }
    return kFirstLaunch;
  }

  bool is_static_batch(const DecodeVariant& variant) const {
    return planned_.problem.max_batch > 1 && variant.schedule == Schedule::kStatic;
  }

  // Likely ones first, then all that fit in an order without order, the planned engine's more often: when time is short, every
  // kind has had its turn.
  void try_variants() {
    std::vector<Candidate> order;
    for (const Candidate& candidate : options_.likely) {
      if (!is_static_batch(candidate.variant)) order.push_back(candidate);
    }
    std::vector<DecodeVariant> own, others;  // of the planned engine, and not
    for (const VariantFit& one : context_.search_space(planned_.problem)) {
      const std::string misfit = one.misfit.empty() && is_static_batch(one.variant) ? kStaticBatch : one.misfit;
      if (misfit.empty()) {
        (one.variant.engine == planned_.variant.engine ? own : others).push_back(one.variant);
      } else {
        reject({one.variant, first_launch(one.variant)}, Rejection::kConstraint, misfit);
      }
    }
    std::mt19937 bits(kOrderSeed);
    for (std::vector<DecodeVariant>* variants : {&own, &others}) {
      for (std::size_t i = variants->size(); i > 1; --i) std::swap((*variants)[i - 1], (*variants)[bits() % i]);
    }
    for (std::size_t i = 0, j = 0; i < own.size() || j < others.size();) {
      for (int turn = 0; turn < kOwnTurns && i < own.size(); ++turn, ++i) order.push_back({own[i], first_launch(own[i])});
      if (j == others.size()) continue;
      order.push_back({others[j], first_launch(others[j])});
      ++j;
    }
    for (std::size_t i = 0; i < order.size() && time_left(kVariantShare); ++i) {
      observer_.progress(seconds() / options_.seconds, fmt::format("variant {} of {}", i + 1, order.size()));
      if (!tried(order[i]) && !known_bad(order[i])) admit(order[i]);
    }
  }

  // Other numbers of workers for the best variants: nothing to compile.
  void try_launches() {
    std::vector<DecodeVariant> best;
    for (const Runner* runner : by_time()) {
      if (best.size() == kBestVariants) break;
      if (std::find(best.begin(), best.end(), runner->candidate.variant) == best.end())
        best.push_back(runner->candidate.variant);
    }
    for (const std::int32_t min_tiles : {1, 2, 4}) {
      for (const std::int32_t workers_per_cu : {1, 2, 3, 4, 6, 8}) {
        for (const DecodeVariant& variant : best) {
          const Candidate candidate{variant, {workers_per_cu, min_tiles}};
          if (!time_left(kLaunchShare)) return;
          observer_.progress(seconds() / options_.seconds, "numbers of workers");
          if (!tried(candidate) && !known_bad(candidate)) admit(candidate);
        }
      }
    }
  }

  std::vector<const Runner*> by_time() const {
    std::vector<const Runner*> order;
    for (const Runner& runner : runners_) {
      if (runner.in) order.push_back(&runner);
    }
    const auto time = [](const Runner* runner) { return runner->us.empty() ? runner->first_us : harness::median(runner->us); };
    std::stable_sort(order.begin(), order.end(), [&](const Runner* a, const Runner* b) { return time(a) < time(b); });
    return order;
  }

  void sample(Runner& runner, int round) {
    try {
      runner.us.push_back(judged_us(runner.measure()));
    } catch (const std::exception& error) {
      if (&runner != &read_runner_) observer_.begins(runner.candidate);  // once more, to be blamed
      throw_if_lost(error.what());
      throw;
    }
    if (&runner != &read_runner_) observer_.sampled(runner.candidate, round, runner.us.back());
  }

  // Who takes more than the best one's time beyond the noise of both leaves, but for those that gains are measured against.
  void drop_losers() {
    const std::vector<const Runner*> order = by_time();
    const Runner& best = *order.front();
    for (std::size_t i = 0; i < runners_.size(); ++i) {
      Runner& runner = runners_[i];
      if (!runner.in || &runner == &best || i == kPlanned || i == untuned_) continue;
      const double percent = 100 * (harness::paired_ratio(runner.us, best.us) - 1);
      if (percent <= std::max(kDropPercent, 2 * (harness::mad_percent(runner.us) + harness::mad_percent(best.us)))) continue;
      runner.in = false;
      reject(runner.candidate, Rejection::kSlow,
             fmt::format("{:.1f} us, {:.1f} % more than the best one in {} rounds", harness::median(runner.us), percent,
                         runner.us.size()));
      runner.step.reset();
    }
  }

  // Complete rounds. The order is turned from round to round, so that none always follows the same neighbour.
  int run_rounds() {
    int round = 0;
    for (; round < kEnoughRounds; ++round) {
      if (round >= kLeastRounds && !time_left(1)) break;
      std::vector<Runner*> turns{&read_runner_};
      for (Runner& runner : runners_) {
        if (runner.in) turns.push_back(&runner);
      }
      for (std::size_t i = 0; i < turns.size(); ++i) {
        if (observer_.stop()) return round;
        sample(*turns[(i + static_cast<std::size_t>(round)) % turns.size()], round);
      }
      observer_.progress(seconds() / options_.seconds, fmt::format("round {}, {} candidates", round + 1, turns.size() - 1));
      if (round + 1 >= kLeastRounds) drop_losers();
    }
    return round;
  }

  static Measured measured(const Runner& runner) { return {runner.candidate, harness::summarize(runner.us), runner.error}; }

  CellResult result(int rounds) const {
    CellResult result;
    result.problem = problem_;
    result.routed = static_cast<double>(load_.num_routed()) / static_cast<double>(load_.routed.size());
    result.bytes = bytes_;
    result.rounds = rounds;
    result.candidates = ran_;
    result.seconds = seconds();
    result.complete = rounds >= kLeastRounds;
    if (!result.complete) return result;
    const Runner &planned = runners_[kPlanned], &untuned = runners_[untuned_];
    const Runner* best = by_time().front();
    const double noise_percent =
        std::max(kLeastNoisePercent, harness::mad_percent(best->us) + harness::mad_percent(planned.us));
    if (100 * (harness::paired_ratio(planned.us, best->us) - 1) <= noise_percent) best = &planned;
    result.untuned = measured(untuned);
    result.planned = measured(planned);
    result.best = measured(*best);
    result.gain = harness::paired_ratio(untuned.us, best->us);
    result.gain_over_planned = harness::paired_ratio(planned.us, best->us);
    result.read_us = harness::median(read_runner_.us);
    return result;
  }

  Context& context_;
  const harness::OpenClDevice& opencl_;
  harness::ReadBandwidth& read_;
  DecodeProblem problem_;
  const CellOptions& options_;
  Observer& observer_;
  double begin_us_;
  cl::CommandQueue queue_;
  DecodePlan planned_;
  harness::Load load_;
  std::int64_t bytes_;
  harness::BenchData data_;
  std::vector<Runner> runners_;  // [kPlanned], then the untuned one unless it is the same
  Runner read_runner_;
  std::size_t untuned_ = kPlanned;
  std::vector<double> expected_;
  std::vector<Candidate> tried_;
  double best_first_us_ = std::numeric_limits<double>::infinity();
  int ran_ = 0;
};

}  // namespace

CellResult tune_cell(Context& context, const harness::OpenClDevice& opencl, harness::ReadBandwidth& read,
                     const DecodeProblem& problem, const CellOptions& options, Observer& observer) {
  try {
    return Cell(context, opencl, read, problem, options, observer).run();
  } catch (const cl::Error& error) {
    const bool memory = error.err() == CL_MEM_OBJECT_ALLOCATION_FAILURE || error.err() == CL_OUT_OF_RESOURCES ||
                        error.err() == CL_OUT_OF_HOST_MEMORY;
    throw Error(memory ? ErrorCode::kOutOfMemory : ErrorCode::kOpenCl,
                fmt::format("{} returned {}", error.what(), error.err()));
  }
}

}  // namespace clsink::tuning
