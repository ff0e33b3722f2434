// SPDX-License-Identifier: Apache-2.0
// Tables and problems that tests of the planner share.
#pragma once

#include <string>

#include "planning/tuning_db.hpp"

namespace clsink {

inline const char* const kProblem = "f16 hq=8 hkv=2 d=64 b=4 kv=1000";

inline TuningDb db_of(const std::string& body) {
  TuningDb db;
  db.add("x.tune", "# clsink tuning db 1\n" + body);
  return db;
}

}  // namespace clsink
