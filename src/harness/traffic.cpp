// SPDX-License-Identifier: Apache-2.0
#include "harness/traffic.hpp"

#include <algorithm>

namespace clsink::harness {

std::int64_t tokens_of(const TokenSet& set, std::int32_t kv_len) {
  return std::min<std::int64_t>(kv_len, static_cast<std::int64_t>(set.keep_first) + set.keep_last);
}

bool routing_spares_nothing(const DecodeProblem& problem, std::int32_t kv_len) {
  const TokenSet& whole = problem.token_set;
  const TokenSet& surrogate = problem.routing.surrogate;
  const TokenSet both{std::max(whole.keep_first, surrogate.keep_first), std::max(whole.keep_last, surrogate.keep_last)};
  return tokens_of(both, kv_len) == tokens_of(surrogate, kv_len);
}

const TokenSet& attended_set(const DecodeProblem& problem, std::int32_t kv_len, bool routed) {
  return routed && !routing_spares_nothing(problem, kv_len) ? problem.routing.surrogate : problem.token_set;
}

std::int64_t bytes_to_read(const DecodeProblem& problem, const Load& load) {
  std::int64_t tokens = 0;
  for (std::int32_t sequence = 0; sequence < problem.max_batch; ++sequence) {
    const std::int32_t kv_len = load.kv_lens[static_cast<std::size_t>(sequence)];
    for (std::int32_t head = 0; head < problem.num_kv_heads; ++head) {
      tokens += tokens_of(attended_set(problem, kv_len, load.is_routed(sequence, head)), kv_len);
    }
  }
  const std::int64_t row_bytes = static_cast<std::int64_t>(problem.head_dim) * 2 * size_of(problem.kv_dtype);
  const std::int64_t q_bytes = static_cast<std::int64_t>(problem.num_q_heads) * problem.head_dim * size_of(problem.q_dtype);
  return tokens * row_bytes + problem.max_batch * q_bytes;
}

}  // namespace clsink::harness
