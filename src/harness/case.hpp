// SPDX-License-Identifier: Apache-2.0
// A case: one decode step that anybody can repeat from one line of text,
//   PROBLEM [| VARIANT [| TUNING]] @ lens=0,1,17 seed=3 data=sink tau=0.4
// Failing tests print it, `clsink verify` reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <clsink/context.hpp>

namespace clsink::harness {

enum class DataKind : std::uint8_t {
  kRandom,      ///< normal
  kEqualKeys,   ///< all keys of a group equal: weights are uniform
  kHugeLogits,  ///< logits far beyond +-1e4, far from each other: one token takes all
  kSinkHeavy,   ///< some groups' queries align with the anchor's key, some partly, some not
};

struct Case {
  DecodeProblem problem;
  std::optional<DecodeVariant> variant;  ///< none: what the planner chooses
  std::optional<LaunchTuning> tuning;    ///< needs a variant
  std::vector<std::int32_t> kv_lens;     ///< one per sequence of the step
  std::uint32_t seed = 1;
  DataKind data = DataKind::kRandom;
  float scale = 0;  ///< 0: 1 / sqrt(head_dim)
  TauTable tau = TauTable::constant(0.4F);
  float floor = 0.1F;
  bool anchors = false;           ///< an anchor per sequence instead of token 0
  bool tau_offsets = false;       ///< tau offsets per kv head, one of three +infinity
  bool optional_outputs = true;   ///< lse, status and, with routing, statistics
  bool exact = false;             ///< buffers without guards or NaN around them: a tool that knows their bounds looks on
  std::int64_t offset_bytes = 0;  ///< where q, k and v begin in their buffers, a multiple of 16
  std::int64_t v_at_bytes = 0;    ///< not 0: V shares K's buffer and begins so many bytes behind K
};

std::string to_string(const Case& c);
/// Throws Error(kInvalidProblem).
Case parse_case(const std::string& text);

const char* to_string(DataKind data) noexcept;
DataKind parse_data_kind(const std::string& text);

/// The step values of the case.
DecodeStep step_of(const Case& c);

}  // namespace clsink::harness
