// SPDX-License-Identifier: Apache-2.0
// Whether a variant can run a problem on a device, and which variants there are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <clsink/device.hpp>
#include <clsink/plan.hpp>

namespace clsink {

/// Nothing, or why not: names the limit and both numbers.
std::optional<std::string> misfit_reason(const DeviceFacts& facts, const DecodeProblem& problem, const DecodeVariant& variant);

/// Nothing, or what the device lacks for every variant.
std::optional<std::string> unsupported_reason(const DeviceFacts& facts);

/// Local memory of the decode kernel in bytes.
std::int64_t local_bytes(const DeviceFacts& facts, const DecodeProblem& problem, const DecodeVariant& variant);

/// Every variant that a sweep looks at, in a fixed order, with why it does not fit.
std::vector<VariantFit> search_space(const DeviceFacts& facts, const DecodeProblem& problem);

/// Those of the search space that fit.
std::vector<DecodeVariant> fitting_variants(const DeviceFacts& facts, const DecodeProblem& problem);

}  // namespace clsink
