// SPDX-License-Identifier: Apache-2.0
#include "harness/bench_reference.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <future>
#include <limits>
#include <thread>

#include "harness/reference.hpp"

namespace clsink::harness {
namespace {

constexpr std::size_t kPieceTokens = 2048;

std::vector<std::int32_t> tokens_in(const TokenSet& set, std::int32_t kv_len) {
  std::vector<std::int32_t> tokens;
  for (std::int32_t token = 0; token < kv_len; ++token) {
    if (contains(set, 0, kv_len, token)) tokens.push_back(token);
  }
  return tokens;
}

// Calls work(i) for every i below count, on as many threads as there are cores.
void for_each_index(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::future<void>> threads;
  const std::size_t helpers = std::min<std::size_t>(count, std::max(std::thread::hardware_concurrency(), 1U)) - 1;
  for (std::size_t i = 0; i < helpers; ++i) threads.push_back(std::async(std::launch::async, run));
  run();
  for (std::future<void>& thread : threads) thread.get();
}

std::vector<double> merged(const std::vector<ReferenceResult>& pieces, std::int32_t head_dim) {
  std::vector<double> out(pieces.front().out.size(), 0);
  for (std::size_t row = 0; row < pieces.front().lse.size(); ++row) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const ReferenceResult& piece : pieces) largest = std::max(largest, piece.lse[row]);
    for (const ReferenceResult& piece : pieces) sum += std::exp(piece.lse[row] - largest);
    for (const ReferenceResult& piece : pieces) {
      const double weight = std::exp(piece.lse[row] - largest) / sum;
      for (std::size_t i = row * head_dim; i < (row + 1) * head_dim; ++i) out[i] += weight * piece.out[i];
    }
  }
  return out;
}

}  // namespace

std::vector<double> group_reference(const std::vector<float>& q, std::int32_t head_dim, float scale, const TokenSet& token_set,
                                    std::int32_t kv_len, const LoadRow& key, const LoadRow& value) {
  const std::vector<std::int32_t> tokens = tokens_in(token_set, kv_len);
  if (tokens.empty()) return std::vector<double>(q.size(), 0);
  std::vector<ReferenceResult> pieces((tokens.size() + kPieceTokens - 1) / kPieceTokens);
  for_each_index(pieces.size(), [&](std::size_t index) {
    const std::size_t begin = index * kPieceTokens;
    DecodeProblem piece;
    piece.q_dtype = piece.kv_dtype = piece.out_dtype = DType::kF32;  // rows are given as stored
    piece.num_q_heads = static_cast<std::int32_t>(q.size()) / head_dim;
    piece.num_kv_heads = 1;
    piece.head_dim = head_dim;
    piece.max_kv_len = static_cast<std::int32_t>(std::min(kPieceTokens, tokens.size() - begin));
    DecodeStep step;
    step.scale = scale;
    std::vector<float> row(static_cast<std::size_t>(head_dim));
    const auto rows_of = [&row, &tokens, begin](const LoadRow* load) {
      return [&row, &tokens, begin, load](int, int, int token) {
        (*load)(tokens[begin + static_cast<std::size_t>(token)], row.data());
        return static_cast<const float*>(row.data());
      };
    };
    ReferenceInputs inputs;
    inputs.q = q;
    inputs.key = rows_of(&key);
    inputs.value = rows_of(&value);
    inputs.kv_lens = {piece.max_kv_len};
    pieces[index] = reference_decode(piece, step, inputs);
  });
  return merged(pieces, head_dim);
}

}  // namespace clsink::harness
