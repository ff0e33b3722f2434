// SPDX-License-Identifier: Apache-2.0
// Attention recorded from a language model (tests/data): queries of some decode steps and the caches that they met, by
// layer. The steps of a layer form a batch over one cache that all sequences share, each with its own kv_len.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/inputs.hpp"

namespace clsink::harness {

struct TraceLayer {
  std::int32_t number = 0;         ///< counted from 0 in the model
  std::int32_t tokens = 0;         ///< rows of every kv head in k and v
  std::vector<float> q;            ///< [step][q head][channel]
  std::vector<float> k, v;         ///< [kv head][token][channel]
  std::vector<float> cosine;       ///< [step][q head], recorded: of q and the key of token 0
  std::vector<float> sink_logit;   ///< [step][q head], recorded: scaled logit of token 0
  std::vector<float> sink_window;  ///< [step][q head][channel], recorded: attention over token 0 and the last 64 only
};

struct Trace {
  std::string model, document;
  std::int32_t steps = 0, num_q_heads = 0, num_kv_heads = 0, head_dim = 0;
  std::int32_t first_kv_len = 0;  ///< step s attends to first_kv_len + s tokens
  float scale = 0;
  std::vector<TraceLayer> layers;

  std::vector<std::int32_t> kv_lens() const;
  /// f16 in, f32 out, the steps as a batch; every sequence with a packed cache of its own of max_kv_len tokens.
  DecodeProblem problem(std::int32_t max_kv_len) const;
};

/// Throws Error(kInvalidProblem) that names what is wrong with the description (JSON) or its data.
Trace parse_trace(std::string_view description, std::string_view data, const std::string& name);
/// Of two files: the description, and beside it the data (.bin).
Trace load_trace(const std::string& description_path);

/// Token 0 once, then all others over and over: a longer context whose sink stays single.
TraceLayer repeated(const TraceLayer& layer, const Trace& trace, std::int32_t tokens);

/// The layer for one sequence of each length, all with the same cache. The second refers to `layer`, which must outlive it.
Inputs trace_inputs(const Trace& trace, const TraceLayer& layer, std::vector<std::int32_t> kv_lens);
ReferenceInputs trace_reference_inputs(const Trace& trace, const TraceLayer& layer, std::vector<std::int32_t> kv_lens);

}  // namespace clsink::harness
