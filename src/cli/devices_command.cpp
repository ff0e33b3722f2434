// SPDX-License-Identifier: Apache-2.0
// clsink devices: the facts that matter here for every OpenCL device, which engine it gets and why.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <clsink/context.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/commands.hpp"
#include "harness/opencl_device.hpp"

namespace clsink::cli {
namespace {

// A model's usual shape: what the engine of a device is shown for.
constexpr const char* kTypicalProblem = "f16 hq=32 hkv=8 d=128 b=1 kv=32768 route=mean";

nlohmann::json facts_of(const std::string& name) {
  const harness::OpenClDevice opencl = harness::open_device(name);
  nlohmann::json facts = {{"name", name}};
  try {
    const Context context(opencl.context(), opencl.device());
    const DeviceFacts& device = context.device();
    facts["vendor"] = device.vendor;
    facts["driver"] = device.driver;
    facts["version"] = device.version;
    facts["type"] = device.is_cpu ? "cpu" : "gpu";
    facts["compute_units"] = device.compute_units;
    facts["max_work_group_size"] = device.max_work_group_size;
    facts["local_mem_bytes"] = device.local_mem_bytes;
    facts["global_mem_bytes"] = device.global_mem_bytes;
    facts["max_alloc_bytes"] = device.max_alloc_bytes;
    facts["cache_bytes"] = opencl.device.getInfo<CL_DEVICE_GLOBAL_MEM_CACHE_SIZE>();
    facts["sub_group_size"] = device.sub_group_size;
    facts["sub_group_sizes"] = device.sub_group_sizes;
    facts["timer_resolution_ns"] = device.timer_resolution_ns;
    const DecodeProblem problem = parse_problem(kTypicalProblem);
    if (const auto reason = context.supports(problem)) {
      facts["missing"] = *reason;
    } else {
      const DecodePlan plan = context.plan(problem);
      facts["variant"] = to_string(plan.variant);
      facts["match"] = to_string(plan.match);
      facts["match_reason"] = plan.match_reason;
    }
  } catch (const Error& error) {
    facts["missing"] = error.what();
  }
  return facts;
}

void print_facts(const nlohmann::json& facts) {
  fmt::print("{}\n", facts["name"].get<std::string>());
  if (facts.contains("driver")) {
    constexpr double kMib = 1024 * 1024;
    const auto mib = [&](const char* field) { return facts[field].get<double>() / kMib; };
    fmt::print("  {}, {}, driver {}\n", facts["vendor"].get<std::string>(), facts["version"].get<std::string>(),
               facts["driver"].get<std::string>());
    fmt::print("  {}, {} compute units, work-groups up to {}, {} KiB local memory\n", facts["type"].get<std::string>(),
               facts["compute_units"].get<int>(), facts["max_work_group_size"].get<int>(),
               facts["local_mem_bytes"].get<std::int64_t>() / 1024);
    fmt::print("  {:.0f} MiB memory, at most {:.0f} MiB in one buffer, {:.1f} MiB cache\n", mib("global_mem_bytes"),
               mib("max_alloc_bytes"), mib("cache_bytes"));
    const auto size = facts["sub_group_size"].get<int>();
    const auto sizes = facts["sub_group_sizes"].get<std::vector<int>>();
    if (size != 0) fmt::print("  sub-groups of {}\n", size);
    if (!sizes.empty()) fmt::print("  sub-groups of {}, as a kernel asks\n", fmt::join(sizes, ", "));
  }
  if (facts.contains("missing")) {
    fmt::print("  cannot run clsink: {}\n", facts["missing"].get<std::string>());
  } else {
    fmt::print("  variant: {}\n  because: {}\n", facts["variant"].get<std::string>(), facts["match_reason"].get<std::string>());
  }
}

int run_devices(bool json) {
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& name : harness::device_names()) all.push_back(facts_of(name));
  if (json) {
    fmt::print("{}\n", all.dump(2));
    return 0;
  }
  if (all.empty()) fmt::print("no OpenCL device found: is a driver (ICD) installed?\n");
  for (const nlohmann::json& facts : all) print_facts(facts);
  return 0;
}

}  // namespace

void add_devices_command(CLI::App& app, int& exit_code) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("devices", "List OpenCL devices, what runs on them and why");
  command->add_flag("--json", *json, "Machine-readable");
  command->callback([json, &exit_code] { exit_code = run_devices(*json); });
}

}  // namespace clsink::cli
