// SPDX-License-Identifier: Apache-2.0
#include "harness/suite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "cl_kernels/decode_args.h"

namespace clsink::harness {
namespace {

using Row = std::map<std::string, std::string>;

constexpr std::string_view kPaired = "paired ";

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidProblem, "suite: " + message); }

[[noreturn]] void unknown(const char* axis, const std::string& value) {
  refuse(fmt::format("{}: unknown value {}", axis, value));
}

int integer(const std::string& text) {
  try {
    std::size_t used = 0;
    const int value = std::stoi(text, &used);
    if (used == text.size()) return value;
  } catch (const std::logic_error&) {
  }
  refuse(fmt::format("{} is not an integer", text));
}

DType dtype_of(const std::string& text) {
  if (text == "f16") return DType::kF16;
  if (text == "bf16") return DType::kBF16;
  if (text == "f32") return DType::kF32;
  unknown("dtypes", text);
}

void set_dtypes(DecodeProblem& problem, const std::string& text) {
  std::vector<DType> dtypes;
  std::istringstream stream(text);
  for (std::string name; std::getline(stream, name, '/');) dtypes.push_back(dtype_of(name));
  if (dtypes.size() == 1) dtypes.resize(3, dtypes[0]);
  if (dtypes.size() != 3) unknown("dtypes", text);
  problem.q_dtype = dtypes[0];
  problem.kv_dtype = dtypes[1];
  problem.out_dtype = dtypes[2];
}

TokenSet token_set_of(const std::string& text) {
  if (text == "dense") return {};
  const auto comma = text.find(',');
  if (comma == std::string::npos) unknown("tokens", text);
  return {integer(text.substr(0, comma)), integer(text.substr(comma + 1))};
}

SinkRouting routing_of(const std::string& routing, const std::string& surrogate) {
  SinkRouting result;
  if (routing == "off") return result;
  if (routing == "mean")
    result = SinkRouting::cosine(Policy::kMean);
  else if (routing == "all")
    result = SinkRouting::cosine(Policy::kAll);
  else if (routing == "hybrid")
    result = SinkRouting::cosine(Policy::kHybrid);
  else if (routing == "mask")
    result = SinkRouting::mask();
  else
    unknown("routing", routing);
  result.surrogate = token_set_of(surrogate);
  return result;
}

std::vector<std::int32_t> crowd() {
  std::vector<std::int32_t> lens;
  while (lens.size() <= CLSINK_MAX_PROLOGUE_GROUPS) lens.insert(lens.end(), {3, 17, 0, 9, 40});
  return lens;
}

std::vector<std::int32_t> lens_of(const std::string& name) {
  static const std::map<std::string, std::vector<std::int32_t>> kLens = {
      {"one", {1}},
      {"zero", {0, 1, 0}},
      {"tiny", {2, 0, 7, 9}},
      {"tiles16", {15, 16, 17, 33, 1}},
      {"tiles32", {31, 32, 33, 65}},
      {"tiles64", {63, 64, 65, 129, 0}},
      {"primes", {127, 257, 13, 509}},
      {"long", {1733, 3, 100}},
      {"crowd", crowd()},
  };
  const auto found = kLens.find(name);
  if (found == kLens.end()) unknown("lens", name);
  return found->second;
}

void set_interleaved(Case& c) {
  DecodeProblem& problem = c.problem;
  KvLayout& layout = problem.kv_layout;
  const std::int64_t token = 2 * problem.head_dim;
  layout.k = layout.v = {token, token * problem.max_kv_len, token * problem.max_kv_len * problem.num_kv_heads};
  c.v_at_bytes = static_cast<std::int64_t>(problem.head_dim) * size_of(problem.kv_dtype);
}

// A page holds its K of all heads, then its V of all heads.
void set_fused_pages(Case& c, std::int32_t page_size) {
  DecodeProblem& problem = c.problem;
  problem.kv_layout = KvLayout::paged(page_size);
  const std::int64_t head = static_cast<std::int64_t>(page_size) * problem.head_dim;
  const std::int64_t half = head * problem.num_kv_heads;
  problem.kv_layout.k = problem.kv_layout.v = {problem.head_dim, head, 2 * half};
  c.v_at_bytes = half * size_of(problem.kv_dtype);
}

