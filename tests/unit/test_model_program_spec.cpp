// SPDX-License-Identifier: Apache-2.0
// Which kernels a plan compiles, with which options, and which plans share them.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <clsink/plan.hpp>

#include "model/problem.hpp"
#include "model/program_spec.hpp"

namespace clsink {
namespace {

constexpr std::int32_t kMaxWg = 256;

DecodePlan plan_of(const std::string& problem, const std::string& variant) {
  DecodePlan plan;
  plan.problem = resolve(parse_problem(problem));
  plan.variant = parse_variant(variant);
  return plan;
}

const char* const kDense = "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16";
const char* const kRouted = "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mean";
const char* const kStatic = "simt schedule=static wg=64 tile_kv=32 vec=8";
const char* const kWorklist = "simt schedule=worklist wg=64 tile_kv=32 vec=8";
const char* const kCpu = "cpu schedule=worklist wg=1 tile_kv=16 vec=16";

std::vector<std::string> kernels_of(const DecodePlan& plan) {
  std::vector<std::string> names;
  for (const ProgramSpec& spec : program_specs(plan, true, kMaxWg)) names.emplace_back(to_string(spec.kernel));
  return names;
}

ProgramSpec spec_of(const DecodePlan& plan, Kernel kernel, bool native_exp2 = true, std::int32_t max_wg = kMaxWg) {
  for (const ProgramSpec& spec : program_specs(plan, native_exp2, max_wg)) {
    if (spec.kernel == kernel) return spec;
  }
  ADD_FAILURE() << "no " << to_string(kernel);
  return {};
}

std::string options_of(const DecodePlan& plan, Kernel kernel) { return build_options(spec_of(plan, kernel)); }

TEST(ProgramSpecs, KernelsInLaunchOrder) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(kernels_of(plan_of(kDense, kStatic)), (Names{"decode", "combine"}));
  EXPECT_EQ(kernels_of(plan_of(kDense, kWorklist)), (Names{"schedule", "decode", "combine"}));
  EXPECT_EQ(kernels_of(plan_of(kRouted, kStatic)), (Names{"route", "decode", "combine"}));
  EXPECT_EQ(kernels_of(plan_of(kRouted, kWorklist)), (Names{"route", "schedule", "decode", "combine"}));
  EXPECT_EQ(kernels_of(plan_of(kRouted, kCpu)), (Names{"route", "schedule", "decode", "combine"}));
}

TEST(ProgramSpecs, ParametersOfEachKernel) {
  const DecodePlan plan = plan_of(kRouted, kWorklist);
  EXPECT_EQ(options_of(plan, Kernel::kRoute),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=1 -DOUT_DTYPE=0 -DHEAD_DIM=96 -DGROUP_SIZE=3 -DPAGE_SIZE=16 -DROUTED=1 "
            "-DWORKLIST=0 -DENGINE=0 -DWG=16 -DTILE_KV=0 -DVEC=0 -DNATIVE_EXP2=0");
  EXPECT_EQ(options_of(plan, Kernel::kSchedule),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=0 -DOUT_DTYPE=0 -DHEAD_DIM=0 -DGROUP_SIZE=0 -DPAGE_SIZE=0 -DROUTED=1 "
            "-DWORKLIST=1 -DENGINE=0 -DWG=256 -DTILE_KV=0 -DVEC=0 -DNATIVE_EXP2=0");
  EXPECT_EQ(options_of(plan, Kernel::kDecode),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=1 -DOUT_DTYPE=2 -DHEAD_DIM=96 -DGROUP_SIZE=3 -DPAGE_SIZE=16 -DROUTED=1 "
            "-DWORKLIST=1 -DENGINE=0 -DWG=64 -DTILE_KV=32 -DVEC=8 -DNATIVE_EXP2=1");
  EXPECT_EQ(options_of(plan, Kernel::kCombine),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=0 -DOUT_DTYPE=2 -DHEAD_DIM=96 -DGROUP_SIZE=3 -DPAGE_SIZE=0 -DROUTED=1 "
            "-DWORKLIST=1 -DENGINE=0 -DWG=128 -DTILE_KV=0 -DVEC=0 -DNATIVE_EXP2=1");
}

TEST(ProgramSpecs, FlagsFollowThePlan) {
  EXPECT_EQ(spec_of(plan_of(kDense, kStatic), Kernel::kDecode).routed, 0);
  EXPECT_EQ(spec_of(plan_of(kDense, kStatic), Kernel::kDecode).worklist, 0);
  EXPECT_EQ(spec_of(plan_of(kDense, kWorklist), Kernel::kCombine).worklist, 1);
  EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), Kernel::kDecode).engine, 1);
  EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), Kernel::kDecode).vec, 16);
  EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), Kernel::kDecode, false).native_exp2, 0);
  EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), Kernel::kCombine, false).native_exp2, 0);
}

