// SPDX-License-Identifier: Apache-2.0
#include "cli/report_data.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <clsink/error.hpp>
#include <clsink/problem.hpp>
#include <clsink/version.hpp>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "model/fields.hpp"

namespace clsink::cli {
namespace {

using nlohmann::json;

constexpr int kJournalFormat = 1;
constexpr std::array kReasons = {"constraint", "build", "launch", "wrong", "slow", "timeout", "crash"};

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: {}", where, what));
}

// The parser's own message, without its "[json.exception...]".
std::string reason_of(const json::exception& error) {
  const std::string_view text = error.what();
  return std::string(text.substr(std::min(text.find("] ") + 2, text.size())));
}

// A JSON object and where it stands; every access checks, and an error names the field.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail(where_, "is not an object");
  }

  const std::string& where() const { return where_; }
  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }

  const json& at(const char* key) const {
    if (!object_.contains(key)) fail(where_, fmt::format("field \"{}\" is missing", key));
    return object_[key];
  }
  const std::string& text(const char* key) const {
    const json& value = at(key);
    if (!value.is_string()) refuse(key, "not a text");
    return value.get_ref<const std::string&>();
  }
  double number(const char* key) const {
    const json& value = at(key);
    if (!value.is_number() || value.get<double>() < 0) refuse(key, "not a number of 0 or more");
    return value.get<double>();
  }
  double fraction(const char* key) const {
    if (number(key) > 1) refuse(key, "not between 0 and 1");
    return number(key);
  }
  Fields object(const char* key) const { return {at(key), fmt::format("{}: {}", where_, key)}; }

  /// The named fields, checked, as an object of their own.
  json texts(std::initializer_list<const char*> keys) const {
    json result = json::object();
    for (const char* key : keys) result[key] = text(key);
    return result;
  }
  json numbers(std::initializer_list<const char*> keys) const {
    json result = json::object();
    for (const char* key : keys) {
      number(key);
      result[key] = at(key);
    }
    return result;
  }

  [[noreturn]] void refuse(const char* key, const std::string& what) const {
    fail(where_, fmt::format("field \"{}\" is {}, {}", key, at(key).dump(), what));
  }

 private:
  const json& object_;
  std::string where_;
};

// What is known of one device under one driver. What can be measured again is kept by a key that says what it is.
struct Device {
  json head;
  json runs = json::array();
  json cells = json::object(), rejected = json::object(), bench = json::object(), peers = json::object();
  std::int64_t samples = 0;

  static void keep_latest(json& rows, const std::string& key, json row) {
    if (!rows.contains(key) || rows[key]["date"] <= row["date"]) rows[key] = std::move(row);
  }
  void add_run(json run) {
    if (std::find(runs.begin(), runs.end(), run) == runs.end()) runs.push_back(std::move(run));
  }
};

std::vector<json> values(const json& rows) { return {rows.begin(), rows.end()}; }

// Shape of a problem as plots need it: `family` is what one plot holds together, the problem without batch and kv_len.
// Words of `load` (lengths, pattern) belong to the shape of a comparison, but not to the problem.
json shape_of(const Fields& fields, const char* key) {
  std::string problem_text, family;
  for (const std::string_view word : split(fields.text(key), ' ')) {
    const std::string_view name = word.substr(0, word.find('='));
    if (name != "lengths" && name != "pattern") problem_text += fmt::format("{}{}", problem_text.empty() ? "" : " ", word);
    if (name != "b" && name != "kv") family += fmt::format("{}{}", family.empty() ? "" : " ", word);
  }
  try {
    const DecodeProblem problem = parse_problem(problem_text);
    return {{"problem", fields.text(key)}, {"family", family}, {"batch", problem.max_batch}, {"kv_len", problem.max_kv_len}};
  } catch (const Error& error) {
    fields.refuse(key, error.what());
  }
}

json joined(std::initializer_list<json> parts) {
  json result = json::object();
  for (const json& part : parts) result.update(part);
  return result;
}

class Reader {
 public:
  void read(const ReportInput& input);
  json document() const;

