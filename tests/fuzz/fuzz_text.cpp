// SPDX-License-Identifier: Apache-2.0
// The parsers of problems, variants, launches and cases: a text is refused with kInvalidProblem, or its value prints as a
// text that means the same.
#include <string>

#include "harness/case.hpp"
#include "model/problem.hpp"
#include "model/variant.hpp"
#include "require.hpp"

namespace {

template <typename Parse>
void round_trip(const std::string& text, const Parse& parse) {
  using clsink::to_string;
  std::string printed;
  try {
    printed = to_string(parse(text));
  } catch (const clsink::Error& error) {
    REQUIRE(error.code() == clsink::ErrorCode::kInvalidProblem);
    return;
  }
  REQUIRE(to_string(parse(printed)) == printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  round_trip(text, clsink::parse_problem);
  round_trip(text, clsink::parse_variant);
  round_trip(text, clsink::parse_launch_tuning);
  round_trip(text, clsink::harness::parse_case);
  return 0;
}
