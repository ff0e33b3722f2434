// SPDX-License-Identifier: Apache-2.0
// Suites: text files of axes with values, and covering arrays over them. Pairwise: every two values of two axes occur
// together in some row; 3-wise: every three of axes that are not only to be paired, too. Greedy and deterministic, so that a
// row number names the same case forever as long as the file is the same.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/case.hpp"

namespace clsink::harness {

struct Axis {
  std::string name;
  std::vector<std::string> values;
  bool paired = false;  ///< in pairs only
};

/// Lines "name: value value ..." or "paired name: ..."; '#' begins a comment. Throws Error(kInvalidProblem) with the line.
std::vector<Axis> parse_suite(const std::string& text);
std::vector<Axis> read_suite(const std::string& path);

/// Rows of value indices, one per axis, that cover every pair of values, and every combination of values of any `strength`
/// axes that are not only to be paired.
std::vector<std::vector<int>> covering_array(const std::vector<Axis>& axes, int strength);

/// The case that a row names. The axes are those of tests/suites/grid.txt; an unknown axis or value is an Error.
Case make_case(const std::map<std::string, std::string>& row, std::uint32_t seed);

/// All cases of a covering array.
std::vector<Case> suite_cases(const std::vector<Axis>& axes, int strength);

}  // namespace clsink::harness
