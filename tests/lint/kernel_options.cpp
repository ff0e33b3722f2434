// SPDX-License-Identifier: Apache-2.0
// Prints what the library would compile over the pairwise grid: "kernel<TAB>options" for every distinct program, on an
// invented GPU and an invented CPU. Every case has its planned variant and the next one of a rotation through all that
// fit; with CLSINK_FULL all of them. check_kernels.py gives the lines to clang.
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "harness/suite.hpp"
#include "model/problem.hpp"
#include "model/program_spec.hpp"
#include "planning/fits.hpp"
#include "planning/planner.hpp"

namespace {

clsink::DeviceFacts invented_device(bool is_cpu) {
  clsink::DeviceFacts facts;
  facts.name = is_cpu ? "invented CPU" : "invented GPU";
  facts.is_cpu = is_cpu;
  facts.compute_units = 16;
  facts.max_work_group_size = is_cpu ? 4096 : 256;
  facts.local_mem_bytes = is_cpu ? 512 << 10 : 32 << 10;
  facts.global_mem_bytes = std::int64_t{16} << 30;
  facts.max_alloc_bytes = std::int64_t{4} << 30;
  return facts;
}

std::vector<clsink::DecodePlan> plans_of(const clsink::DeviceFacts& facts, const clsink::DecodeProblem& problem,
                                         std::size_t turn) {
  const clsink::TuningDb& db = clsink::builtin_tuning_db();
  const std::vector<clsink::DecodeVariant> variants = clsink::fitting_variants(facts, problem);
  const bool all = std::getenv("CLSINK_FULL") != nullptr;
  std::vector<clsink::DecodePlan> plans = {clsink::make_plan(facts, problem, db)};
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (all || i == turn % variants.size()) plans.push_back(clsink::make_plan(facts, problem, db, variants[i], std::nullopt));
  }
  return plans;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s SUITE\n", argv[0]);
    return 2;
  }
  std::set<std::string> lines;
  bool failed = false;
  const auto cases = clsink::harness::suite_cases(clsink::harness::read_suite(argv[1]), 2);
  for (const bool is_cpu : {false, true}) {
    const clsink::DeviceFacts facts = invented_device(is_cpu);
    for (std::size_t turn = 0; turn < cases.size(); ++turn) {
      try {
        for (const clsink::DecodePlan& plan : plans_of(facts, clsink::resolve(cases[turn].problem), turn)) {
          for (const clsink::ProgramSpec& spec : clsink::program_specs(plan, facts)) {
            lines.insert(std::string(to_string(spec.kernel)) + "\t" + build_options(spec));
          }
        }
      } catch (const clsink::Error& error) {
        std::fprintf(stderr, "%s, %s: %s\n", facts.name.c_str(), to_string(cases[turn].problem).c_str(), error.what());
        failed = true;
      }
    }
  }
  for (const std::string& line : lines) std::puts(line.c_str());
  return failed || lines.empty() ? 1 : 0;
}
