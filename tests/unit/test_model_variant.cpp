// SPDX-License-Identifier: Apache-2.0
// Variants, launch tuning and plans as text: round trips, strictness, and messages that name the field.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include <clsink/error.hpp>
#include <clsink/plan.hpp>

#include "model/problem.hpp"
#include "model/variant.hpp"

namespace clsink {
namespace {

template <typename Parse>
void expect_refused(const Parse& parse, const std::string& text, const std::vector<std::string>& parts) {
  SCOPED_TRACE(text);
  try {
    parse(text);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidProblem);
    for (const std::string& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(VariantText, RoundTrips) {
  EXPECT_EQ(to_string(DecodeVariant{}), "simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8 stages=1");
  EXPECT_EQ(parse_variant("cpu schedule=static fusion=none vec=16 tile_kv=48 wg=1 stages=1"),
            (DecodeVariant{Engine::kCpu, Schedule::kStatic, Fusion::kNone, 1, 48, 16, 1}));
  EXPECT_EQ(parse_variant("nv_mma schedule=worklist fusion=single stages=4 wg=128 tile_kv=64 vec=8"),
            (DecodeVariant{Engine::kNvMma, Schedule::kWorklist, Fusion::kSingle, 128, 64, 8, 4}));
  EXPECT_EQ(parse_variant("subgroup schedule=static fusion=none wg=64 tile_kv=64 vec=8 stages=2 sub_group_size=16 heads=4"),
            (DecodeVariant{Engine::kSubgroup, Schedule::kStatic, Fusion::kNone, 64, 64, 8, 2, 4, 16}));
  EXPECT_EQ(to_string(DecodeVariant{Engine::kSubgroup, Schedule::kStatic, Fusion::kNone, 64, 64, 8, 2, 4, 0}),
            "subgroup schedule=static fusion=none wg=64 tile_kv=64 vec=8 stages=2 heads=4");
  std::set<std::string> texts;
  for (const Engine engine : {Engine::kSimt, Engine::kCpu, Engine::kNvMma, Engine::kSubgroup}) {
    for (const Schedule schedule : {Schedule::kStatic, Schedule::kWorklist}) {
      for (const Fusion fusion : {Fusion::kNone, Fusion::kPrologue, Fusion::kSingle}) {
        for (const std::int32_t size : {1, 2, 64, 1000003, 2147483647}) {
          for (const VariantField& field : kVariantFields) {
            DecodeVariant variant{engine, schedule, fusion, 5, 6, 7, 8};
            variant.*field.member = size;
            EXPECT_EQ(parse_variant(to_string(variant)), variant) << to_string(variant);
            EXPECT_EQ(parse_variant("  " + to_string(variant) + " "), variant);
            EXPECT_TRUE(texts.insert(to_string(variant)).second) << "of two variants: " << to_string(variant);
          }
        }
      }
    }
  }
}

TEST(VariantText, MessageNamesTheBadField) {
  const struct {
    std::string text;
    std::vector<std::string> parts;
  } cases[] = {
      {"", {"variant is ''"}},
      {"simt", {"variant is 'simt'"}},
      {"simt schedule=static", {"variant is 'simt schedule=static'", "fusion"}},
      {"gpu schedule=static fusion=none wg=1 tile_kv=1 vec=1 stages=1", {"engine", "'gpu'", "simt, cpu, nv_mma, subgroup"}},
      {"simt schedule=dynamic fusion=none wg=1 tile_kv=1 vec=1 stages=1", {"schedule", "'dynamic'", "static, worklist"}},
      {"simt schedule=static fusion=double wg=1 tile_kv=1 vec=1 stages=1", {"fusion", "'double'", "none, prologue, single"}},
      {"simt schedule=static fusion= wg=1 tile_kv=1 vec=1 stages=1", {"fusion", "''"}},
      {"simt wg=1 schedule=static fusion=none tile_kv=1 vec=1 stages=1", {"'wg'", "schedule="}},
      {"simt fusion=none schedule=static wg=1 tile_kv=1 vec=1 stages=1", {"'fusion'", "schedule="}},
      {"simt schedule=static wg=1 tile_kv=1 vec=1 stages=1", {"'wg'", "fusion="}},
      {"simt schedule=static wg=1 tile_kv=1 vec=1 stages=1 fusion=none", {"'wg'", "fusion="}},
      {"simt static fusion=none wg=1 tile_kv=1 vec=1 stages=1", {"'static'", "key=value"}},
      {"simt schedule=static none wg=1 tile_kv=1 vec=1 stages=1", {"'none'", "key=value"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 stages=1", {"lacks", "'vec'"}},
      {"simt schedule=static fusion=none tile_kv=1 vec=1 stages=1", {"lacks", "'wg'"}},
      {"simt schedule=static fusion=none wg=1 vec=1 stages=1", {"lacks", "'tile_kv'"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=1", {"lacks", "'stages'"}},
      {"simt schedule=static fusion=none wg=1 wg=1 tile_kv=1 vec=1 stages=1", {"'wg'", "twice"}},
      {"simt schedule=static schedule=static wg=1 tile_kv=1 vec=1 stages=1", {"'schedule'", "fusion="}},
      {"simt schedule=static fusion=none fusion=none wg=1 tile_kv=1 vec=1 stages=1", {"unknown", "'fusion'"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=1 stages=1 unroll=4", {"unknown", "'unroll'"}},
      {"simt schedule=static fusion=none wg=0 tile_kv=1 vec=1 stages=1", {"wg is 0", "positive"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=-32 vec=1 stages=1", {"tile_kv is -32", "positive"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=1 stages=0", {"stages is 0", "positive"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=1 stages=1 heads=0", {"heads is 0", "positive"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=1 stages=1 heads=1 heads=1", {"'heads'", "twice"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=eight stages=1", {"vec", "'eight'"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec=8.0 stages=1", {"vec", "'8.0'"}},
      {"simt schedule=static fusion=none wg=4294967297 tile_kv=1 vec=1 stages=1", {"wg", "4294967297", "32 bits"}},
      {"simt schedule=static fusion=none wg=1 tile_kv=1 vec", {"'vec'", "key=value"}},
  };
  for (const auto& c : cases) expect_refused(parse_variant, c.text, c.parts);
}

TEST(LaunchText, RoundTrips) {
  EXPECT_EQ(to_string(LaunchTuning{}), "workers_per_cu=4 min_tiles=1");
  EXPECT_EQ(parse_launch_tuning(" min_tiles=7   workers_per_cu=3 "), (LaunchTuning{3, 7}));
  for (const LaunchTuning tuning : {LaunchTuning{1, 1}, LaunchTuning{1, 2}, LaunchTuning{2147483647, 2147483647}}) {
    EXPECT_EQ(parse_launch_tuning(to_string(tuning)), tuning);
  }
}

TEST(LaunchText, MessageNamesTheBadField) {
  const struct {
    std::string text;
    std::vector<std::string> parts;
  } cases[] = {
      {"", {"launch lacks", "'workers_per_cu'"}},
      {"workers_per_cu=4", {"launch lacks", "'min_tiles'"}},
      {"min_tiles=4", {"launch lacks", "'workers_per_cu'"}},
      {"workers_per_cu=4 min_tiles=1 min_tiles=1", {"'min_tiles'", "twice"}},
      {"workers_per_cu=0 min_tiles=1", {"workers_per_cu is 0", "positive"}},
      {"workers_per_cu=4 min_tiles=-1", {"min_tiles is -1", "positive"}},
      {"workers_per_cu=many min_tiles=1", {"workers_per_cu", "'many'"}},
      {"workers_per_cu=4 min_tiles=1 splits=2", {"unknown launch field", "'splits'"}},
  };
  for (const auto& c : cases) expect_refused(parse_launch_tuning, c.text, c.parts);
}

TEST(PlanText, IsProblemVariantAndLaunch) {
  DecodePlan plan;
  plan.problem = resolve(parse_problem("f16 hq=8 hkv=2 d=64 b=3 kv=700 route=all"));
  plan.variant = {Engine::kSimt, Schedule::kStatic, Fusion::kPrologue, 64, 16, 4, 1};
  plan.launch.tuning = {2, 3};
  EXPECT_EQ(to_string(plan),
            "f16 hq=8 hkv=2 d=64 b=3 kv=700 route=all | simt schedule=static fusion=prologue wg=64 tile_kv=16 vec=4 stages=1 | "
            "workers_per_cu=2 min_tiles=3");
}

TEST(Names, OfEveryValue) {
  EXPECT_STREQ(to_string(MatchLevel::kForced), "forced");
  EXPECT_STREQ(to_string(MatchLevel::kDevice), "device");
  EXPECT_STREQ(to_string(MatchLevel::kFamily), "family");
  EXPECT_STREQ(to_string(MatchLevel::kVendor), "vendor");
  EXPECT_STREQ(to_string(MatchLevel::kGeneric), "generic");
  EXPECT_STREQ(to_string(Engine::kSimt), "simt");
  EXPECT_STREQ(to_string(Engine::kCpu), "cpu");
  EXPECT_STREQ(to_string(Engine::kNvMma), "nv_mma");
  EXPECT_STREQ(to_string(Engine::kSubgroup), "subgroup");
  EXPECT_STREQ(to_string(Schedule::kWorklist), "worklist");
  EXPECT_STREQ(to_string(Fusion::kNone), "none");
  EXPECT_STREQ(to_string(Fusion::kPrologue), "prologue");
  EXPECT_STREQ(to_string(Fusion::kSingle), "single");
  EXPECT_STREQ(to_string(DType::kBF16), "bf16");
  EXPECT_STREQ(to_string(Policy::kHybrid), "hybrid");
  EXPECT_STREQ(to_string(static_cast<Engine>(9)), "?");
}

}  // namespace
}  // namespace clsink
