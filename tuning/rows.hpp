// SPDX-License-Identifier: Apache-2.0
// Winners as tuning rows (the format: src/planning/tuning_db.hpp), and how they join the rows of a file.
#pragma once

#include <string>
#include <vector>

#include "tuning/tune_cell.hpp"

namespace clsink::tuning {

inline constexpr const char* kRowsHeader = "# clsink tuning db 1";

/// What was measured of a cell, and with what.
struct Winner {
  DecodeProblem problem;
  Candidate best, planned;
  double us = 0, mad_percent = 0, gain = 1;
  std::string driver, version, date;  ///< date: 2026-11-22
};

/// "f16 d=128 g=4 b=1 kv=32768 route=0": the problems that a row speaks for.
std::string row_class(const DecodeProblem& problem);
/// The row of a winner, with its remarks.
std::string row_text(const Winner& winner);

struct Merged {
  std::string text;                ///< of the whole file
  std::vector<std::string> notes;  ///< a line for every winner: added, replaced, kept and why
};

/// Joins winners with the rows of a file (its text, "" for a new one) under the device's line; everything else in it stays.
/// Rows are sorted. A row is replaced only by a better one: by one that beat it in the same rounds, or, if it was not among
/// them, whose time is less than the row's beyond the noise of both; and by the same variant after a change of driver.
/// Throws Error(kInvalidProblem) with the line's number if the text is no tuning file.
Merged merge_rows(const std::string& file_name, const std::string& text, const std::string& device_line,
                  const std::vector<Winner>& winners);

}  // namespace clsink::tuning
