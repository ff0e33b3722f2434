// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <clsink/version.hpp>
#include <ctime>
#include <utility>

namespace clsink::demo {
namespace {

// The paper leaves the first two layers dense.
constexpr int kFirstRoutedLayer = 2;
// A layer has a sink if token 0 gets so much of the weight on average.
constexpr double kHasSink = 0.1;

std::string today() { return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr))); }

double mean(const LayerFigures& layer, double GroupFigures::*figure) {
  double sum = 0;
  for (const GroupFigures& group : layer.groups) sum += group.*figure;
  return sum / static_cast<double>(layer.groups.size());
}

double score_percentile(const LayerFigures& layer, double fraction) {
  std::vector<double> scores;
  for (const GroupFigures& group : layer.groups) scores.push_back(group.score);
  return harness::percentile(scores, fraction);
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

void print_score_table(const std::vector<LayerFigures>& layers) {
  fmt::print("\n1. What the score sees, and what is there (means over the {} groups of a layer)\n\n",
             layers.front().groups.size());
  fmt::print("          score: cosine of queries   weight of   weight outside   routed by the    distance   tau for\n");
  fmt::print("          and key of token 0         token 0     token 0 and      paper's tau      from       half of\n");
  fmt::print("   layer     p10    p50    p90       (sink)      the last 64      {:.3f}            dense      the groups\n",
             layers.front().paper_tau);
  for (const LayerFigures& layer : layers) {
    fmt::print("   {:>5}  {:>6.2f} {:>6.2f} {:>6.2f}   {:>9}   {:>12}       {:>2} of {}     {:>11}   {:>9.3f}\n", layer.layer,
               score_percentile(layer, 0.1), score_percentile(layer, 0.5), score_percentile(layer, 0.9),
               percent(mean(layer, &GroupFigures::sink_mass)), percent(mean(layer, &GroupFigures::far_mass)),
               layer.paper_routed, layer.groups.size(), percent(layer.paper_distance[kSinkWindow]), layer.half_tau);
  }
}

void print_distance_table(const std::vector<LayerFigures>& layers) {
  fmt::print("\n2. Half of the groups routed: how far the output moves, ||routed - dense|| / ||dense||\n\n");
  fmt::print("          picked by the score, and replaced by                  sink+window, as many groups picked\n");
  fmt::print("   layer        zero     sink value    sink+window           blindly     by their true far weight\n");
  for (const LayerFigures& layer : layers) {
    fmt::print("   {:>5}  {:>10}     {:>10}     {:>10}        {:>10}     {:>10}{}\n", layer.layer,
               percent(layer.half_distance[0]), percent(layer.half_distance[1]), percent(layer.half_distance[2]),
               percent(layer.chance_distance), percent(layer.oracle_distance),
               layer.layer < kFirstRoutedLayer ? "   (the paper keeps layers 0 and 1 dense)" : "");
  }
  double error = 0;
  for (const LayerFigures& layer : layers) error = std::max(error, layer.reference_error);
  fmt::print("\n   zero: token set {{0, 0}} (the paper); sink value: {{1, 0}}; sink+window: {{1, 64}}.\n");
  fmt::print("   Every answer agrees with the double reference (largest relative error {:.1e}), and every figure too.\n",
             error);
}

const TimeRow* find(const std::vector<TimeRow>& rows, int layer, std::int32_t kv_len, const std::string& what) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const TimeRow& row) {
    return row.layer == layer && row.kv_len == kv_len && row.what == what;
  });
  return found == rows.end() ? nullptr : &*found;
}

std::string cell(const TimeRow* row) {
  if (row == nullptr) return "-";
  const std::string ratio =
      row->speedup >= 0.1 ? fmt::format("x{:.2f}", row->speedup) : fmt::format("1/{:.0f}", 1 / row->speedup);
  return fmt::format("{:.2f} ms ({})", 1e-3 * row->wall_us.median, ratio);
}

// Median over the layers of what sink+window gains at the longest context.
std::pair<std::int32_t, double> longest_speedup(const std::vector<TimeRow>& rows) {
  std::int32_t longest = 0;
  for (const TimeRow& row : rows) longest = std::max(longest, row.kv_len);
  std::vector<double> speedups;
  for (const TimeRow& row : rows) {
    if (row.what == kSurrogates[kSinkWindow].name && row.kv_len == longest) speedups.push_back(row.speedup);
  }
  return {longest, harness::median(speedups)};
}

std::string range(std::vector<double> shares) {
  const auto [low, high] = std::minmax_element(shares.begin(), shares.end());
  return fmt::format("{:.0f} to {:.0f} %", 100 * *low, 100 * *high);
}

}  // namespace

void print_header(const DeviceFacts& device, const harness::Trace& trace) {
  fmt::print("clsink {} on {} ({}, driver {}, {} compute units), {}\n", clsink::version(), device.name, device.platform,
             device.driver, device.compute_units, today());
  fmt::print("Recorded: {}\n          {}\n", trace.model, trace.document);
  fmt::print("{} layers; {} decode steps as a batch, {} query heads on {} kv heads: {} groups a layer; {} to {} tokens\n",
             trace.layers.size(), trace.steps, trace.num_q_heads, trace.num_kv_heads, trace.steps * trace.num_kv_heads,
             trace.first_kv_len, trace.kv_lens().back());
}

