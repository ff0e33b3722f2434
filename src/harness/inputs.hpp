// SPDX-License-Identifier: Apache-2.0
// The values of a case, by sequence, head and token, without any layout. Made from a case's recipe, or filled in by
// whoever has real data (recorded traces).
#pragma once

#include <cstdint>
#include <vector>

#include "harness/case.hpp"
#include "harness/reference.hpp"

namespace clsink::harness {

struct Inputs {
  std::int32_t tokens = 0;  ///< rows of every (sequence, kv head) in k and v
  std::vector<float> q;     ///< [batch][num_q_heads][head_dim]
  std::vector<float> k;     ///< [batch][num_kv_heads][tokens][head_dim]
  std::vector<float> v;
  std::vector<std::int32_t> kv_lens;    ///< [batch]
  std::vector<std::int32_t> anchors;    ///< [batch] or empty
  std::vector<std::int32_t> head_mask;  ///< [num_kv_heads]; used by Score::kMask
  std::vector<float> tau_offsets;       ///< [num_kv_heads] or empty

  std::size_t row(const DecodeProblem& problem, int sequence, int kv_head, int token) const {
    return ((static_cast<std::size_t>(sequence) * problem.num_kv_heads + kv_head) * tokens + token) * problem.head_dim;
  }
};

/// The same case gives the same values on every platform.
Inputs make_inputs(const Case& c);

/// What the reference reads. Refers to `inputs`, which must outlive it.
ReferenceInputs reference_inputs(const DecodeProblem& problem, const Inputs& inputs);

}  // namespace clsink::harness
