// SPDX-License-Identifier: Apache-2.0
// Text form of small value types: a table of (key, member) gives printing, strict parsing and the kernels' -D names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <clsink/error.hpp>

namespace clsink {

/// Splits at single characters; empty pieces between blanks are dropped, so any amount of white space separates.
std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

/// A whole decimal number or an Error(kInvalidProblem) that names `what`.
std::int64_t parse_int(std::string_view text, std::string_view what);
/// The same, refused unless it fits 32 bits.
std::int32_t parse_int32(std::string_view text, std::string_view what);

/// "key=value" cut in two, or an Error(kInvalidProblem).
struct KeyValue {
  std::string_view key;
  std::string_view value;
};
KeyValue parse_key_value(std::string_view text, std::string_view what);

/// A name of an enum value and back.
template <typename Enum>
struct Named {
  Enum value;
  std::string_view name;
};

template <typename Enum, std::size_t N>
std::string_view name_of(const Named<Enum> (&table)[N], Enum value) {
  for (const auto& row : table) {
    if (row.value == value) return row.name;
  }
  return "?";
}

template <typename Enum, std::size_t N>
Enum value_of(const Named<Enum> (&table)[N], std::string_view name, std::string_view what) {
  std::string known;
  for (const auto& row : table) {
    if (row.name == name) return row.value;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(ErrorCode::kInvalidProblem, std::string(what) + " is '" + std::string(name) + "', known are " + known);
}

}  // namespace clsink
