// SPDX-License-Identifier: Apache-2.0
// DecodeProblem: everything about one decode attention step that a caller can observe. What a caller cannot observe
// (work-group sizes, tiles, schedule) is the variant's and the planner's business.
#pragma once

#include <cstdint>
#include <string>

#include <clsink/export.h>
#include <clsink/types.hpp>

namespace clsink {

/// A stride to be filled in with the packed default of its layout.
constexpr std::int64_t kPackedStride = -1;

/// Where a (sequence, query head) row of q or out starts, in elements; the channel stride is 1.
/// Packed: [sequence][query head][head_dim].
struct RowStrides {
  std::int64_t head = kPackedStride;
  std::int64_t sequence = kPackedStride;
  friend bool operator==(const RowStrides& a, const RowStrides& b) { return a.head == b.head && a.sequence == b.sequence; }
};

/// Where a (block, kv head, token) row of K or V starts, in elements; the channel stride is 1. A block is a sequence
/// of a contiguous cache or a page of a paged one. Packed: [block][kv head][token][head_dim].
struct CacheStrides {
  std::int64_t token = kPackedStride;
  std::int64_t head = kPackedStride;
  std::int64_t block = kPackedStride;
  friend bool operator==(const CacheStrides& a, const CacheStrides& b) {
    return a.token == b.token && a.head == b.head && a.block == b.block;
  }
};

/// How the caches lie in memory. K and V have strides of their own, so interleaved and fused buffers fit; with the
/// buffers' byte offsets any arrangement with 16-byte rows can be described.
struct KvLayout {
  std::int32_t page_size = 0;          ///< tokens of a page; 0: contiguous, a sequence holds max_kv_len tokens
  std::int64_t page_table_stride = 0;  ///< int32 entries of a sequence's row in the page table; 0: just enough for max_kv_len
  CacheStrides k;
  CacheStrides v;

  static KvLayout contiguous() { return {}; }
  static KvLayout paged(std::int32_t page_size) {
    KvLayout layout;
    layout.page_size = page_size;
    return layout;
  }
  bool is_paged() const { return page_size != 0; }
  friend bool operator==(const KvLayout& a, const KvLayout& b) {
    return a.page_size == b.page_size && a.page_table_stride == b.page_table_stride && a.k == b.k && a.v == b.v;
  }
};

/// Sink routing: a group whose score passes the threshold attends to `surrogate` instead of its whole token set.
/// A group whose whole set lies inside the surrogate is dense and reported as not routed.
struct SinkRouting {
  bool enabled = false;
  Score score = Score::kCosine;
  Policy policy = Policy::kMean;
  /// {0, 0}: zero output (the paper); {1, 0}: the value of the anchor token; {1, W}: sink and window, renormalised.
  TokenSet surrogate{1, 64};

  static SinkRouting cosine(Policy policy) {
    SinkRouting routing;
    routing.enabled = true;
    routing.policy = policy;
    return routing;
  }
  static SinkRouting mask() {
    SinkRouting routing;
    routing.enabled = true;
    routing.score = Score::kMask;
    return routing;
  }
  friend bool operator==(const SinkRouting& a, const SinkRouting& b) {
    return a.enabled == b.enabled && a.score == b.score && a.policy == b.policy && a.surrogate == b.surrogate;
  }
};

/// One decode attention step for up to max_batch sequences: out = softmax(scale * q K^T) V over each group's token set.
/// Actual lengths are read on the device at every step, so one problem (and plan) serves a whole generation.
struct DecodeProblem {
  DType q_dtype = DType::kF16;
  DType kv_dtype = DType::kF16;
  DType out_dtype = DType::kF16;
  std::int32_t num_q_heads = 0;  ///< a multiple of num_kv_heads; query head h belongs to kv head h / group_size
  std::int32_t num_kv_heads = 0;
  std::int32_t head_dim = 0;    ///< a multiple of 8 from 32 to 256
  std::int32_t max_batch = 1;   ///< most sequences of a step
  std::int32_t max_kv_len = 0;  ///< most tokens of a sequence, the current one included
  RowStrides q_strides;
  RowStrides out_strides;
  KvLayout kv_layout;
  TokenSet token_set;  ///< what a group attends to that is not routed
  SinkRouting routing;

  std::int32_t group_size() const { return num_kv_heads > 0 ? num_q_heads / num_kv_heads : 0; }
  friend bool operator==(const DecodeProblem& a, const DecodeProblem& b) {
    return a.q_dtype == b.q_dtype && a.kv_dtype == b.kv_dtype && a.out_dtype == b.out_dtype && a.num_q_heads == b.num_q_heads &&
           a.num_kv_heads == b.num_kv_heads && a.head_dim == b.head_dim && a.max_batch == b.max_batch &&
           a.max_kv_len == b.max_kv_len && a.q_strides == b.q_strides && a.out_strides == b.out_strides &&
           a.kv_layout == b.kv_layout && a.token_set == b.token_set && a.routing == b.routing;
  }
  friend bool operator!=(const DecodeProblem& a, const DecodeProblem& b) { return !(a == b); }
};

/// "f16", "bf16" or "f32".
CLSINK_API const char* to_string(DType dtype);

/// The problem as one line, for example "f16 hq=32 hkv=8 d=128 b=1 kv=131072 route=mean". Round-trips with parse_problem.
CLSINK_API std::string to_string(const DecodeProblem& problem);

/// Reads what to_string writes. Missing fields keep their defaults. Throws Error(kInvalidProblem) that names the bad field.
CLSINK_API DecodeProblem parse_problem(const std::string& text);

}  // namespace clsink
