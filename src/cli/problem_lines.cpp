// SPDX-License-Identifier: Apache-2.0
#include "cli/problem_lines.hpp"

#include <algorithm>
#include <sstream>

namespace clsink::cli {

std::vector<std::string> problem_lines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    line.erase(std::min(line.find('#'), line.size()));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace clsink::cli
