// SPDX-License-Identifier: Apache-2.0
#include "tuning/rejection.hpp"

namespace clsink::tuning {
namespace {

const struct {
  Rejection why;
  const char* name;
} kRejections[] = {{Rejection::kConstraint, "constraint"},
                   {Rejection::kBuild, "build"},
                   {Rejection::kLaunch, "launch"},
                   {Rejection::kWrong, "wrong"},
                   {Rejection::kSlow, "slow"},
                   {Rejection::kTimeout, "timeout"},
                   {Rejection::kCrash, "crash"}};

}  // namespace

const char* to_string(Rejection why) noexcept {
  for (const auto& row : kRejections) {
    if (row.why == why) return row.name;
  }
  return "?";
}

std::optional<Rejection> parse_rejection(const std::string& text) {
  for (const auto& row : kRejections) {
    if (text == row.name) return row.why;
  }
  return std::nullopt;
}

}  // namespace clsink::tuning