TEST(ProgramSpecs, SmallKernelsFitTheDevice) {
  const DecodePlan plan = plan_of(kRouted, kWorklist);
  for (const std::int32_t limit : {1, 2, 7, 16, 64, 100, 256, 1024}) {
    for (const Kernel kernel : {Kernel::kRoute, Kernel::kSchedule, Kernel::kCombine}) {
      const std::int32_t wg = spec_of(plan, kernel, true, limit).wg;
      EXPECT_GE(wg, 1);
      EXPECT_LE(wg, limit) << to_string(kernel);
      EXPECT_EQ(wg & (wg - 1), 0) << to_string(kernel) << " needs a power of two, got " << wg;
    }
  }
  for (const ProgramSpec& spec : program_specs(plan_of(kRouted, kCpu), true, kMaxWg)) {
    EXPECT_EQ(spec.wg, 1) << to_string(spec.kernel);
  }
}

// The programs of two plans that differ.
std::vector<std::string> not_shared(const DecodePlan& a, const DecodePlan& b) {
  std::vector<std::string> names;
  const auto first = program_specs(a, true, kMaxWg), second = program_specs(b, true, kMaxWg);
  EXPECT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    if (build_options(first[i]) != build_options(second[i])) names.emplace_back(to_string(first[i].kernel));
  }
  return names;
}

TEST(ProgramSpecs, PlansShareWhatDoesNotDependOnTheDifference) {
  using Names = std::vector<std::string>;
  const DecodePlan base = plan_of(kRouted, kWorklist);
  const auto other_variant = [&](const char* variant) { return not_shared(base, plan_of(kRouted, variant)); };
  EXPECT_EQ(other_variant("simt schedule=worklist wg=128 tile_kv=32 vec=8"), Names{"decode"});
  EXPECT_EQ(other_variant("simt schedule=worklist wg=64 tile_kv=16 vec=8"), Names{"decode"});
  EXPECT_EQ(other_variant("simt schedule=worklist wg=64 tile_kv=32 vec=4"), Names{"decode"});

  const auto other_problem = [&](const char* problem) { return not_shared(base, plan_of(problem, kWorklist)); };
  EXPECT_EQ(other_problem("f32/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mean"), (Names{"route", "decode"}));
  EXPECT_EQ(other_problem("f16/f16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mean"), (Names{"route", "decode"}));
  EXPECT_EQ(other_problem("f16/bf16/f16 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mean"), (Names{"decode", "combine"}));
  EXPECT_EQ(other_problem("f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=8 route=mean"), (Names{"route", "decode"}));
  EXPECT_EQ(other_problem("f16/bf16/f32 hq=12 hkv=4 d=64 b=2 kv=500 page=16 route=mean"),
            (Names{"route", "decode", "combine"}));
  EXPECT_EQ(other_problem("f16/bf16/f32 hq=16 hkv=4 d=96 b=2 kv=500 page=16 route=mean"),
            (Names{"route", "decode", "combine"}));
}

// Bounds, strides, token sets and policies are run-time arguments.
TEST(ProgramSpecs, RunTimeFieldsCompileNothing) {
  const DecodePlan base = plan_of(kRouted, kWorklist);
  for (const char* problem :
       {"f16/bf16/f32 hq=24 hkv=8 d=96 b=2 kv=500 page=16 route=mean",
        "f16/bf16/f32 hq=12 hkv=4 d=96 b=64 kv=500 page=16 route=mean",
        "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=100000 page=16 route=mean",
        "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=all",
        "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mask near=0,0 keep=2,99 table_stride=77",
        "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mean q_strides=104,packed out_strides=96,2000 "
        "k_strides=192,packed,packed v_strides=192,packed,packed"}) {
    EXPECT_EQ(not_shared(base, plan_of(problem, kWorklist)), std::vector<std::string>{}) << problem;
  }
}

TEST(BuildOptions, EverySpecFieldIsInTheOptions) {
  std::int32_t ProgramSpec::*const members[] = {&ProgramSpec::q_dtype,    &ProgramSpec::kv_dtype,   &ProgramSpec::out_dtype,
                                                &ProgramSpec::head_dim,   &ProgramSpec::group_size, &ProgramSpec::page_size,
                                                &ProgramSpec::routed,     &ProgramSpec::worklist,   &ProgramSpec::engine,
                                                &ProgramSpec::wg,         &ProgramSpec::tile_kv,    &ProgramSpec::vec,
                                                &ProgramSpec::native_exp2};
  std::set<std::string> texts = {build_options(ProgramSpec{})};
  for (const auto member : members) {
    ProgramSpec spec;
    spec.*member = 4321;
    EXPECT_TRUE(texts.insert(build_options(spec)).second) << build_options(spec);
  }
  // Macros are integers, and each is defined once.
  const std::regex shape("-cl-std=CL1\\.2( -D[A-Z0-9_]+=[0-9]+){13}");
  for (const std::string& text : texts) EXPECT_TRUE(std::regex_match(text, shape)) << text;
}

}  // namespace
}  // namespace clsink
