// SPDX-License-Identifier: Apache-2.0
// The bytes that a step cannot avoid reading: what every GB/s of the tool is counted in.
#pragma once

#include <cstdint>

#include <clsink/problem.hpp>

#include "harness/bench_load.hpp"

namespace clsink::harness {

/// The formula of bytes_to_read in words.
inline constexpr const char* kTrafficFormula = "sum over groups of tokens attended to x head_dim x (K + V bytes), + q";

/// Tokens of the set at this length, with the anchor at token 0.
std::int64_t tokens_of(const TokenSet& set, std::int32_t kv_len);

/// Whether the surrogate holds all that a group would attend to anyway: then the group is never routed.
bool routing_spares_nothing(const DecodeProblem& problem, std::int32_t kv_len);
/// What a group of this length attends to whose queries ask to be routed, or do not.
const TokenSet& attended_set(const DecodeProblem& problem, std::int32_t kv_len, bool routed);

/// A step in which the load's routed groups attend to the problem's surrogate.
std::int64_t bytes_to_read(const DecodeProblem& problem, const Load& load);

}  // namespace clsink::harness
