// SPDX-License-Identifier: Apache-2.0
// How long a step takes on a recorded layer, dense, routed and with the baseline, at any length. Every sequence has a
// cache of its own, as 16 users would; candidates take turns; outputs are checked against the reference.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <clsink/context.hpp>

#include "harness/opencl_device.hpp"
#include "harness/timing.hpp"
#include "harness/trace.hpp"

namespace clsink::demo {

constexpr const char* kDense = "dense";
constexpr const char* kBaseline = "CLBlast";

struct TimeRow {
  int layer = 0;
  std::int32_t kv_len = 0;
  std::string what;  ///< kDense, the name of a surrogate, or kBaseline
  harness::Summary wall_us;
  double speedup = 1;  ///< over dense, in the same rounds
  double error = 0;    ///< ||output - reference|| / ||reference||
};

struct TimeRequest {
  std::int32_t kv_len = 0;
  float tau = 0;
  bool all_surrogates = false;  ///< else sink+window alone
  bool baseline = false;
  double seconds = 1;
};

/// Throws clsink::Error(kInternal) if an output is wrong. The baseline's row is left out where it is too slow.
std::vector<TimeRow> study_time(const harness::OpenClDevice& device, Context& context, const harness::Trace& trace,
                                const harness::TraceLayer& layer, const TimeRequest& request);

}  // namespace clsink::demo
