// SPDX-License-Identifier: Apache-2.0
// clsink verify: is every variant right on this device? One line repeats any failure.
#include <fmt/format.h>
#include <unistd.h>

#include <clsink/context.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "harness/case.hpp"
#include "harness/compare.hpp"
#include "harness/device_case.hpp"
#include "harness/inputs.hpp"
#include "harness/suite.hpp"

namespace clsink::cli {
namespace {

struct VerifyArguments {
  std::string device, suite = "grid", variant;
  std::vector<std::string> cases;
  bool full = false;
  bool json = false;
};

struct Failure {
  std::string line;  // repeats it
  std::string reason;
};

struct Tally {
  int cases = 0, runs = 0, unsupported = 0, excluded_groups = 0;
  double worst_error = 0;  // in parts of the tolerance
  std::vector<Failure> failures;
};

// A bar on a terminal, a line at every tenth otherwise; silent for machines.
class Progress {
 public:
  Progress(std::size_t total, bool silent) : total_(total), silent_(silent), terminal_(isatty(fileno(stderr)) != 0) {}

  void show(std::size_t done, const Tally& tally) {
    if (silent_ || total_ == 0) return;
    const std::size_t tenth = 10 * done / total_;
    if (terminal_) {
      constexpr std::size_t kWidth = 40;
      const std::size_t filled = kWidth * done / total_;
      fmt::print(stderr, "\r[{}{}] {}/{} cases, {} runs, {} failed", std::string(filled, '#'),
                 std::string(kWidth - filled, ' '), done, total_, tally.runs, tally.failures.size());
      if (done == total_) fmt::print(stderr, "\n");
    } else if (tenth != last_tenth_) {
      fmt::print(stderr, "{}/{} cases, {} runs, {} failed\n", done, total_, tally.runs, tally.failures.size());
    }
    last_tenth_ = tenth;
  }

 private:
  std::size_t total_, last_tenth_ = 0;
  bool silent_, terminal_;
};

std::string suite_path(const std::string& suite) {
  if (suite.find('/') != std::string::npos || suite.find('.') != std::string::npos) return suite;
  return std::string(CLSINK_SUITE_DIR) + "/" + suite + ".txt";
}

std::vector<harness::Case> cases_of(const VerifyArguments& arguments) {
  std::vector<harness::Case> cases;
  for (const std::string& text : arguments.cases) cases.push_back(harness::parse_case(text));
  if (!cases.empty()) return cases;
  constexpr int kPairwise = 2, kThreeWise = 3;
  return harness::suite_cases(harness::read_suite(suite_path(arguments.suite)), arguments.full ? kThreeWise : kPairwise);
}

// The case once for every variant that it does not leave open.
std::vector<harness::Case> runs_of(const Context& context, const harness::Case& given, const std::string& variant) {
  harness::Case run = given;
  if (!variant.empty()) run.variant = parse_variant(variant);
  if (run.variant) return {run};
  std::vector<harness::Case> runs;
  for (const DecodeVariant& fitting : context.variants(given.problem)) {
    run.variant = fitting;
    runs.push_back(run);
  }
  return runs;
}

void verify_case(const harness::OpenClDevice& opencl, Context& context, const harness::Case& given, const std::string& variant,
                 Tally& tally) {
  ++tally.cases;
  if (context.supports(given.problem)) {
    ++tally.unsupported;
    return;
  }
  const harness::Inputs inputs = harness::make_inputs(given);
  const harness::ReferenceResult reference =
      harness::reference_decode(given.problem, harness::step_of(given), harness::reference_inputs(given.problem, inputs));
  for (const harness::Case& run : runs_of(context, given, variant)) {
    if (interrupted()) return;
    ++tally.runs;
    try {
      const harness::Outcome outcome = harness::run_case(opencl, context, run, inputs, reference);
      tally.worst_error = std::max(tally.worst_error, outcome.error / harness::tolerance(run.problem.out_dtype));
      tally.excluded_groups += outcome.excluded_groups;
      if (!outcome.ok()) tally.failures.push_back({harness::to_string(run), outcome.summary()});
    } catch (const Error& error) {
      tally.failures.push_back({harness::to_string(run), error.what()});
    }
  }
}

void print_tally(const Tally& tally, const std::string& device) {
  for (const Failure& failure : tally.failures) {
    fmt::print("FAILED {}\n  repeat: clsink verify --device \"{}\" --case \"{}\"\n", failure.reason, device, failure.line);
  }
  fmt::print(
      "{}: {} cases, {} runs, {} failed, {} cases unsupported here, largest error {:.2g} of the tolerance, "
      "{} decisions too near to tau to compare\n",
      device, tally.cases, tally.runs, tally.failures.size(), tally.unsupported, tally.worst_error, tally.excluded_groups);
}

nlohmann::json to_json(const Tally& tally, const std::string& device) {
  nlohmann::json failures = nlohmann::json::array();
  for (const Failure& failure : tally.failures) failures.push_back({{"case", failure.line}, {"reason", failure.reason}});
  return {{"device", device},
          {"cases", tally.cases},
          {"runs", tally.runs},
          {"unsupported", tally.unsupported},
          {"failures", failures},
          {"worst_error_of_tolerance", tally.worst_error},
          {"excluded_groups", tally.excluded_groups}};
}

int run_verify(const VerifyArguments& arguments) {
  const std::vector<harness::Case> cases = cases_of(arguments);
  const harness::OpenClDevice opencl =
      arguments.device.empty() ? harness::open_device() : harness::open_device(arguments.device);
  Context context(opencl.context(), opencl.device());
  catch_interrupts();
  Tally tally;
  Progress progress(cases.size(), arguments.json);
  for (const harness::Case& given : cases) {
    if (interrupted()) break;
    verify_case(opencl, context, given, arguments.variant, tally);
    progress.show(static_cast<std::size_t>(tally.cases), tally);
  }
  if (arguments.json) {
    fmt::print("{}\n", to_json(tally, opencl.name).dump(2));
  } else {
    print_tally(tally, opencl.name);
  }
  if (interrupted()) return kExitInterrupted;
  return tally.failures.empty() && tally.runs > 0 ? 0 : 1;
}

}  // namespace

void add_verify_command(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command = app.add_subcommand("verify", "Run every fitting variant over a suite and compare with the reference");
  command->add_option("--device", arguments->device, "Part of \"platform/device\"; default: CLSINK_DEVICE, or the first");
  command->add_option("--suite", arguments->suite, "Name of a suite that comes with clsink, or a file")->capture_default_str();
  command->add_option("--case", arguments->cases, "Only this case, as a failure prints it; repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--variant", arguments->variant, "Only this variant");
  command->add_flag("--full", arguments->full, "Cover every three values of the suite's axes instead of every two");
  command->add_flag("--json", arguments->json, "Machine-readable");
  command->callback([arguments, &exit_code] { exit_code = run_verify(*arguments); });
}

}  // namespace clsink::cli
