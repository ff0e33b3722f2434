// SPDX-License-Identifier: Apache-2.0
// clsink plan: what would run for a problem on a device, and why. Compiles nothing unless --prepare asks how long that takes.
#include <fmt/format.h>

#include <chrono>
#include <clsink/context.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "harness/bench_load.hpp"
#include "harness/opencl_device.hpp"
#include "harness/traffic.hpp"

namespace clsink::cli {
namespace {

struct PlanArguments {
  std::string problem, device, variant;
  std::vector<std::string> tuning_files;
  bool json = false, prepare = false;
};

nlohmann::json launches_of(const Context& context, const DecodePlan& plan) {
  nlohmann::json launches = nlohmann::json::array();
  for (const Context::KernelLaunch& launch : context.launches(plan)) {
    launches.push_back({{"kernel", launch.kernel},
                        {"work_groups", launch.work_groups},
                        {"local_size", launch.work_items},
                        {"global_size", launch.work_groups * launch.work_items}});
  }
  return launches;
}

nlohmann::json to_json(const Context& context, const DecodePlan& plan, const std::string& device) {
  return {{"device", device},
          {"problem", to_string(plan.problem)},
          {"variant", to_string(plan.variant)},
          {"plan", to_string(plan)},
          {"match", to_string(plan.match)},
          {"match_reason", plan.match_reason},
          {"workers", plan.launch.workers},
          {"splits", plan.launch.splits},
          {"launches", launches_of(context, plan)},
          {"workspace_bytes", plan.workspace_bytes},
          {"dense_step_bytes",
           harness::bytes_to_read(plan.problem, harness::make_load(plan.problem, 0, harness::Pattern::kSpread, 1))}};
}

// Prepares the plan, which the device may exchange for another.
nlohmann::json prepare(Context& context, DecodePlan& plan) {
  const auto begin = std::chrono::steady_clock::now();
  plan = context.prepare(plan);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {{"seconds", seconds.count()}, {"programs_built", context.programs_built()}};
}

void print_plan(const nlohmann::json& plan) {
  const auto text = [&](const char* field) { return plan[field].get<std::string>(); };
  fmt::print("device     {}\nproblem    {}\nvariant    {}\nbecause    {} match: {}\n", text("device"), text("problem"),
             text("variant"), text("match"), text("match_reason"));
  fmt::print("workers    {}{}\n", plan["workers"].get<int>(),
             plan["splits"].get<int>() > 1 ? fmt::format(", {} for each group", plan["splits"].get<int>()) : "");
  for (const nlohmann::json& launch : plan["launches"]) {
    fmt::print("launch     {:<9} {} work-groups of {}\n", launch["kernel"].get<std::string>(),
               launch["work_groups"].get<std::int64_t>(), launch["local_size"].get<int>());
  }
  fmt::print("workspace  {} bytes, whatever the context length\n", plan["workspace_bytes"].get<std::int64_t>());
  fmt::print("a step in which nothing is routed must read {} bytes ({})\n", plan["dense_step_bytes"].get<std::int64_t>(),
             harness::kTrafficFormula);
  if (plan.contains("prepare")) {
    fmt::print("prepare    {:.3f} s, {} programs built\n", plan["prepare"]["seconds"].get<double>(),
               plan["prepare"]["programs_built"].get<int>());
  }
  fmt::print("repeat     {}\n", text("plan"));
}

int run_plan(const PlanArguments& arguments) {
  const DecodeProblem problem = parse_problem(arguments.problem);
  const harness::OpenClDevice opencl =
      arguments.device.empty() ? harness::open_device() : harness::open_device(arguments.device);
  ContextOptions options;
  options.tuning_files = arguments.tuning_files;
  if (arguments.prepare) options.log = [](LogLevel, const std::string& line) { fmt::print(stderr, "{}\n", line); };
  Context context(opencl.context(), opencl.device(), options);
  DecodePlan plan = arguments.variant.empty() ? context.plan(problem) : context.plan(problem, parse_variant(arguments.variant));
  const nlohmann::json prepared = arguments.prepare ? prepare(context, plan) : nlohmann::json();
  nlohmann::json result = to_json(context, plan, opencl.name);
  if (arguments.prepare) result["prepare"] = prepared;
  if (arguments.json) {
    fmt::print("{}\n", result.dump(2));
  } else {
    print_plan(result);
  }
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<PlanArguments>();
  CLI::App* command = app.add_subcommand("plan", "Say what would run for a problem, and why");
  command->add_option("problem", arguments->problem, "For example \"f16 hq=32 hkv=8 d=128 b=1 kv=32768 route=mean\"")
      ->required();
  command->add_option("--device", arguments->device, "Part of \"platform/device\"; default: CLSINK_DEVICE, or the first");
  command->add_option("--variant", arguments->variant, "This variant instead of the planner's");
  command->add_option("--tuning", arguments->tuning_files, "Files of tuning rows that go before the built-in ones")
      ->expected(1, -1);
  command->add_flag("--prepare", arguments->prepare, "Compile it and say how long that took; the log goes to stderr");
  command->add_flag("--json", arguments->json, "Machine-readable");
  command->callback([arguments, &exit_code] { exit_code = run_plan(*arguments); });
}

}  // namespace clsink::cli
