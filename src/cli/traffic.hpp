// SPDX-License-Identifier: Apache-2.0
// The bytes that a step cannot avoid reading: what every GB/s of the tool is counted in.
#pragma once

#include <cstdint>
#include <vector>

#include <clsink/problem.hpp>

namespace clsink::cli {

/// The formula of bytes_to_read in words.
inline constexpr const char* kTrafficFormula = "sum over groups of tokens attended to x head_dim x (K + V bytes), + q";

/// Tokens of the set at this length, with the anchor at token 0.
std::int64_t tokens_of(const TokenSet& set, std::int32_t kv_len);

/// A step with every sequence at max_kv_len, where routed[kv head] tells which groups attend to the surrogate.
/// An empty vector: none.
std::int64_t bytes_to_read(const DecodeProblem& problem, const std::vector<bool>& routed);

}  // namespace clsink::cli
