// SPDX-License-Identifier: Apache-2.0
// A fresh context, so that nothing is built yet, and what it logs.
#pragma once

#include <algorithm>

#include "environment.hpp"

namespace clsink::harness {

struct Logged {
  explicit Logged(ContextOptions options = {})
      : context(test_device().context(), test_device().device(), with_log(std::move(options))) {}

  int count(LogLevel level, const std::string& words) const {
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
      return line.first == level && line.second.find(words) != std::string::npos;
    }));
  }

  std::string all(LogLevel level) const {
    std::string text;
    for (const auto& line : lines) text += line.first == level ? line.second + '\n' : "";
    return text;
  }

  std::vector<std::pair<LogLevel, std::string>> lines;
  Context context;

 private:
  ContextOptions with_log(ContextOptions options) {
    options.log = [this](LogLevel level, const std::string& line) { lines.emplace_back(level, line); };
    return options;
  }
};

}  // namespace clsink::harness
