// SPDX-License-Identifier: Apache-2.0
#include "model/variant.hpp"

#include <fmt/format.h>

#include "cl_kernels/decode_args.h"
#include "model/fields.hpp"

namespace clsink {
namespace {

constexpr Named<Engine> kEngines[] = {
    {Engine::kSimt, "simt"}, {Engine::kCpu, "cpu"}, {Engine::kNvMma, "nv_mma"}, {Engine::kSubgroup, "subgroup"}};
constexpr Named<Schedule> kSchedules[] = {{Schedule::kStatic, "static"}, {Schedule::kWorklist, "worklist"}};
constexpr Named<Fusion> kFusions[] = {{Fusion::kNone, "none"}, {Fusion::kPrologue, "prologue"}, {Fusion::kSingle, "single"}};
constexpr Named<MatchLevel> kMatchLevels[] = {{MatchLevel::kForced, "forced"},
                                              {MatchLevel::kDevice, "device"},
                                              {MatchLevel::kFamily, "family"},
                                              {MatchLevel::kVendor, "vendor"},
                                              {MatchLevel::kGeneric, "generic"}};

struct TuningField {
  const char* key;
  std::int32_t LaunchTuning::*member;
  bool optional = false;
};
constexpr TuningField kTuningFields[] = {{"workers_per_cu", &LaunchTuning::workers_per_cu},
                                         {"min_tiles", &LaunchTuning::min_tiles}};

// Reads each of the table's fields exactly once, the optional ones at most once.
template <typename Table, typename Value>
void parse_fields(const std::vector<std::string_view>& words, std::size_t first, const Table& table, Value& value,
                  std::string_view what) {
  std::vector<bool> seen(std::size(table), false);
  for (std::size_t i = first; i < words.size(); ++i) {
    const KeyValue field = parse_key_value(words[i], what);
    bool found = false;
    for (std::size_t f = 0; f < std::size(table); ++f) {
      if (field.key != table[f].key) continue;
      if (seen[f]) throw Error(ErrorCode::kInvalidProblem, fmt::format("{} field '{}' is given twice", what, field.key));
      value.*table[f].member = parse_int32(field.value, field.key);
      if (value.*table[f].member < 1) {
        throw Error(ErrorCode::kInvalidProblem,
                    fmt::format("{} field {} is {}, must be positive", what, field.key, field.value));
      }
      seen[f] = found = true;
    }
    if (!found) throw Error(ErrorCode::kInvalidProblem, fmt::format("unknown {} field '{}'", what, field.key));
  }
  for (std::size_t f = 0; f < std::size(table); ++f) {
    if (!seen[f] && !table[f].optional)
      throw Error(ErrorCode::kInvalidProblem, fmt::format("{} lacks the field '{}'", what, table[f].key));
  }
}

// "key=name".
template <typename Enum, std::size_t N>
Enum parse_named(const Named<Enum> (&table)[N], std::string_view word, std::string_view key) {
  const KeyValue field = parse_key_value(word, "variant");
  if (field.key != key) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("variant field '{}' stands where {}= belongs", field.key, key));
  }
  return value_of(table, field.value, key);
}

}  // namespace

bool routes_in_prologue(const DecodeProblem& problem, const DecodeVariant& variant) {
  if (!problem.routing.enabled || variant.fusion == Fusion::kNone) return false;
  const std::int64_t groups = std::int64_t{problem.max_batch} * problem.num_kv_heads;
  return variant.fusion == Fusion::kPrologue || variant.schedule == Schedule::kStatic || groups <= CLSINK_MAX_PROLOGUE_GROUPS;
}

const char* to_string(Engine engine) { return name_of(kEngines, engine).data(); }
const char* to_string(Schedule schedule) { return name_of(kSchedules, schedule).data(); }
const char* to_string(Fusion fusion) { return name_of(kFusions, fusion).data(); }
const char* to_string(MatchLevel level) noexcept { return name_of(kMatchLevels, level).data(); }

std::int32_t sub_group_lanes(const DeviceFacts& facts, const DecodeVariant& variant) {
  if (variant.engine != Engine::kSubgroup) return 0;
  return variant.sub_group_size != 0 ? variant.sub_group_size : facts.sub_group_size;
}

std::string to_string(const DecodeVariant& variant) {
  std::string text = fmt::format("{} schedule={} fusion={}", to_string(variant.engine), to_string(variant.schedule),
                                 to_string(variant.fusion));
  for (const VariantField& field : kVariantFields) {
    if (!field.optional || variant.*field.member != 0) text += fmt::format(" {}={}", field.key, variant.*field.member);
  }
  return text;
}

DecodeVariant parse_variant(const std::string& text) {
  const auto words = split(trim(text), ' ');
  if (words.size() < 3) {
    throw Error(ErrorCode::kInvalidProblem,
                fmt::format("variant is '{}', must begin with an engine, a schedule and a fusion", text));
  }
  DecodeVariant variant;
  variant.engine = value_of(kEngines, words[0], "engine");
  variant.schedule = parse_named(kSchedules, words[1], "schedule");
  variant.fusion = parse_named(kFusions, words[2], "fusion");
  parse_fields(words, 3, kVariantFields, variant, "variant");
  return variant;
}

std::string to_string(const LaunchTuning& tuning) {
  std::string text;
  for (const TuningField& field : kTuningFields) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", field.key, tuning.*field.member);
  }
  return text;
}

LaunchTuning parse_launch_tuning(const std::string& text) {
  LaunchTuning tuning;
  parse_fields(split(trim(text), ' '), 0, kTuningFields, tuning, "launch");
  return tuning;
}

std::string to_string(const DecodePlan& plan) {
  return fmt::format("{} | {} | {}", to_string(plan.problem), to_string(plan.variant), to_string(plan.launch.tuning));
}

}  // namespace clsink
