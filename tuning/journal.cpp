// SPDX-License-Identifier: Apache-2.0
#include "tuning/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <clsink/version.hpp>
#include <filesystem>
#include <sstream>

#include "harness/launch_timing.hpp"
#include "harness/timing.hpp"

namespace clsink::tuning {
namespace {

constexpr int kFormat = 1;
constexpr const char* kKinds[] = {"run", "begin", "ran", "sample", "rejected", "skipped", "cell"};

nlohmann::json line_of(const char* kind, const std::string& cell, const Candidate& candidate) {
  return {{"kind", kind}, {"cell", cell}, {"variant", to_string(candidate.variant)}, {"launch", to_string(candidate.launch)}};
}

std::string candidate_text(const nlohmann::json& line) {
  return line.at("variant").get<std::string>() + " | " + line.at("launch").get<std::string>();
}

nlohmann::json to_json(const Measured& measured) {
  return {{"variant", to_string(measured.candidate.variant)},
          {"launch", to_string(measured.candidate.launch)},
          {"median_us", measured.us.median},
          {"p10_us", measured.us.p10},
          {"p90_us", measured.us.p90},
          {"mad_percent", measured.us.mad_percent},
          {"error", measured.error}};
}

// Neither a fact of this run nor of the machine's other load: what does not build or run today will not tomorrow.
bool holds_again(const std::string& why) { return why != to_string(Rejection::kSlow); }

}  // namespace

std::string to_string(const Candidate& candidate) { return to_string(candidate.variant) + " | " + to_string(candidate.launch); }

JournalContents parse_journal(const std::string& name, const std::string& text) {
  JournalContents contents;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    ++number;
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) {
      contents.remark = fmt::format("{}:{}: the last line was cut short and is left out", name, number);
      break;
    }
    nlohmann::json line = nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                                text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    begin = end + 1;
    const auto bad = [&](const std::string& what) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("{}:{}: {}", name, number, what));
    };
    if (!line.is_object()) bad("not a JSON object");
    const std::string kind = line.value("kind", nlohmann::json()).is_string() ? line["kind"].get<std::string>() : "";
    if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) bad("no known \"kind\"");
    if (contents.lines.empty() && kind != "run") bad("a journal begins with a line of kind run");
    if (kind == "run") {
      for (const char* field : {"device", "device_line", "platform", "driver", "version"}) {
        if (!line.contains(field) || !line[field].is_string()) bad(fmt::format("\"{}\" is missing", field));
      }
      if (line.value("format", nlohmann::json()) != kFormat) bad(fmt::format("\"format\" is not {}", kFormat));
    } else {
      if (!line.contains("cell") || !line["cell"].is_string()) bad("\"cell\" is missing");
    }
    if (kind == "begin" || kind == "ran" || kind == "rejected" || kind == "sample") {
      for (const char* field : {"variant", "launch"}) {
        if (!line.contains(field) || !line[field].is_string()) bad(fmt::format("\"{}\" is missing", field));
      }
    }
    if (kind == "rejected" && !(line.contains("why") && line["why"].is_string() && parse_rejection(line["why"]))) {
      bad("no known \"why\"");
    }
    if (kind == "begin") {
      contents.last_begin = line;
    } else if (kind != "run") {
      contents.last_begin.reset();
    }
    contents.lines.push_back(std::move(line));
    contents.whole_bytes = begin;
  }
  return contents;
}

JournalContents read_journal(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  std::ostringstream text;
  text << file.rdbuf();
  return parse_journal(path, text.str());
}

Journal::Journal(const std::string& path, const DeviceFacts& device) : path_(path), before_(read_journal(path)) {
  if (!before_.remark.empty()) std::filesystem::resize_file(path, before_.whole_bytes);
  for (const nlohmann::json& line : before_.lines) {
    const std::string kind = line["kind"];
    if (kind == "run") {
      const struct {
        const char* field;
        std::string here;
      } same[] = {{"device", device.name}, {"platform", device.platform}, {"driver", device.driver}, {"version", version()}};
      for (const auto& [field, here] : same) {
        if (line[field] == here) continue;
        throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: made with {} '{}', this is '{}': name another file", path,
                                                            field, line[field].get<std::string>(), here));
      }
    } else if (kind == "cell") {
      cells_[line["cell"]] = line;
      skipped_.erase(line["cell"]);
    } else if (kind == "skipped") {
      skipped_.insert(line["cell"]);
    } else if (kind == "rejected" && holds_again(line["why"])) {
      known_bad_[line["cell"]].push_back(candidate_text(line));
    }
  }
  file_.open(path, std::ios::app | std::ios::binary);
  if (!file_) throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: cannot be written", path));
}

