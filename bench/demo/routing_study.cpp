// SPDX-License-Identifier: Apache-2.0
#include "routing_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

namespace clsink::demo {
namespace {

using harness::Case;

constexpr float kBelowAnyCosine = -2;
constexpr double kFigureTolerance = 1e-4;  // between a figure of the library's answers and the reference's

struct Answer {
  std::vector<double> out, lse;
  std::vector<GroupStatistics> statistics;
};

// One layer's answers from one witness: the library or the reference.
struct Answers {
  Answer dense;
  std::array<Answer, kSurrogates.size()> all, half, paper;  // routed
};

class LayerStudy {
 public:
  LayerStudy(const harness::OpenClDevice& device, Context& context, const harness::Trace& trace,
             const harness::TraceLayer& layer)
      : device_(device),
        context_(context),
        trace_(trace),
        layer_(layer),
        inputs_(harness::trace_inputs(trace, layer, trace.kv_lens())),
        reference_inputs_(harness::trace_reference_inputs(trace, layer, trace.kv_lens())) {
    dense_.problem = trace.problem(layer.tokens);
    dense_.problem.kv_layout.k.block = dense_.problem.kv_layout.v.block = 0;  // all sequences share one cache
    dense_.kv_lens = trace.kv_lens();
    dense_.scale = trace.scale;
  }

  LayerFigures run() {
    figures_.layer = layer_.number;
    figures_.paper_tau = static_cast<float>(harness::tau_at(paper_tau(), layer_.tokens));
    answer(dense_, [](Answers& answers) { return &answers.dense; });
    for (std::size_t i = 0; i < kSurrogates.size(); ++i) {
      answer(routed(i, TauTable::constant(kBelowAnyCosine)), [i](Answers& answers) { return &answers.all[i]; });
    }
    figures_.half_tau = middle_score();
    for (std::size_t i = 0; i < kSurrogates.size(); ++i) {
      answer(routed(i, TauTable::constant(figures_.half_tau)), [i](Answers& answers) { return &answers.half[i]; });
      answer(routed(i, paper_tau()), [i](Answers& answers) { return &answers.paper[i]; });
    }
    LayerFigures expected = figures_;
    fill(library_, figures_);
    fill(reference_, expected);
    check(expected);
    return std::move(figures_);
  }

 private:
  Case routed(std::size_t surrogate, const TauTable& tau) const {
    Case c = dense_;
    c.problem.routing = SinkRouting::cosine(Policy::kMean);
    c.problem.routing.surrogate = kSurrogates[surrogate].set;
    c.tau = tau;
    return c;
  }

  // Runs the case on the device and in the reference, compares, and keeps both answers.
  void answer(const Case& c, const std::function<Answer*(Answers&)>& place) {
    const DecodePlan plan = context_.prepare(harness::plan_of(context_, c));
    harness::DeviceCase on_device(device_, plan, c, inputs_);
    cl::CommandQueue queue = device_.queue();
    context_.enqueue(queue(), plan, on_device.buffers, on_device.step);
    const harness::Readback got = on_device.read(queue);
    const harness::ReferenceResult expected = harness::reference_decode(plan.problem, on_device.step, reference_inputs_);
    const harness::Outcome outcome = harness::compare(plan.problem, expected, got, c.optional_outputs);
    if (!outcome.ok() || outcome.excluded_groups > 0) {
      throw Error(ErrorCode::kInternal, fmt::format("layer {}, {}: {}", layer_.number, to_string(plan), outcome.summary()));
    }
    figures_.reference_error = std::max(figures_.reference_error, outcome.error);
    *place(library_) = {{got.out.begin(), got.out.end()}, {got.lse.begin(), got.lse.end()}, got.statistics};
    *place(reference_) = {expected.out, expected.lse, expected.statistics};
  }

  float middle_score() const {
    std::vector<float> scores;
    for (const GroupStatistics& group : reference_.all[kSinkWindow].statistics) scores.push_back(group.mean_score);
    std::sort(scores.begin(), scores.end());
    return (scores[scores.size() / 2 - 1] + scores[scores.size() / 2]) / 2;
  }

  std::size_t group_size() const { return static_cast<std::size_t>(trace_.num_q_heads / trace_.num_kv_heads); }

  // ||a - b||^2 over a group's rows.
  double squared_distance(const Answer& a, const Answer& b, std::size_t group) const {
    const std::size_t values = group_size() * static_cast<std::size_t>(trace_.head_dim);
    double sum = 0;
    for (std::size_t i = group * values; i < (group + 1) * values; ++i) sum += (a.out[i] - b.out[i]) * (a.out[i] - b.out[i]);
    return sum;
  }

  double relative_distance(const Answer& answer, const Answer& dense) const {
    double sum = 0;
    for (std::size_t group = 0; group < answer.statistics.size(); ++group) sum += squared_distance(answer, dense, group);
    return std::sqrt(sum / squared_norm(dense));
  }

  static double squared_norm(const Answer& answer) {
    return std::inner_product(answer.out.begin(), answer.out.end(), answer.out.begin(), 0.0);
  }

