// SPDX-License-Identifier: Apache-2.0
// Which variants fit which device: every reason once, and that what is listed as fitting does fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "model/problem.hpp"
#include "model/variant.hpp"
#include "planning/fits.hpp"
#include "planning_devices.hpp"
#include "tuning_texts.hpp"

namespace clsink {
namespace {

std::string misfit(const DeviceFacts& facts, const std::string& problem, const std::string& variant) {
  return misfit_reason(facts, parse_problem(problem), parse_variant(variant)).value_or("");
}

const char* const kRouted = "f16 hq=8 hkv=2 d=64 b=4 kv=1000 route=mean";

const char* const kOwnSize = "subgroup schedule=worklist fusion=none wg=256 tile_kv=64 vec=8 stages=2 heads=4";
const char* const kSize16 =
    "subgroup schedule=worklist fusion=single wg=64 tile_kv=64 vec=8 stages=2 heads=2 sub_group_size=16";

DeviceFacts with_sub_groups_of(std::int32_t size) {
  DeviceFacts facts = amd_gpu();
  facts.sub_group_size = size;
  return facts;
}

DeviceFacts with_capability(std::int32_t capability) {
  DeviceFacts facts = nvidia_gpu();
  facts.nv_compute_capability = capability;
  return facts;
}

TEST(Fits, WhatFitsHasNoReason) {
  EXPECT_EQ(misfit(nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1"), "");
  EXPECT_EQ(misfit(pocl_cpu(), kProblem, "simt schedule=worklist fusion=none wg=64 tile_kv=16 vec=4 stages=1"), "");
  EXPECT_EQ(misfit(pocl_cpu(), kProblem, "cpu schedule=worklist fusion=none wg=1 tile_kv=16 vec=16 stages=1"), "");
  EXPECT_EQ(misfit(smallest_gpu(), kProblem, "simt schedule=worklist fusion=prologue wg=64 tile_kv=8 vec=8 stages=1"), "");
  EXPECT_EQ(misfit(smallest_gpu(), kRouted, "simt schedule=static fusion=prologue wg=64 tile_kv=8 vec=8 stages=1"), "");
  EXPECT_EQ(misfit(pocl_cpu(), kProblem, "cpu schedule=static fusion=single wg=1 tile_kv=16 vec=16 stages=1"), "");
  EXPECT_EQ(misfit(nvidia_gpu(), kRouted, "nv_mma schedule=worklist fusion=single wg=64 tile_kv=32 vec=8 stages=2"), "");
  EXPECT_EQ(misfit(nvidia_gpu(), "f16 hq=16 hkv=1 d=256 b=4 kv=1000",
                   "nv_mma schedule=worklist fusion=none wg=128 tile_kv=64 vec=8 stages=1"),
            "");
  EXPECT_EQ(misfit(amd_gpu(), kProblem, kOwnSize), "");
  EXPECT_EQ(misfit(intel_gpu(), kRouted, kSize16), "");
  EXPECT_EQ(misfit(intel_gpu(), "f16 hq=7 hkv=1 d=40 b=4 kv=1000",
                   "subgroup schedule=static fusion=none wg=32 tile_kv=32 vec=4 stages=1 heads=4 sub_group_size=16"),
            "");
}

TEST(Fits, EveryReason) {
  const struct {
    DeviceFacts facts;
    const char* problem;
    const char* variant;
    const char* reason;
  } cases[] = {
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=2 stages=1",
       "vec is 2, simt has 4 and 8"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=16 stages=1", "vec is 16"},
      {nvidia_gpu(), "f32 hq=8 hkv=2 d=64 b=4 kv=1000", "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1",
       "vec 8 of 4-byte"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=512 tile_kv=32 vec=8 stages=1",
       "wg is 512, simt has at most 256"},
      {smallest_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1",
       "wg is 128, the device's limit is 64"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=63 tile_kv=21 vec=8 stages=1",
       "tile_kv is 21, must be even"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=48 vec=8 stages=1",
       "tile_kv 48 does not divide wg 128"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=64 tile_kv=128 vec=8 stages=1",
       "tile_kv 128 does not divide wg 64"},
      {nvidia_gpu(), "f16 hq=8 hkv=2 d=256 b=4 kv=1000", "simt schedule=static fusion=none wg=32 tile_kv=16 vec=4 stages=1",
       "64 pieces is longer than wg 32"},
      {nvidia_gpu(), "f16 hq=32 hkv=2 d=256 b=4 kv=1000", "simt schedule=static fusion=none wg=64 tile_kv=64 vec=8 stages=1",
       "registers"},
      {nvidia_gpu(), "f16 hq=16 hkv=1 d=256 b=4 kv=1000", "simt schedule=static fusion=none wg=256 tile_kv=32 vec=8 stages=1",
       "bytes of local memory, the limit is 32768"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=256 tile_kv=512 vec=8 stages=1",
       "tile_kv 512 (at most 256)"},
      {nvidia_gpu(), kProblem, "cpu schedule=static fusion=none wg=1 tile_kv=16 vec=16 stages=1", "the cpu engine needs a CPU"},
      {llvmpipe_cpu(), kProblem, "cpu schedule=static fusion=none wg=1 tile_kv=16 vec=16 stages=1", "vectors hold work-items"},
      {pocl_cpu(), kProblem, "cpu schedule=static fusion=none wg=2 tile_kv=16 vec=16 stages=1",
       "wg is 2, the cpu engine has 1"},
      {pocl_cpu(), kProblem, "cpu schedule=static fusion=none wg=1 tile_kv=16 vec=4 stages=1",
       "vec is 4, the cpu engine has 8 and 16"},
      {pocl_cpu(), kProblem, "cpu schedule=static fusion=none wg=1 tile_kv=24 vec=16 stages=1",
       "tile_kv 24 is no multiple of vec 16"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=2",
       "stages is 2, the simt engine has 1"},
      {pocl_cpu(), kProblem, "cpu schedule=static fusion=none wg=1 tile_kv=16 vec=16 stages=3",
       "stages is 3, the cpu engine has 1"},
      {intel_gpu(), kProblem, "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=2",
       "compute capability 80, this one has 0"},
      {with_capability(75), kProblem, "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=2",
       "compute capability 80, this one has 75"},
      {nvidia_gpu(), "f32 hq=8 hkv=2 d=64 b=4 kv=1000", "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=2",
       "f16 and bf16 caches only"},
      {nvidia_gpu(), "f16/bf16/f32 hq=8 hkv=2 d=64 b=4 kv=1000",
       "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=2", "q of the caches' type"},
      {nvidia_gpu(), "f16 hq=8 hkv=2 d=40 b=4 kv=1000", "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=2",
       "head_dim is 40, nv_mma needs a multiple of 16"},
      {nvidia_gpu(), kProblem, "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=4 stages=2", "vec is 4, nv_mma has 8"},
      {nvidia_gpu(), kProblem, "nv_mma schedule=static fusion=none wg=48 tile_kv=24 vec=8 stages=2",
       "wg is 48, nv_mma has multiples of 32"},
      {nvidia_gpu(), kProblem, "nv_mma schedule=static fusion=none wg=544 tile_kv=136 vec=8 stages=2",
       "wg is 544, nv_mma has multiples of 32 up to 512"},
      {nvidia_gpu(), kProblem, "nv_mma schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=2",
       "tile_kv is 32, must be a multiple of 64"},
      {nvidia_gpu(), kProblem, "nv_mma schedule=static fusion=none wg=64 tile_kv=32 vec=8 stages=3",
       "stages is 3, nv_mma has 1 and 2"},
      {nvidia_gpu(), "f16 hq=9 hkv=1 d=256 b=4 kv=1000", "nv_mma schedule=static fusion=none wg=96 tile_kv=48 vec=8 stages=1",
       "wg is 96, at group_size 9 and head_dim 256 nv_mma has pairs of warps"},
      {nvidia_gpu(), "f16 hq=8 hkv=1 d=256 b=4 kv=1000", "nv_mma schedule=static fusion=none wg=128 tile_kv=64 vec=8 stages=2",
       "224 words per work-item (group_size 8, head_dim 256, stages 2) exceed 192 registers"},
      {nvidia_gpu(), "f16 hq=8 hkv=2 d=192 b=4 kv=1000", "nv_mma schedule=static fusion=none wg=384 tile_kv=192 vec=8 stages=2",
       "168 words per work-item (group_size 4, head_dim 192, stages 2) exceed 130 registers"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1 heads=4",
       "heads 4 and sub_group_size 0 are of the subgroup engine"},
      {intel_gpu(), kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1 sub_group_size=16",
       "heads 0 and sub_group_size 16 are of the subgroup engine"},
      {nvidia_gpu(), kProblem, kOwnSize, "the device has no sub-groups of one size"},
      {intel_gpu(), kProblem, kOwnSize, "the device has no sub-groups of one size"},
      {amd_gpu(), kProblem, kSize16, "kernels cannot ask for sub-groups of 16, but for none"},
      {intel_gpu(), kProblem, "subgroup schedule=static fusion=none wg=64 tile_kv=64 vec=8 stages=1 heads=4 sub_group_size=64",
       "kernels cannot ask for sub-groups of 64, but for 8, 16, 32"},
      {with_sub_groups_of(2), kProblem, kOwnSize, "sub-groups of 2, the subgroup engine has powers of two from 4 to 64"},
      {with_sub_groups_of(24), kProblem, kOwnSize, "sub-groups of 24"},
      {with_sub_groups_of(128), kProblem, kOwnSize, "sub-groups of 128"},
      {amd_gpu(), kProblem, "subgroup schedule=static fusion=none wg=128 tile_kv=64 vec=2 stages=1 heads=4",
       "vec is 2, the subgroup engine has 4 and 8"},
      {amd_gpu(), "f32 hq=8 hkv=2 d=64 b=4 kv=1000",
       "subgroup schedule=static fusion=none wg=128 tile_kv=64 vec=8 stages=1 heads=4", "vec 8 of 4-byte"},
      {amd_gpu(), kProblem, "subgroup schedule=static fusion=none wg=128 tile_kv=64 vec=8 stages=1", "heads is 0"},
      {amd_gpu(), kProblem, "subgroup schedule=static fusion=none wg=128 tile_kv=64 vec=8 stages=1 heads=5",
       "heads is 5, a group of 4 has 1 to 4"},
      {amd_gpu(), kProblem, "subgroup schedule=static fusion=none wg=64 tile_kv=64 vec=8 stages=1 heads=2",
       "wg is 64, must be a multiple of 128: sub-groups of 64 for each 2 of 4 heads"},
      {amd_gpu(), kProblem, "subgroup schedule=static fusion=none wg=256 tile_kv=32 vec=8 stages=2 heads=4",
       "tile_kv is 32, must be a multiple of 32 rows x 2 stages"},
      {amd_gpu(), "f16 hq=8 hkv=1 d=128 b=4 kv=1000",
       "subgroup schedule=static fusion=none wg=64 tile_kv=64 vec=8 stages=4 heads=8",
       "208 floats per work-item (heads 8, head_dim 128, stages 4) exceed 192 registers"},
      {nvidia_gpu(), kProblem, "simt schedule=static fusion=prologue wg=128 tile_kv=32 vec=8 stages=1",
       "nothing runs before decode"},
      {nvidia_gpu(), "f16 hq=52 hkv=13 d=64 b=5 kv=1000 route=mean",
       "simt schedule=worklist fusion=prologue wg=128 tile_kv=32 vec=8 stages=1", "65 groups, a prologue routes at most 64"},
      {nvidia_gpu(), "f16 hq=32 hkv=8 d=64 b=4096 kv=1000000",
       "simt schedule=worklist fusion=none wg=64 tile_kv=8 vec=8 stages=1", "4096065536 tiles of 8 tokens"},
      {smallest_gpu(), kProblem, "simt schedule=worklist fusion=single wg=64 tile_kv=8 vec=8 stages=1",
       "no memory fence between work-groups"},
      {with_capability(61), kProblem, "simt schedule=worklist fusion=single wg=64 tile_kv=8 vec=8 stages=1",
       "no memory fence between work-groups"},
  };
  for (const auto& c : cases) {
    const std::string reason = misfit(c.facts, c.problem, c.variant);
    EXPECT_NE(reason.find(c.reason), std::string::npos) << c.variant << " on " << c.facts.name << ": '" << reason << "'";
  }
}

TEST(Fits, NumbersOfTheCallersVariantMayBeAnything) {
  const struct {
    DeviceFacts facts;
    DecodeVariant variant;
  } cases[] = {
      {pocl_cpu(), parse_variant("simt schedule=static fusion=single wg=64 tile_kv=16 vec=8 stages=1")},
      {pocl_cpu(), parse_variant("cpu schedule=worklist fusion=single wg=1 tile_kv=16 vec=8 stages=1")},
      {nvidia_gpu(), parse_variant("nv_mma schedule=worklist fusion=single wg=64 tile_kv=32 vec=8 stages=2")},
      {intel_gpu(), parse_variant(kSize16)},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(misfit_reason(c.facts, parse_problem(kProblem), c.variant), std::nullopt) << to_string(c.variant);
    for (const VariantField& field : kVariantFields) {
      for (const std::int32_t value : {0, -1, INT32_MIN, INT32_MAX}) {
        if (value == c.variant.*field.member) continue;
        DecodeVariant variant = c.variant;
        variant.*field.member = value;
        EXPECT_TRUE(misfit_reason(c.facts, parse_problem(kProblem), variant)) << to_string(variant);
      }
    }
  }
}

// Lanes that share a row of 16 pieces: 16 with shuffles, all without; the more rows side by side, the more states to merge.
TEST(Fits, RowsOfASubGroup) {
  const DecodeProblem problem = parse_problem("f16 hq=4 hkv=1 d=128 b=4 kv=1000");
  const DecodeVariant variant = parse_variant(kOwnSize);
  DeviceFacts facts = amd_gpu();
  EXPECT_EQ(local_bytes(facts, problem, variant), 4 * 4 * (128 * 4 + 4 * 8));
  facts.sub_group_shuffle = SubGroupShuffle::kNone;
  EXPECT_EQ(local_bytes(facts, problem, variant), 4 * 1 * (128 * 4 + 4 * 8));
  facts = intel_gpu();
  DecodeVariant split = parse_variant(kSize16);  // 4 sub-groups, 2 for each half of the heads
  split.fusion = Fusion::kNone;
  EXPECT_EQ(local_bytes(facts, problem, split), 2 * (2 * 128 * 4 + 4 * 8));
}

// Bounds themselves fit.
TEST(Fits, FusionUpToItsLimits) {
  const char* const prologue = "simt schedule=worklist fusion=prologue wg=128 tile_kv=32 vec=8 stages=1";
  const char* const single = "simt schedule=static fusion=single wg=128 tile_kv=32 vec=8 stages=1";
  EXPECT_EQ(misfit(nvidia_gpu(), "f16 hq=32 hkv=8 d=64 b=8 kv=1000 route=mean", prologue), "");
  EXPECT_EQ(misfit(nvidia_gpu(), "f16 hq=32 hkv=8 d=64 b=128 kv=1000", single), "");
  // A static prologue routes one group, and without routing the work list has no limit: their number does not matter.
  EXPECT_EQ(misfit(nvidia_gpu(), "f16 hq=32 hkv=8 d=64 b=1000 kv=1000", prologue), "");
  EXPECT_EQ(misfit(nvidia_gpu(), "f16 hq=32 hkv=8 d=64 b=1000 kv=1000 route=mean",
                   "simt schedule=static fusion=prologue wg=128 tile_kv=32 vec=8 stages=1"),
            "");
  // Either kind of fence will do, and the prologue needs none.
  DeviceFacts facts = with_capability(70);
  EXPECT_EQ(misfit(facts, kProblem, single), "");
  facts.nv_compute_capability = 0;
  EXPECT_NE(misfit(facts, kProblem, single), "");
  EXPECT_EQ(misfit(facts, kProblem, prologue), "");
  facts.device_scope_fence = true;
  EXPECT_EQ(misfit(facts, kProblem, single), "");
}

TEST(Fits, DevicesThatNothingRunsOn) {
  DeviceFacts facts = nvidia_gpu();
  EXPECT_EQ(unsupported_reason(facts), std::nullopt);
  facts.little_endian = false;
  EXPECT_NE(unsupported_reason(facts).value_or("").find("big-endian"), std::string::npos);
  EXPECT_NE(misfit(facts, kProblem, "simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1").find("big-endian"),
            std::string::npos);
  EXPECT_TRUE(fitting_variants(facts, parse_problem(kProblem)).empty());
  facts = nvidia_gpu();
  facts.max_work_group_size = 0;
  EXPECT_NE(unsupported_reason(facts).value_or("").find("max_work_group_size is 0"), std::string::npos);
}

TEST(Fits, LocalMemoryOfTheDeviceCounts) {
  const DecodeProblem problem = parse_problem("f16 hq=8 hkv=2 d=128 b=4 kv=1000");
  const DecodeVariant variant = parse_variant("simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1");
  DeviceFacts facts = nvidia_gpu();
  const std::int64_t bytes = local_bytes(facts, problem, variant);
  EXPECT_GT(bytes, 32 * 128 * 2) << "a tile of K at least";
  facts.local_mem_bytes = bytes;
  EXPECT_EQ(misfit_reason(facts, problem, variant), std::nullopt);
  facts.local_mem_bytes = bytes - 1;
  EXPECT_EQ(misfit_reason(facts, problem, variant),
            "needs " + std::to_string(bytes) + " bytes of local memory, the limit is " + std::to_string(bytes - 1));
  EXPECT_EQ(local_bytes(facts, problem, parse_variant("cpu schedule=static fusion=none wg=1 tile_kv=16 vec=16 stages=1")), 0);
}

TEST(Fits, FusedKernelsNeedMoreLocalMemory) {
  for (const char* text : {"f16 hq=8 hkv=2 d=128 b=4 kv=1000", "f16 hq=8 hkv=2 d=128 b=4 kv=1000 route=mean",
                           "f16 hq=32 hkv=2 d=40 b=4 kv=1000 route=mask"}) {
    const DecodeProblem problem = parse_problem(text);
    for (const char* variant : {"simt schedule=static fusion=none wg=128 tile_kv=32 vec=8 stages=1",
                                "simt schedule=worklist fusion=none wg=64 tile_kv=8 vec=8 stages=1",
                                "cpu schedule=worklist fusion=none wg=1 tile_kv=16 vec=16 stages=1",
                                "nv_mma schedule=worklist fusion=none wg=128 tile_kv=64 vec=8 stages=2",
                                "subgroup schedule=static fusion=none wg=128 tile_kv=64 vec=8 stages=2 heads=4"}) {
      SCOPED_TRACE(std::string(text) + ", " + variant);
      const DeviceFacts facts = amd_gpu();
      DecodeVariant v = parse_variant(variant);
      const std::int64_t none = local_bytes(facts, problem, v);
      v.fusion = Fusion::kPrologue;
      const std::int64_t prologue = local_bytes(facts, problem, v);
      v.fusion = Fusion::kSingle;
      const std::int64_t single = local_bytes(facts, problem, v);
      EXPECT_GE(prologue, none + (problem.routing.enabled ? 16 : 0)) << "token ranges of a group at least";
      EXPECT_GE(prologue, none + (v.schedule == Schedule::kWorklist ? 4 * v.wg : 0)) << "a sum of each work-item";
      EXPECT_GE(single, prologue + (v.wg == 1 ? 4 * problem.head_dim : 16 * v.wg)) << "what work-items have merged";
    }
  }
  // Token ranges of every group that may be routed, and sums of every head that is scored at once.
  const DecodeVariant variant = parse_variant("cpu schedule=worklist fusion=prologue wg=1 tile_kv=16 vec=16 stages=1");
  EXPECT_GE(local_bytes(pocl_cpu(), parse_problem("f16 hq=8 hkv=2 d=128 b=4 kv=1000 route=mean"), variant),
            64 * 16 + 4 * 12 * 4);
}

// On every device and over the whole grid of shapes.
TEST(FittingVariants, FitAndRoundTrip) {
  for (const DeviceFacts& facts : invented_devices()) {
    for (int head_dim = kMinHeadDim; head_dim <= kMaxHeadDim; head_dim += 8) {
      for (const int group : {1, 2, 3, 5, 7, 8, 9, 16}) {
        for (const DType dtype : {DType::kF16, DType::kF32}) {
          DecodeProblem problem = parse_problem(kProblem);
          problem.kv_dtype = dtype;
          problem.num_q_heads = problem.num_kv_heads * group;
          problem.head_dim = head_dim;
          SCOPED_TRACE(facts.name + ", " + to_string(problem));
          const std::vector<DecodeVariant> variants = fitting_variants(facts, problem);
          std::set<std::string> texts;
          for (const DecodeVariant& variant : variants) {
            ASSERT_EQ(misfit_reason(facts, problem, variant), std::nullopt) << to_string(variant);
            ASSERT_EQ(parse_variant(to_string(variant)), variant);
            ASSERT_TRUE(texts.insert(to_string(variant)).second) << "twice: " << to_string(variant);
            const std::int64_t limit = variant.engine == Engine::kSimt ? 32 << 10 : facts.local_mem_bytes;
            ASSERT_LE(local_bytes(facts, problem, variant), std::min(facts.local_mem_bytes, limit));
            ASSERT_LE(variant.wg, facts.max_work_group_size);
            if (variant.fusion != Fusion::kNone) continue;
            for (const Schedule schedule : {Schedule::kStatic, Schedule::kWorklist}) {
              DecodeVariant other = variant;  // without fusion the schedule changes nothing about the fit
              other.schedule = schedule;
              ASSERT_NE(std::find(variants.begin(), variants.end(), other), variants.end());
            }
          }
          ASSERT_FALSE(variants.empty());
        }
      }
    }
  }
}

// "engine schedule fusion" of all variants that fit.
std::set<std::string> kinds_of(const DeviceFacts& facts, const std::string& problem) {
  std::set<std::string> kinds;
  for (const DecodeVariant& v : fitting_variants(facts, parse_problem(problem))) {
    kinds.insert(std::string(to_string(v.engine)) + " " + to_string(v.schedule) + " " + to_string(v.fusion));
  }
  return kinds;
}

std::set<std::string> every_kind(const std::vector<std::string>& engines, const std::vector<std::string>& others) {
  std::set<std::string> kinds;
  for (const std::string& engine : engines) {
    for (const std::string& other : others) kinds.insert(engine + " " + other);
  }
  return kinds;
}

TEST(FittingVariants, EnginesSchedulesAndFusionsOfADevice) {
  const std::vector<std::string> all = {"static none",   "static prologue",   "static single",
                                        "worklist none", "worklist prologue", "worklist single"};
  const auto without = [&all](const std::string& what) {
    std::vector<std::string> rest;
    std::copy_if(all.begin(), all.end(), std::back_inserter(rest),
                 [&](const std::string& kind) { return kind.find(what) == std::string::npos; });
    return rest;
  };
  const std::vector<std::string> not_routed = without("static prologue"), no_fence = without("single");
  EXPECT_EQ(kinds_of(pocl_cpu(), kRouted), every_kind({"simt", "cpu"}, all));
  EXPECT_EQ(kinds_of(pocl_cpu(), kProblem), every_kind({"simt", "cpu"}, not_routed));
  EXPECT_EQ(kinds_of(nvidia_gpu(), kRouted), every_kind({"simt", "nv_mma"}, all));
  EXPECT_EQ(kinds_of(nvidia_gpu(), kProblem), every_kind({"simt", "nv_mma"}, not_routed));
  EXPECT_EQ(kinds_of(with_capability(75), kRouted), every_kind({"simt"}, all));
  EXPECT_EQ(kinds_of(with_capability(61), kRouted), every_kind({"simt"}, no_fence));
  EXPECT_EQ(kinds_of(amd_gpu(), kRouted), every_kind({"simt", "subgroup"}, all));
  EXPECT_EQ(kinds_of(intel_gpu(), kProblem), every_kind({"simt", "subgroup"}, not_routed));
  EXPECT_EQ(kinds_of(smallest_gpu(), kRouted), every_kind({"simt"}, no_fence));
  // many groups: they are routed by a launch of its own
  EXPECT_EQ(kinds_of(amd_gpu(), "f16 hq=8 hkv=2 d=64 b=100 kv=1000 route=mean"),
            every_kind({"simt", "subgroup"},
                       {"static none", "static prologue", "static single", "worklist none", "worklist single"}));
  EXPECT_EQ(kinds_of(amd_gpu(), "f16 hq=8 hkv=2 d=64 b=1000 kv=1000"), every_kind({"simt", "subgroup"}, not_routed));
  // what nv_mma cannot do is left to simt
  EXPECT_EQ(kinds_of(nvidia_gpu(), "f16 hq=8 hkv=2 d=72 b=4 kv=1000 route=mean"), every_kind({"simt"}, all));
}

}  // namespace
}  // namespace clsink
