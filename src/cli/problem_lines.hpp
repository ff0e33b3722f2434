// SPDX-License-Identifier: Apache-2.0
// Suites of problems: text with one problem a line, '#' begins a comment.
#pragma once

#include <string>
#include <vector>

namespace clsink::cli {

/// Without comments and blank lines.
std::vector<std::string> problem_lines(const std::string& text);

}  // namespace clsink::cli
