// SPDX-License-Identifier: Apache-2.0
#include "harness/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace clsink::harness {
namespace {

constexpr double kScoreTolerance = 1e-5;

// 0 for equal values (infinities too), infinity if only one is finite or any is NaN.
double relative_to_one(double got, double expected) {
  if (got == expected) return 0;
  const double error = std::abs(got - expected) / std::max(1.0, std::abs(expected));
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

double ratio(double difference, double norm) {
  if (difference == 0) return 0;
  const double error = norm > 0 ? std::sqrt(difference / norm) : std::numeric_limits<double>::infinity();
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

class Comparison {
 public:
  Comparison(const DecodeProblem& problem, const ReferenceResult& reference, const Readback& got)
      : problem_(problem), reference_(reference), got_(got) {}

  Outcome run(bool has_status) {
    outcome_.groups = static_cast<int>(reference_.margin.size());
    for (int group = 0; group < outcome_.groups; ++group) {
      outcome_.routed_groups += reference_.statistics[group].routed;
      if (!got_.statistics.empty()) compare_scores(group);
      if (reference_.margin[group] < kDecisionMargin) {
        ++outcome_.excluded_groups;
        continue;
      }
      compare_rows(group);
    }
    outcome_.error = ratio(difference_, norm_);
    require(outcome_.error, "error");
    require(outcome_.worst_row_error, "worst row's error");
    if (!(outcome_.lse_error <= kScoreTolerance))
      outcome_.failures.push_back(fmt::format("lse error {:.3g}", outcome_.lse_error));
    if (has_status && got_.status != reference_.status) {
      outcome_.failures.push_back(fmt::format("status {} instead of {}", got_.status, reference_.status));
    }
    outcome_.failures.insert(outcome_.failures.end(), got_.damage.begin(), got_.damage.end());
    return std::move(outcome_);
  }

 private:
  void require(double error, const char* what) {
    const double bound = tolerance(problem_.out_dtype);
    if (!(error <= bound)) outcome_.failures.push_back(fmt::format("{} {:.3g} > {:.0e}", what, error, bound));
  }

  void compare_scores(int group) {
    const GroupStatistics& expected = reference_.statistics[group];
    const GroupStatistics& got = got_.statistics[group];
    const bool close = relative_to_one(got.mean_score, expected.mean_score) <= kScoreTolerance &&
                       relative_to_one(got.min_score, expected.min_score) <= kScoreTolerance &&
                       relative_to_one(got.sink_logit, expected.sink_logit) <= kScoreTolerance;
    const bool decided = got.routed == expected.routed || reference_.margin[group] < kDecisionMargin;
    if (close && decided) return;
    outcome_.failures.push_back(fmt::format("group {} statistics ({}, {}, {}, {}) instead of ({}, {}, {}, {})", group,
                                            got.mean_score, got.min_score, got.sink_logit, got.routed, expected.mean_score,
                                            expected.min_score, expected.sink_logit, expected.routed));
  }

  void compare_rows(int group) {
    for (int j = 0; j < problem_.group_size(); ++j) {
      const std::size_t row = static_cast<std::size_t>(group) * problem_.group_size() + j;
      double difference = 0, norm = 0;
      for (int c = 0; c < problem_.head_dim; ++c) {
        const double expected = reference_.out[row * problem_.head_dim + c];
        const double delta = got_.out[row * problem_.head_dim + c] - expected;
        difference += delta * delta;
        norm += expected * expected;
      }
      difference_ += difference;
      norm_ += norm;
      outcome_.worst_row_error = std::max(outcome_.worst_row_error, ratio(difference, norm));
      if (!got_.lse.empty()) {
        outcome_.lse_error = std::max(outcome_.lse_error, relative_to_one(got_.lse[row], reference_.lse[row]));
      }
    }
  }

  const DecodeProblem& problem_;
  const ReferenceResult& reference_;
  const Readback& got_;
  Outcome outcome_;
  double difference_ = 0;
  double norm_ = 0;
};

}  // namespace

double relative_distance(const std::vector<float>& got, const std::vector<double>& expected) {
  if (got.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double error = 0, norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = got[i] - expected[i];
    error += difference * difference;
    norm += expected[i] * expected[i];
  }
  if (error == 0) return 0;  // of a zero output too
  const double relative = std::sqrt(error / norm);
  return std::isnan(relative) ? std::numeric_limits<double>::infinity() : relative;
}

double tolerance(DType out_dtype) {
  switch (out_dtype) {
    case DType::kF16:
      return 1e-3;
    case DType::kBF16:
      return 4e-3;
    case DType::kF32:
      return 1e-5;
  }
  return 0;
}

std::string Outcome::summary() const {
  return fmt::format("{}error {:.3g}, worst row {:.3g}, lse {:.3g}, {} of {} groups routed, {} excluded",
                     failures.empty() ? std::string() : fmt::format("{}; ", fmt::join(failures, "; ")), error, worst_row_error,
                     lse_error, routed_groups, groups, excluded_groups);
}

Outcome compare(const DecodeProblem& problem, const ReferenceResult& reference, const Readback& got, bool has_status) {
  return Comparison(problem, reference, got).run(has_status);
}

}  // namespace clsink::harness
