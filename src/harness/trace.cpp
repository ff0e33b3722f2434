// SPDX-License-Identifier: Apache-2.0
#include "harness/trace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

constexpr std::size_t kMaxAxis = 1 << 24;  // times the bytes of any data that there is, it fits 64 bits

// Of a fraction the JSON library would make whatever its conversion gives.
template <typename T>
T whole(const nlohmann::json& number, const std::string& path) {
  if (!number.is_number_integer()) fail(path, number.dump() + " is not a whole number");
  return number.get<T>();
}

// The recorded arrays; the first axis of each is the layer.
class Arrays {
 public:
  Arrays(const nlohmann::json& description, std::string_view data, std::string path)
      : arrays_(description.at("arrays")), data_(data), path_(std::move(path)) {}

  std::vector<std::size_t> shape(const char* name, std::size_t axes) const {
    std::vector<std::size_t> shape;
    for (const nlohmann::json& axis : arrays_.at(name).at("shape")) shape.push_back(whole<std::size_t>(axis, path_));
    if (shape.size() != axes) fail(path_, fmt::format("{} has {} axes, must have {}", name, shape.size(), axes));
    for (const std::size_t axis : shape) {
      if (axis < 1 || axis > kMaxAxis) fail(path_, fmt::format("{} has an axis of {}, must be 1 to {}", name, axis, kMaxAxis));
    }
    return shape;
  }

  // The part of the array that belongs to one layer.
  std::vector<float> layer(const char* name, std::size_t index, const std::vector<std::size_t>& expected) const {
    const std::vector<std::size_t> axes = shape(name, expected.size());
    if (axes != expected) {
      fail(path_, fmt::format("{} is [{}], must be [{}]", name, fmt::join(axes, ","), fmt::join(expected, ",")));
    }
    const nlohmann::json& array = arrays_.at(name);
    const DType dtype = array.at("dtype") == "f16" ? DType::kF16 : DType::kF32;
    const auto offset_bytes = whole<std::size_t>(array.at("offset_bytes"), path_);
    std::size_t bytes = static_cast<std::size_t>(size_of(dtype));
    for (std::size_t axis = 1; axis < axes.size(); ++axis) {
      bytes *= axes[axis];
      if (bytes > data_.size()) fail(path_, fmt::format("a layer of {} exceeds the {} bytes of data", name, data_.size()));
    }
    if (offset_bytes > data_.size() || (index + 1) * bytes > data_.size() - offset_bytes) {
      fail(path_, fmt::format("{} bytes of data, layer {} of {} lies beyond", data_.size(), index, name));
    }
    std::vector<float> values(bytes / static_cast<std::size_t>(size_of(dtype)));
    load_row(dtype, reinterpret_cast<const std::byte*>(data_.data()) + offset_bytes + index * bytes, values.size(),
             values.data());
    return values;
  }

 private:
  const nlohmann::json& arrays_;
  std::string_view data_;
  std::string path_;
};

Trace read_trace(const nlohmann::json& description, std::string_view data, const std::string& path) {
  const Arrays arrays(description, data, path);
  const std::vector<std::size_t> q = arrays.shape("q", 4), k = arrays.shape("k", 4);
  const std::size_t layers = q[0], steps = q[1], q_heads = q[2], kv_heads = k[1], tokens = k[2], head_dim = k[3];
  Trace trace;
  trace.model = description.at("model");
  trace.document = description.at("document");
  trace.steps = static_cast<std::int32_t>(steps);
  trace.num_q_heads = static_cast<std::int32_t>(q_heads);
  trace.num_kv_heads = static_cast<std::int32_t>(kv_heads);
  trace.head_dim = static_cast<std::int32_t>(head_dim);
  trace.first_kv_len = whole<std::int32_t>(description.at("first_kv_len"), path);
  trace.scale = description.at("scale");
  if (trace.first_kv_len < 0 || std::int64_t{trace.first_kv_len} + trace.steps - 1 > static_cast<std::int64_t>(tokens)) {
    fail(path, fmt::format("first_kv_len is {}, with {} steps of {} tokens", trace.first_kv_len, steps, tokens));
  }
  std::vector<std::int32_t> numbers;
  for (const nlohmann::json& number : description.at("layers")) numbers.push_back(whole<std::int32_t>(number, path));
  if (numbers.size() != layers) fail(path, fmt::format("layers names {}, q has {}", numbers.size(), layers));
  for (std::size_t index = 0; index < layers; ++index) {
    TraceLayer layer;
    layer.number = numbers[index];
    layer.tokens = static_cast<std::int32_t>(tokens);
    layer.q = arrays.layer("q", index, {layers, steps, q_heads, head_dim});
    layer.k = arrays.layer("k", index, {layers, kv_heads, tokens, head_dim});
    layer.v = arrays.layer("v", index, {layers, kv_heads, tokens, head_dim});
    layer.cosine = arrays.layer("cosine", index, {layers, steps, q_heads});
    layer.sink_logit = arrays.layer("sink_logit", index, {layers, steps, q_heads});
    layer.sink_window = arrays.layer("sink_window", index, {layers, steps, q_heads, head_dim});
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

Trace parse_trace(std::string_view description, std::string_view data, const std::string& name) {
  try {
    return read_trace(nlohmann::json::parse(description), data, name);
  } catch (const nlohmann::json::exception& error) {
    fail(name, error.what());
  }
}

Trace load_trace(const std::string& description_path) {
  const auto data_path = std::filesystem::path(description_path).replace_extension(".bin").string();
  return parse_trace(read_file(description_path), read_file(data_path), description_path);
}

TraceLayer repeated(const TraceLayer& layer, const Trace& trace, std::int32_t tokens) {
  const auto copy = [&](const std::vector<float>& from) {
    const std::size_t row = static_cast<std::size_t>(trace.head_dim);
    std::vector<float> to(static_cast<std::size_t>(trace.num_kv_heads) * tokens * row);
    for (std::size_t target = 0; target < to.size(); target += row) {
      const auto kv_head = static_cast<std::int32_t>(target / row) / tokens;
      const auto token = static_cast<std::int32_t>(target / row) % tokens;
      const std::int32_t recorded = token == 0 || layer.tokens == 1 ? 0 : 1 + (token - 1) % (layer.tokens - 1);
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