 private:
  Device& device(const std::string& name, const std::string& driver, json more);
  void read_journal(const ReportInput& input);
  void read_line(const Fields& line, const std::string& file, Device*& current);
  void read_bench(const json& rows, const std::string& file);
  void read_peers(const json& root, const std::string& file);

  std::vector<std::unique_ptr<Device>> devices_;
  json remarks_ = json::array();
};

// One device has one name and driver; as many compute units too, where they are known: a CPU with fewer threads is another.
Device& Reader::device(const std::string& name, const std::string& driver, json more) {
  for (const auto& known : devices_) {
    json& head = known->head;
    const bool same_units =
        !head.contains("compute_units") || !more.contains("compute_units") || head["compute_units"] == more["compute_units"];
    if (head["name"] != name || head["driver"] != driver || !same_units) continue;
    head.update(more);
    return *known;
  }
  more["name"] = name;
  more["driver"] = driver;
  devices_.push_back(std::make_unique<Device>());
  devices_.back()->head = std::move(more);
  return *devices_.back();
}

// Median and spread of one candidate of a cell.
json measured(const Fields& fields) {
  return joined(
      {fields.texts({"variant", "launch"}), fields.numbers({"median_us", "p10_us", "p90_us", "mad_percent", "error"})});
}

json cell_of(const Fields& line) {
  json cell = joined({shape_of(line, "cell"),
                      line.texts({"date"}),
                      line.numbers({"bytes", "rounds", "candidates", "seconds", "read_us"}),
                      {{"routed", line.fraction("routed")}, {"best", measured(line.object("best"))}}});
  for (const char* key : {"generic", "planned"}) {  // absent where the device refuses them
    if (line.has(key)) cell[key] = measured(line.object(key));
  }
  for (const char* key : {"gain", "gain_over_planned"}) {
    if (line.has(key)) cell.update(line.numbers({key}));
  }
  return cell;
}

void Reader::read_line(const Fields& line, const std::string& file, Device*& current) {
  const std::string& kind = line.text("kind");
  if (kind == "run") {
    if (line.number("format") != kJournalFormat) line.refuse("format", fmt::format("this program reads {}", kJournalFormat));
    current = &device(line.text("device"), line.text("driver"),
                      joined({line.texts({"platform", "class"}), line.numbers({"compute_units"})}));
    current->add_run(joined({line.texts({"date", "version", "clock", "suite"}), {{"file", file}, {"kind", "tuning"}}}));
    return;
  }
  if (!current) fail(line.where(), fmt::format("\"{}\" comes before the first \"run\"", kind));
  if (kind == "sample") {
    line.texts({"cell", "variant", "launch"});
    line.numbers({"round", "us"});
    ++current->samples;
  } else if (kind == "rejected") {
    json row = line.texts({"cell", "variant", "launch", "why", "reason"});
    if (std::find(kReasons.begin(), kReasons.end(), row["why"]) == kReasons.end()) {
      line.refuse("why", fmt::format("not one of {}", fmt::join(kReasons, ", ")));
    }
    const std::string key =
        row["cell"].get<std::string>() + '|' + row["variant"].get<std::string>() + '|' + row["launch"].get<std::string>();
    current->rejected[key] = std::move(row);
  } else if (kind == "cell") {
    Device::keep_latest(current->cells, line.text("cell"), cell_of(line));
  } else if (kind == "begin" || kind == "ran") {
    line.texts({"cell", "variant", "launch"});
  } else if (kind == "skipped") {
    line.texts({"cell", "reason"});
  } else {
    line.refuse("kind", "not run, begin, ran, sample, rejected, skipped or cell");
  }
}

void Reader::read_journal(const ReportInput& input) {
  Device* current = nullptr;
  std::string_view rest = input.text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view text = rest.substr(0, end);
    const std::string where = fmt::format("{}:{}", input.name, number);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    json object;
    try {
      object = json::parse(text);
    } catch (const json::exception& error) {
      if (end != std::string_view::npos) fail(where, reason_of(error));
      remarks_.push_back(where + ": the last line is cut short and left out; the run was interrupted");
      break;
    }
    read_line({object, where}, input.name, current);
  }
}

