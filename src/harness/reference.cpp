// SPDX-License-Identifier: Apache-2.0
#include "harness/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/storage.hpp"

namespace clsink::harness {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Row = std::vector<double>;

Row rounded(DType dtype, const float* values, int count) {
  Row row(count);
  for (int i = 0; i < count; ++i) row[i] = round_to_storage(dtype, values[i]);
  return row;
}

double dot(const Row& a, const Row& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double cosine(const Row& a, const Row& b) {
  const double norms = std::sqrt(dot(a, a)) * std::sqrt(dot(b, b));
  return norms > 0 ? dot(a, b) / norms : 0;
}

struct Decision {
  bool routed = false;
  double margin = kInfinity;
};

Decision decide(const DecodeProblem& problem, const DecodeStep& step, const ReferenceInputs& inputs, int kv_head, int kv_len,
                double mean, double least) {
  if (problem.routing.score == Score::kMask) return {inputs.head_mask[kv_head] != 0, kInfinity};
  const double tau = tau_at(step.tau, kv_len) + (inputs.tau_offsets.empty() ? 0 : inputs.tau_offsets[kv_head]);
  switch (problem.routing.policy) {
    case Policy::kMean:
      return {mean > tau, std::abs(mean - tau)};
    case Policy::kAll:
      return {least > tau, std::abs(least - tau)};
    case Policy::kHybrid:
      return {mean > tau && least > step.floor, std::min(std::abs(mean - tau), std::abs(least - step.floor))};
  }
  return {};
}

// One query row over the tokens of a group.
void attend(const std::vector<int>& tokens, const std::vector<Row>& keys, const std::vector<Row>& values, const Row& q,
            double scale, double* out, double* lse) {
  double largest = -kInfinity;
  Row logits(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) largest = std::max(largest, logits[i] = scale * dot(q, keys[i]));
  double sum = 0;
  for (double logit : logits) sum += std::exp(logit - largest);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double weight = std::exp(logits[i] - largest) / sum;
    for (std::size_t c = 0; c < q.size(); ++c) out[c] += weight * values[i][c];
  }
  *lse = tokens.empty() ? -kInfinity : largest + std::log(sum);
}

class Reference {
 public:
  Reference(const DecodeProblem& problem, const DecodeStep& step, const ReferenceInputs& inputs)
      : problem_(problem), step_(step), inputs_(inputs) {
    const std::size_t rows = static_cast<std::size_t>(step.batch) * problem.num_q_heads;
    const std::size_t groups = static_cast<std::size_t>(step.batch) * problem.num_kv_heads;
    result_.out.assign(rows * problem.head_dim, 0);
    result_.lse.assign(rows, -kInfinity);
    result_.statistics.assign(groups, GroupStatistics{0, 0, 0, 0});
    result_.margin.assign(groups, kInfinity);
  }

  ReferenceResult run() {
    for (int sequence = 0; sequence < step_.batch; ++sequence) {
      const int given = inputs_.kv_lens[sequence];
      if (given < 0) result_.status |= kStatusKvLenNegative;
      if (given > problem_.max_kv_len) result_.status |= kStatusKvLenAboveBound;
      const int kv_len = std::clamp(given, 0, problem_.max_kv_len);
      const int anchor = inputs_.anchors.empty() ? 0 : inputs_.anchors[sequence];
      const bool anchor_valid = kv_len == 0 || (anchor >= 0 && anchor < kv_len);
      if (!anchor_valid) result_.status |= kStatusAnchorOutOfRange;
      for (int kv_head = 0; kv_head < problem_.num_kv_heads && kv_len > 0; ++kv_head) {
        decode_group(sequence, kv_head, kv_len, anchor_valid ? anchor : 0, anchor_valid);
      }
    }
    return std::move(result_);
  }

