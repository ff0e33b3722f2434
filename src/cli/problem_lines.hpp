// SPDX-License-Identifier: Apache-2.0
// Suites of problems: text with one problem a line, '#' begins a comment.
#pragma once

#include <string>
#include <vector>

namespace clsink::cli {

/// Without comments and blank lines.
std::vector<std::string> problem_lines(const std::string& text);

/// Throws Error(kInvalidProblem) if it cannot be read.
std::string read_problem_file(const std::string& path);

}  // namespace clsink::cli