void Reader::read_bench(const json& rows, const std::string& file) {
  if (rows.empty()) remarks_.push_back(file + ": no rows");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Fields row(rows[i], fmt::format("{}: /{}", file, i));
    Device& owner =
        device(row.text("device"), row.text("driver"), joined({row.texts({"platform"}), row.numbers({"compute_units"})}));
    owner.add_run(joined({row.texts({"date", "version", "clock"}), {{"file", file}, {"kind", "bench"}}}));
    const bool by_cpu_time = row.text("clock") == "cpu";
    const std::string key = fmt::format("{}|{}|{}|{}|{}", row.text("problem"), row.text("lengths"), row.text("pattern"),
                                        row.fraction("routed"), row.text("variant"));
    if (!row.at("correct").is_boolean()) row.refuse("correct", "neither true nor false");
    Device::keep_latest(owner.bench, key,
                        joined({shape_of(row, "problem"),
                                row.texts({"date", "variant", "lengths", "pattern"}),
                                row.numbers({"routed", "mad_percent", "bytes", "gb_per_s", "read_gb_per_s", "percent_of_read",
                                             "speedup", "error"}),
                                {{"us", row.number(by_cpu_time ? "cpu_us" : "median_us")}, {"correct", row.at("correct")}}}));
  }
}

void Reader::read_peers(const json& root, const std::string& file) {
  const Fields head(root, file);
  Device& owner = device(head.text("device"), head.text("driver"), json::object());
  owner.add_run(joined({head.texts({"date"}), {{"file", file}, {"kind", "peers"}}}));
  const json& rows = head.at("rows");
  if (!rows.is_array()) fail(file, "field \"rows\" is not an array");
  if (rows.empty()) remarks_.push_back(file + ": no rows");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Fields row(rows[i], fmt::format("{}: /rows/{}", file, i));
    const std::string key =
        fmt::format("{}|{}|{}|{}", row.text("shape"), row.fraction("routed"), row.text("label"), row.text("clsink_variant"));
    Device::keep_latest(
        owner.peers, key,
        joined({shape_of(row, "shape"), head.texts({"date"}), row.texts({"peer", "label", "clsink_variant"}),
                row.numbers({"routed", "bytes", "peer_ms", "clsink_ms", "read_ms", "ratio", "ratio_min", "ratio_max"})}));
  }
}

// An array is the bench's; lines that are objects with a "kind" are a journal; an object with "rows" compares with peers.
void Reader::read(const ReportInput& input) {
  const std::string& text = input.text;
  const json first_line = json::parse(text.substr(0, text.find('\n')), nullptr, false);
  if (first_line.is_object() && first_line.contains("kind")) return read_journal(input);
  json root;
  try {
    root = json::parse(text);
  } catch (const json::exception& error) {
    fail(input.name, reason_of(error));
  }
  if (root.is_array()) return read_bench(root, input.name);
  if (root.is_object() && root.contains("rows")) return read_peers(root, input.name);
  fail(input.name, "neither a tuning journal, nor rows of clsink bench, nor a comparison with peers");
}

// How often which engine was rejected for which reason, with one example of each.
json rejected_counts(const json& rejected) {
  json counts = json::object();
  for (const json& row : rejected) {
    const std::string variant = row["variant"], engine = variant.substr(0, variant.find(' '));
    json& entry = counts[row["why"].get<std::string>() + '|' + engine];
    if (entry.is_null()) entry = {{"why", row["why"]}, {"engine", engine}, {"count", 0}};
    entry["count"] = entry["count"].get<int>() + 1;
    entry.update({{"variant", variant}, {"reason", row["reason"]}});
  }
  return values(counts);
}

json Reader::document() const {
  json devices = json::array();
  for (const auto& device : devices_) {
    devices.push_back(joined({device->head,
                              {{"runs", device->runs},
                               {"samples", device->samples},
                               {"cells", values(device->cells)},
                               {"rejected", rejected_counts(device->rejected)},
                               {"bench", values(device->bench)},
                               {"peers", values(device->peers)}}}));
  }
  return {{"version", clsink::version()}, {"remarks", remarks_}, {"devices", devices}};
}

}  // namespace

json report_document(const std::vector<ReportInput>& inputs) {
  Reader reader;
  for (const ReportInput& input : inputs) reader.read(input);
  return reader.document();
}

}  // namespace clsink::cli
