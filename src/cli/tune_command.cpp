// SPDX-License-Identifier: Apache-2.0
// clsink tune: finds the fastest variants on a device. The sweep runs in a process of its own, which is watched: a candidate
// that does not come back, or takes the process with it, is thrown out and the sweep goes on without it.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clsink/error.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "cli/commands.hpp"
#include "cli/files.hpp"
#include "cli/interrupt.hpp"
#include "cli/problem_lines.hpp"
#include "cli/tune_worker.hpp"
#include "harness/timing.hpp"
#include "tuning/journal.hpp"
#include "tuning/rows.hpp"
#include "tuning/t4.hpp"

namespace clsink {
extern const std::string_view k_models_suite;
}

namespace clsink::cli {
namespace {

constexpr double kDefaultMinutes = 10, kDefaultWatchdogSeconds = 180;
constexpr useconds_t kPollUs = 100'000;

struct TuneArguments {
  std::vector<std::string> problems, tuning_files;
  std::string suite, device, journal = "clsink-tune.jsonl", write_path, export_format;
  double minutes = kDefaultMinutes, watchdog_seconds = kDefaultWatchdogSeconds;
  bool dry_run = false, json = false;
};

SweepOptions options_of(const TuneArguments& arguments) {
  SweepOptions options;
  std::vector<std::string> lines = arguments.problems;
  options.suite = "problems";
  if (!arguments.suite.empty()) {
    options.suite = arguments.suite;
    for (std::string& line : problem_lines(read_file(arguments.suite, "suite "))) lines.push_back(std::move(line));
  } else if (lines.empty()) {
    options.suite = "models";
    lines = problem_lines(std::string(k_models_suite));
  }
  for (const std::string& line : lines) options.problems.push_back(parse_problem(line));
  options.device = arguments.device;
  options.tuning_files = arguments.tuning_files;
  // Rows that are there go first, so that what replaces them has beaten them.
  if (!arguments.write_path.empty() && std::filesystem::exists(arguments.write_path)) {
    options.tuning_files.push_back(arguments.write_path);
  }
  options.journal = arguments.journal;
  options.end_us = harness::wall_clock_us() + 60e6 * arguments.minutes;
  return options;
}

std::uintmax_t size_of_file(const std::string& path) {
  std::error_code none;
  const std::uintmax_t size = std::filesystem::file_size(path, none);
  return none ? 0 : size;
}

// The child's exit code; -1: it was killed by a signal, of the watchdog (`timed_out`) or its own.
int wait_watched(pid_t child, const TuneArguments& arguments, bool& timed_out) {
  std::uintmax_t size = size_of_file(arguments.journal);
  double grown_us = harness::wall_clock_us();
  while (true) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      return WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM ? kExitInterrupted : -1;  // the user's, no candidate's
    }
    usleep(kPollUs);
    const std::uintmax_t now = size_of_file(arguments.journal);
    if (now != size) grown_us = harness::wall_clock_us();
    size = now;
    if (harness::wall_clock_us() - grown_us > 1e6 * arguments.watchdog_seconds && !timed_out) {
      timed_out = true;
      kill(child, SIGKILL);
    }
  }
}

// Runs the sweep in child processes until one of them ends by itself.
int supervise(const TuneArguments& arguments, SweepOptions options) {
  while (true) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child < 0) throw Error(ErrorCode::kOutOfMemory, "fork failed");
    if (child == 0) {
      int code = 2;
      try {
        code = run_sweep(options);
      } catch (const Error& error) {
        fmt::print(stderr, "clsink: {}: {}\n", to_string(error.code()), error.what());
      } catch (const std::exception& error) {
        fmt::print(stderr, "clsink: {}\n", error.what());
      }
      std::fflush(stdout);
      std::_Exit(code);  // no destructors of a driver that may be broken
    }
    std::signal(SIGINT, SIG_IGN);  // the child ends early, and this process then says what there is
    bool timed_out = false;
    const int code = wait_watched(child, arguments, timed_out);
    if (code >= 0 && code != kExitDeviceLost) return code;
    std::string reason = code == kExitDeviceLost ? "the device answered no more" : "the process ended in it";
    if (timed_out) reason = fmt::format("nothing came back for {:.0f} s", arguments.watchdog_seconds);
    const auto why = timed_out ? tuning::Rejection::kTimeout : tuning::Rejection::kCrash;
    options.going_on = true;
    if (tuning::reject_last_begin(arguments.journal, why, reason)) {
      fmt::print("\na candidate was thrown out ({}): {}; going on\n", to_string(why), reason);
    } else if (tuning::skip_last_cell(arguments.journal, reason + " while its candidates took turns")) {
      fmt::print("\na cell was skipped: {} while its candidates took turns; going on\n", reason);
    } else {
      throw Error(ErrorCode::kOpenCl, fmt::format("the sweep's process was lost and no candidate to blame: {}", reason));
    }
  }
}

// The latest result of every problem, and with what it was measured.
struct Finished {
  std::vector<nlohmann::json> cells;
  std::vector<tuning::Winner> winners;
  std::string device_line;
  std::map<std::string, int> rejected;  // by reason
};

tuning::Candidate candidate_of(const nlohmann::json& measured) {
  return {parse_variant(measured.at("variant")), parse_launch_tuning(measured.at("launch"))};
}

