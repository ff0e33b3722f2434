// SPDX-License-Identifier: Apache-2.0
// Prints what the library would compile over the cases of a suite (pairwise), for other programs to give to compilers:
//   kernel_options SUITE              "kernel<TAB>options" for every distinct program, on invented devices of all kinds
//   kernel_options SUITE FAMILY       "role<TAB>kernel<TAB>options<TAB>plan" on one device of the family (family_devices()):
//                                     role is "planned" where the planner chooses the program for a case, else "fits"; the
//                                     plan is the first one that needs it
//   kernel_options --sources FOLDER   writes the kernels as the library gives them to drivers
// Every case has its planned variant and, of each engine, the next one of a rotation through all that fit.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "harness/suite.hpp"
#include "model/problem.hpp"
#include "model/program_spec.hpp"
#include "planning/fits.hpp"
#include "planning/planner.hpp"
#include "runtime/kernel_source.hpp"
#include "unit/planning_devices.hpp"

namespace {

clsink::DeviceFacts invented_device(const std::string& name, bool is_cpu) {
  clsink::DeviceFacts facts;
  facts.name = name;
  facts.is_cpu = is_cpu;
  facts.version = "OpenCL 1.2";
  facts.compute_units = 16;
  facts.max_work_group_size = is_cpu ? 4096 : 256;
  facts.local_mem_bytes = is_cpu ? 512 << 10 : 32 << 10;
  facts.global_mem_bytes = std::int64_t{16} << 30;
  facts.max_alloc_bytes = std::int64_t{4} << 30;
  return facts;
}

// What they have that makes other programs: the cpu engine, fences in OpenCL C 2.0 and 3.0, PTX, sub-groups of one size and
// of sizes that kernels ask for, every way of shuffling.
std::vector<clsink::DeviceFacts> invented_devices() {
  std::vector<clsink::DeviceFacts> devices = {invented_device("plain GPU", false), invented_device("CPU with a fence", true),
                                              invented_device("OpenCL 2 GPU", false), invented_device("NVIDIA GPU", false)};
  devices[1].version = "OpenCL 3.0";
  devices[2].version = "OpenCL 2.0";
  devices[1].device_scope_fence = devices[2].device_scope_fence = true;
  devices[3].version = "OpenCL 3.0";
  devices[3].vendor = "NVIDIA Corporation";
  devices[3].platform = "NVIDIA CUDA";
  devices[3].nv_compute_capability = 80;
  devices[3].local_mem_bytes = 48 << 10;
  const auto add_sub_groups = [&](const char* name, const char* version, clsink::SubGroupShuffle shuffle, std::int32_t own,
                                  std::vector<std::int32_t> sizes) {
    clsink::DeviceFacts facts = invented_device(name, false);
    facts.version = version;
    facts.device_scope_fence = true;
    facts.sub_group_shuffle = shuffle;
    facts.sub_group_size = own;
    facts.sub_group_sizes = std::move(sizes);
    devices.push_back(facts);
  };
  add_sub_groups("sub-groups alone", "OpenCL 2.1", clsink::SubGroupShuffle::kNone, 16, {});
  add_sub_groups("sub-groups of OpenCL 3", "OpenCL 3.0", clsink::SubGroupShuffle::kKhronos, 8, {});
  add_sub_groups("Intel's sub-groups", "OpenCL 3.0", clsink::SubGroupShuffle::kIntel, 0, {8, 16, 32});
  add_sub_groups("AMD's wavefronts", "OpenCL 2.0", clsink::SubGroupShuffle::kAmdClang, 64, {});
  return devices;
}

std::vector<clsink::DecodePlan> plans_of(const clsink::DeviceFacts& facts, const clsink::DecodeProblem& problem,
                                         std::size_t turn) {
  const clsink::TuningDb& db = clsink::builtin_tuning_db();
  std::map<clsink::Engine, std::vector<clsink::DecodeVariant>> variants;
  for (const clsink::DecodeVariant& v : clsink::fitting_variants(facts, problem)) variants[v.engine].push_back(v);
  std::vector<clsink::DecodePlan> plans = {clsink::make_plan(facts, problem, db)};
  for (const auto& [engine, fitting] : variants) {
    // steps with no common factor, so that neighbours in the list (one kernel, other fusions) meet different problems
    plans.push_back(clsink::make_plan(facts, problem, db, fitting[turn * 7 % fitting.size()], std::nullopt));
  }
  return plans;
}

using Suite = std::vector<clsink::harness::Case>;

// Calls use(plan, is the planner's) for the plans of every case. False where a case has none.
template <typename Use>
bool for_each_plan(const clsink::DeviceFacts& facts, const Suite& cases, const Use& use) {
  bool complete = true;
  for (std::size_t turn = 0; turn < cases.size(); ++turn) {
    try {
      const std::vector<clsink::DecodePlan> plans = plans_of(facts, clsink::resolve(cases[turn].problem), turn);
      for (std::size_t i = 0; i < plans.size(); ++i) use(plans[i], i == 0);
    } catch (const clsink::Error& error) {
      std::fprintf(stderr, "%s, %s: %s\n", facts.name.c_str(), to_string(cases[turn].problem).c_str(), error.what());
      complete = false;
    }
  }
  return complete;
}

std::string program_line(const clsink::ProgramSpec& spec) {
  return std::string(to_string(spec.kernel)) + "\t" + build_options(spec);
}

bool print_programs(const Suite& cases) {
  std::set<std::string> lines;
  bool complete = true;
  for (const clsink::DeviceFacts& facts : invented_devices()) {
    complete &= for_each_plan(facts, cases, [&](const clsink::DecodePlan& plan, bool) {
      for (const clsink::ProgramSpec& spec : clsink::program_specs(plan, facts)) lines.insert(program_line(spec));
    });
  }
  for (const std::string& line : lines) std::puts(line.c_str());
  return complete && !lines.empty();
}

bool print_family(const Suite& cases, const clsink::DeviceFacts& facts) {
  struct Row {
    bool planned;
    std::string plan;
  };
  std::map<std::string, Row> rows;
  const bool complete = for_each_plan(facts, cases, [&](const clsink::DecodePlan& plan, bool planned) {
    for (const clsink::ProgramSpec& spec : clsink::program_specs(plan, facts)) {
      Row& row = rows.emplace(program_line(spec), Row{planned, to_string(plan)}).first->second;
      if (planned && !row.planned) row = {true, to_string(plan)};
    }
  });
  for (const auto& [program, row] : rows) {
    std::printf("%s\t%s\t%s\n", row.planned ? "planned" : "fits", program.c_str(), row.plan.c_str());
  }
  return complete && !rows.empty();
}

bool write_sources(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const clsink::Kernel kernel :
       {clsink::Kernel::kRoute, clsink::Kernel::kSchedule, clsink::Kernel::kDecode, clsink::Kernel::kCombine}) {
    std::ofstream file(folder / (std::string(to_string(kernel)) + ".cl"));
    file << clsink::kernel_source(kernel);
    if (!file.flush()) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "--sources") return write_sources(words[1]) ? 0 : 1;
  const auto families = clsink::family_devices();
  if (words.empty() || words.size() > 2 || (words.size() == 2 && families.count(words[1]) == 0)) {
    std::fprintf(stderr, "usage: %s SUITE [FAMILY] | --sources FOLDER, FAMILY one of", argv[0]);
    for (const auto& [name, facts] : families) std::fprintf(stderr, " %s", name.c_str());
    std::fputs("\n", stderr);
    return 2;
  }
  const Suite cases = clsink::harness::suite_cases(clsink::harness::read_suite(words[0]), 2);
  const bool complete = words.size() == 2 ? print_family(cases, families.at(words[1])) : print_programs(cases);
  return complete ? 0 : 1;
}
