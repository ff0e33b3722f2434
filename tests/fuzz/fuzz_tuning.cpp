// SPDX-License-Identifier: Apache-2.0
// Tuning files: refused with kInvalidProblem and the line, or their rows give plans that fit every device they are taken for.
#include <clsink/error.hpp>
#include <string>

#include "model/problem.hpp"
#include "planning/fits.hpp"
#include "planning/planner.hpp"
#include "planning_devices.hpp"
#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clsink;
  TuningDb db;
  try {
    db.add("x.tune", {reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    REQUIRE(error.code() == ErrorCode::kInvalidProblem);
    REQUIRE(std::string(error.what()).rfind("x.tune:", 0) == 0);
    REQUIRE(db.size() == 0);
    return 0;
  }
  for (const char* text : {"f16 hq=8 hkv=2 d=64 b=4 kv=1000", "f32 hq=16 hkv=1 d=256 b=64 kv=1048576 route=mean"}) {
    const DecodeProblem problem = parse_problem(text);
    for (const DeviceFacts& facts : invented_devices()) {
      try {
        const DecodePlan plan = make_plan(facts, problem, db);
        REQUIRE(!misfit_reason(facts, plan.problem, plan.variant));
        REQUIRE(plan.launch.workers > 0 && plan.workspace_bytes > 0);
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::kUnsupportedDevice);
      }
    }
  }
  return 0;
}
