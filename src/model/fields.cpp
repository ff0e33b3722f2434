// SPDX-License-Identifier: Apache-2.0
#include "model/fields.hpp"

#include <charconv>
#include <limits>

namespace clsink {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (true) {
    const std::size_t end = text.find(separator);
    const std::string_view piece = text.substr(0, end);
    if (separator != ' ' || !piece.empty()) pieces.push_back(piece);
    if (end == std::string_view::npos) return pieces;
    text.remove_prefix(end + 1);
  }
}

std::string_view trim(std::string_view text) {
  const char* const blanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::int64_t parse_int(std::string_view text, std::string_view what) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    throw Error(ErrorCode::kInvalidProblem, std::string(what) + " is '" + std::string(text) + "', not a whole number");
  }
  return value;
}

std::int32_t parse_int32(std::string_view text, std::string_view what) {
  const std::int64_t value = parse_int(text, what);
  if (value < std::numeric_limits<std::int32_t>::min() || value > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorCode::kInvalidProblem, std::string(what) + " is " + std::string(text) + ", beyond 32 bits");
  }
  return static_cast<std::int32_t>(value);
}

KeyValue parse_key_value(std::string_view text, std::string_view what) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw Error(ErrorCode::kInvalidProblem, std::string(what) + ": '" + std::string(text) + "' is not of the form key=value");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace clsink
