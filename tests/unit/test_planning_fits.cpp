// SPDX-License-Identifier: Apache-2.0
// Which variants fit which device: every reason once, and that what is listed as fitting does fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "model/problem.hpp"
#include "planning/fits.hpp"
#include "planning_devices.hpp"

namespace clsink {
namespace {

std::string misfit(const DeviceFacts& facts, const std::string& problem, const std::string& variant) {
  return misfit_reason(facts, parse_problem(problem), parse_variant(variant)).value_or("");
}

const char* const kProblem = "f16 hq=8 hkv=2 d=64 b=4 kv=1000";

TEST(Fits, WhatFitsHasNoReason) {
  EXPECT_EQ(misfit(nvidia_gpu(), kProblem, "simt schedule=static wg=128 tile_kv=32 vec=8"), "");
  EXPECT_EQ(misfit(pocl_cpu(), kProblem, "simt schedule=worklist wg=64 tile_kv=16 vec=4"), "");
  EXPECT_EQ(misfit(pocl_cpu(), kProblem, "cpu schedule=worklist wg=1 tile_kv=16 vec=16"), "");
}

TEST(Fits, EveryReason) {
  const struct {
    DeviceFacts facts;
    const char* problem;
    const char* variant;
    const char* reason;
  } cases[] = {
      {nvidia_gpu(), kProblem, "simt schedule=static wg=128 tile_kv=32 vec=2", "vec is 2, simt has 4 and 8"},
      {nvidia_gpu(), kProblem, "simt schedule=static wg=128 tile_kv=32 vec=16", "vec is 16"},
      {nvidia_gpu(), "f32 hq=8 hkv=2 d=64 b=4 kv=1000", "simt schedule=static wg=128 tile_kv=32 vec=8", "vec 8 of 4-byte"},
      {nvidia_gpu(), kProblem, "simt schedule=static wg=512 tile_kv=32 vec=8", "wg is 512, simt has at most 256"},
      {smallest_gpu(), kProblem, "simt schedule=static wg=128 tile_kv=32 vec=8", "wg is 128, the device's limit is 64"},
      {nvidia_gpu(), kProblem, "simt schedule=static wg=63 tile_kv=21 vec=8", "tile_kv is 21, must be even"},
      {nvidia_gpu(), kProblem, "simt schedule=static wg=128 tile_kv=48 vec=8", "tile_kv 48 does not divide wg 128"},
      {nvidia_gpu(), kProblem, "simt schedule=static wg=64 tile_kv=128 vec=8", "tile_kv 128 does not divide wg 64"},
      {nvidia_gpu(), "f16 hq=8 hkv=2 d=256 b=4 kv=1000", "simt schedule=static wg=32 tile_kv=16 vec=4",
       "64 pieces is longer than wg 32"},
      {nvidia_gpu(), "f16 hq=32 hkv=2 d=256 b=4 kv=1000", "simt schedule=static wg=64 tile_kv=64 vec=8", "registers"},
      {nvidia_gpu(), "f16 hq=16 hkv=1 d=256 b=4 kv=1000", "simt schedule=static wg=256 tile_kv=32 vec=8",
       "bytes of local memory, the limit is 32768"},
      {nvidia_gpu(), kProblem, "simt schedule=static wg=256 tile_kv=512 vec=8", "tile_kv 512 (at most 256)"},
      {nvidia_gpu(), kProblem, "cpu schedule=static wg=1 tile_kv=16 vec=16", "the cpu engine needs a CPU"},
      {pocl_cpu(), kProblem, "cpu schedule=static wg=2 tile_kv=16 vec=16", "wg is 2, the cpu engine has 1"},
      {pocl_cpu(), kProblem, "cpu schedule=static wg=1 tile_kv=16 vec=4", "vec is 4, the cpu engine has 8 and 16"},
      {pocl_cpu(), kProblem, "cpu schedule=static wg=1 tile_kv=24 vec=16", "tile_kv 24 is no multiple of vec 16"},
  };
  for (const auto& c : cases) {
    const std::string reason = misfit(c.facts, c.problem, c.variant);
    EXPECT_NE(reason.find(c.reason), std::string::npos) << c.variant << " on " << c.facts.name << ": '" << reason << "'";
  }
}

TEST(Fits, NumbersOfTheCallersVariantMayBeAnything) {
  for (std::int32_t DecodeVariant::*member : {&DecodeVariant::wg, &DecodeVariant::tile_kv, &DecodeVariant::vec}) {
    for (const std::int32_t value : {0, -1, INT32_MIN, INT32_MAX}) {
      for (const Engine engine : {Engine::kSimt, Engine::kCpu}) {
        DecodeVariant variant{engine, Schedule::kStatic, engine == Engine::kCpu ? 1 : 64, 16, 8};
        variant.*member = value;
        EXPECT_TRUE(misfit_reason(pocl_cpu(), parse_problem(kProblem), variant)) << to_string(variant);
      }
    }
  }
}

TEST(Fits, DevicesThatNothingRunsOn) {
  DeviceFacts facts = nvidia_gpu();
  EXPECT_EQ(unsupported_reason(facts), std::nullopt);
  facts.little_endian = false;
  EXPECT_NE(unsupported_reason(facts).value_or("").find("big-endian"), std::string::npos);
  EXPECT_NE(misfit(facts, kProblem, "simt schedule=static wg=128 tile_kv=32 vec=8").find("big-endian"), std::string::npos);
  EXPECT_TRUE(fitting_variants(facts, parse_problem(kProblem)).empty());
  facts = nvidia_gpu();
  facts.max_work_group_size = 0;
  EXPECT_NE(unsupported_reason(facts).value_or("").find("max_work_group_size is 0"), std::string::npos);
}

TEST(Fits, LocalMemoryOfTheDeviceCounts) {
  const DecodeProblem problem = parse_problem("f16 hq=8 hkv=2 d=128 b=4 kv=1000");
  const DecodeVariant variant = parse_variant("simt schedule=static wg=128 tile_kv=32 vec=8");
  const std::int64_t bytes = local_bytes(problem, variant);
  EXPECT_GT(bytes, 32 * 128 * 2) << "a tile of K at least";
  DeviceFacts facts = nvidia_gpu();
  facts.local_mem_bytes = bytes;
  EXPECT_EQ(misfit_reason(facts, problem, variant), std::nullopt);
  facts.local_mem_bytes = bytes - 1;
  EXPECT_EQ(misfit_reason(facts, problem, variant),
            "needs " + std::to_string(bytes) + " bytes of local memory, the limit is " + std::to_string(bytes - 1));
  EXPECT_EQ(local_bytes(problem, parse_variant("cpu schedule=static wg=1 tile_kv=16 vec=16")), 0);
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
            ASSERT_LE(local_bytes(problem, variant), std::min<std::int64_t>(facts.local_mem_bytes, 32 << 10));
            ASSERT_LE(variant.wg, facts.max_work_group_size);
            DecodeVariant other = variant;  // the schedule changes nothing about the fit
            other.schedule = variant.schedule == Schedule::kStatic ? Schedule::kWorklist : Schedule::kStatic;
            ASSERT_NE(std::find(variants.begin(), variants.end(), other), variants.end());
          }
          ASSERT_FALSE(variants.empty());
        }
      }
    }
  }
}

TEST(FittingVariants, CpuEngineOnCpusOnly) {
  const auto has_cpu_engine = [](const DeviceFacts& facts) {
    const auto variants = fitting_variants(facts, parse_problem(kProblem));
    return std::any_of(variants.begin(), variants.end(), [](const DecodeVariant& v) { return v.engine == Engine::kCpu; });
  };
  EXPECT_TRUE(has_cpu_engine(pocl_cpu()));
  EXPECT_FALSE(has_cpu_engine(nvidia_gpu()));
}

}  // namespace
}  // namespace clsink
