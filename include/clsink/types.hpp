// SPDX-License-Identifier: Apache-2.0
// The small words of the library: storage types, token sets, routing choices. Values only.
#pragma once

#include <cstdint>

namespace clsink {

/// Storage type of one tensor. Arithmetic is fp32 whatever the storage.
enum class DType : std::uint8_t { kF16, kBF16, kF32 };

/// Bytes of one element.
constexpr int size_of(DType dtype) { return dtype == DType::kF32 ? 4 : 2; }

/// How the scores of a group's query heads become one decision (DESIGN: SinkRouter; arXiv 2604.16883 Eq 12-13 is kMean).
enum class Policy : std::uint8_t {
  kMean,    ///< mean score > tau (the paper)
  kAll,     ///< every head's score > tau
  kHybrid,  ///< mean score > tau and every head's score > floor
};

/// What a group is judged by.
enum class Score : std::uint8_t {
  kCosine,  ///< cos(q_j, key of the anchor token), fp32; a zero vector scores 0
  kMask,    ///< a static list of kv heads (DuoAttention-like): routed where the caller's mask is not 0
};

/// Tokens that a group attends to: [anchor, anchor + keep_first) and the last keep_last of kv_len; overlaps merge.
/// {0, kAllTokens} is dense, {0, W} a sliding window of W tokens (the current one included), {S, W} StreamingLLM.
struct TokenSet {
  static constexpr std::int32_t kAllTokens = INT32_MAX;
  std::int32_t keep_first = 0;
  std::int32_t keep_last = kAllTokens;

  bool dense() const { return keep_last == kAllTokens; }
  friend bool operator==(const TokenSet& a, const TokenSet& b) {
    return a.keep_first == b.keep_first && a.keep_last == b.keep_last;
  }
  friend bool operator!=(const TokenSet& a, const TokenSet& b) { return !(a == b); }
};

/// What a caller's statistics buffer receives for every group, in order [sequence][kv head].
/// Scores are cosines whatever Score decided; kv_len 0 gives zeros.
struct GroupStatistics {
  float mean_score;     ///< mean over the group's query heads
  float min_score;      ///< the smallest of them
  float sink_logit;     ///< mean over the group of scale * dot(q_j, key of the anchor token)
  std::int32_t routed;  ///< 1: the group attended to the surrogate, 0: to its whole token set
};
static_assert(sizeof(GroupStatistics) == 16, "shared with the kernels");

/// Sticky bits of the optional status buffer: what only the device can see. The offending value is clamped or skipped,
/// never followed out of bounds. The caller reads and clears them.
enum StatusBits : std::int32_t {
  kStatusKvLenAboveBound = 1,   ///< a kv_len was larger than max_kv_len: clamped to it
  kStatusKvLenNegative = 2,     ///< a kv_len was negative: taken as 0
  kStatusPageOutOfRange = 4,    ///< a page table entry was outside the cache: clamped into it
  kStatusAnchorOutOfRange = 8,  ///< an anchor was outside [0, kv_len): group not routed, anchor taken as 0
};

}  // namespace clsink
