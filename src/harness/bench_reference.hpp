// SPDX-License-Identifier: Apache-2.0
// The reference for one group of any length: it runs on pieces of the group's tokens, on all cores, and what the pieces
// give is merged by their lse; all of it in double.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <clsink/types.hpp>

namespace clsink::harness {

/// Writes the row of a token, as stored; called from several threads at once.
using LoadRow = std::function<void(std::int32_t token, float* row)>;

/// Output [query head of the group][head_dim] of the group with these queries and this token set, the anchor at token 0.
std::vector<double> group_reference(const std::vector<float>& q, std::int32_t head_dim, float scale, const TokenSet& token_set,
                                    std::int32_t kv_len, const LoadRow& key, const LoadRow& value);

}  // namespace clsink::harness