 private:
  void decode_group(int sequence, int kv_head, int kv_len, int anchor, bool anchor_valid) {
    const int group_size = problem_.group_size();
    const int first_row = sequence * problem_.num_q_heads + kv_head * group_size;
    std::vector<Row> q(group_size);
    for (int j = 0; j < group_size; ++j) {
      q[j] =
          rounded(problem_.q_dtype, &inputs_.q[static_cast<std::size_t>(first_row + j) * problem_.head_dim], problem_.head_dim);
    }
    const bool routed = problem_.routing.enabled && route(sequence, kv_head, kv_len, anchor, anchor_valid, q);
    const TokenSet& set = routed ? problem_.routing.surrogate : problem_.token_set;
    std::vector<int> tokens;
    std::vector<Row> keys, values;
    for (int t = 0; t < kv_len; ++t) {
      if (!contains(set, anchor, kv_len, t)) continue;
      tokens.push_back(t);
      keys.push_back(row_of(inputs_.key, sequence, kv_head, t));
      values.push_back(row_of(inputs_.value, sequence, kv_head, t));
    }
    for (int j = 0; j < group_size; ++j) {
      attend(tokens, keys, values, q[j], step_.scale, &result_.out[static_cast<std::size_t>(first_row + j) * problem_.head_dim],
             &result_.lse[first_row + j]);
    }
  }

  bool route(int sequence, int kv_head, int kv_len, int anchor, bool anchor_valid, const std::vector<Row>& q) {
    const Row sink = row_of(inputs_.key, sequence, kv_head, anchor);
    double mean = 0, least = kInfinity, logit = 0;
    for (const Row& row : q) {
      const double score = cosine(row, sink);
      mean += score / static_cast<double>(q.size());
      least = std::min(least, score);
      logit += step_.scale * dot(row, sink) / static_cast<double>(q.size());
    }
    bool covered = true;  // the surrogate would read everything anyway
    for (int t = 0; t < kv_len; ++t) {
      covered = covered &&
                (!contains(problem_.token_set, anchor, kv_len, t) || contains(problem_.routing.surrogate, anchor, kv_len, t));
    }
    Decision decision;
    if (!covered && anchor_valid) decision = decide(problem_, step_, inputs_, kv_head, kv_len, mean, least);
    const std::size_t group = static_cast<std::size_t>(sequence) * problem_.num_kv_heads + kv_head;
    result_.statistics[group] = {static_cast<float>(mean), static_cast<float>(least), static_cast<float>(logit),
                                 decision.routed ? 1 : 0};
    result_.margin[group] = decision.margin;
    return decision.routed;
  }

  Row row_of(const TokenRow& rows, int sequence, int kv_head, int token) {
    if (inputs_.page_out_of_range && inputs_.page_out_of_range(sequence, token)) result_.status |= kStatusPageOutOfRange;
    return rounded(problem_.kv_dtype, rows(sequence, kv_head, token), problem_.head_dim);
  }

  const DecodeProblem& problem_;
  const DecodeStep& step_;
  const ReferenceInputs& inputs_;
  ReferenceResult result_;
};

}  // namespace

double tau_at(const TauTable& table, std::int32_t kv_len) {
  const auto* points = table.points.data();
  if (kv_len <= points[0].kv_len) return points[0].tau;
  for (int i = 1; i < table.count; ++i) {
    if (kv_len > points[i].kv_len) continue;
    const double from = std::log2(points[i - 1].kv_len);
    const double share = (std::log2(kv_len) - from) / (std::log2(points[i].kv_len) - from);
    return points[i - 1].tau + share * (static_cast<double>(points[i].tau) - points[i - 1].tau);
  }
  return points[table.count - 1].tau;
}

bool contains(const TokenSet& set, std::int32_t anchor, std::int32_t kv_len, std::int32_t t) {
  if (t < 0 || t >= kv_len) return false;
  const bool first = t >= anchor && t - anchor < set.keep_first;
  const bool last = kv_len - t <= set.keep_last;
  return first || last;
}

ReferenceResult reference_decode(const DecodeProblem& problem, const DecodeStep& step, const ReferenceInputs& inputs) {
  return Reference(problem, step, inputs).run();
}

}  // namespace clsink::harness
