// SPDX-License-Identifier: Apache-2.0
// Recorded traces: the input is the description (JSON), a zero byte, and the data. Refused with kInvalidProblem, or every
// layer is whole and can be used.
#include <algorithm>
#include <clsink/error.hpp>
#include <string_view>

#include "harness/trace.hpp"
#include "require.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clsink;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), size);
  try {
    const harness::Trace trace = harness::parse_trace(input.substr(0, end), input.substr(std::min(end + 1, size)), "x.json");
    for (const harness::TraceLayer& layer : trace.layers) {
      const auto steps = static_cast<std::size_t>(trace.steps), heads = static_cast<std::size_t>(trace.num_q_heads);
      const auto rows = static_cast<std::size_t>(trace.num_kv_heads) * static_cast<std::size_t>(layer.tokens);
      const auto row = static_cast<std::size_t>(trace.head_dim);
      REQUIRE(layer.q.size() == steps * heads * row && layer.sink_window.size() == layer.q.size());
      REQUIRE(layer.k.size() == rows * row && layer.v.size() == layer.k.size());
      REQUIRE(layer.cosine.size() == steps * heads && layer.sink_logit.size() == layer.cosine.size());
      REQUIRE(trace.kv_lens().back() <= layer.tokens);
      REQUIRE(harness::repeated(layer, trace, 3).k.size() == 3 * static_cast<std::size_t>(trace.num_kv_heads) * row);
    }
  } catch (const Error& error) {
    REQUIRE(error.code() == ErrorCode::kInvalidProblem);
  }
  return 0;
}
