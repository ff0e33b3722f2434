// SPDX-License-Identifier: Apache-2.0
#include "planning/tuning_db.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "model/fields.hpp"
#include "model/problem.hpp"
#include "model/variant.hpp"
#include "planning/device_family.hpp"
#include "planning/fits.hpp"

namespace clsink {

// Of tuning/db, by cmake.
struct EmbeddedFile {
  std::string_view name;
  const std::string_view* text;
};
extern const EmbeddedFile k_tuning_files[];
extern const std::size_t k_num_tuning_files;

namespace {

constexpr std::string_view kHeader = "# clsink tuning db 1";

// A word, or everything inside double quotes; `rest` loses it.
std::string_view take_word(std::string_view& rest) {
  rest = trim(rest);
  std::size_t end = 0;
  bool quoted = false;
  while (end < rest.size() && (quoted || (rest[end] != ' ' && rest[end] != '\t'))) {
    if (rest[end] == '"') quoted = !quoted;
    ++end;
  }
  if (quoted) throw Error(ErrorCode::kInvalidProblem, "a quote is not closed");
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

std::string unquoted(std::string_view word) {
  if (word.size() >= 2 && word.front() == '"' && word.back() == '"') word = word.substr(1, word.size() - 2);
  return std::string(word);
}

TuningDevice parse_device(std::string_view text) {
  TuningDevice device;
  device.name = unquoted(take_word(text));
  if (device.name.empty()) throw Error(ErrorCode::kInvalidProblem, "the device line has no name");
  for (std::string_view word = take_word(text); !word.empty(); word = take_word(text)) {
    const KeyValue field = parse_key_value(word, "device");
    if (field.key == "vendor") {
      device.vendor = unquoted(field.value);
    } else if (field.key == "class") {
      device.device_class = unquoted(field.value);
      if (device.device_class != "*" && device.device_class != "cpu" && device.device_class != "gpu") {
        throw Error(ErrorCode::kInvalidProblem, fmt::format("class is '{}', known are cpu, gpu, *", device.device_class));
      }
    } else if (field.key == "driver") {
      device.driver = unquoted(field.value);
    } else if (field.key != "date" && field.key != "clsink") {  // for people
      throw Error(ErrorCode::kInvalidProblem, fmt::format("unknown device field '{}'", field.key));
    }
  }
  return device;
}

TuningBound parse_bound(std::string_view word, std::string_view key) {
  TuningBound bound;
  word.remove_prefix(key.size());
  if (word == "=*") return bound;
  const bool at_most = word.substr(0, 2) == "<=";
  if (!at_most && word.substr(0, 1) != "=") {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("{} needs = or <=, got '{}'", key, word));
  }
  bound.kind = at_most ? TuningBound::Kind::kAtMost : TuningBound::Kind::kExact;
  bound.value = parse_int32(word.substr(at_most ? 2 : 1), key);
  return bound;
}

void parse_remarks(std::string_view text, TuningRow& row) {
  for (std::string_view word = take_word(text); !word.empty(); word = take_word(text)) {
    if (word == "estimated") {
      row.estimated = true;
      continue;
    }
    const KeyValue remark = parse_key_value(word, "remark");
    if (remark.key == "driver") {
      row.device.driver = unquoted(remark.value);
      continue;
    }
    constexpr std::string_view kForPeople[] = {"version", "date", "us", "mad", "gain"};
    if (std::find(std::begin(kForPeople), std::end(kForPeople), remark.key) == std::end(kForPeople)) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("unknown remark '{}'", remark.key));
    }
  }
}

TuningRow parse_row(std::string_view text, const TuningDevice& device) {
  const auto parts = split(text, '|');
  if (parts.size() < 3 || parts.size() > 4) {
    throw Error(ErrorCode::kInvalidProblem, "a row is: problem class | variant | launch [| remarks]");
  }
  TuningRow row;
  row.device = device;
  const auto words = split(trim(parts[0]), ' ');
  std::vector<std::string_view> keys;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const std::string_view key = word.substr(0, word.find_first_of("=<"));
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("class field '{}' is given twice", key));
    }
    keys.push_back(key);
    if (i == 0) {
      if (word != "*") row.kv_dtype = parse_problem(std::string(word)).kv_dtype;
    } else if (key == "d") {
      row.head_dim = parse_bound(word, key);
    } else if (key == "g") {
      row.group_size = parse_bound(word, key);
    } else if (key == "b") {
      row.batch = parse_bound(word, key);
    } else if (key == "kv") {
      row.kv_len = parse_bound(word, key);
    } else if (key == "route") {
      row.routed = parse_bound(word, key);
    } else {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("unknown class field '{}'", word));
    }
  }
  row.variant = parse_variant(std::string(parts[1]));
  row.tuning = parse_launch_tuning(std::string(parts[2]));
  if (parts.size() == 4) parse_remarks(parts[3], row);
  return row;
}

std::optional<MatchLevel> level_of(const TuningDevice& device, const DeviceFacts& facts, const DeviceFamily& family) {
  if (device.device_class != "*" && device.device_class != family.device_class) return std::nullopt;
  if (device.vendor != "*" && device.vendor != family.vendor) return std::nullopt;
  if (device.name == facts.name) return MatchLevel::kDevice;
  if (device.name.size() > 1 && device.name.back() == '*' &&
      facts.name.compare(0, device.name.size() - 1, device.name, 0, device.name.size() - 1) == 0) {
    return MatchLevel::kFamily;
  }
  if (device.name != "*") return std::nullopt;
  return device.vendor == "*" ? MatchLevel::kGeneric : MatchLevel::kVendor;
}

// Smaller is nearer: who added the row, exactness of the hard axes, then the distance in powers of two of batch and kv_len.
using Rank = std::tuple<int, MatchLevel, int, double, std::size_t>;