void print_routing(const std::vector<LayerFigures>& layers) {
  print_score_table(layers);
  print_distance_table(layers);
}

void print_times(const std::vector<TimeRow>& rows, const std::vector<LayerFigures>& layers) {
  fmt::print("\n3. Half of the groups routed: time of a step of 16 sequences (median; times faster than dense)\n\n");
  fmt::print("   layer  kv_len       dense    {:>18}  {:>18}  {:>18}  {:>20}\n", kSurrogates[0].name, kSurrogates[1].name,
             kSurrogates[2].name, "CLBlast, f32 copies");
  for (const LayerFigures& layer : layers) {
    for (const TimeRow& row : rows) {
      if (row.layer != layer.layer || row.what != kDense) continue;
      fmt::print("   {:>5}  {:>6}  {:>7.2f} ms  {:>18}  {:>18}  {:>18}  {:>20}\n", row.layer, row.kv_len,
                 1e-3 * row.wall_us.median, cell(find(rows, row.layer, row.kv_len, kSurrogates[0].name)),
                 cell(find(rows, row.layer, row.kv_len, kSurrogates[1].name)),
                 cell(find(rows, row.layer, row.kv_len, kSurrogates[2].name)),
                 cell(find(rows, row.layer, row.kv_len, kBaseline)));
    }
  }
  double error = 0;
  for (const TimeRow& row : rows) {
    if (row.what != kBaseline) error = std::max(error, row.error);
  }
  fmt::print("\n   Beyond the recording's length its tokens are repeated (token 0 is not), for the time only.\n");
  fmt::print("   Outputs agree with the double reference there too (largest relative error {:.1e}).\n", error);
  fmt::print(
      "   CLBlast: batched GEMM + softmax + batched GEMM, what one would assemble without this library; it refuses f16,\n");
  fmt::print("   so it reads twice the bytes. - : not measured, or CLBlast takes seconds.\n");
}

std::string conclusion(const std::vector<LayerFigures>& layers, const std::vector<TimeRow>& rows) {
  std::vector<double> by_score, blindly, by_far_mass;  // of the layers with a sink
  for (const LayerFigures& layer : layers) {
    if (mean(layer, &GroupFigures::sink_mass) < kHasSink) continue;
    by_score.push_back(layer.half_distance[kSinkWindow]);
    blindly.push_back(layer.chance_distance);
    by_far_mass.push_back(layer.oracle_distance);
  }
  const auto [longest, speedup] = longest_speedup(rows);
  return fmt::format(
      "In short: not reading half of the cache made decoding {:.1f} times faster at {} tokens; the half that the paper's score "
      "picks moved the attention output by {}, a blind choice moves it by {}, the best one by {}.",
      speedup, longest, range(by_score), range(blindly), range(by_far_mass));
}

nlohmann::json to_json(const DeviceFacts& device, const harness::Trace& trace, const std::vector<LayerFigures>& layers,
                       const std::vector<TimeRow>& rows) {
  nlohmann::json json = {{"device", device.name},   {"platform", device.platform},
                         {"driver", device.driver}, {"compute_units", device.compute_units},
                         {"date", today()},         {"version", clsink::version()},
                         {"model", trace.model},    {"document", trace.document},
                         {"steps", trace.steps},    {"kv_heads", trace.num_kv_heads}};
  json["conclusion"] = conclusion(layers, rows);
  for (const Surrogate& surrogate : kSurrogates) json["surrogates"].push_back(surrogate.name);
  for (const LayerFigures& layer : layers) {
    nlohmann::json groups = nlohmann::json::array();
    for (const GroupFigures& group : layer.groups) {
      groups.push_back({{"step", group.step},
                        {"kv_head", group.kv_head},
                        {"score", group.score},
                        {"sink_mass", group.sink_mass},
                        {"far_mass", group.far_mass},
                        {"routed", group.routed}});
    }
    json["layers"].push_back({{"layer", layer.layer},
                              {"paper_tau", layer.paper_tau},
                              {"paper_routed", layer.paper_routed},
                              {"paper_distance", layer.paper_distance},
                              {"half_tau", layer.half_tau},
                              {"half_routed", layer.half_routed},
                              {"half_distance", layer.half_distance},
                              {"chance_distance", layer.chance_distance},
                              {"oracle_distance", layer.oracle_distance},
                              {"reference_error", layer.reference_error},
                              {"groups", groups}});
  }
  for (const TimeRow& row : rows) {
    json["times"].push_back({{"layer", row.layer},
                             {"kv_len", row.kv_len},
                             {"what", row.what},
                             {"median_us", row.wall_us.median},
                             {"p10_us", row.wall_us.p10},
                             {"p90_us", row.wall_us.p90},
                             {"samples", row.wall_us.count},
                             {"speedup", row.speedup},
                             {"reference_error", row.error}});
  }
  return json;
}

}  // namespace clsink::demo