std::optional<nlohmann::json> Journal::finished(const std::string& cell) const {
  const auto found = cells_.find(cell);
  if (found == cells_.end()) return std::nullopt;
  return found->second;
}

bool Journal::known_bad(const std::string& cell, const Candidate& candidate) const {
  const auto found = known_bad_.find(cell);
  return found != known_bad_.end() &&
         std::find(found->second.begin(), found->second.end(), to_string(candidate)) != found->second.end();
}

void Journal::append(const nlohmann::json& line) {
  file_ << line.dump() << '\n' << std::flush;
  if (!file_) throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: cannot be written", path_));
}

void Journal::run(const DeviceFacts& device, const std::string& device_line, const std::string& suite) {
  append({{"kind", "run"},
          {"format", kFormat},
          {"date", harness::utc_date()},
          {"version", version()},
          {"device", device.name},
          {"device_line", device_line},
          {"platform", device.platform},
          {"driver", device.driver},
          {"class", device.is_cpu ? "cpu" : "gpu"},
          {"compute_units", device.compute_units},
          {"clock", harness::judged_by_cpu_time(device) ? "cpu" : "wall"},
          {"suite", suite}});
}

void Journal::begin(const std::string& cell, const Candidate& candidate) { append(line_of("begin", cell, candidate)); }

void Journal::ran(const std::string& cell, const Candidate& candidate, const FirstRun& first) {
  nlohmann::json line = line_of("ran", cell, candidate);
  line.update({{"date", harness::utc_date()},
               {"prepare_s", first.prepare_s},
               {"verify_s", first.verify_s},
               {"error", first.error},
               {"us", first.us}});
  append(line);
}

void Journal::sample(const std::string& cell, const Candidate& candidate, int round, double us) {
  nlohmann::json line = line_of("sample", cell, candidate);
  line.update({{"round", round}, {"us", us}});
  append(line);
}

void Journal::rejected(const std::string& cell, const Candidate& candidate, Rejection why, const std::string& reason) {
  nlohmann::json line = line_of("rejected", cell, candidate);
  line.update({{"why", to_string(why)}, {"reason", reason}});
  append(line);
}

void Journal::skipped(const std::string& cell, const std::string& reason) {
  append({{"kind", "skipped"}, {"cell", cell}, {"reason", reason}});
}

void Journal::cell(const CellResult& result) {
  const std::string cell = to_string(result.problem);
  const nlohmann::json line = {{"kind", "cell"},
                               {"cell", cell},
                               {"date", harness::utc_date()},
                               {"routed", result.routed},
                               {"bytes", result.bytes},
                               {"rounds", result.rounds},
                               {"candidates", result.candidates},
                               {"seconds", result.seconds},
                               {"generic", to_json(result.untuned)},
                               {"planned", to_json(result.planned)},
                               {"best", to_json(result.best)},
                               {"gain", result.gain},
                               {"gain_over_planned", result.gain_over_planned},
                               {"read_us", result.read_us}};
  append(line);
  cells_[cell] = line;
}

namespace {

// For whoever outlived the process that wrote the journal.
bool append_to(const std::string& path, const JournalContents& contents, const nlohmann::json& line) {
  if (!contents.remark.empty()) std::filesystem::resize_file(path, contents.whole_bytes);
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << line.dump() << '\n' << std::flush;
  return file.good();
}

}  // namespace

bool reject_last_begin(const std::string& path, Rejection why, const std::string& reason) {
  const JournalContents contents = read_journal(path);
  if (!contents.last_begin) return false;
  nlohmann::json line = *contents.last_begin;
  line.update({{"kind", "rejected"}, {"why", to_string(why)}, {"reason", reason}});
  return append_to(path, contents, line);
}

bool skip_last_cell(const std::string& path, const std::string& reason) {
  const JournalContents contents = read_journal(path);
  if (contents.lines.empty() || contents.lines.back()["kind"] != "sample") return false;
  return append_to(path, contents, {{"kind", "skipped"}, {"cell", contents.lines.back()["cell"]}, {"reason", reason}});
}

}  // namespace clsink::tuning
