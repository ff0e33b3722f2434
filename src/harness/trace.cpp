// SPDX-License-Identifier: Apache-2.0
#include "harness/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/storage.hpp"

namespace clsink::harness {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& reason) {
  throw Error(ErrorCode::kInvalidProblem, fmt::format("trace {}: {}", path, reason));
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, "cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

// The part of an array that belongs to one layer, which is its first axis.
class Arrays {
 public:
  Arrays(const nlohmann::json& description, std::string path) : arrays_(description.at("arrays")), path_(std::move(path)) {
    data_ = read_file(path_);
  }

  std::vector<std::size_t> shape(const char* name) const { return arrays_.at(name).at("shape"); }

  std::vector<float> layer(const char* name, std::size_t index) const {
    const nlohmann::json& array = arrays_.at(name);
    const DType dtype = array.at("dtype") == "f16" ? DType::kF16 : DType::kF32;
    const std::vector<std::size_t> axes = shape(name);
    std::size_t count = 1;
    for (std::size_t axis = 1; axis < axes.size(); ++axis) count *= axes[axis];
    const std::size_t bytes = count * static_cast<std::size_t>(size_of(dtype));
    const std::size_t begin = array.at("offset_bytes").get<std::size_t>() + index * bytes;
    if (begin + bytes > data_.size()) fail(path_, fmt::format("{} bytes, {} ends at {}", data_.size(), name, begin + bytes));
    std::vector<float> values(count);
    load_row(dtype, reinterpret_cast<const std::byte*>(data_.data()) + begin, count, values.data());
    return values;
  }

 private:
  const nlohmann::json& arrays_;
  std::string path_, data_;
};

Trace read_trace(const nlohmann::json& description, const std::string& data_path) {
  const Arrays arrays(description, data_path);
  const std::vector<std::size_t> q = arrays.shape("q"), k = arrays.shape("k");
  Trace trace;
  trace.model = description.at("model");
  trace.document = description.at("document");
  trace.steps = static_cast<std::int32_t>(q.at(1));
  trace.num_q_heads = static_cast<std::int32_t>(q.at(2));
  trace.num_kv_heads = static_cast<std::int32_t>(k.at(1));
  trace.head_dim = static_cast<std::int32_t>(k.at(3));
  trace.first_kv_len = description.at("first_kv_len");
  trace.scale = description.at("scale");
  for (const std::int32_t number : description.at("layers")) {
    const std::size_t index = trace.layers.size();
    TraceLayer layer;
    layer.number = number;
    layer.tokens = static_cast<std::int32_t>(k.at(2));
    layer.q = arrays.layer("q", index);
    layer.k = arrays.layer("k", index);
    layer.v = arrays.layer("v", index);
    layer.cosine = arrays.layer("cosine", index);
    layer.sink_logit = arrays.layer("sink_logit", index);
    layer.sink_window = arrays.layer("sink_window", index);
    trace.layers.push_back(std::move(layer));
  }
  return trace;
}

}  // namespace

std::vector<std::int32_t> Trace::kv_lens() const {
  std::vector<std::int32_t> lens;
  lens.reserve(static_cast<std::size_t>(steps));
  for (std::int32_t step = 0; step < steps; ++step) lens.push_back(first_kv_len + step);
  return lens;
}

DecodeProblem Trace::problem(std::int32_t max_kv_len) const {
  DecodeProblem problem;
  problem.out_dtype = DType::kF32;
  problem.num_q_heads = num_q_heads;
  problem.num_kv_heads = num_kv_heads;
  problem.head_dim = head_dim;
  problem.max_batch = steps;
  problem.max_kv_len = max_kv_len;
  return problem;
}

Trace load_trace(const std::string& description_path) {
  try {
    const auto data_path = std::filesystem::path(description_path).replace_extension(".bin").string();
    return read_trace(nlohmann::json::parse(read_file(description_path)), data_path);
  } catch (const nlohmann::json::exception& error) {
    fail(description_path, error.what());
  } catch (const std::out_of_range&) {
    fail(description_path, "an array has too few axes");
  }
}

TraceLayer repeated(const TraceLayer& layer, const Trace& trace, std::int32_t tokens) {
  const auto copy = [&](const std::vector<float>& from) {
    const std::size_t row = static_cast<std::size_t>(trace.head_dim);
    std::vector<float> to(static_cast<std::size_t>(trace.num_kv_heads) * tokens * row);
    for (std::size_t target = 0; target < to.size(); target += row) {
      const auto kv_head = static_cast<std::int32_t>(target / row) / tokens;
      const auto token = static_cast<std::int32_t>(target / row) % tokens;
      const std::int32_t recorded = token == 0 ? 0 : 1 + (token - 1) % (layer.tokens - 1);
      const std::size_t source = (static_cast<std::size_t>(kv_head) * layer.tokens + recorded) * row;
      std::copy_n(&from[source], row, &to[target]);
    }
    return to;
  };
  TraceLayer longer = layer;
  longer.tokens = tokens;
  longer.k = copy(layer.k);
  longer.v = copy(layer.v);
  return longer;
}

Inputs trace_inputs(const Trace& trace, const TraceLayer& layer, std::vector<std::int32_t> kv_lens) {
  Inputs inputs;
  inputs.tokens = layer.tokens;
  inputs.kv_lens = std::move(kv_lens);
  inputs.q.assign(layer.q.begin(),
                  layer.q.begin() + static_cast<std::ptrdiff_t>(inputs.kv_lens.size()) * trace.num_q_heads * trace.head_dim);
  for (std::size_t sequence = 0; sequence < inputs.kv_lens.size(); ++sequence) {
    inputs.k.insert(inputs.k.end(), layer.k.begin(), layer.k.end());
    inputs.v.insert(inputs.v.end(), layer.v.begin(), layer.v.end());
  }
  return inputs;
}

ReferenceInputs trace_reference_inputs(const Trace& trace, const TraceLayer& layer, std::vector<std::int32_t> kv_lens) {
  const auto rows_of = [&](const std::vector<float>& values) {
    return [data = values.data(), tokens = layer.tokens, head_dim = trace.head_dim](int, int kv_head, int token) {
      return data + (static_cast<std::size_t>(kv_head) * tokens + token) * head_dim;
    };
  };
  ReferenceInputs inputs;
  inputs.q = layer.q;
  inputs.key = rows_of(layer.k);
  inputs.value = rows_of(layer.v);
  inputs.kv_lens = std::move(kv_lens);
  return inputs;
}

}  // namespace clsink::harness
