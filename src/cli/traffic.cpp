// SPDX-License-Identifier: Apache-2.0
#include "cli/traffic.hpp"

#include <algorithm>

namespace clsink::cli {

std::int64_t tokens_of(const TokenSet& set, std::int32_t kv_len) {
  return std::min<std::int64_t>(kv_len, static_cast<std::int64_t>(set.keep_first) + set.keep_last);
}

std::int64_t bytes_to_read(const DecodeProblem& problem, const std::vector<bool>& routed) {
  std::int64_t tokens = 0;
  for (std::int32_t head = 0; head < problem.num_kv_heads; ++head) {
    const bool head_routed = !routed.empty() && routed[static_cast<std::size_t>(head)];
    tokens += tokens_of(head_routed ? problem.routing.surrogate : problem.token_set, problem.max_kv_len);
  }
  const std::int64_t row_bytes = static_cast<std::int64_t>(problem.head_dim) * 2 * size_of(problem.kv_dtype);
  const std::int64_t q_bytes = static_cast<std::int64_t>(problem.num_q_heads) * problem.head_dim * size_of(problem.q_dtype);
  return problem.max_batch * (tokens * row_bytes + q_bytes);
}

}  // namespace clsink::cli
