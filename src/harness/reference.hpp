// SPDX-License-Identifier: Apache-2.0
// The specification: sink-routed decode attention in plain loops and double. Knows tokens, not memory: layouts, pages
// and strides are behind `key` and `value`, so that it cannot share a mistake with the kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <clsink/context.hpp>

namespace clsink::harness {

/// Row of head_dim floats of (sequence, kv head, token).
using TokenRow = std::function<const float*(int sequence, int kv_head, int token)>;

/// What a step reads, as values. Rows are rounded to the storage type by the reference. Empty vectors: not given.
struct ReferenceInputs {
  std::vector<float> q;  ///< [batch][num_q_heads][head_dim]
  TokenRow key;
  TokenRow value;
  std::vector<std::int32_t> kv_lens;  ///< [batch], as in the device's buffer, faulty ones included
  std::vector<std::int32_t> anchors;
  std::vector<std::int32_t> head_mask;
  std::vector<float> tau_offsets;
  /// Whether the page table's entry for this token is outside the cache; may be empty.
  std::function<bool(int sequence, int token)> page_out_of_range;
};

struct ReferenceResult {
  std::vector<double> out;                  ///< [batch][num_q_heads][head_dim], not rounded to the output type
  std::vector<double> lse;                  ///< [batch][num_q_heads]
  std::vector<GroupStatistics> statistics;  ///< [batch][num_kv_heads]
  std::vector<double> margin;               ///< per group, distance of the decision's scores from their thresholds
  std::int32_t status = 0;
};

/// tau at kv_len: piecewise linear in log2(kv_len), constant outside the points.
double tau_at(const TauTable& table, std::int32_t kv_len);

/// Whether the set holds token t of kv_len.
bool contains(const TokenSet& set, std::int32_t anchor, std::int32_t kv_len, std::int32_t t);

ReferenceResult reference_decode(const DecodeProblem& problem, const DecodeStep& step, const ReferenceInputs& inputs);

}  // namespace clsink::harness