Finished finished_of(const tuning::JournalContents& journal) {
  Finished finished;
  std::map<std::string, std::pair<nlohmann::json, nlohmann::json>> cells;  // problem -> result, run
  nlohmann::json run;
  std::vector<std::string> order;
  for (const nlohmann::json& line : journal.lines) {
    const std::string kind = line.at("kind");
    if (kind == "run") run = line;
    if (kind == "rejected") ++finished.rejected[line.at("why")];
    if (kind != "cell") continue;
    if (cells.count(line.at("cell")) == 0) order.push_back(line.at("cell"));
    cells[line.at("cell")] = {line, run};
  }
  if (!run.is_null()) finished.device_line = run.at("device_line");
  for (const std::string& cell : order) {
    const auto& [line, of_run] = cells.at(cell);
    finished.cells.push_back(line);
    constexpr std::size_t kDay = 10;  // of "2026-11-22T..."
    finished.winners.push_back({parse_problem(cell), candidate_of(line.at("best")), candidate_of(line.at("planned")),
                                line.at("best").at("median_us"), line.at("best").at("mad_percent"), line.at("gain"),
                                of_run.at("driver"), of_run.at("version"), line.at("date").get<std::string>().substr(0, kDay)});
  }
  return finished;
}

void print_summary(const TuneArguments& arguments, const SweepOptions& options, const Finished& finished) {
  std::vector<double> gains;
  for (const nlohmann::json& cell : finished.cells) gains.push_back(cell.at("gain"));
  std::string rejected;
  for (const auto& [why, count] : finished.rejected) {
    if (why == tuning::to_string(tuning::Rejection::kConstraint)) continue;  // much of the search space is for other devices
    rejected += fmt::format("{}{} {}", rejected.empty() ? "" : ", ", count, why);
  }
  fmt::print("{} of {} cells measured", finished.cells.size(), options.problems.size());
  if (!gains.empty()) {
    fmt::print("; over the untuned plan x{:.2f} in the median, x{:.2f} at most", harness::median(gains),
               harness::percentile(gains, 1));
  }
  fmt::print("\n");
  if (!rejected.empty()) fmt::print("thrown out: {} (each with its reason in {})\n", rejected, arguments.journal);
  if (finished.cells.size() < options.problems.size()) fmt::print("the same command goes on where this one ended\n");
  if (arguments.write_path.empty()) {
    fmt::print("rows: add --write FILE.tune; use: clsink plan --tuning FILE.tune, or ContextOptions::tuning_files\n");
  }
}

void write_rows(const std::string& path, const Finished& finished) {
  const std::string before = std::filesystem::exists(path) ? read_file(path) : "";
  const tuning::Merged merged = tuning::merge_rows(path, before, finished.device_line, finished.winners);
  write_file(path, merged.text);
  for (const std::string& note : merged.notes) fmt::print("{}: {}\n", path, note);
}

int run_tune(const TuneArguments& arguments) {
  const SweepOptions options = options_of(arguments);
  if (arguments.dry_run) return print_sweep(options);
  const int code = supervise(arguments, options);
  if (code != 0 && code != kExitInterrupted) return code;
  const tuning::JournalContents journal = tuning::read_journal(arguments.journal);
  const Finished finished = finished_of(journal);
  if (!arguments.write_path.empty() && !finished.winners.empty()) write_rows(arguments.write_path, finished);
  if (arguments.export_format == "t4") {
    const std::string path = arguments.journal + ".t4.json";
    write_file(path, tuning::t4_document(journal).dump(1) + "\n");
    fmt::print("T4 results: {}\n", path);
  }
  if (arguments.json) {
    fmt::print("{}\n", nlohmann::json(finished.cells).dump(2));
  } else {
    print_summary(arguments, options, finished);
  }
  return code;
}

}  // namespace

void add_tune_command(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<TuneArguments>();
  CLI::App* command =
      app.add_subcommand("tune", "Find the fastest variants on a device; every candidate is held to the reference first");
  command->add_option("--problem", arguments->problems, "This problem; repeatable. Default: shapes of common models")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--suite", arguments->suite, "File with one problem a line, the most important first");
  command->add_option("--device", arguments->device, "Part of \"platform/device\"; default: CLSINK_DEVICE, or the first");
  command->add_option("--minutes", arguments->minutes, "Time for the whole sweep; it goes on where it ended when run again")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--out", arguments->journal, "Journal: what was measured, one line each; appended to")
      ->capture_default_str();
  command->add_option("--write", arguments->write_path, "Merge the winners into this file of tuning rows");
  command->add_option("--export", arguments->export_format, "t4: also write JOURNAL.t4.json for other tuners' tools")
      ->check(CLI::IsMember({"t4"}));
  command->add_option("--tuning", arguments->tuning_files, "Files of tuning rows that go before the built-in ones")
      ->expected(1, -1);
  command->add_option("--watchdog", arguments->watchdog_seconds, "Seconds without news after which a candidate is thrown out")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--dry-run", arguments->dry_run, "List cells and candidates, measure nothing");
  command->add_flag("--json", arguments->json, "Print the results as JSON instead of a summary");
  command->callback([arguments, &exit_code] { exit_code = run_tune(*arguments); });
}

}  // namespace clsink::cli
