// SPDX-License-Identifier: Apache-2.0
#include "harness/inputs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace clsink::harness {
namespace {

// Normal numbers that do not depend on the standard library's distributions.
class Generator {
 public:
  explicit Generator(std::uint32_t seed) : bits_(seed) {}
  float normal() {
    constexpr double kTwoPi = 6.283185307179586;
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return static_cast<float>(radius * std::cos(kTwoPi * uniform()));
  }
  int below(int bound) { return static_cast<int>(bits_() % static_cast<std::uint32_t>(bound)); }
  void fill(float* values, int count) {
    for (int i = 0; i < count; ++i) values[i] = normal();
  }

 private:
  double uniform() { return (static_cast<double>(bits_()) + 0.5) / 4294967296.0; }
  std::mt19937 bits_;
};

// Every token of a head has a logit of its own, 4 sqrt(head_dim) or more from the next, so that fp32 sums cannot reorder
// them: the halves of a key hold the high and the low digit of its place. Odd query heads look the other way.
void make_huge(const DecodeProblem& problem, Inputs& inputs, Generator& random) {
  constexpr int kPlaces = 65536, kDigit = 256;
  const std::size_t head_dim = problem.head_dim;
  for (std::size_t i = 0; i < inputs.q.size(); ++i) inputs.q[i] = i / head_dim % 2 == 0 ? 16.0F : -16.0F;
  int offset = 0;
  for (std::size_t i = 0; i < inputs.k.size(); ++i) {
    const std::size_t token = i / head_dim % inputs.tokens;
    if (i % (head_dim * inputs.tokens) == 0) offset = random.below(kPlaces);
    const int place = static_cast<int>((token * 40503U + offset) % kPlaces);  // an odd factor: every place at most once
    inputs.k[i] = static_cast<float>(i % head_dim < head_dim / 2 ? (place / kDigit - kDigit / 2) * kDigit : place % kDigit);
  }
}

void make_keys_equal(const DecodeProblem& problem, Inputs& inputs) {
  const std::size_t head_rows = static_cast<std::size_t>(inputs.tokens) * problem.head_dim;
  for (std::size_t begin = 0; begin < inputs.k.size(); begin += head_rows) {
    for (std::size_t i = problem.head_dim; i < head_rows; ++i) inputs.k[begin + i] = inputs.k[begin + i % problem.head_dim];
  }
}

// Of three neighbouring groups one aligns with its sink in every head (cosine about .95), one in every head but the
// first (about .2), one in none.
void make_sink_heavy(const Case& c, Inputs& inputs, Generator& random) {
  const DecodeProblem& problem = c.problem;
  std::vector<float> direction(problem.head_dim);
  const int group_size = problem.group_size();
  for (int sequence = 0; sequence < static_cast<int>(inputs.kv_lens.size()); ++sequence) {
    for (int kv_head = 0; kv_head < problem.num_kv_heads; ++kv_head) {
      random.fill(direction.data(), problem.head_dim);
      const int kind = (sequence + kv_head + static_cast<int>(c.seed % 3)) % 3;
      for (int j = 0; j < group_size; ++j) {
        const float share = kind == 0 && j == 0 ? 0.2F : 3.0F;
        float* q =
            &inputs.q[(static_cast<std::size_t>(sequence) * problem.num_q_heads + kv_head * group_size + j) * problem.head_dim];
        for (int i = 0; i < problem.head_dim; ++i) q[i] = (q[i] + share * direction[i]) / (1 + share);
      }
      const int anchor = inputs.anchors.empty() ? 0 : inputs.anchors[sequence];
      if (kind == 2 || anchor >= inputs.tokens) continue;
      std::copy(direction.begin(), direction.end(), &inputs.k[inputs.row(problem, sequence, kv_head, anchor)]);
    }
  }
}

}  // namespace

Inputs make_inputs(const Case& c) {
  const DecodeProblem& problem = c.problem;
  Generator random(c.seed);
  Inputs inputs;
  inputs.kv_lens = c.kv_lens;
  for (int len : c.kv_lens) inputs.tokens = std::max(inputs.tokens, std::min(len, problem.max_kv_len));
  const std::size_t rows = c.kv_lens.size() * static_cast<std::size_t>(problem.num_kv_heads) * inputs.tokens;
  inputs.q.resize(c.kv_lens.size() * problem.num_q_heads * problem.head_dim);
  inputs.k.resize(rows * problem.head_dim);
  inputs.v.resize(rows * problem.head_dim);
  for (auto* tensor : {&inputs.q, &inputs.k, &inputs.v}) {
    for (float& x : *tensor) x = random.normal();
  }
  if (c.anchors) {
    for (int len : c.kv_lens) inputs.anchors.push_back(len > 0 ? random.below(std::min(len, problem.max_kv_len)) : 0);
  }
  for (int kv_head = 0; kv_head < problem.num_kv_heads; ++kv_head) {
    inputs.head_mask.push_back((kv_head + static_cast<int>(c.seed % 2)) % 2);
    if (!c.tau_offsets) continue;
    const float infinity = std::numeric_limits<float>::infinity();
    inputs.tau_offsets.push_back(kv_head % 3 == 0 ? 0.05F : kv_head % 3 == 1 ? -0.3F : infinity);
  }
  if (c.data == DataKind::kHugeLogits) make_huge(problem, inputs, random);
  if (c.data == DataKind::kEqualKeys) make_keys_equal(problem, inputs);
  if (c.data == DataKind::kSinkHeavy) make_sink_heavy(c, inputs, random);
  return inputs;
}

ReferenceInputs reference_inputs(const DecodeProblem& problem, const Inputs& inputs) {
  ReferenceInputs view;
  view.q = inputs.q;
  view.key = [&inputs, problem](int sequence, int kv_head, int token) {
    return &inputs.k[inputs.row(problem, sequence, kv_head, token)];
  };
  view.value = [&inputs, problem](int sequence, int kv_head, int token) {
    return &inputs.v[inputs.row(problem, sequence, kv_head, token)];
  };
  view.kv_lens = inputs.kv_lens;
  view.anchors = inputs.anchors;
  view.head_mask = inputs.head_mask;
  view.tau_offsets = inputs.tau_offsets;
  return view;
}

}  // namespace clsink::harness
