// SPDX-License-Identifier: Apache-2.0
#include "model/problem.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>

#include "model/fields.hpp"

namespace clsink {
namespace {

constexpr Named<DType> kDTypes[] = {{DType::kF16, "f16"}, {DType::kBF16, "bf16"}, {DType::kF32, "f32"}};
constexpr Named<Policy> kPolicies[] = {{Policy::kMean, "mean"}, {Policy::kAll, "all"}, {Policy::kHybrid, "hybrid"}};

// Elements; a quarter of what 64-bit byte offsets of 4-byte elements reach.
constexpr double kMaxSpan = 0x1p59;

bool known(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32; }

std::optional<std::string> invalid_sizes(const DecodeProblem& p) {
  if (!known(p.q_dtype)) return fmt::format("q_dtype is {}, not a known storage type", static_cast<int>(p.q_dtype));
  if (!known(p.kv_dtype)) return fmt::format("kv_dtype is {}, not a known storage type", static_cast<int>(p.kv_dtype));
  if (!known(p.out_dtype)) return fmt::format("out_dtype is {}, not a known storage type", static_cast<int>(p.out_dtype));
  if (p.num_kv_heads < 1 || p.num_kv_heads > 65536)
    return fmt::format("num_kv_heads is {}, must be 1 to 65536", p.num_kv_heads);
  if (p.num_q_heads < 1 || p.num_q_heads % p.num_kv_heads != 0) {
    return fmt::format("num_q_heads is {}, must be a multiple of num_kv_heads ({})", p.num_q_heads, p.num_kv_heads);
  }
  if (p.group_size() > kMaxGroupSize) {
    return fmt::format("group_size is {} (num_q_heads {} / num_kv_heads {}), must be 1 to {}", p.group_size(), p.num_q_heads,
                       p.num_kv_heads, kMaxGroupSize);
  }
  if (p.head_dim < kMinHeadDim || p.head_dim > kMaxHeadDim || p.head_dim % 8 != 0) {
    return fmt::format("head_dim is {}, must be a multiple of 8 from {} to {}", p.head_dim, kMinHeadDim, kMaxHeadDim);
  }
  if (p.max_batch < 1 || p.max_batch > 65536) return fmt::format("max_batch is {}, must be 1 to 65536", p.max_batch);
  if (p.max_kv_len < 1 || p.max_kv_len > kMaxKvLen) {
    return fmt::format("max_kv_len is {}, must be 1 to {}", p.max_kv_len, kMaxKvLen);
  }
  if (std::int64_t{p.max_batch} * p.num_q_heads > INT32_MAX) {
    return fmt::format("max_batch {} x num_q_heads {} exceeds 2^31", p.max_batch, p.num_q_heads);
  }
  return std::nullopt;
}

std::optional<std::string> invalid_set(const TokenSet& set, const char* field) {
  if (set.keep_first < 0) return fmt::format("{}.keep_first is {}, must not be negative", field, set.keep_first);
  if (set.keep_last < 0) return fmt::format("{}.keep_last is {}, must not be negative", field, set.keep_last);
  return std::nullopt;
}

std::optional<std::string> invalid_stride(std::int64_t stride, DType dtype, const char* field) {
  if (stride == kPackedStride) return std::nullopt;
  if (stride < 0) return fmt::format("{} is {}, must not be negative", field, stride);
  if (stride % (kRowAlignBytes / size_of(dtype)) != 0) {
    return fmt::format("{} is {} elements of {} bytes, must be a multiple of {} bytes", field, stride, size_of(dtype),
                       kRowAlignBytes);
  }
  return std::nullopt;
}

void fill(std::int64_t& stride, std::int64_t packed) {
  if (stride == kPackedStride) stride = packed;
}

void fill(CacheStrides& strides, const DecodeProblem& p) {
  const std::int64_t tokens = p.kv_layout.is_paged() ? p.kv_layout.page_size : p.max_kv_len;
  fill(strides.token, p.head_dim);
  fill(strides.head, tokens * p.head_dim);
  fill(strides.block, p.num_kv_heads * tokens * p.head_dim);
}

void fill_strides(DecodeProblem& p) {
  fill(p.q_strides.head, p.head_dim);
  fill(p.q_strides.sequence, std::int64_t{p.num_q_heads} * p.head_dim);
  fill(p.out_strides.head, p.head_dim);
  fill(p.out_strides.sequence, std::int64_t{p.num_q_heads} * p.head_dim);
  fill(p.kv_layout.k, p);
  fill(p.kv_layout.v, p);
  if (p.kv_layout.is_paged() && p.kv_layout.page_table_stride == 0) {
    p.kv_layout.page_table_stride = (std::int64_t{p.max_kv_len} + p.kv_layout.page_size - 1) / p.kv_layout.page_size;
  }
}

// Elements between the first and the last row along axes of (count, stride); in double, because it may exceed 64 bits.
using Axis = std::pair<std::int64_t, std::int64_t>;
double span(std::initializer_list<Axis> axes) {
  double elements = 0;
  for (const auto& [count, stride] : axes) elements += static_cast<double>(count - 1) * static_cast<double>(stride);
  return elements;
}

// Offsets, also in bytes, must fit 64 bits.
std::optional<std::string> invalid_span(const DecodeProblem& filled) {
  const DecodeProblem& p = filled;
  const KvLayout& kv = p.kv_layout;
  const std::int64_t tokens = kv.is_paged() ? kv.page_size : p.max_kv_len, blocks = kv.is_paged() ? 1 : p.max_batch;
  const struct {
    double elements;
    const char* field;
  } spans[] = {
      {span({{p.num_q_heads, p.q_strides.head}, {p.max_batch, p.q_strides.sequence}}), "q_strides"},
      {span({{p.num_q_heads, p.out_strides.head}, {p.max_batch, p.out_strides.sequence}}), "out_strides"},
      {span({{tokens, kv.k.token}, {p.num_kv_heads, kv.k.head}, {blocks, kv.k.block}}), "kv_layout.k"},
      {span({{tokens, kv.v.token}, {p.num_kv_heads, kv.v.head}, {blocks, kv.v.block}}), "kv_layout.v"},
      {span({{p.max_batch, kv.page_table_stride}}), "kv_layout.page_table_stride"},
  };
  for (const auto& s : spans) {
    if (s.elements > kMaxSpan)
      return fmt::format("{} spans {:.3g} elements, the limit is {:.3g}", s.field, s.elements, kMaxSpan);
  }
  return std::nullopt;
}

// Rows of out are written: either a sequence's heads lie between those of the next, or the other way round.
std::optional<std::string> overlapping_out(const DecodeProblem& filled) {
  const auto nested = [&](Axis inner, Axis outer) {
    const std::int64_t inner_extent = (inner.first - 1) * inner.second + filled.head_dim;
    return (inner.first == 1 || inner.second >= filled.head_dim) && (outer.first == 1 || outer.second >= inner_extent);
  };
  const Axis heads{filled.num_q_heads, filled.out_strides.head}, sequences{filled.max_batch, filled.out_strides.sequence};
  if (nested(heads, sequences) || nested(sequences, heads)) return std::nullopt;
  return fmt::format("out_strides.head {} and out_strides.sequence {}: rows of head_dim {} would overlap", heads.second,
                     sequences.second, filled.head_dim);
}

std::optional<std::string> invalid_layout(const DecodeProblem& p) {
  const struct {
    std::int64_t stride;
    DType dtype;
    const char* field;
  } strides[] = {
      {p.q_strides.head, p.q_dtype, "q_strides.head"},        {p.q_strides.sequence, p.q_dtype, "q_strides.sequence"},
      {p.out_strides.head, p.out_dtype, "out_strides.head"},  {p.out_strides.sequence, p.out_dtype, "out_strides.sequence"},
      {p.kv_layout.k.token, p.kv_dtype, "kv_layout.k.token"}, {p.kv_layout.k.head, p.kv_dtype, "kv_layout.k.head"},
      {p.kv_layout.k.block, p.kv_dtype, "kv_layout.k.block"}, {p.kv_layout.v.token, p.kv_dtype, "kv_layout.v.token"},
      {p.kv_layout.v.head, p.kv_dtype, "kv_layout.v.head"},   {p.kv_layout.v.block, p.kv_dtype, "kv_layout.v.block"},
  };
  for (const auto& s : strides) {
    if (auto reason = invalid_stride(s.stride, s.dtype, s.field)) return reason;
  }
  if (p.kv_layout.page_size < 0) {
    return fmt::format("kv_layout.page_size is {}, must be 0 (contiguous) or more", p.kv_layout.page_size);
  }
  if (p.kv_layout.is_paged()) {
    const std::int64_t pages = (std::int64_t{p.max_kv_len} + p.kv_layout.page_size - 1) / p.kv_layout.page_size;
    if (p.kv_layout.page_table_stride != 0 && p.kv_layout.page_table_stride < pages) {
      return fmt::format("kv_layout.page_table_stride is {}, max_kv_len {} needs {} pages of {} tokens",
                         p.kv_layout.page_table_stride, p.max_kv_len, pages, p.kv_layout.page_size);
    }
  } else if (p.kv_layout.page_table_stride != 0) {
    return fmt::format("kv_layout.page_table_stride is {}, but the layout is contiguous", p.kv_layout.page_table_stride);
  }
  DecodeProblem filled = p;
  fill_strides(filled);
  if (auto reason = invalid_span(filled)) return reason;
  return overlapping_out(filled);
}

}  // namespace

const char* to_string(DType dtype) { return name_of(kDTypes, dtype).data(); }
const char* to_string(Policy policy) { return name_of(kPolicies, policy).data(); }

std::optional<std::string> invalid_reason(const DecodeProblem& p) {
  if (auto reason = invalid_sizes(p)) return reason;
  if (auto reason = invalid_layout(p)) return reason;
  if (auto reason = invalid_set(p.token_set, "token_set")) return reason;
  if (p.routing.enabled) {
    if (auto reason = invalid_set(p.routing.surrogate, "routing.surrogate")) return reason;
    if (name_of(kPolicies, p.routing.policy) == "?") {
      return fmt::format("routing.policy is {}, not a known policy", static_cast<int>(p.routing.policy));
    }
    if (p.routing.score != Score::kCosine && p.routing.score != Score::kMask) {
      return fmt::format("routing.score is {}, not a known score", static_cast<int>(p.routing.score));
    }
  }
  return std::nullopt;
}

DecodeProblem resolve(const DecodeProblem& problem) {
  if (auto reason = invalid_reason(problem)) throw Error(ErrorCode::kInvalidProblem, *reason);
  DecodeProblem p = problem;
  if (!p.routing.enabled) p.routing = SinkRouting{};
  if (p.routing.score == Score::kMask) p.routing.policy = SinkRouting{}.policy;  // a mask needs none
  fill_strides(p);
  return p;
}

// The text: dtypes first, then key=value fields; those at their default are left out.
namespace {

struct IntField {
  const char* key;
  std::int32_t DecodeProblem::*member;
};
constexpr IntField kIntFields[] = {{"hq", &DecodeProblem::num_q_heads},
                                   {"hkv", &DecodeProblem::num_kv_heads},
                                   {"d", &DecodeProblem::head_dim},
                                   {"b", &DecodeProblem::max_batch},
                                   {"kv", &DecodeProblem::max_kv_len}};

std::string set_text(const TokenSet& set) {
  return set.dense() ? fmt::format("{},all", set.keep_first) : fmt::format("{},{}", set.keep_first, set.keep_last);
}

TokenSet parse_set(std::string_view text, std::string_view key) {
  const auto parts = split(text, ',');
  if (parts.size() != 2) throw Error(ErrorCode::kInvalidProblem, fmt::format("{} is '{}', not first,last", key, text));
  TokenSet set;
  set.keep_first = parse_int32(parts[0], key);
  set.keep_last = parts[1] == "all" ? TokenSet::kAllTokens : parse_int32(parts[1], key);
  return set;
}

struct Stride {
  std::int64_t value, packed;
};

// Strides at their packed default are not written, whether they were spelled out or not.
void append_strides(std::string& text, const char* key, const std::vector<Stride>& strides) {
  bool all_packed = true;
  std::string values;
  for (const Stride& stride : strides) {
    const bool packed = stride.value == kPackedStride || stride.value == stride.packed;
    all_packed = all_packed && packed;
    values += (values.empty() ? "" : ",") + (packed ? std::string("packed") : std::to_string(stride.value));
  }
  if (!all_packed) text += fmt::format(" {}={}", key, values);
}

void parse_strides(std::string_view text, std::string_view key, const std::vector<std::int64_t*>& strides) {
  const auto parts = split(text, ',');
  if (parts.size() != strides.size()) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("{} is '{}', needs {} strides", key, text, strides.size()));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    *strides[i] = parts[i] == "packed" ? kPackedStride : parse_int(parts[i], key);
  }
}

