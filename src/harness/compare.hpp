// SPDX-License-Identifier: Apache-2.0
// What came back from the device against the reference: errors, decisions, status, and whether anything was touched
// that should not have been.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/reference.hpp"

namespace clsink::harness {

/// What a step wrote. Optional parts are empty when their buffer was not given.
struct Readback {
  std::vector<float> out;  ///< [batch][num_q_heads][head_dim]
  std::vector<float> lse;
  std::vector<GroupStatistics> statistics;
  std::int32_t status = 0;
  std::vector<std::string> damage;  ///< one line per buffer with bytes overwritten outside its rows
};

/// Largest ||o - ref|| / ||ref|| that passes, by output type.
double tolerance(DType out_dtype);

/// ||got - expected|| / ||expected||; 0 if they are equal, infinity if anything is NaN or the sizes differ.
double relative_distance(const std::vector<float>& got, const std::vector<double>& expected);

/// Decisions nearer to their threshold than this may differ from the reference.
constexpr double kDecisionMargin = 1e-5;

struct Outcome {
  double error = 0;            ///< ||o - ref|| / ||ref|| over the whole output; infinity if anything is NaN
  double worst_row_error = 0;  ///< the same for the worst (sequence, query head)
  double lse_error = 0;        ///< largest |lse - ref| / max(1, |ref|)
  int groups = 0;
  int routed_groups = 0;    ///< by the reference
  int excluded_groups = 0;  ///< decisions nearer than kDecisionMargin: not compared
  std::vector<std::string> failures;

  bool ok() const { return failures.empty(); }
  /// All failures and the figures in one line.
  std::string summary() const;
};

/// Status is compared only if the step was given a status buffer.
Outcome compare(const DecodeProblem& problem, const ReferenceResult& reference, const Readback& got, bool has_status);

}  // namespace clsink::harness
