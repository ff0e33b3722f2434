// SPDX-License-Identifier: Apache-2.0
#include "tuning/t4.hpp"

#include <map>
#include <sstream>
#include <utility>

namespace clsink::tuning {
namespace {

constexpr double kMsOfUs = 1e-3, kMsOfS = 1e3;

// Words of "simt wg=128 ..." as fields; a word alone is the value of `alone`.
void add_words(const std::string& text, const char* alone, nlohmann::json& to) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    const std::string value = equals == std::string::npos ? word : word.substr(equals + 1);
    const bool number = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
    nlohmann::json& field = to[equals == std::string::npos ? alone : word.substr(0, equals)];
    if (number) {
      field = std::stoll(value);
    } else {
      field = value;
    }
  }
}

const char* invalidity_of(Rejection why) {
  switch (why) {
    case Rejection::kConstraint:
      return "constraints";
    case Rejection::kBuild:
      return "compile";
    case Rejection::kWrong:
      return "correctness";
    case Rejection::kTimeout:
      return "timeout";
    case Rejection::kLaunch:
    case Rejection::kCrash:
      return "runtime";
    case Rejection::kSlow:
      break;
  }
  return "correct";
}

struct Result {
  nlohmann::json ran, rejected;  // the lines, or null
  std::vector<double> us;
};

nlohmann::json to_json(const std::string& cell, const nlohmann::json& line, const Result& result) {
  nlohmann::json configuration;
  add_words(cell, "dtype", configuration);
  add_words(line.at("variant"), "engine", configuration);
  add_words(line.at("launch"), "launch", configuration);
  nlohmann::json runtimes = nlohmann::json::array(), measurements = nlohmann::json::array();
  for (const double us : result.us) runtimes.push_back(kMsOfUs * us);
  const auto seconds = [&](const char* field) { return result.ran.is_null() ? 0.0 : result.ran.value(field, 0.0); };
  const char* invalidity = "correct";
  if (!result.rejected.is_null()) {
    invalidity = invalidity_of(*parse_rejection(result.rejected.at("why")));
    measurements.push_back({{"name", "reason"}, {"value", result.rejected.value("reason", "")}, {"unit", ""}});
  }
  if (!result.us.empty()) {
    measurements.push_back({{"name", "time"}, {"value", kMsOfUs * harness::median(result.us)}, {"unit", "milliseconds"}});
  }
  if (!result.ran.is_null()) {
    measurements.push_back({{"name", "relative_error"}, {"value", result.ran.value("error", 0.0)}, {"unit", ""}});
  }
  nlohmann::json document = {{"configuration", configuration},
                             {"objectives", {"time"}},
                             {"times",
                              {{"compilation_time", kMsOfS * seconds("prepare_s")},
                               {"runtimes", runtimes},
                               {"framework", 0},
                               {"search_algorithm", 0},
                               {"validation", kMsOfS * seconds("verify_s")}}},
                             {"invalidity", invalidity},
                             {"correctness", result.ran.is_null() ? 0 : 1},
                             {"measurements", measurements}};
  if (!result.ran.is_null()) document["timestamp"] = result.ran.value("date", "");
  return document;
}

}  // namespace

nlohmann::json t4_document(const JournalContents& journal) {
  std::vector<std::pair<std::string, nlohmann::json>> order;  // cell and the first line of a candidate
  std::map<std::string, Result> results;
  nlohmann::json metadata = {{"timeunit", "milliseconds"}};
  for (const nlohmann::json& line : journal.lines) {
    const std::string kind = line.at("kind");
    if (kind == "run") {
      for (const char* field : {"device", "platform", "driver", "version"}) metadata[field] = line.at(field);
    }
    if (kind != "ran" && kind != "sample" && kind != "rejected") continue;
    const std::string key = line.at("cell").get<std::string>() + " | " + line.at("variant").get<std::string>() + " | " +
                            line.at("launch").get<std::string>();
    const auto [result, first] = results.try_emplace(key);
    if (first) order.emplace_back(key, line);
    if (kind == "ran") {
      result->second = {line, nullptr, {line.value("us", 0.0)}};  // a resumed cell runs its candidates again
    } else if (kind == "sample") {
      result->second.us.push_back(line.value("us", 0.0));
    } else {
      result->second.rejected = line;
    }
  }
  nlohmann::json documents = nlohmann::json::array();
  for (const auto& [key, line] : order) documents.push_back(to_json(line.at("cell"), line, results.at(key)));
  return {{"schema_version", "1.0.0"}, {"metadata", metadata}, {"results", documents}};
}

}  // namespace clsink::tuning