void parse_dtypes(std::string_view text, DecodeProblem& p) {
  const auto parts = split(text, '/');
  if (parts.size() != 1 && parts.size() != 3) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("storage types are '{}', must be one or q/kv/out", text));
  }
  p.q_dtype = value_of(kDTypes, parts[0], "q_dtype");
  p.kv_dtype = parts.size() == 3 ? value_of(kDTypes, parts[1], "kv_dtype") : p.q_dtype;
  p.out_dtype = parts.size() == 3 ? value_of(kDTypes, parts[2], "out_dtype") : p.q_dtype;
}

void parse_field(const KeyValue& field, DecodeProblem& p) {
  for (const IntField& f : kIntFields) {
    if (field.key == f.key) {
      p.*f.member = parse_int32(field.value, field.key);
      return;
    }
  }
  KvLayout& kv = p.kv_layout;
  if (field.key == "page") {
    kv.page_size = parse_int32(field.value, field.key);
  } else if (field.key == "table_stride") {
    kv.page_table_stride = parse_int(field.value, field.key);
  } else if (field.key == "keep") {
    p.token_set = parse_set(field.value, field.key);
  } else if (field.key == "route") {
    p.routing.enabled = true;
    if (field.value == "mask") {
      p.routing.score = Score::kMask;
    } else {
      p.routing.policy = value_of(kPolicies, field.value, "route");
    }
  } else if (field.key == "near") {
    p.routing.surrogate = parse_set(field.value, field.key);
  } else if (field.key == "q_strides") {
    parse_strides(field.value, field.key, {&p.q_strides.head, &p.q_strides.sequence});
  } else if (field.key == "out_strides") {
    parse_strides(field.value, field.key, {&p.out_strides.head, &p.out_strides.sequence});
  } else if (field.key == "k_strides") {
    parse_strides(field.value, field.key, {&kv.k.token, &kv.k.head, &kv.k.block});
  } else if (field.key == "v_strides") {
    parse_strides(field.value, field.key, {&kv.v.token, &kv.v.head, &kv.v.block});
  } else {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("unknown problem field '{}'", field.key));
  }
}

}  // namespace

