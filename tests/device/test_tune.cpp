// SPDX-License-Identifier: Apache-2.0
// tune() in the caller's process: what it finds runs, is planned by once its rows are added, and nothing else changes.
#include <gtest/gtest.h>

#include <clsink/tune.hpp>

#include "environment.hpp"
#include "error_setup.hpp"

namespace clsink {
namespace {

using harness::error_of;
using harness::test_device;

const char* const kProblem = "f32 hq=4 hkv=2 d=32 b=2 kv=300 route=mean";

TuneResult tuned(Context& context, const TuneBudget& budget) {
  const harness::OpenClDevice& opencl = test_device();
  return tune(context, opencl.context(), opencl.device(), parse_problem(kProblem), budget);
}

TEST(Tune, ItsRowsArePlannedBy) {
  const harness::OpenClDevice& opencl = test_device();
  Context context(opencl.context(), opencl.device());
  const DecodeProblem problem = parse_problem(kProblem);
  const DecodePlan before = context.plan(problem);
  TuneBudget budget;
  budget.seconds = 6;
  if (context.device().lanes_are_work_items) budget.seconds = 60;  // Mesa's llvmpipe builds a variant for seconds
  double last = 0;
  budget.progress = [&](double done, const std::string& doing) {
    EXPECT_FALSE(doing.empty());
    last = done;
  };
  const TuneResult result = tuned(context, budget);
  ASSERT_TRUE(result.complete);
  EXPECT_GT(last, 0);
  EXPECT_GT(result.candidates, 1);
  EXPECT_GT(result.us, 0);
  EXPECT_GT(result.gain, 0.8);  // the untuned plan, unless something is faster beyond the noise
  EXPECT_EQ(context.plan(problem), before);
  EXPECT_EQ(context.plan(problem).match_reason, before.match_reason);

  context.add_tuning("mine", result.rows);
  const DecodePlan after = context.plan(problem);
  EXPECT_EQ(after.variant, result.variant);
  EXPECT_EQ(after.launch.tuning, result.launch);
  EXPECT_EQ(after.match, MatchLevel::kDevice);
  EXPECT_EQ(after.match_reason.rfind("device row mine:", 0), 0U) << after.match_reason;
  EXPECT_EQ(context.plan_untuned(problem), before);
  context.prepare(after);
}

TEST(Tune, StopsWhenAsked) {
  const harness::OpenClDevice& opencl = test_device();
  Context context(opencl.context(), opencl.device());
  TuneBudget budget;
  budget.stop = [] { return true; };
  const TuneResult result = tuned(context, budget);
  EXPECT_FALSE(result.complete);
  EXPECT_TRUE(result.rows.empty());
}

TEST(Tune, Errors) {
  const harness::OpenClDevice& opencl = test_device();
  Context context(opencl.context(), opencl.device());
  TuneBudget budget;
  budget.seconds = 0;
  const auto [code, message] = error_of([&] { tuned(context, budget); });
  EXPECT_EQ(code, ErrorCode::kInvalidProblem);
  EXPECT_EQ(message, "budget.seconds is 0, must be positive");

  const auto [row_code, row_message] = error_of([&] { context.add_tuning("mine", "# clsink tuning db 1\nf16 | x | y\n"); });
  EXPECT_EQ(row_code, ErrorCode::kInvalidProblem);
  EXPECT_EQ(row_message, "mine:2: a row stands before the first device line");
  ContextOptions options;
  options.tuning_files = {"/nowhere/at.tune"};
  const auto [file_code, file_message] = error_of([&] { Context other(opencl.context(), opencl.device(), options); });
  EXPECT_EQ(file_code, ErrorCode::kInvalidProblem);
  EXPECT_EQ(file_message, "tuning file /nowhere/at.tune: cannot be read");
}

}  // namespace
}  // namespace clsink
