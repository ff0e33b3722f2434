// SPDX-License-Identifier: Apache-2.0
#include "model/variant.hpp"

#include <fmt/format.h>

#include "model/fields.hpp"

namespace clsink {
namespace {

constexpr Named<Engine> kEngines[] = {{Engine::kSimt, "simt"}, {Engine::kCpu, "cpu"}};
constexpr Named<Schedule> kSchedules[] = {{Schedule::kStatic, "static"}, {Schedule::kWorklist, "worklist"}};
constexpr Named<MatchLevel> kMatchLevels[] = {{MatchLevel::kForced, "forced"},
                                              {MatchLevel::kDevice, "device"},
                                              {MatchLevel::kFamily, "family"},
                                              {MatchLevel::kVendor, "vendor"},
                                              {MatchLevel::kGeneric, "generic"}};

struct TuningField {
  const char* key;
  std::int32_t LaunchTuning::*member;
};
constexpr TuningField kTuningFields[] = {{"workers_per_cu", &LaunchTuning::workers_per_cu},
                                         {"min_tiles", &LaunchTuning::min_tiles}};

// Reads each of the table's fields exactly once.
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
    if (!seen[f]) throw Error(ErrorCode::kInvalidProblem, fmt::format("{} lacks the field '{}'", what, table[f].key));
  }
}

}  // namespace

const char* to_string(Engine engine) { return name_of(kEngines, engine).data(); }
const char* to_string(Schedule schedule) { return name_of(kSchedules, schedule).data(); }
const char* to_string(MatchLevel level) noexcept { return name_of(kMatchLevels, level).data(); }

std::string to_string(const DecodeVariant& variant) {
  std::string text = fmt::format("{} schedule={}", to_string(variant.engine), to_string(variant.schedule));
  for (const VariantField& field : kVariantFields) text += fmt::format(" {}={}", field.key, variant.*field.member);
  return text;
}

DecodeVariant parse_variant(const std::string& text) {
  const auto words = split(trim(text), ' ');
  if (words.size() < 2) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("variant is '{}', must begin with an engine and a schedule", text));
  }
  DecodeVariant variant;
  variant.engine = value_of(kEngines, words[0], "engine");
  const KeyValue schedule = parse_key_value(words[1], "variant");
  if (schedule.key != "schedule") {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("variant field '{}' stands where schedule= belongs", schedule.key));
  }
  variant.schedule = value_of(kSchedules, schedule.value, "schedule");
  parse_fields(words, 2, kVariantFields, variant, "variant");
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