  // Mean weight of the surrogate's tokens in dense attention: the share of its sum of exp.
  double mass_of(const Answer& surrogate, const Answer& dense, std::size_t group) const {
    double sum = 0;
    for (std::size_t row = group * group_size(); row < (group + 1) * group_size(); ++row) {
      sum += std::exp(surrogate.lse[row] - dense.lse[row]);
    }
    return sum / static_cast<double>(group_size());
  }

  void fill(const Answers& answers, LayerFigures& figures) const {
    const auto count_routed = [](const Answer& answer) {
      return static_cast<int>(std::count_if(answer.statistics.begin(), answer.statistics.end(),
                                            [](const GroupStatistics& group) { return group.routed != 0; }));
    };
    figures.paper_routed = count_routed(answers.paper[kSinkWindow]);
    figures.half_routed = count_routed(answers.half[kSinkWindow]);
    for (std::size_t i = 0; i < kSurrogates.size(); ++i) {
      figures.paper_distance[i] = relative_distance(answers.paper[i], answers.dense);
      figures.half_distance[i] = relative_distance(answers.half[i], answers.dense);
    }
    const std::vector<GroupStatistics>& statistics = answers.half[kSinkWindow].statistics;
    for (std::size_t group = 0; group < statistics.size(); ++group) {
      GroupFigures one;
      one.step = static_cast<int>(group) / trace_.num_kv_heads;
      one.kv_head = static_cast<int>(group) % trace_.num_kv_heads;
      one.score = statistics[group].mean_score;
      one.sink_mass = mass_of(answers.all[kSinkValue], answers.dense, group);
      one.far_mass = 1 - mass_of(answers.all[kSinkWindow], answers.dense, group);
      one.routed = statistics[group].routed != 0;
      figures.groups.push_back(one);
    }
    fill_comparisons(answers, figures);
  }

  // What as many groups would have cost that were picked blindly, or by what the score is meant to tell.
  void fill_comparisons(const Answers& answers, LayerFigures& figures) const {
    std::vector<std::pair<double, double>> far_and_cost;
    double all = 0;
    for (std::size_t group = 0; group < figures.groups.size(); ++group) {
      const double cost = squared_distance(answers.all[kSinkWindow], answers.dense, group);
      far_and_cost.emplace_back(figures.groups[group].far_mass, cost);
      all += cost;
    }
    std::sort(far_and_cost.begin(), far_and_cost.end());
    double best = 0;
    for (int i = 0; i < figures.half_routed; ++i) best += far_and_cost[static_cast<std::size_t>(i)].second;
    const double norm = squared_norm(answers.dense);
    figures.chance_distance = std::sqrt(all * figures.half_routed / static_cast<double>(far_and_cost.size()) / norm);
    figures.oracle_distance = std::sqrt(best / norm);
  }

  void check(const LayerFigures& expected) const {
    const auto same = [&](const char* figure, double got, double wanted) {
      if (std::abs(got - wanted) <= kFigureTolerance) return;
      throw Error(ErrorCode::kInternal, fmt::format("layer {}: {} is {} instead of {}", layer_.number, figure, got, wanted));
    };
    same("paper_routed", figures_.paper_routed, expected.paper_routed);
    same("half_routed", figures_.half_routed, expected.half_routed);
    for (std::size_t i = 0; i < kSurrogates.size(); ++i) {
      same("paper_distance", figures_.paper_distance[i], expected.paper_distance[i]);
      same("half_distance", figures_.half_distance[i], expected.half_distance[i]);
    }
    same("chance_distance", figures_.chance_distance, expected.chance_distance);
    same("oracle_distance", figures_.oracle_distance, expected.oracle_distance);
    for (std::size_t group = 0; group < expected.groups.size(); ++group) {
      same("score", figures_.groups[group].score, expected.groups[group].score);
      same("sink_mass", figures_.groups[group].sink_mass, expected.groups[group].sink_mass);
      same("far_mass", figures_.groups[group].far_mass, expected.groups[group].far_mass);
      same("routed", figures_.groups[group].routed, expected.groups[group].routed);
    }
  }

  const harness::OpenClDevice& device_;
  Context& context_;
  const harness::Trace& trace_;
  const harness::TraceLayer& layer_;
  harness::Inputs inputs_;
  harness::ReferenceInputs reference_inputs_;
  Case dense_;
  Answers library_, reference_;
  LayerFigures figures_;
};

}  // namespace

TauTable paper_tau() {
  constexpr std::int32_t kK = 1024;
  TauTable table;
  for (const TauTable::Point point : {TauTable::Point{2 * kK, .506F},
                                      {8 * kK, .525F},
                                      {16 * kK, .543F},
                                      {32 * kK, .566F},
                                      {48 * kK, .574F},
                                      {64 * kK, .574F},
                                      {96 * kK, .562F},
                                      {108 * kK, .556F},
                                      {128 * kK, .543F}}) {
    table.points[static_cast<std::size_t>(table.count++)] = point;
  }
  return table;
}

LayerFigures study_routing(const harness::OpenClDevice& device, Context& context, const harness::Trace& trace,
                           const harness::TraceLayer& layer) {
  return LayerStudy(device, context, trace, layer).run();
}

}  // namespace clsink::demo
