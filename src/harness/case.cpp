// SPDX-License-Identifier: Apache-2.0
#include "harness/case.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <limits>
#include <sstream>
#include <utility>

#include "model/fields.hpp"

namespace clsink::harness {
namespace {

constexpr std::array<const char*, 4> kDataNames = {"random", "equal", "huge", "sink"};

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kInvalidProblem, message); }

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(trimmed(part));
  return parts;
}

double number(const std::string& field, const std::string& text) {
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    if (used == text.size()) return value;
  } catch (const std::logic_error&) {
    fail(fmt::format("case: {}={} is not a number", field, text));
  }
  fail(fmt::format("case: {}={} is not a number", field, text));
}

template <typename T>
T integer(const std::string& field, const std::string& text) {
  const std::int64_t value = parse_int(text, "case: " + field);
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
    fail(fmt::format("case: {}={} is out of range", field, text));
  }
  return static_cast<T>(value);
}

std::string tau_text(const TauTable& tau) {
  if (tau.count == 1 && tau.points[0].kv_len == 1) return fmt::format("{}", tau.points[0].tau);
  std::vector<std::string> points;
  for (int i = 0; i < tau.count; ++i) points.push_back(fmt::format("{}:{}", tau.points[i].kv_len, tau.points[i].tau));
  return fmt::format("{}", fmt::join(points, ","));
}

TauTable parse_tau(const std::string& text) {
  if (text.find(':') == std::string::npos) return TauTable::constant(static_cast<float>(number("tau", text)));
  TauTable tau;
  for (const std::string& point : split(text, ',')) {
    const auto colon = point.find(':');
    if (colon == std::string::npos || tau.count == TauTable::kMaxPoints) fail(fmt::format("case: tau={} is no table", text));
    tau.points[tau.count++] = {integer<std::int32_t>("tau", point.substr(0, colon)),
                               static_cast<float>(number("tau", point.substr(colon + 1)))};
  }
  return tau;
}

LaunchTuning parse_tuning(const std::string& text) {
  LaunchTuning tuning;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "workers_per_cu")
      tuning.workers_per_cu = integer<std::int32_t>(key, value);
    else if (key == "min_tiles")
      tuning.min_tiles = integer<std::int32_t>(key, value);
    else
      fail(fmt::format("case: unknown tuning field {}", word));
  }
  return tuning;
}

void read_field(Case& c, const std::string& key, const std::string& value) {
  if (key == "lens") {
    for (const std::string& len : split(value, ',')) c.kv_lens.push_back(integer<std::int32_t>(key, len));
  } else if (key == "seed") {
    c.seed = integer<std::uint32_t>(key, value);
  } else if (key == "data") {
    c.data = parse_data_kind(value);
  } else if (key == "scale") {
    c.scale = static_cast<float>(number(key, value));
  } else if (key == "tau") {
    c.tau = parse_tau(value);
  } else if (key == "floor") {
    c.floor = static_cast<float>(number(key, value));
  } else if (key == "anchors") {
    c.anchors = integer<std::int32_t>(key, value) != 0;
  } else if (key == "tau_offsets") {
    c.tau_offsets = integer<std::int32_t>(key, value) != 0;
  } else if (key == "optional") {
    c.optional_outputs = integer<std::int32_t>(key, value) != 0;
  } else if (key == "exact") {
    c.exact = integer<std::int32_t>(key, value) != 0;
  } else if (key == "offset") {
    c.offset_bytes = integer<std::int64_t>(key, value);
  } else if (key == "v_at") {
    c.v_at_bytes = integer<std::int64_t>(key, value);
  } else {
    fail(fmt::format("case: unknown field {}={}", key, value));
  }
}

}  // namespace

const char* to_string(DataKind data) noexcept { return kDataNames[static_cast<std::size_t>(data)]; }

DataKind parse_data_kind(const std::string& text) {
  for (std::size_t i = 0; i < kDataNames.size(); ++i) {
    if (text == kDataNames[i]) return static_cast<DataKind>(i);
  }
  fail(fmt::format("case: data={} is unknown", text));
}

std::string to_string(const Case& c) {
  const Case defaults;
  std::string text = clsink::to_string(c.problem);
  if (c.variant) text += " | " + clsink::to_string(*c.variant);
  if (c.variant && c.tuning) {
    text += fmt::format(" | workers_per_cu={} min_tiles={}", c.tuning->workers_per_cu, c.tuning->min_tiles);
  }
  text += fmt::format(" @ lens={} seed={} data={}", fmt::join(c.kv_lens, ","), c.seed, to_string(c.data));
  if (c.scale != defaults.scale) text += fmt::format(" scale={}", c.scale);
  if (tau_text(c.tau) != tau_text(defaults.tau)) text += fmt::format(" tau={}", tau_text(c.tau));
  if (c.floor != defaults.floor) text += fmt::format(" floor={}", c.floor);
  if (c.anchors) text += " anchors=1";
  if (c.tau_offsets) text += " tau_offsets=1";
  if (!c.optional_outputs) text += " optional=0";
  if (c.exact) text += " exact=1";
  if (c.offset_bytes != 0) text += fmt::format(" offset={}", c.offset_bytes);
  if (c.v_at_bytes != 0) text += fmt::format(" v_at={}", c.v_at_bytes);
  return text;
}

Case parse_case(const std::string& text) {
  const auto at = text.find('@');
  if (at == std::string::npos) fail(fmt::format("case: no '@' between plan and data in \"{}\"", text));
  const std::vector<std::string> parts = split(text.substr(0, at), '|');
  if (parts.empty() || parts.size() > 3) fail(fmt::format("case: \"{}\" is not PROBLEM | VARIANT | TUNING", text));
  Case c;
  c.problem = parse_problem(parts[0]);
  if (parts.size() > 1) c.variant = parse_variant(parts[1]);
  if (parts.size() > 2) c.tuning = parse_tuning(parts[2]);
  std::istringstream stream(text.substr(at + 1));
  for (std::string word; stream >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) fail(fmt::format("case: \"{}\" is not field=value", word));
    read_field(c, word.substr(0, equals), word.substr(equals + 1));
  }
  if (c.kv_lens.empty()) fail("case: lens= is missing");
  return c;
}

DecodeStep step_of(const Case& c) {
  DecodeStep step;
  step.batch = static_cast<std::int32_t>(c.kv_lens.size());
  step.scale = c.scale != 0 ? c.scale : 1.0F / std::sqrt(static_cast<float>(c.problem.head_dim));
  const auto shortest = std::min_element(c.kv_lens.begin(), c.kv_lens.end());  // may be beyond the bounds on purpose
  if (shortest != c.kv_lens.end()) step.least_kv_len = std::clamp(*shortest, 0, c.problem.max_kv_len);
  if (c.problem.routing.enabled) {
    step.tau = c.tau;
    step.floor = c.floor;
  }
  return step;
}

}  // namespace clsink::harness
