// SPDX-License-Identifier: Apache-2.0
#include <clsink/tune.hpp>

#include <fmt/format.h>

#include <clsink/version.hpp>

#include "harness/timing.hpp"
#include "tuning/rows.hpp"
#include "tuning/tune_cell.hpp"

namespace clsink {
namespace {

constexpr std::size_t kDay = 10;  // of "2026-11-22T..."

class BudgetObserver : public tuning::Observer {
 public:
  explicit BudgetObserver(const TuneBudget& budget) : budget_(budget) {}
  void rejected(const tuning::Candidate&, tuning::Rejection why, const std::string&) override {
    if (why != tuning::Rejection::kConstraint && why != tuning::Rejection::kSlow) ++rejected_;
  }
  void progress(double done, const std::string& doing) override {
    if (budget_.progress) budget_.progress(done, doing);
  }
  bool stop() override { return budget_.stop && budget_.stop(); }
  int rejected_count() const { return rejected_; }

 private:
  const TuneBudget& budget_;
  int rejected_ = 0;
};

}  // namespace

TuneResult tune(Context& context, cl_context opencl_context, cl_device_id device, const DecodeProblem& problem,
                const TuneBudget& budget) {
  if (!(budget.seconds > 0)) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("budget.seconds is {}, must be positive", budget.seconds));
  }
  const harness::OpenClDevice opencl{cl::Device(device, true), cl::Context(opencl_context, true), context.device().name};
  harness::ReadBandwidth read(opencl.context, opencl.device);
  BudgetObserver observer(budget);
  tuning::CellOptions options;
  options.seconds = budget.seconds;
  const tuning::CellResult cell = tuning::tune_cell(context, opencl, read, problem, options, observer);
  TuneResult result;
  result.candidates = cell.candidates;
  result.rejected = observer.rejected_count();
  result.complete = cell.complete;
  if (!cell.complete) return result;
  result.variant = cell.best.candidate.variant;
  result.launch = cell.best.candidate.launch;
  result.us = cell.best.us.median;
  result.mad_percent = cell.best.us.mad_percent;
  result.gain = cell.gain;
  const tuning::Winner winner{problem,
                              cell.best.candidate,
                              cell.planned.candidate,
                              result.us,
                              result.mad_percent,
                              result.gain,
                              context.device().driver,
                              version(),
                              harness::utc_date().substr(0, kDay)};
  result.rows = tuning::merge_rows("rows", "", context.tuning_device_line(), {winner}).text;
  return result;
}

}  // namespace clsink
