// SPDX-License-Identifier: Apache-2.0
#include "tuning/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <cstdlib>
#include <sstream>
#include <tuple>

namespace clsink::tuning {
namespace {

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// The parts of a row between its bars.
std::vector<std::string> parts_of(const std::string& row) {
  std::vector<std::string> parts;
  std::istringstream text(row);
  for (std::string part; std::getline(text, part, '|');) parts.push_back(trimmed(part));
  return parts;
}

// The value of a remark, "" if there is none; a value in quotes without them.
std::string remark(const std::string& remarks, const std::string& key) {
  const std::string padded = " " + remarks, wanted = " " + key + "=";
  const std::size_t at = padded.find(wanted);
  if (at == std::string::npos) return "";
  const std::string rest = padded.substr(at + wanted.size());
  if (!rest.empty() && rest.front() == '"') return rest.substr(1, rest.find('"', 1) - 1);
  return rest.substr(0, rest.find(' '));
}

// Numbers of a class compare as numbers.
std::vector<std::pair<std::string, double>> sort_key(const std::string& row) {
  std::vector<std::pair<std::string, double>> key;
  std::istringstream words(parts_of(row).front());
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    key.emplace_back(word.substr(0, equals), equals == std::string::npos ? 0 : std::atof(word.c_str() + equals + 1));
  }
  return key;
}

struct File {
  std::vector<std::string> before, own, rows, after;  // own: comments among the device's rows
  bool has_device = false;
};

File cut(const std::string& file_name, const std::string& text, const std::string& device_line) {
  File file;
  std::istringstream lines(text);
  int number = 0;
  bool inside = false;
  std::vector<std::string> comments;  // behind the last row: of what follows
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string content = trimmed(line);
    if (number == 1 && content != kRowsHeader) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("{}:1: the file must begin with '{}'", file_name, kRowsHeader));
    }
    if (content.rfind("device ", 0) == 0) {
      file.after.insert(file.after.end(), comments.begin(), comments.end());
      comments.clear();
      inside = !file.has_device && content == device_line;
      file.has_device = file.has_device || inside;
      if (inside) continue;
    }
    if (!inside) {
      (file.has_device ? file.after : file.before).push_back(line);
    } else if (content.empty() || content.front() == '#') {
      (file.rows.empty() ? file.own : comments).push_back(line);
    } else if (parts_of(content).size() < 3) {
      throw Error(ErrorCode::kInvalidProblem,
                  fmt::format("{}:{}: a row is: problem class | variant | launch [| remarks]", file_name, number));
    } else {
      file.own.insert(file.own.end(), comments.begin(), comments.end());
      comments.clear();
      file.rows.push_back(content);
    }
  }
  file.after.insert(file.after.end(), comments.begin(), comments.end());
  return file;
}

// Why an old row stays, or nothing.
std::string why_kept(const std::string& old_row, const Winner& winner) {
  const std::vector<std::string> parts = parts_of(old_row);
  const std::string remarks = parts.size() > 3 ? parts[3] : "";
  const auto is_row = [&](const Candidate& candidate) {
    return parts[1] == to_string(candidate.variant) && parts[2] == to_string(candidate.launch);
  };
  if (is_row(winner.best)) return remark(remarks, "driver") == winner.driver ? "measured again, the same variant" : "";
  if (is_row(winner.planned)) return "";  // beaten in the same rounds
  const double old_us = std::atof(remark(remarks, "us").c_str()), old_mad = std::atof(remark(remarks, "mad").c_str());
  if (old_us <= 0) return "";  // made by hand
  const double noise_percent = std::max(kLeastNoisePercent, old_mad + winner.mad_percent);
  if (winner.us * (1 + noise_percent / 100) < old_us) return "";
  return fmt::format("{:.1f} us are not better than its {:.1f} beyond the noise", winner.us, old_us);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  return text;
}

}  // namespace

std::string row_class(const DecodeProblem& problem) {
  return fmt::format("{} d={} g={} b={} kv={} route={}", to_string(problem.kv_dtype), problem.head_dim, problem.group_size(),
                     problem.max_batch, problem.max_kv_len, problem.routing.enabled ? 1 : 0);
}

std::string row_text(const Winner& winner) {
  return fmt::format("{} | {} | {} | driver=\"{}\" version={} date={} us={:.1f} mad={:.1f} gain={:.3f}",
                     row_class(winner.problem), to_string(winner.best.variant), to_string(winner.best.launch), winner.driver,
                     winner.version, winner.date, winner.us, winner.mad_percent, winner.gain);
}

Merged merge_rows(const std::string& file_name, const std::string& text, const std::string& device_line,
                  const std::vector<Winner>& winners) {
  Merged merged;
  File file = cut(file_name, text.empty() ? std::string(kRowsHeader) + "\n" : text, device_line);
  for (const Winner& winner : winners) {
    const std::string name = row_class(winner.problem), row = row_text(winner);
    const auto old_row =
        std::find_if(file.rows.begin(), file.rows.end(), [&](const std::string& one) { return parts_of(one).front() == name; });
    if (old_row == file.rows.end()) {
      file.rows.push_back(row);
      merged.notes.push_back(name + ": added");
      continue;
    }
    const std::string reason = why_kept(*old_row, winner);
    if (reason.empty()) *old_row = row;
    merged.notes.push_back(reason.empty() ? name + ": replaced" : fmt::format("{}: kept, {}", name, reason));
  }
  std::sort(file.rows.begin(), file.rows.end(),
            [](const std::string& a, const std::string& b) { return std::tuple(sort_key(a), a) < std::tuple(sort_key(b), b); });
  if (!file.has_device && !file.before.empty() && !trimmed(file.before.back()).empty()) file.before.emplace_back();
  merged.text = joined(file.before) + device_line + "\n" + joined(file.own) + joined(file.rows) + joined(file.after);
  return merged;
}

}  // namespace clsink::tuning
