// SPDX-License-Identifier: Apache-2.0
// A sweep on disk: JSON Lines, appended as things happen, one measurement a line, so that what was measured survives whatever
// ends the process. Lines by "kind":
//   run       once per start: date, library, device, driver
//   begin     a candidate is built and run for the first time; without an end behind it, it killed the process
//   ran       it passed: seconds to prepare and to verify, error, first time
//   sample    one time of a round
//   rejected  why a candidate is out
//   skipped   why a cell was not measured
//   cell      the result of a cell
#pragma once

#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tuning/tune_cell.hpp"

namespace clsink::tuning {

/// What a journal says so far.
struct JournalContents {
  std::vector<nlohmann::json> lines;
  std::optional<nlohmann::json> last_begin;  ///< neither passed nor rejected
  std::string remark;                        ///< a last line that was cut short, or empty
  std::size_t whole_bytes = 0;               ///< of the lines that were not
};

/// Throws Error(kInvalidProblem) with the line's number. A last line without its end is left out, with a remark: the process
/// ended in it.
JournalContents parse_journal(const std::string& name, const std::string& text);
/// The same of a file; empty if there is none.
JournalContents read_journal(const std::string& path);

class Journal {
 public:
  /// Opens the file to append, and cuts off a last line without its end. Throws Error(kInvalidProblem) if it cannot be
  /// written, or was made for another device, driver or version of the library.
  Journal(const std::string& path, const DeviceFacts& device);

  /// What was there before.
  const JournalContents& before() const { return before_; }
  /// The result of a cell that is finished, of this run or one before.
  std::optional<nlohmann::json> finished(const std::string& cell) const;
  /// Whether the cell was skipped, and not finished since.
  bool skipped(const std::string& cell) const { return skipped_.count(cell) != 0; }
  /// Whether a candidate was thrown out of the cell for a reason that holds again.
  bool known_bad(const std::string& cell, const Candidate& candidate) const;

  /// `device_line`: Context::tuning_device_line().
  void run(const DeviceFacts& device, const std::string& device_line, const std::string& suite);
  void begin(const std::string& cell, const Candidate& candidate);
  void ran(const std::string& cell, const Candidate& candidate, const FirstRun& first);
  void sample(const std::string& cell, const Candidate& candidate, int round, double us);
  void rejected(const std::string& cell, const Candidate& candidate, Rejection why, const std::string& reason);
  void skipped(const std::string& cell, const std::string& reason);
  void cell(const CellResult& result);

 private:
  void append(const nlohmann::json& line);

  std::string path_;
  JournalContents before_;
  std::map<std::string, nlohmann::json> cells_;  // by problem
  std::set<std::string> skipped_;
  std::map<std::string, std::vector<std::string>> known_bad_;  // problem -> "variant | launch"
  std::ofstream file_;
};

/// Throws out the candidate that the journal's process died in, for whoever outlived that; false if there was none.
bool reject_last_begin(const std::string& path, Rejection why, const std::string& reason);
/// Skips the cell that the journal's process died in while its candidates took turns; false if there was none.
bool skip_last_cell(const std::string& path, const std::string& reason);

/// A candidate as lines have it.
std::string to_string(const Candidate& candidate);

}  // namespace clsink::tuning
