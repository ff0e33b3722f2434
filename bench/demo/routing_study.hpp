// SPDX-License-Identifier: Apache-2.0
// What routing does to a recorded layer: which groups the score picks, what they attended to in truth, and how far the
// output moves for each surrogate. Every figure is computed twice, from the library's answers and from the reference's.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include <clsink/context.hpp>

#include "harness/device_case.hpp"
#include "harness/trace.hpp"

namespace clsink::demo {

struct Surrogate {
  const char* name;
  TokenSet set;
};
constexpr std::array<Surrogate, 3> kSurrogates{{{"zero", {0, 0}}, {"sink value", {1, 0}}, {"sink+window", {1, 64}}}};
constexpr std::size_t kSinkValue = 1, kSinkWindow = 2;

/// tau(kv_len) that routes 60 % of Llama-3.1-8B's groups (arXiv 2604.16883).
TauTable paper_tau();

struct GroupFigures {
  int step = 0;
  int kv_head = 0;
  double score = 0;      ///< mean cosine of the group's queries and the key of token 0
  double sink_mass = 0;  ///< softmax weight of token 0, mean over the group's query heads
  double far_mass = 0;   ///< weight outside token 0 and the last 64, likewise
  bool routed = false;   ///< at the threshold for half of the groups
};

struct LayerFigures {
  int layer = 0;
  float paper_tau = 0;  ///< at the longest step
  float half_tau = 0;   ///< between the middle two scores of the layer
  int paper_routed = 0;
  int half_routed = 0;
  std::array<double, kSurrogates.size()> paper_distance{};  ///< ||routed - dense|| / ||dense||
  std::array<double, kSurrogates.size()> half_distance{};
  double chance_distance = 0;  ///< sink+window, as many groups as half_routed drawn at random: root mean square
  double oracle_distance = 0;  ///< sink+window, as many groups with the least far mass
  double reference_error = 0;  ///< largest ||library - reference|| / ||reference|| of all runs
  std::vector<GroupFigures> groups;
};

/// Throws clsink::Error(kInternal) if an answer or a figure differs from the reference's.
LayerFigures study_routing(const harness::OpenClDevice& device, Context& context, const harness::Trace& trace,
                           const harness::TraceLayer& layer);

}  // namespace clsink::demo
