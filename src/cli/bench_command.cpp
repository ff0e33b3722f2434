// SPDX-License-Identifier: Apache-2.0
// clsink bench: how fast, against what the device can read and against what one would use otherwise.
#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <cstdio>
#include <fstream>
#include <memory>

#include "cli/bench_problem.hpp"
#include "cli/commands.hpp"
#include "cli/files.hpp"
#include "cli/interrupt.hpp"
#include "cli/problem_lines.hpp"
#include "harness/bench_data.hpp"

namespace clsink::cli {
namespace {

constexpr double kDefaultSeconds = 4;

struct BenchArguments {
  std::vector<std::string> problems, tuning_files;
  std::string suite, device, json_path, pattern = "spread", lengths, baseline = "none";
  std::vector<std::string> variants;
  std::vector<double> routed{0, 0.25, 0.5, 0.75};
  int rounds = 0;
  double seconds = 0;
};

std::vector<DecodeProblem> problems_of(const BenchArguments& arguments) {
  std::vector<std::string> lines = arguments.problems;
  if (!arguments.suite.empty()) {
    for (std::string& line : problem_lines(read_file(arguments.suite, "suite "))) lines.push_back(std::move(line));
  }
  if (lines.empty()) throw Error(ErrorCode::kInvalidProblem, "bench: name a problem or a --suite of them");
  std::vector<DecodeProblem> problems;
  for (const std::string& line : lines) problems.push_back(parse_problem(line));
  return problems;
}

// "1:16" is 16.
std::int32_t longest_over_shortest(const std::string& lengths) {
  constexpr std::size_t kMostDigits = 6;
  if (lengths.empty()) return 1;
  const std::string digits = lengths.rfind("1:", 0) == 0 ? lengths.substr(2) : "";
  const bool is_number = !digits.empty() && digits.size() <= kMostDigits &&
                         std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number || std::stoi(digits) < 1) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("lengths {}: not of the form 1:16", lengths));
  }
  return std::stoi(digits);
}

BenchOptions options_of(const BenchArguments& arguments) {
  BenchOptions options;
  options.variants = arguments.variants;
  options.routed = arguments.routed;
  options.pattern = harness::parse_pattern(arguments.pattern);
  options.longest_over_shortest = longest_over_shortest(arguments.lengths);
  options.clblast = arguments.baseline == "clblast";
  if (arguments.rounds > 0) options.limits.rounds = arguments.rounds;
  if (arguments.seconds > 0) options.limits.seconds = arguments.seconds;
  if (arguments.rounds <= 0 && arguments.seconds <= 0) options.limits.seconds = kDefaultSeconds;
  return options;
}

void write_json(const std::string& path, const std::vector<BenchRow>& rows, const DeviceFacts& device) {
  std::ofstream file(path);
  file << to_json(rows, device).dump(2) << '\n';
  if (!file) throw Error(ErrorCode::kInvalidProblem, fmt::format("json {}: cannot be written", path));
}

int run_bench(const BenchArguments& arguments) {
  const std::vector<DecodeProblem> problems = problems_of(arguments);
  const harness::OpenClDevice opencl =
      arguments.device.empty() ? harness::open_device() : harness::open_device(arguments.device);
  ContextOptions context_options;
  context_options.tuning_files = arguments.tuning_files;
  Context context(opencl.context(), opencl.device(), context_options);
  harness::ReadBandwidth read(opencl.context, opencl.device);
  const auto remark = [](const std::string& text) {
    fmt::print("\n{}\n", text);
    std::fflush(stdout);
  };
  Bench bench{opencl, context, read, options_of(arguments), interrupted, remark};

  catch_interrupts();
  const std::int64_t sweep_bytes = harness::wanted_sweep_bytes(opencl.device);
  print_bench_header(context.device(), sweep_bytes);
  std::vector<BenchRow> all_rows;
  for (const DecodeProblem& problem : problems) {
    if (interrupted()) break;
    const std::vector<BenchRow> rows = bench_problem(bench, problem);
    print_bench_rows(rows, sweep_bytes);
    all_rows.insert(all_rows.end(), rows.begin(), rows.end());
  }
  if (!arguments.json_path.empty()) write_json(arguments.json_path, all_rows, context.device());
  if (interrupted()) return kExitInterrupted;
  return std::all_of(all_rows.begin(), all_rows.end(), [](const BenchRow& row) { return row.correct(); }) ? 0 : 1;
}

}  // namespace

void add_bench_command(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<BenchArguments>();
  CLI::App* command = app.add_subcommand("bench", "Measure problems; every result is checked against the reference");
  command->add_option("problem", arguments->problems, "Problems, for example \"f16 hq=32 hkv=8 d=128 b=1 kv=32768\"");
  command->add_option("--suite", arguments->suite, "File with one problem a line");
  command->add_option("--device", arguments->device, "Part of \"platform/device\"; default: CLSINK_DEVICE, or the first");
  command->add_option("--variant", arguments->variants, "Variant instead of the planner's, or \"VARIANT | TUNING\"; repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--tuning", arguments->tuning_files, "Files of tuning rows that go before the built-in ones")
      ->expected(1, -1);
  command->add_option("--routed", arguments->routed, "Fractions of the groups that are routed")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command
      ->add_option("--pattern", arguments->pattern,
                   "Which kv heads are routed: spread, contiguous (the last ones), or ragged: spread, but of every sequence "
                   "another share, from 0 to twice the fraction")
      ->check(CLI::IsMember({"spread", "contiguous", "ragged"}))
      ->capture_default_str();
  command->add_option("--lengths", arguments->lengths,
                      "1:N spreads the lengths of the sequences geometrically from the problem's kv down to an N-th of it. "
                      "Every row is followed by its counterpart of equal sequences that read as many bytes");
  command->add_option("--rounds", arguments->rounds, "Rounds for each problem")->check(CLI::PositiveNumber);
  command->add_option("--seconds", arguments->seconds, fmt::format("Seconds for each problem; default {}", kDefaultSeconds))
      ->check(CLI::PositiveNumber);
  command->add_option("--baseline", arguments->baseline, "clblast: GEMM + softmax + GEMM on f32 copies")
      ->check(CLI::IsMember({"clblast", "none"}))
      ->capture_default_str();
  command->add_option("--json", arguments->json_path, "Also write the rows as JSON");
  command->callback([arguments, &exit_code] { exit_code = run_bench(*arguments); });
}

}  // namespace clsink::cli