void set_layout(Case& c, const std::string& name) {
  constexpr std::int64_t kGap = 8;  // elements: 16 bytes of the smallest type
  DecodeProblem& problem = c.problem;
  KvLayout& layout = problem.kv_layout;
  const std::int64_t head_dim = problem.head_dim, heads = problem.num_kv_heads, tokens = problem.max_kv_len;
  if (name == "contiguous") {
    layout = KvLayout::contiguous();
  } else if (name == "token_major") {
    layout.k = layout.v = {heads * head_dim, head_dim, tokens * heads * head_dim};
  } else if (name == "padded") {
    const std::int64_t token = head_dim + kGap, head = tokens * token + 2 * kGap;
    layout.k = {token, head, heads * head + 3 * kGap};
    layout.v = {token + kGap, head + tokens * kGap, heads * (head + tokens * kGap) + kGap};
  } else if (name == "interleaved") {
    set_interleaved(c);
  } else if (name == "fused16") {
    set_fused_pages(c, 16);
  } else if (name.rfind("page", 0) == 0) {
    layout = KvLayout::paged(integer(name.substr(4)));
    layout.page_table_stride = problem.max_kv_len / layout.page_size + 3;
  } else {
    unknown("layout", name);
  }
}

void set_rows(DecodeProblem& problem, const std::string& name) {
  if (name == "packed") return;
  if (name != "padded") unknown("rows", name);
  constexpr std::int64_t kGap = 8;
  problem.q_strides = {problem.head_dim + kGap, problem.num_q_heads * (problem.head_dim + kGap) + kGap};
  problem.out_strides = {problem.head_dim + 2 * kGap, problem.num_q_heads * (problem.head_dim + 2 * kGap)};
}

void set_extras(Case& c, const std::string& name) {
  if (name == "anchors")
    c.anchors = c.problem.routing.enabled || c.problem.token_set.keep_first > 0;  // refused where nothing depends on it
  else if (name == "tau_offsets")
    c.tau_offsets = true;
  else if (name == "bare")
    c.optional_outputs = false;
  else if (name == "exact")
    c.exact = true;
  else if (name == "offset")
    c.offset_bytes = 48;
  else if (name != "none")
    unknown("extras", name);
}

}  // namespace

std::vector<Axis> parse_suite(const std::string& text) {
  std::vector<Axis> axes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) refuse(fmt::format("\"{}\" is not \"name: values\"", line));
    Axis axis{line.substr(0, colon), {}, false};
    if (axis.name.rfind(kPaired, 0) == 0) {
      axis.name.erase(0, kPaired.size());
      axis.paired = true;
    }
    std::istringstream values(line.substr(colon + 1));
    for (std::string value; values >> value;) axis.values.push_back(value);
    if (axis.values.empty()) refuse(fmt::format("axis {} has no values", axis.name));
    axes.push_back(axis);
  }
  return axes;
}

std::vector<Axis> read_suite(const std::string& path) {
  std::ifstream file(path);
  if (!file) refuse(fmt::format("cannot open {}", path));
  std::ostringstream text;
  text << file.rdbuf();
  return parse_suite(text.str());
}

Case make_case(const Row& row, std::uint32_t seed) {
  Row rest = row;
  const auto take = [&rest](const char* axis, const char* otherwise) {
    const auto found = rest.find(axis);
    if (found == rest.end()) return std::string(otherwise);
    std::string value = found->second;
    rest.erase(found);
    return value;
  };
  Case c;
  c.seed = seed;
  DecodeProblem& problem = c.problem;
  set_dtypes(problem, take("dtypes", "f16"));
  problem.head_dim = integer(take("head_dim", "64"));
  problem.num_kv_heads = integer(take("kv_heads", "2"));
  problem.num_q_heads = problem.num_kv_heads * integer(take("group", "4"));
  c.kv_lens = lens_of(take("lens", "primes"));
  problem.max_batch = static_cast<std::int32_t>(c.kv_lens.size()) + static_cast<std::int32_t>(seed % 2);
  problem.max_kv_len = *std::max_element(c.kv_lens.begin(), c.kv_lens.end()) + static_cast<std::int32_t>(seed % 3) * 5;
  problem.token_set = token_set_of(take("tokens", "dense"));
  const std::string routing = take("routing", "off");
  problem.routing = routing_of(routing, take("surrogate", "1,64"));
  set_layout(c, take("layout", "contiguous"));
  set_rows(problem, take("rows", "packed"));
  set_extras(c, take("extras", "none"));
  c.data = parse_data_kind(take("data", "random"));
  if (seed % 4 == 1) c.floor = 0.3F;
  if (!rest.empty()) refuse(fmt::format("unknown axis {}", rest.begin()->first));
  return c;
}

std::vector<Case> suite_cases(const std::vector<Axis>& axes, int strength) {
  std::vector<Case> cases;
  for (const std::vector<int>& values : covering_array(axes, strength)) {
    Row row;
    for (std::size_t axis = 0; axis < axes.size(); ++axis) row[axes[axis].name] = axes[axis].values[values[axis]];
    cases.push_back(make_case(row, static_cast<std::uint32_t>(cases.size()) + 1));
  }
  return cases;
}

}  // namespace clsink::harness
