// SPDX-License-Identifier: Apache-2.0
// Why candidates of a sweep are out, and what journals call it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace clsink::tuning {

/// Why a candidate is out.
enum class Rejection : std::uint8_t {
  kConstraint,  ///< it does not fit the device or the problem
  kBuild,       ///< the device does not build or start it
  kLaunch,      ///< a step of it fails
  kWrong,       ///< its results are not the reference's
  kSlow,        ///< others are faster beyond doubt
  kTimeout,     ///< it did not come back
  kCrash,       ///< the process died of it
};
const char* to_string(Rejection why) noexcept;
std::optional<Rejection> parse_rejection(const std::string& text);

}  // namespace clsink::tuning
