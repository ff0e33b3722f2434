// SPDX-License-Identifier: Apache-2.0
// What the report shows: tuning journals, rows of the bench and comparisons with peers, joined by device into one document.
// Pure: no files, no device.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace clsink::cli {

struct ReportInput {
  std::string name;  ///< of the file, for messages
  std::string text;
};

/// {"version", "remarks", "devices": [{"name", "platform", "driver", "class", "compute_units", "runs", "samples", "cells",
/// "rejected", "bench", "peers"}]}. The kind of an input is recognised by its content. Of what was measured twice the latest
/// counts. Throws Error(kInvalidProblem) that names file, line (or the row as a JSON pointer) and field.
nlohmann::json report_document(const std::vector<ReportInput>& inputs);

/// The document as one HTML page that refers to nothing outside itself; text from the inputs cannot become markup.
std::string report_page(const nlohmann::json& document);

}  // namespace clsink::cli
