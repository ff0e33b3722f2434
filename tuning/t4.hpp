// SPDX-License-Identifier: Apache-2.0
// A sweep as the auto-tuning community's T4 results document (github.com/odgaard/TuningSchema, results-schema.json 1.0.0,
// which Kernel Tuner writes): one result for every candidate of every cell.
#pragma once

#include <nlohmann/json.hpp>

#include "tuning/journal.hpp"

namespace clsink::tuning {

nlohmann::json t4_document(const JournalContents& journal);

}  // namespace clsink::tuning
