// SPDX-License-Identifier: Apache-2.0
// What makes a problem valid, and its strides spelled out.
#pragma once

#include <optional>
#include <string>

#include <clsink/problem.hpp>

namespace clsink {

constexpr int kMaxGroupSize = 16;
constexpr int kMinHeadDim = 32;
constexpr int kMaxHeadDim = 256;
constexpr std::int32_t kMaxKvLen = 1 << 30;  ///< token * tile arithmetic stays inside 32 bits
constexpr std::int64_t kRowAlignBytes = 16;

/// Nothing, or what is wrong: names the field and its value.
std::optional<std::string> invalid_reason(const DecodeProblem& problem);

/// The problem with every packed stride filled in. Throws Error(kInvalidProblem) if it is invalid.
DecodeProblem resolve(const DecodeProblem& problem);

const char* to_string(Policy policy);

}  // namespace clsink
