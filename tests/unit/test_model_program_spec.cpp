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
#include "planning_devices.hpp"

namespace clsink {
namespace {

DecodePlan plan_of(const std::string& problem, const std::string& variant) {
  DecodePlan plan;
  plan.problem = resolve(parse_problem(problem));
  plan.variant = parse_variant(variant);
  return plan;
}

const char* const kDense = "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16";
const char* const kRouted = "f16/bf16/f32 hq=12 hkv=4 d=96 b=2 kv=500 page=16 route=mean";
const char* const kStatic = "simt schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=1";
const char* const kWorklist = "simt schedule=worklist fusion=none wg=64 tile_kv=32 vec=8 stages=1";
const char* const kCpu = "cpu schedule=worklist fusion=none wg=1 tile_kv=16 vec=16 stages=1";

std::vector<std::string> kernels_of(const DecodePlan& plan, const DeviceFacts& facts = amd_gpu()) {
  std::vector<std::string> names;
  for (const ProgramSpec& spec : program_specs(plan, facts)) names.emplace_back(to_string(spec.kernel));
  return names;
}

ProgramSpec spec_of(const DecodePlan& plan, Kernel kernel, const DeviceFacts& facts = amd_gpu()) {
  for (const ProgramSpec& spec : program_specs(plan, facts)) {
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

// Whatever the problem would need before decode or behind it.
TEST(ProgramSpecs, FusedFormsLaunchLess) {
  using Names = std::vector<std::string>;
  for (const char* problem : {kDense, kRouted}) {
    for (const char* variant : {"simt schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=1",
                                "simt schedule=worklist fusion=none wg=64 tile_kv=32 vec=8 stages=1",
                                "cpu schedule=worklist fusion=none wg=1 tile_kv=16 vec=16 stages=1",
                                "nv_mma schedule=worklist fusion=none wg=64 tile_kv=32 vec=8 stages=2"}) {
      for (const DeviceFacts& facts : invented_devices()) {
        DecodePlan plan = plan_of(problem, variant);
        plan.variant.fusion = Fusion::kPrologue;
        EXPECT_EQ(kernels_of(plan, facts), (Names{"decode", "combine"})) << to_string(plan) << " on " << facts.name;
        EXPECT_EQ(spec_of(plan, Kernel::kDecode, facts).fusion, 1);
        plan.variant.fusion = Fusion::kSingle;
        EXPECT_EQ(kernels_of(plan, facts), (Names{"decode"})) << to_string(plan) << " on " << facts.name;
        EXPECT_EQ(spec_of(plan, Kernel::kDecode, facts).fusion, 2);
      }
    }
  }
}

// A single launch routes in its prologue, unless that were too many groups.
TEST(ProgramSpecs, ManyGroupsAreRoutedBeforeASingleLaunch) {
  using Names = std::vector<std::string>;
  DecodePlan many = plan_of("f16 hq=26 hkv=13 d=64 b=5 kv=500 route=mean", kWorklist);
  many.variant.fusion = Fusion::kSingle;
  EXPECT_EQ(kernels_of(many), (Names{"route", "decode"}));
  EXPECT_EQ(spec_of(many, Kernel::kDecode).fusion, 3);
  EXPECT_EQ(spec_of(plan_of("f16 hq=32 hkv=16 d=64 b=4 kv=500 route=mean",
                            "simt schedule=worklist fusion=single wg=128 tile_kv=32 vec=8 stages=1"),
                    Kernel::kDecode)
                .fusion,
            2);                               // 64 groups
  many.variant.schedule = Schedule::kStatic;  // every worker routes the one group that it has
  EXPECT_EQ(kernels_of(many), (Names{"decode"}));
  EXPECT_EQ(spec_of(many, Kernel::kDecode).fusion, 2);
}

bool has_option(const ProgramSpec& spec, const std::string& option) {
  return (build_options(spec) + " ").find(option + " ") != std::string::npos;
}

// OpenCL C 1.2 everywhere, but for the fence between work-groups on devices that have it from OpenCL C.
TEST(ProgramSpecs, FencesBetweenWorkGroups) {
  for (const DeviceFacts& facts : {nvidia_gpu(), amd_gpu(), intel_gpu(), pocl_cpu()}) {
    SCOPED_TRACE(facts.name);
    DecodePlan plan = plan_of(kRouted, kWorklist);
    for (const Fusion fusion : {Fusion::kNone, Fusion::kPrologue}) {
      plan.variant.fusion = fusion;
      for (const ProgramSpec& spec : program_specs(plan, facts)) {
        EXPECT_TRUE(has_option(spec, "-cl-std=CL1.2")) << build_options(spec);
        EXPECT_TRUE(has_option(spec, "-DDEVICE_FENCE=0")) << build_options(spec);
      }
    }
  }
  DecodePlan single = plan_of(kRouted, kWorklist);
  single.variant.fusion = Fusion::kSingle;
  const auto options = [&](const DeviceFacts& facts) { return spec_of(single, Kernel::kDecode, facts); };
  EXPECT_TRUE(has_option(options(nvidia_gpu()), "-cl-std=CL1.2"));
  EXPECT_TRUE(has_option(options(nvidia_gpu()), "-DDEVICE_FENCE=2"));
  EXPECT_TRUE(has_option(options(amd_gpu()), "-cl-std=CL2.0"));
  EXPECT_TRUE(has_option(options(amd_gpu()), "-DDEVICE_FENCE=1"));
  for (const DeviceFacts& facts : {intel_gpu(), pocl_cpu()}) {
    EXPECT_TRUE(has_option(options(facts), "-cl-std=CL3.0"));
    EXPECT_TRUE(has_option(options(facts), "-DDEVICE_FENCE=1"));
  }
}

// Intel alone, where registers would not do: the Max always, Arc from 3 heads on and to route, GPUs without such registers
// never.
TEST(ProgramSpecs, LargeRegisterFiles) {
  const std::string option = "-cl-intel-256-GRF-per-thread";
  for (const int heads : {1, 2, 3, 16}) {
    const DecodePlan plan = plan_of("f16 hq=" + std::to_string(heads) + " hkv=1 d=96 b=2 kv=500 route=mean", kWorklist);
    for (const Kernel kernel : {Kernel::kDecode, Kernel::kCombine}) {
      EXPECT_EQ(has_option(spec_of(plan, kernel, intel_gpu()), option), heads > 2) << heads;
      EXPECT_TRUE(has_option(spec_of(plan, kernel, intel_hpc_gpu()), option)) << heads;
    }
    for (const DeviceFacts& facts : {intel_gpu(), intel_hpc_gpu()}) {
      EXPECT_TRUE(has_option(spec_of(plan, Kernel::kRoute, facts), option)) << heads;
      EXPECT_FALSE(has_option(spec_of(plan, Kernel::kSchedule, facts), option)) << heads;
    }
    DeviceFacts intel_cpu = intel_hpc_gpu();
    intel_cpu.is_cpu = true;
    for (const DeviceFacts& facts : {intel_lp_gpu(), intel_cpu, nvidia_gpu(), amd_gpu(), pocl_cpu(), smallest_gpu()}) {
      EXPECT_FALSE(has_option(spec_of(plan, Kernel::kDecode, facts), option)) << facts.name;
    }
  }
}

TEST(ProgramSpecs, StagesAreOfDecodeAlone) {
  const DecodePlan tensor_cores = plan_of("f16 hq=12 hkv=4 d=96 b=2 kv=500 route=mean",
                                          "nv_mma schedule=worklist fusion=none wg=64 tile_kv=32 vec=8 stages=2");
  EXPECT_EQ(spec_of(tensor_cores, Kernel::kDecode, nvidia_gpu()).engine, 2);
  EXPECT_EQ(spec_of(tensor_cores, Kernel::kDecode, nvidia_gpu()).stages, 2);
  for (const Kernel kernel : {Kernel::kRoute, Kernel::kSchedule, Kernel::kCombine}) {
    EXPECT_EQ(spec_of(tensor_cores, kernel, nvidia_gpu()).stages, 0) << to_string(kernel);
  }
}

// Sub-groups are not in OpenCL C 1.2; a size is asked for only where the variant names one.
TEST(ProgramSpecs, SubGroupsAreOfDecodeAlone) {
  const DecodePlan own = plan_of(kDense, "subgroup schedule=worklist fusion=none wg=64 tile_kv=64 vec=8 stages=2 heads=3");
  const DecodePlan asked =
      plan_of(kDense, "subgroup schedule=worklist fusion=none wg=64 tile_kv=64 vec=8 stages=2 heads=2 sub_group_size=16");
  for (const char* option :
       {"-cl-std=CL2.0", "-DENGINE=3", "-DHEADS=3", "-DSUB_GROUP_SIZE=64", "-DSUB_GROUP_REQUEST=0", "-DSUB_GROUP_SHUFFLE=3"}) {
    EXPECT_TRUE(has_option(spec_of(own, Kernel::kDecode, amd_gpu()), option)) << option;
  }
  for (const char* option :
       {"-cl-std=CL3.0", "-DENGINE=3", "-DHEADS=2", "-DSUB_GROUP_SIZE=16", "-DSUB_GROUP_REQUEST=1", "-DSUB_GROUP_SHUFFLE=2"}) {
    EXPECT_TRUE(has_option(spec_of(asked, Kernel::kDecode, intel_gpu()), option)) << option;
  }
  for (const Kernel kernel : {Kernel::kSchedule, Kernel::kCombine}) {
    for (const char* option :
         {"-cl-std=CL1.2", "-DHEADS=0", "-DSUB_GROUP_SIZE=0", "-DSUB_GROUP_REQUEST=0", "-DSUB_GROUP_SHUFFLE=0"}) {
      EXPECT_TRUE(has_option(spec_of(asked, kernel, intel_gpu()), option)) << to_string(kernel) << " " << option;
    }
  }
  EXPECT_EQ(spec_of(plan_of(kDense, kWorklist), Kernel::kDecode, amd_gpu()).sub_group_size, 0);
}

TEST(ProgramSpecs, ParametersOfEachKernel) {
  const DecodePlan plan = plan_of(kRouted, kWorklist);
  EXPECT_EQ(options_of(plan, Kernel::kRoute),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=1 -DOUT_DTYPE=0 -DHEAD_DIM=96 -DGROUP_SIZE=3 -DPAGE_SIZE=16 -DROUTED=1 "
            "-DSCHEDULE=0 -DFUSION=0 -DENGINE=0 -DWG=32 -DTILE_KV=0 -DVEC=0 -DSTAGES=0 -DHEADS=0 -DSUB_GROUP_SIZE=0 "
            "-DSUB_GROUP_REQUEST=0 -DSUB_GROUP_SHUFFLE=0 -DNATIVE_EXP2=0 -DDEVICE_FENCE=0");
  EXPECT_EQ(options_of(plan, Kernel::kSchedule),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=0 -DOUT_DTYPE=0 -DHEAD_DIM=0 -DGROUP_SIZE=0 -DPAGE_SIZE=0 -DROUTED=1 "
            "-DSCHEDULE=1 -DFUSION=0 -DENGINE=0 -DWG=256 -DTILE_KV=0 -DVEC=0 -DSTAGES=0 -DHEADS=0 -DSUB_GROUP_SIZE=0 "
            "-DSUB_GROUP_REQUEST=0 -DSUB_GROUP_SHUFFLE=0 -DNATIVE_EXP2=0 -DDEVICE_FENCE=0");
  EXPECT_EQ(options_of(plan, Kernel::kDecode),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=1 -DOUT_DTYPE=2 -DHEAD_DIM=96 -DGROUP_SIZE=3 -DPAGE_SIZE=16 -DROUTED=1 "
            "-DSCHEDULE=1 -DFUSION=0 -DENGINE=0 -DWG=64 -DTILE_KV=32 -DVEC=8 -DSTAGES=1 -DHEADS=0 -DSUB_GROUP_SIZE=0 "
            "-DSUB_GROUP_REQUEST=0 -DSUB_GROUP_SHUFFLE=0 -DNATIVE_EXP2=1 -DDEVICE_FENCE=0");
  EXPECT_EQ(options_of(plan, Kernel::kCombine),
            "-cl-std=CL1.2 -DQ_DTYPE=0 -DKV_DTYPE=0 -DOUT_DTYPE=2 -DHEAD_DIM=96 -DGROUP_SIZE=3 -DPAGE_SIZE=0 -DROUTED=1 "
            "-DSCHEDULE=1 -DFUSION=0 -DENGINE=0 -DWG=128 -DTILE_KV=0 -DVEC=0 -DSTAGES=0 -DHEADS=0 -DSUB_GROUP_SIZE=0 "
            "-DSUB_GROUP_REQUEST=0 -DSUB_GROUP_SHUFFLE=0 -DNATIVE_EXP2=1 -DDEVICE_FENCE=0");
}

TEST(ProgramSpecs, FlagsFollowThePlan) {
  EXPECT_EQ(spec_of(plan_of(kDense, kStatic), Kernel::kDecode).routed, 0);
  EXPECT_EQ(spec_of(plan_of(kDense, kStatic), Kernel::kDecode).schedule, 0);
  EXPECT_EQ(spec_of(plan_of(kDense, kWorklist), Kernel::kCombine).schedule, 1);
  EXPECT_EQ(spec_of(plan_of(kRouted, kWorklist), Kernel::kSchedule).schedule, 1);
  EXPECT_EQ(spec_of(plan_of(kRouted, kWorklist), Kernel::kDecode).schedule, 1);
  EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), Kernel::kDecode).engine, 1);
  EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), Kernel::kDecode).vec, 16);
  for (const Kernel kernel : {Kernel::kDecode, Kernel::kCombine}) {
    EXPECT_EQ(spec_of(plan_of(kRouted, kCpu), kernel, pocl_cpu()).native_exp2, 0);
    EXPECT_EQ(spec_of(plan_of(kRouted, kWorklist), kernel, pocl_cpu()).native_exp2, 0);
    EXPECT_EQ(spec_of(plan_of(kRouted, kWorklist), kernel, intel_gpu()).native_exp2, 1);
  }
}

