// SPDX-License-Identifier: Apache-2.0
#include "harness/bench_load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "harness/traffic.hpp"

namespace clsink::harness {
namespace {

constexpr std::uint32_t kLengthSeed = 1, kShareSeed = 2;  // of orders that have nothing to do with each other

// The numbers below `count` in scattered order, the same on every platform.
std::vector<std::int32_t> scattered(std::int32_t count, std::uint32_t seed) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 bits(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[bits() % i]);
  return order;
}

std::vector<std::int32_t> spread_lengths(const DecodeProblem& problem, std::int32_t longest_over_shortest) {
  std::vector<std::int32_t> lengths;
  const double steps = std::max(problem.max_batch - 1, 1);
  for (const std::int32_t place : scattered(problem.max_batch, kLengthSeed)) {
    const double length = problem.max_kv_len * std::pow(static_cast<double>(longest_over_shortest), -place / steps);
    lengths.push_back(std::clamp(static_cast<std::int32_t>(std::lround(length)), 1, problem.max_kv_len));
  }
  return lengths;
}

// As many routed heads as `count` in every sequence together, each with its own share of them.
std::vector<std::int32_t> ragged_counts(const DecodeProblem& problem, std::int32_t count) {
  const double heads = problem.num_kv_heads, batch = problem.max_batch;
  const double least = std::max(0.0, 2 * count - heads), most = std::min(heads, 2.0 * count);
  std::vector<std::int32_t> counts;
  double sum = 0;
  std::int64_t given = 0;
  for (const std::int32_t place : scattered(problem.max_batch, kShareSeed)) {
    sum += least + (most - least) * (place + 0.5) / batch;
    counts.push_back(static_cast<std::int32_t>(std::lround(sum) - given));  // so that the sum is right to the head
    given += counts.back();
  }
  return counts;
}

bool head_is_routed(std::int32_t num_kv_heads, std::int32_t head, std::int32_t count, bool contiguous) {
  if (contiguous) return head >= num_kv_heads - count;
  return (head + 1) * count / num_kv_heads > head * count / num_kv_heads;
}

std::vector<bool> routed_groups(const DecodeProblem& problem, const std::vector<std::int32_t>& counts, bool contiguous) {
  std::vector<bool> routed;
  for (const std::int32_t count : counts) {
    for (std::int32_t head = 0; head < problem.num_kv_heads; ++head) {
      routed.push_back(head_is_routed(problem.num_kv_heads, head, count, contiguous));
    }
  }
  return routed;
}

std::vector<std::int32_t> even_lengths(std::int64_t tokens, std::int32_t batch) {
  std::vector<std::int32_t> lengths;
  for (std::int32_t i = 0; i < batch; ++i) lengths.push_back(static_cast<std::int32_t>(tokens / batch + (i < tokens % batch)));
  return lengths;
}

}  // namespace

Pattern parse_pattern(const std::string& text) {
  return text == "ragged" ? Pattern::kRagged : text == "contiguous" ? Pattern::kContiguous : Pattern::kSpread;
}

const char* to_string(Pattern pattern) {
  return pattern == Pattern::kRagged ? "ragged" : pattern == Pattern::kContiguous ? "contiguous" : "spread";
}

std::int64_t Load::num_routed() const { return std::count(routed.begin(), routed.end(), true); }
std::int64_t Load::kv_tokens() const { return std::accumulate(kv_lens.begin(), kv_lens.end(), std::int64_t{0}); }

std::int32_t routed_count(std::int32_t num_kv_heads, double fraction) {
  return std::clamp(static_cast<std::int32_t>(std::lround(fraction * num_kv_heads)), 0, num_kv_heads);
}

Load make_load(const DecodeProblem& problem, double fraction, Pattern pattern, std::int32_t longest_over_shortest) {
  const auto batch = static_cast<std::size_t>(problem.max_batch);
  const std::int32_t count = routed_count(problem.num_kv_heads, fraction);
  Load load;
  load.pattern = pattern;
  load.kv_lens.assign(batch, problem.max_kv_len);
  if (longest_over_shortest > 1) {
    load.lengths = fmt::format("1:{}", longest_over_shortest);
    load.kv_lens = spread_lengths(problem, longest_over_shortest);
  }
  const std::vector<std::int32_t> counts =
      pattern == Pattern::kRagged ? ragged_counts(problem, count) : std::vector<std::int32_t>(batch, count);
  load.routed = routed_groups(problem, counts, pattern == Pattern::kContiguous);
  return load;
}

Load equal_load(const DecodeProblem& problem, const Load& load) {
  const std::int32_t batch = problem.max_batch;
  Load equal = load;
  equal.lengths = kEqualLengths;
  equal.kv_lens = even_lengths(load.kv_tokens(), batch);
  if (load.pattern == Pattern::kRagged) {
    equal.pattern = Pattern::kSpread;
    const auto count = static_cast<std::int32_t>(load.num_routed() / batch);
    equal.routed = routed_groups(problem, std::vector<std::int32_t>(static_cast<std::size_t>(batch), count), false);
  }
  const std::int64_t wanted = bytes_to_read(problem, load);
  if (bytes_to_read(problem, equal) == wanted) return equal;
  std::int64_t least = batch, most = static_cast<std::int64_t>(batch) * problem.max_kv_len;
  while (least < most) {
    const std::int64_t middle = least + (most - least) / 2;
    equal.kv_lens = even_lengths(middle, batch);
    if (bytes_to_read(problem, equal) < wanted) {
      least = middle + 1;
    } else {
      most = middle;
    }
  }
  equal.kv_lens = even_lengths(least, batch);
  return equal;
}

}  // namespace clsink::harness