Rank rank_of(const TuningRow& row, MatchLevel level, const DecodeProblem& p, std::size_t order) {
  int loose = row.kv_dtype ? 0 : 1;
  for (const TuningBound* bound : {&row.head_dim, &row.group_size}) {
    loose += bound->kind == TuningBound::Kind::kExact ? 0 : bound->kind == TuningBound::Kind::kAtMost ? 1 : 2;
  }
  const auto exact = [](const TuningBound& bound) { return bound.kind == TuningBound::Kind::kExact; };
  if (!exact(row.batch) && !exact(row.kv_len)) ++loose;  // a row that was measured somewhere goes before one that was not
  double distance = 0;
  const std::pair<const TuningBound*, std::int32_t> soft[] = {{&row.batch, p.max_batch}, {&row.kv_len, p.max_kv_len}};
  for (const auto& [bound, value] : soft) {
    if (bound->kind == TuningBound::Kind::kExact) {
      distance += std::abs(std::log2(static_cast<double>(value) / std::max(bound->value, 1)));
    }
  }
  return {-row.layer, level, loose, distance, order};
}

bool admits(const TuningRow& row, const DecodeProblem& p) {
  const auto soft = [](const TuningBound& bound, std::int32_t value) {
    return bound.kind != TuningBound::Kind::kAtMost || bound.admits(value);
  };
  return (!row.kv_dtype || *row.kv_dtype == p.kv_dtype) && row.head_dim.admits(p.head_dim) &&
         row.group_size.admits(p.group_size()) && row.routed.admits(p.routing.enabled ? 1 : 0) &&
         soft(row.batch, p.max_batch) && soft(row.kv_len, p.max_kv_len);
}

}  // namespace

void TuningDb::add(std::string_view file_name, std::string_view text, int layer) {
  std::vector<TuningRow> rows;
  std::optional<TuningDevice> device;
  const auto lines = split(text, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i]);
    try {
      if (i == 0 && line != kHeader) {
        throw Error(ErrorCode::kInvalidProblem, fmt::format("the file must begin with '{}'", kHeader));
      }
      if (line.empty() || line.front() == '#') continue;
      if (line.substr(0, 7) == "device ") {
        device = parse_device(line.substr(7));
        continue;
      }
      if (!device) throw Error(ErrorCode::kInvalidProblem, "a row stands before the first device line");
      TuningRow row = parse_row(line, *device);
      row.layer = layer;
      row.source = fmt::format("{}:{}", file_name, i + 1);
      rows.push_back(std::move(row));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("{}:{}: {}", file_name, i + 1, error.what()));
    }
  }
  rows_.insert(rows_.end(), rows.begin(), rows.end());
}

TuningDb::Match TuningDb::find(const DeviceFacts& facts, const DecodeProblem& problem,
                               const std::vector<DroppedVariant>& dropped, Rows rows) const {
  const DeviceFamily family = device_family(facts);
  std::vector<std::pair<Rank, const TuningRow*>> candidates;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const auto level = level_of(rows_[i].device, facts, family);
    if (rows == Rows::kUntuned && (rows_[i].layer != 0 || (level && *level < MatchLevel::kVendor))) continue;
    if (level && admits(rows_[i], problem)) candidates.emplace_back(rank_of(rows_[i], *level, problem, i), &rows_[i]);
  }
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.first < b.first; });

  Match match;
  std::string passed_over, last_passed_over, dropped_ones;
  for (const DroppedVariant& one : dropped) {
    dropped_ones += fmt::format("; dropped '{}': {}", to_string(one.variant), one.reason);
  }
  const auto is_dropped = [&](const DecodeVariant& variant) {
    return std::any_of(dropped.begin(), dropped.end(), [&](const DroppedVariant& one) { return one.variant == variant; });
  };
  for (const auto& [rank, row] : candidates) {
    if (is_dropped(row->variant)) continue;
    if (const auto reason = misfit_reason(facts, problem, row->variant)) {
      last_passed_over = fmt::format("{}: {}", row->source, *reason);
      if (passed_over.empty()) passed_over = "; passed over " + last_passed_over;
      continue;
    }
    match.row = row;
    match.level = std::get<MatchLevel>(rank);
    match.reason = fmt::format("{} row {} ({} {})", to_string(match.level), row->source, family.vendor, family.device_class);
    if (!row->device.driver.empty() && row->device.driver != facts.driver) {
      match.reason += fmt::format(", measured with driver {}, this is {}", row->device.driver, facts.driver);
    }
    if (row->estimated) match.reason += ", estimated, nobody has timed it";
    match.reason += passed_over + dropped_ones;
    return match;
  }
  // The last row is for any device of the class: why that one does not fit is why none does.
  match.reason = fmt::format("no tuning row fits a {} {} device", family.vendor, family.device_class);
  if (!last_passed_over.empty()) match.reason += "; the last, " + last_passed_over;
  match.reason += dropped_ones;
  return match;
}

std::string device_line(const DeviceFacts& facts) {
  const DeviceFamily family = device_family(facts);
  // A quote cannot stand in a name: all devices whose names begin like this one's.
  const std::size_t quote = facts.name.find('"');
  const std::string name = quote == std::string::npos ? facts.name : facts.name.substr(0, quote) + "*";
  return fmt::format("device \"{}\" vendor={} class={}", name, family.vendor, family.device_class);
}

const TuningDb& builtin_tuning_db() {
  static const TuningDb db = [] {
    TuningDb rows;
    for (std::size_t i = 0; i < k_num_tuning_files; ++i) rows.add(k_tuning_files[i].name, *k_tuning_files[i].text);
    return rows;
  }();
  return db;
}

}  // namespace clsink