TEST(ProgramSpecs, SmallKernelsFitTheDevice) {
  const DecodePlan plan = plan_of(kRouted, kWorklist);
  DeviceFacts facts = intel_gpu();
  for (const std::int32_t limit : {1, 2, 7, 16, 64, 100, 256, 1024}) {
    facts.max_work_group_size = limit;
    for (const Kernel kernel : {Kernel::kRoute, Kernel::kSchedule, Kernel::kCombine}) {
      const std::int32_t wg = spec_of(plan, kernel, facts).wg;
      EXPECT_GE(wg, 1);
      EXPECT_LE(wg, limit) << to_string(kernel);
      EXPECT_EQ(wg & (wg - 1), 0) << to_string(kernel) << " needs a power of two, got " << wg;
    }
  }
  for (const ProgramSpec& spec : program_specs(plan_of(kRouted, kCpu), pocl_cpu())) {
    EXPECT_EQ(spec.wg, 1) << to_string(spec.kernel);
  }
}

// The programs of two plans that differ.
std::vector<std::string> not_shared(const DecodePlan& a, const DecodePlan& b) {
  std::vector<std::string> names;
  const auto first = program_specs(a, amd_gpu()), second = program_specs(b, amd_gpu());
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
  EXPECT_EQ(other_variant("simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8 stages=1"), Names{"decode"});
  EXPECT_EQ(other_variant("simt schedule=worklist fusion=none wg=64 tile_kv=16 vec=8 stages=1"), Names{"decode"});
  EXPECT_EQ(other_variant("simt schedule=worklist fusion=none wg=64 tile_kv=32 vec=4 stages=1"), Names{"decode"});
  DecodePlan prologue = base, static_prologue = plan_of(kRouted, kStatic);
  prologue.variant.fusion = static_prologue.variant.fusion = Fusion::kPrologue;
  EXPECT_EQ(build_options(spec_of(prologue, Kernel::kCombine)), options_of(base, Kernel::kCombine));
  EXPECT_EQ(not_shared(prologue, static_prologue), (Names{"decode", "combine"}));

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
  std::int32_t ProgramSpec::*const members[] = {&ProgramSpec::q_dtype,
                                                &ProgramSpec::kv_dtype,
                                                &ProgramSpec::out_dtype,
                                                &ProgramSpec::head_dim,
                                                &ProgramSpec::group_size,
                                                &ProgramSpec::page_size,
                                                &ProgramSpec::routed,
                                                &ProgramSpec::schedule,
                                                &ProgramSpec::engine,
                                                &ProgramSpec::wg,
                                                &ProgramSpec::tile_kv,
                                                &ProgramSpec::vec,
                                                &ProgramSpec::fusion,
                                                &ProgramSpec::stages,
                                                &ProgramSpec::native_exp2,
                                                &ProgramSpec::device_fence,
                                                &ProgramSpec::heads,
                                                &ProgramSpec::sub_group_size,
                                                &ProgramSpec::sub_group_request,
                                                &ProgramSpec::sub_group_shuffle};
  std::set<std::string> texts = {build_options(ProgramSpec{})};
  for (const auto member : members) {
    ProgramSpec spec;
    spec.*member = 4321;
    EXPECT_TRUE(texts.insert(build_options(spec)).second) << build_options(spec);
  }
  for (const std::int32_t opencl_c : {20, 30}) {
    ProgramSpec spec;
    spec.opencl_c = opencl_c;
    EXPECT_TRUE(texts.insert(build_options(spec)).second) << build_options(spec);
  }
  // Macros are integers, and each is defined once.
  const std::regex shape("-cl-std=CL[123]\\.[02]( -D[A-Z0-9_]+=[0-9]+){20}");
  for (const std::string& text : texts) EXPECT_TRUE(std::regex_match(text, shape)) << text;
}

}  // namespace
}  // namespace clsink
