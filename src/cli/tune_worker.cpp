// SPDX-License-Identifier: Apache-2.0
#include "cli/tune_worker.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <clsink/context.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "cli/interrupt.hpp"
#include "harness/opencl_device.hpp"
#include "harness/read_bandwidth.hpp"
#include "harness/timing.hpp"
#include "tuning/journal.hpp"

namespace clsink::cli {
namespace {

using tuning::Candidate;
using tuning::CellResult;

// A cell gets an equal part of what is left, but so much that its result is worth something: the last cells then wait for the
// next run. Four cells or fewer share what there is.
constexpr double kWorthwhileSeconds = 20, kMostCellSeconds = 180, kLeastCellSeconds = 3, kFewCells = 4;
constexpr std::size_t kLikely = 6;
constexpr int kBarWidth = 24;

std::string minutes_text(double seconds) {
  const auto whole = static_cast<int>(std::max(seconds, 0.0));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

// One line that is written over on a terminal; nothing elsewhere, where every cell has a line of its own.
class ProgressBar {
 public:
  void show(double done, const std::string& text) {
    if (!terminal_) return;
    const auto filled = static_cast<int>(std::clamp(done, 0.0, 1.0) * kBarWidth);
    fmt::print("\r\x1b[K[{}{}] {}", std::string(static_cast<std::size_t>(filled), '#'),
               std::string(static_cast<std::size_t>(kBarWidth - filled), '.'), text);
    std::fflush(stdout);
  }
  void clear() const {
    if (terminal_) fmt::print("\r\x1b[K");
  }

 private:
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
};

// What a cell is tuned on, each on one of its own: in a sweep that kept one, some steps on an NVIDIA H200 (driver 580.159.04)
// became slower cell by cell, 40 us took 57 after 700 programs and 140 after 2000.
struct Bench {
  harness::OpenClDevice opencl;
  Context context;
  harness::ReadBandwidth read;

  explicit Bench(const SweepOptions& options)
      : opencl(options.device.empty() ? harness::open_device() : harness::open_device(options.device)),
        context(opencl.context(), opencl.device(), context_options(options)),
        read(opencl.context, opencl.device) {}

  static ContextOptions context_options(const SweepOptions& options) {
    ContextOptions result;
    result.tuning_files = options.tuning_files;
    return result;
  }
};

class Sweep {
 public:
  explicit Sweep(const SweepOptions& options)
      : options_(options), bench_(std::in_place, options), journal_(options.journal, bench_->context.device()) {}

  int run() {
    const Context& context = bench_->context;
    for (const DecodeProblem& problem : options_.problems) context.search_space(problem);  // throws if it is no problem at all
    catch_interrupts();
    if (!journal_.before().remark.empty()) fmt::print("{}\n", journal_.before().remark);
    journal_.run(context.device(), context.tuning_device_line(), options_.suite);
    std::size_t before = 0;
    for (const DecodeProblem& problem : options_.problems) before += journal_.finished(to_string(problem)) ? 1 : 0;
    fmt::print("{}, driver {}: {} cells, {} of them measured before; journal {}\n", bench_->opencl.name,
               context.device().driver, options_.problems.size(), before, options_.journal);
    for (std::size_t i = 0; i < options_.problems.size(); ++i) {
      const DecodeProblem& problem = options_.problems[i];
      if (is_done(problem)) continue;
      const double left = seconds_left();
      if (stop() || left < kLeastCellSeconds) break;
      const double cells = cells_left(i), least = std::min(kWorthwhileSeconds, left / std::min(cells, kFewCells));
      tune(i, std::clamp(left / cells, least, kMostCellSeconds));
    }
    return interrupted() ? kExitInterrupted : 0;
  }

 private:
  // Writes down what happens in a cell, and shows it.
  class CellObserver : public tuning::Observer {
   public:
    CellObserver(Sweep& sweep, std::size_t index)
        : sweep_(sweep), index_(index), cell_(to_string(sweep.options_.problems[index])) {}
    void begins(const Candidate& candidate) override { sweep_.journal_.begin(cell_, candidate); }
    void ran(const Candidate& candidate, const tuning::FirstRun& first) override {
      sweep_.journal_.ran(cell_, candidate, first);
    }
    void sampled(const Candidate& candidate, int round, double us) override {
      sweep_.journal_.sample(cell_, candidate, round, us);
    }
    void rejected(const Candidate& candidate, tuning::Rejection why, const std::string& reason) override {
      sweep_.journal_.rejected(cell_, candidate, why, reason);
    }
    void device_lost(const std::string&) override {
      sweep_.bar_.clear();
      std::fflush(stdout);
      std::_Exit(kExitDeviceLost);
    }
    void progress(double done, const std::string& doing) override {
      const double cells = static_cast<double>(sweep_.options_.problems.size());
      sweep_.bar_.show((static_cast<double>(index_) + done) / cells,
                       fmt::format("cell {} of {}: {}, {}; {} left", index_ + 1, sweep_.options_.problems.size(), cell_, doing,
                                   minutes_text(sweep_.seconds_left())));
    }
    bool stop() override { return sweep_.stop(); }

   private:
    Sweep& sweep_;
    std::size_t index_;
    std::string cell_;
  };

  // Asked to, or left behind by the process that watches.
  bool stop() const { return interrupted() || getppid() != watcher_; }

  double seconds_left() const { return 1e-6 * (options_.end_us - harness::wall_clock_us()); }

  bool is_done(const DecodeProblem& problem) const {
    const std::string cell = to_string(problem);
    return journal_.finished(cell) || (options_.going_on && journal_.skipped(cell));
  }

  double cells_left(std::size_t from) const {
    double cells = 0;
    for (std::size_t i = from; i < options_.problems.size(); ++i) cells += is_done(options_.problems[i]) ? 0 : 1;
    return cells;
  }

  // Winners of cells with the same rows and groups first, the latest of them before others.
  std::vector<Candidate> likely(const DecodeProblem& problem) const {
    std::vector<Candidate> found;
    for (const bool alike : {true, false}) {
      for (auto winner = winners_.rbegin(); winner != winners_.rend() && found.size() < kLikely; ++winner) {
        const DecodeProblem& other = winner->problem;
        const bool same = other.head_dim == problem.head_dim && other.group_size() == problem.group_size() &&
                          other.routing.enabled == problem.routing.enabled;
        const Candidate& best = winner->best.candidate;
        if (same == alike && std::find(found.begin(), found.end(), best) == found.end()) found.push_back(best);
      }
    }
    return found;
  }

  void tune(std::size_t index, double seconds) {
    const DecodeProblem& problem = options_.problems[index];
    const std::string cell = to_string(problem);
    CellObserver observer(*this, index);
    tuning::CellOptions cell_options;
    cell_options.seconds = seconds;
    cell_options.likely = likely(problem);
    cell_options.known_bad = [&](const Candidate& candidate) { return journal_.known_bad(cell, candidate); };
    std::string line;
    bench_.reset();  // before there is another one
    bench_.emplace(options_);
    try {
      const CellResult result =
          tuning::tune_cell(bench_->context, bench_->opencl, bench_->read, problem, cell_options, observer);
      if (result.complete) {
        journal_.cell(result);
        winners_.push_back(result);
        line = fmt::format("{:>9.1f} us  MAD {:>4.1f} %  x{:.2f}  {}", result.best.us.median, result.best.us.mad_percent,
                           result.gain, to_string(result.best.candidate));
      } else {
        line = "stopped before its candidates were compared";
      }
    } catch (const Error& error) {
      const std::string reason = error.what();
      journal_.skipped(cell, reason);
      line = "skipped: " + reason.substr(0, reason.find('\n'));
    }
    bar_.clear();
    fmt::print("{:>4}/{}  {:<56}  {}\n", index + 1, options_.problems.size(), cell, line);
    std::fflush(stdout);
  }

  const SweepOptions& options_;
  const pid_t watcher_ = getppid();
  std::optional<Bench> bench_;
  tuning::Journal journal_;
  ProgressBar bar_;
  std::vector<CellResult> winners_;  // of this run
};

}  // namespace

int run_sweep(const SweepOptions& options) { return Sweep(options).run(); }

int print_sweep(const SweepOptions& options) {
  const Bench bench(options);
  const Context& context = bench.context;
  fmt::print("{}, driver {}: {} cells\n", bench.opencl.name, context.device().driver, options.problems.size());
  for (const DecodeProblem& problem : options.problems) {
    const std::string cell = to_string(problem);
    if (const auto reason = context.supports(problem)) {
      fmt::print("{:<56}  cannot run: {}\n", cell, *reason);
      continue;
    }
    const std::vector<VariantFit> space = context.search_space(problem);
    const auto fitting = std::count_if(space.begin(), space.end(), [](const VariantFit& one) { return one.misfit.empty(); });
    fmt::print("{:<56}  {} of {} variants fit; now: {}\n", cell, fitting, space.size(),
               to_string(context.plan(problem).variant));
  }
  return 0;
}

}  // namespace clsink::cli