std::string to_string(const DecodeProblem& p) {
  std::string text = to_string(p.q_dtype);
  if (p.kv_dtype != p.q_dtype || p.out_dtype != p.q_dtype) {
    text = fmt::format("{}/{}/{}", to_string(p.q_dtype), to_string(p.kv_dtype), to_string(p.out_dtype));
  }
  for (const IntField& f : kIntFields) text += fmt::format(" {}={}", f.key, p.*f.member);
  if (p.kv_layout.page_size != 0) text += fmt::format(" page={}", p.kv_layout.page_size);
  DecodeProblem packed = p;
  packed.q_strides = packed.out_strides = {};
  packed.kv_layout = KvLayout::paged(p.kv_layout.page_size);
  fill_strides(packed);
  const KvLayout& kv = p.kv_layout;
  if (kv.page_table_stride != 0 && kv.page_table_stride != packed.kv_layout.page_table_stride) {
    text += fmt::format(" table_stride={}", kv.page_table_stride);
  }
  if (p.token_set != TokenSet{}) text += " keep=" + set_text(p.token_set);
  if (p.routing.enabled) {
    text += fmt::format(" route={}", p.routing.score == Score::kMask ? "mask" : to_string(p.routing.policy));
    if (p.routing.surrogate != SinkRouting{}.surrogate) text += " near=" + set_text(p.routing.surrogate);
  }
  const KvLayout& kv_packed = packed.kv_layout;
  const auto row = [](const RowStrides& a, const RowStrides& b) {
    return std::vector<Stride>{{a.head, b.head}, {a.sequence, b.sequence}};
  };
  const auto cache = [](const CacheStrides& a, const CacheStrides& b) {
    return std::vector<Stride>{{a.token, b.token}, {a.head, b.head}, {a.block, b.block}};
  };
  append_strides(text, "q_strides", row(p.q_strides, packed.q_strides));
  append_strides(text, "out_strides", row(p.out_strides, packed.out_strides));
  append_strides(text, "k_strides", cache(kv.k, kv_packed.k));
  append_strides(text, "v_strides", cache(kv.v, kv_packed.v));
  return text;
}

DecodeProblem parse_problem(const std::string& text) {
  const auto words = split(trim(text), ' ');
  if (words.empty()) throw Error(ErrorCode::kInvalidProblem, "the problem text is empty");
  DecodeProblem p;
  parse_dtypes(words[0], p);
  std::vector<std::string_view> keys;
  bool has_near = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const KeyValue field = parse_key_value(words[i], "problem");
    for (const auto& key : keys) {
      if (key == field.key) throw Error(ErrorCode::kInvalidProblem, fmt::format("problem field '{}' is given twice", key));
    }
    keys.push_back(field.key);
    parse_field(field, p);
    has_near = has_near || field.key == "near";
  }
  if (has_near && !p.routing.enabled) throw Error(ErrorCode::kInvalidProblem, "problem field 'near' needs 'route'");
  return p;
}

}  // namespace clsink
