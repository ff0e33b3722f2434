// SPDX-License-Identifier: Apache-2.0
// Whole files as text.
#pragma once

#include <string>

namespace clsink::cli {

/// Throws Error(kInvalidProblem) that begins with `what` and the path.
std::string read_file(const std::string& path, const char* what = "");

/// To a temporary name first: what is there stays whole. Throws Error(kInvalidProblem).
void write_file(const std::string& path, const std::string& text);

}  // namespace clsink::cli
