// SPDX-License-Identifier: Apache-2.0
// What the sequences of a benchmarked step hold: how long each is, and which of its kv heads are routed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <clsink/problem.hpp>

namespace clsink::harness {

/// Which kv heads are routed so that the share comes nearest to a fraction.
enum class Pattern : std::uint8_t {
  kSpread,      ///< every so-many-th head, the same ones in every sequence
  kContiguous,  ///< the last heads of every sequence
  kRagged,      ///< spread ones, but of every sequence another share: evenly between 0 and twice the fraction, or between
                ///< what leaves the same mean and 1, in scattered order
};
Pattern parse_pattern(const std::string& text);
const char* to_string(Pattern pattern);

inline constexpr const char* kFullLengths = "full";    ///< every sequence at max_kv_len
inline constexpr const char* kEqualLengths = "equal";  ///< the counterpart of a ragged load

struct Load {
  std::string lengths = kFullLengths;  ///< what the table calls the lengths: the above, or "1:16"
  Pattern pattern = Pattern::kSpread;
  std::vector<std::int32_t> kv_lens;  ///< [batch]
  std::vector<bool> routed;           ///< [batch][num_kv_heads]

  std::int32_t num_kv_heads() const { return static_cast<std::int32_t>(routed.size() / kv_lens.size()); }
  bool is_routed(std::int32_t sequence, std::int32_t kv_head) const {
    return routed[static_cast<std::size_t>(sequence) * routed.size() / kv_lens.size() + static_cast<std::size_t>(kv_head)];
  }
  std::int64_t num_routed() const;
  std::int64_t kv_tokens() const;  ///< of all sequences
};

/// Kv heads of a sequence that come nearest to the fraction.
std::int32_t routed_count(std::int32_t num_kv_heads, double fraction);

/// `longest_over_shortest` above 1 spreads the lengths geometrically from max_kv_len down to that part of it, in scattered
/// order. The same arguments give the same load everywhere.
Load make_load(const DecodeProblem& problem, double fraction, Pattern pattern, std::int32_t longest_over_shortest);

/// The load that reads as many bytes with all lengths equal and all sequences routed alike: the same total of tokens,
/// or, where the ragged load routes short and long sequences differently, the total that comes nearest in bytes.
Load equal_load(const DecodeProblem& problem, const Load& load);

}  // namespace clsink::harness
