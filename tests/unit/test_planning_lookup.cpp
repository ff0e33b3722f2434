// SPDX-License-Identifier: Apache-2.0
// Which tuning row a device and a problem get, and what is said about it; and that the built-in rows reach everything.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/problem.hpp"
#include "model/variant.hpp"
#include "planning/device_family.hpp"
#include "planning/fits.hpp"
#include "planning/planner.hpp"
#include "planning/tuning_db.hpp"
#include "planning_devices.hpp"
#include "tuning_texts.hpp"

namespace clsink {
namespace {

// A row that is recognised by its workers_per_cu.
std::string row(const std::string& row_class, int mark,
                const std::string& variant = "simt schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1") {
  return row_class + " | " + variant + " | workers_per_cu=" + std::to_string(mark) + " min_tiles=1\n";
}

int mark_of(const TuningDb& db, const DeviceFacts& facts, const std::string& problem) {
  const TuningDb::Match match = db.find(facts, parse_problem(problem));
  return match.row ? match.row->tuning.workers_per_cu : 0;
}

TEST(DeviceFamily, FromPlatformThenVendor) {
  const auto family = [](const DeviceFacts& facts) {
    const DeviceFamily f = device_family(facts);
    return f.vendor + " " + f.device_class;
  };
  EXPECT_EQ(family(nvidia_gpu()), "nvidia gpu");
  EXPECT_EQ(family(amd_gpu()), "amd gpu");
  EXPECT_EQ(family(intel_gpu()), "intel gpu");
  EXPECT_EQ(family(smallest_gpu()), "unknown gpu");
  EXPECT_EQ(family(pocl_cpu()), "pocl cpu");  // though its vendor is the CPU's maker
  EXPECT_EQ(family(invented_gpu("NVIDIA H100", "NVIDIA Corporation", "Portable Computing Language")), "pocl gpu");
  EXPECT_EQ(family(invented_gpu("radeonsi", "AMD", "rusticl")), "mesa gpu");
  EXPECT_EQ(family(invented_gpu("GeForce", "nvidia corporation", "")), "nvidia gpu");
}

TEST(DeviceFamily, OclgrindBuildsOneProgramAfterTheOther) {
  for (const DeviceFacts& facts : invented_devices()) EXPECT_TRUE(builds_at_once(facts)) << facts.name;
  EXPECT_FALSE(builds_at_once(invented_gpu("Oclgrind Simulator", "University of Bristol", "Oclgrind")));
}

TEST(Lookup, DeviceBeforeFamilyBeforeVendorBeforeGeneric) {
  const std::string generic = "device \"*\"\n" + row("*", 1), vendor = "device \"*\" vendor=nvidia\n" + row("*", 2),
                    family = "device \"NVIDIA H100*\"\n" + row("*", 3),
                    device = "device \"NVIDIA H100 80GB HBM3\"\n" + row("*", 4);
  const struct {
    std::string body;
    int mark;
    MatchLevel level;
    const char* said;
  } cases[] = {
      {generic, 1, MatchLevel::kGeneric, "generic row x.tune:3"},
      {generic + vendor, 2, MatchLevel::kVendor, "vendor row x.tune:5"},
      {generic + vendor + family, 3, MatchLevel::kFamily, "family row x.tune:7"},
      {generic + vendor + family + device, 4, MatchLevel::kDevice, "device row x.tune:9"},
      {device + family + vendor + generic, 4, MatchLevel::kDevice, "device row x.tune:3"},
      {family + generic + vendor, 3, MatchLevel::kFamily, "family row x.tune:3"},
  };
  for (const auto& c : cases) {
    const TuningDb db = db_of(c.body);
    const TuningDb::Match match = db.find(nvidia_gpu(), parse_problem(kProblem));
    ASSERT_NE(match.row, nullptr);
    EXPECT_EQ(match.row->tuning.workers_per_cu, c.mark);
    EXPECT_EQ(match.level, c.level);
    EXPECT_NE(match.reason.find(c.said), std::string::npos) << match.reason;
    EXPECT_NE(match.reason.find("nvidia gpu"), std::string::npos) << match.reason;
  }
}

TEST(Lookup, OthersRowsDoNotReach) {
  const struct {
    const char* device;
    bool reaches;
  } cases[] = {
      {"\"NVIDIA H100 80GB HBM3\"", true},
      {"\"NVIDIA H100\"", false},
      {"\"NVIDIA A100*\"", false},
      {"\"NVIDIA*\"", true},
      {"\"*\" vendor=amd", false},
      {"\"*\" class=cpu", false},
      {"\"*\" class=gpu", true},
      {"\"*\" vendor=nvidia class=cpu", false},
      {"\"NVIDIA*\" vendor=amd", false},
      {"\"NVIDIA*\" class=cpu", false},
      {"\"NVIDIA H100 80GB HBM3 XXL*\"", false},
  };
  for (const auto& c : cases) {
    const TuningDb db = db_of("device " + std::string(c.device) + "\n" + row("*", 1));
    const TuningDb::Match match = db.find(nvidia_gpu(), parse_problem(kProblem));
    EXPECT_EQ(match.row != nullptr, c.reaches) << c.device;
    if (!c.reaches) {
      EXPECT_NE(match.reason.find("no tuning row fits a nvidia gpu"), std::string::npos) << match.reason;
    }
  }
}

TEST(Lookup, ExactClassesBeforeLooseOnes) {
  const TuningDb db = db_of("device \"*\"\n" + row("*", 1) + row("f16", 2) + row("f16 d<=128", 3) + row("f16 d=64", 4) +
                            row("f16 d=64 g<=8", 5) + row("f16 d=64 g=4", 6));
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f32 hq=8 hkv=2 d=64 b=4 kv=1000"), 1);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f16 hq=8 hkv=2 d=192 b=4 kv=1000"), 2);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f16 hq=8 hkv=2 d=128 b=4 kv=1000"), 3);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f16 hq=32 hkv=2 d=64 b=4 kv=1000"), 4);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f16 hq=2 hkv=2 d=64 b=4 kv=1000"), 5);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f16 hq=8 hkv=2 d=64 b=4 kv=1000"), 6);
}

TEST(Lookup, AmongEqualsTheFirstRow) {
  const TuningDb db = db_of("device \"*\"\n" + row("* d<=128", 1) + row("* d<=64", 2) + row("* g<=4", 3));
  EXPECT_EQ(mark_of(db, nvidia_gpu(), kProblem), 1);
}

TEST(Lookup, NearestBatchAndLengthInPowersOfTwo) {
  const TuningDb lengths = db_of("device \"*\"\n" + row("* kv=1024", 1) + row("* kv=16384", 2) + row("* kv=131072", 3));
  const auto by_length = [&](int kv) {
    return mark_of(lengths, nvidia_gpu(), "f16 hq=8 hkv=2 d=64 b=4 kv=" + std::to_string(kv));
  };
  EXPECT_EQ(by_length(1), 1);
  EXPECT_EQ(by_length(1024), 1);
  EXPECT_EQ(by_length(4095), 1);  // 4096 is the middle in powers of two, 8704 would be in tokens
  EXPECT_EQ(by_length(4097), 2);
  EXPECT_EQ(by_length(46000), 2);
  EXPECT_EQ(by_length(46400), 3);
  EXPECT_EQ(by_length(1 << 30), 3);

  const TuningDb both = db_of("device \"*\"\n" + row("* b=1 kv=1024", 1) + row("* b=64 kv=1024", 2) + row("* b=1 kv=65536", 3));
  const auto by_both = [&](int b, int kv) {
    return mark_of(both, nvidia_gpu(), "f16 hq=8 hkv=2 d=64 b=" + std::to_string(b) + " kv=" + std::to_string(kv));
  };
  EXPECT_EQ(by_both(7, 1024), 1);
  EXPECT_EQ(by_both(9, 1024), 2);
  EXPECT_EQ(by_both(2, 65536), 3);
  EXPECT_EQ(by_both(64, 65536), 2);  // 6 powers of two from each of rows 2 and 3: the first
  EXPECT_EQ(by_both(32, 65536), 3);  // 7 from row 2, 5 from row 3
  EXPECT_EQ(by_both(64, 32768), 2);
}

TEST(Lookup, LevelsCountMoreThanNearness) {
  const TuningDb db =
      db_of("device \"*\"\n" + row("f16 d=64 g=4 b=4 kv=1000", 1) + "device \"NVIDIA*\"\n" + row("* kv=1000000", 2));
  EXPECT_EQ(mark_of(db, nvidia_gpu(), kProblem), 2);
}

TEST(Lookup, MisfitsArePassedOverWithTheReason) {
  const std::string wide = "simt schedule=static fusion=none wg=128 tile_kv=16 vec=4 stages=1";
  const TuningDb db = db_of("device \"Tiny\"\n" + row("*", 1, wide) + row("*", 2, wide) + "device \"*\"\n" + row("*", 3));
  const TuningDb::Match match = db.find(smallest_gpu(), parse_problem(kProblem));
  ASSERT_NE(match.row, nullptr);
  EXPECT_EQ(match.row->tuning.workers_per_cu, 3);
  EXPECT_EQ(match.level, MatchLevel::kGeneric);
  EXPECT_NE(match.reason.find("passed over x.tune:3: wg is 128, the device's limit is 64"), std::string::npos) << match.reason;

  const std::string wider = "simt schedule=static fusion=none wg=256 tile_kv=16 vec=4 stages=1";
  const TuningDb none = db_of("device \"*\"\n" + row("*", 1, wider) + row("*", 1, wide));
  const TuningDb::Match nothing = none.find(smallest_gpu(), parse_problem(kProblem));
  EXPECT_EQ(nothing.row, nullptr);
  EXPECT_EQ(nothing.reason, "no tuning row fits a unknown gpu device; the last, x.tune:4: wg is 128, the device's limit is 64");
}

TEST(Lookup, RowsThatAreAddedGoFirst) {
  TuningDb db = db_of("device \"NVIDIA H100 80GB HBM3\"\n" + row("*", 1));
  const std::string header = "# clsink tuning db 1\n";
  db.add("y.tune", header + "device \"*\"\n" + row("f16", 2), 1);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), kProblem), 2);  // though it is for any device
  db.add("z.tune", header + "device \"*\"\n" + row("f16 d=128", 3), 2);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), kProblem), 2);  // z's is for other rows
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "f16 hq=8 hkv=2 d=128 b=4 kv=1000"), 3);
  EXPECT_EQ(mark_of(db, nvidia_gpu(), "bf16 hq=8 hkv=2 d=64 b=4 kv=1000"), 1);
}

TEST(Lookup, UntunedRowsAreBuiltInAndForNoDeviceAlone) {
  TuningDb db = db_of("device \"NVIDIA H100*\"\n" + row("*", 1) + "device \"NVIDIA H100 80GB HBM3\"\n" + row("*", 2) +
                      "device \"*\"\n" + row("*", 3) + "device \"*\" vendor=nvidia\n" + row("*", 4));
  db.add("y.tune", "# clsink tuning db 1\ndevice \"*\"\n" + row("*", 5), 1);
  const TuningDb::Match match = db.find(nvidia_gpu(), parse_problem(kProblem), {}, TuningDb::Rows::kUntuned);
  ASSERT_NE(match.row, nullptr);
  EXPECT_EQ(match.row->tuning.workers_per_cu, 4);
}

TEST(Lookup, EstimatedRowsSaySo) {
  const std::string estimated = row("*", 1).substr(0, row("*", 1).size() - 1) + " | estimated\n";
  const TuningDb::Match match = db_of("device \"*\"\n" + estimated).find(nvidia_gpu(), parse_problem(kProblem));
  EXPECT_NE(match.reason.find("estimated, nobody has timed it"), std::string::npos) << match.reason;
  EXPECT_EQ(db_of("device \"*\"\n" + row("*", 1)).find(nvidia_gpu(), parse_problem(kProblem)).reason.find("estimated"),
            std::string::npos);
}

TEST(Lookup, TheLineOfADevice) {
  EXPECT_EQ(device_line(amd_gpu()), "device \"" + amd_gpu().name + "\" vendor=amd class=gpu");
  DeviceFacts quoted = pocl_cpu();
  quoted.name = "The \"fast\" one";
  EXPECT_EQ(device_line(quoted), "device \"The *\" vendor=pocl class=cpu");
  const TuningDb db = db_of(device_line(quoted) + "\n" + row("*", 1));
  EXPECT_EQ(mark_of(db, quoted, kProblem), 1);
  EXPECT_EQ(mark_of(db, pocl_cpu(), kProblem), 0);
}

TEST(Lookup, DroppedVariantsAreLeftOutAndSaid) {
  const std::string wide = "simt schedule=static fusion=none wg=128 tile_kv=16 vec=4 stages=1";
  const TuningDb db = db_of("device \"*\"\n" + row("*", 1, wide) + row("*", 2) + row("*", 3, wide));
  const DecodeProblem problem = parse_problem(kProblem);
  const std::vector<DroppedVariant> one = {{parse_variant(wide), "it does not build"}};
  const TuningDb::Match match = db.find(nvidia_gpu(), problem, one);
  ASSERT_NE(match.row, nullptr);
  EXPECT_EQ(match.row->tuning.workers_per_cu, 2);
  EXPECT_NE(match.reason.find("; dropped '" + wide + "': it does not build"), std::string::npos) << match.reason;

  const TuningDb::Match nothing = db.find(nvidia_gpu(), problem, {one[0], {match.row->variant, "it does not run"}});
  EXPECT_EQ(nothing.row, nullptr);
  for (const char* words : {"no tuning row fits a nvidia gpu device; dropped '", "it does not build", "it does not run"}) {
    EXPECT_NE(nothing.reason.find(words), std::string::npos) << nothing.reason;
  }
}

TEST(Lookup, AnotherDriverIsSaid) {
  const TuningDb db = db_of("device \"NVIDIA H100 80GB HBM3\" driver=\"550.54\"\n" + row("*", 1));
  DeviceFacts facts = nvidia_gpu();
  facts.driver = "560.1";
  const std::string other = db.find(facts, parse_problem(kProblem)).reason;
  EXPECT_NE(other.find("measured with driver 550.54, this is 560.1"), std::string::npos) << other;
  facts.driver = "550.54";
  const std::string same = db.find(facts, parse_problem(kProblem)).reason;
  EXPECT_EQ(same.find("driver"), std::string::npos) << same;
  const TuningDb unnamed = db_of("device \"*\"\n" + row("*", 1));
  EXPECT_EQ(unnamed.find(facts, parse_problem(kProblem)).reason.find("driver"), std::string::npos);
}

// Every problem that is valid finds a row on every device that a caller may bring.
TEST(BuiltinRows, ReachEverySupportedProblem) {
  std::size_t plans = 0;
  for (const DeviceFacts& facts : invented_devices()) {
    for (int head_dim = kMinHeadDim; head_dim <= kMaxHeadDim; head_dim += 8) {
      for (int group = 1; group <= kMaxGroupSize; ++group) {
        for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
          for (const bool routed : {false, true}) {
            for (const int batch : {1, 64}) {
              DecodeProblem problem;
              problem.kv_dtype = dtype;
              problem.num_kv_heads = 2;
              problem.num_q_heads = 2 * group;
              problem.head_dim = head_dim;
              problem.max_batch = batch;
              problem.max_kv_len = 8192;
              if (routed) problem.routing = SinkRouting::cosine(Policy::kMean);
              const auto reason = unsupported_reason(facts, problem, builtin_tuning_db());
              ASSERT_FALSE(reason) << facts.name << ", " << to_string(problem) << ": " << *reason;
              const DecodePlan plan = make_plan(facts, problem, builtin_tuning_db());
              ASSERT_FALSE(misfit_reason(facts, problem, plan.variant)) << facts.name << ", " << to_string(plan);
              ++plans;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(plans, invented_devices().size() * 29 * 16 * 3 * 2 * 2);
}

TEST(BuiltinRows, WithoutTheirEngineDevicesHaveSimt) {
  for (const DeviceFacts& facts : {pocl_cpu(), nvidia_gpu()}) {
    for (const char* text : {kProblem, "f32 hq=8 hkv=2 d=64 b=1 kv=100", "f16 hq=16 hkv=1 d=256 b=1 kv=100 route=mean"}) {
      std::vector<DroppedVariant> dropped;
      DecodePlan plan = make_plan(facts, parse_problem(text), builtin_tuning_db());
      while (plan.variant.engine != Engine::kSimt) {
        dropped.push_back({plan.variant, "of its engine"});
        plan = make_plan(facts, parse_problem(text), builtin_tuning_db(), dropped);
      }
      EXPECT_EQ(plan.match_reason.find("dropped") != std::string::npos, !dropped.empty()) << plan.match_reason;
    }
  }
}

TEST(BuiltinRows, EnginesForTheirDevices) {
  for (const DeviceFacts& facts : invented_devices()) {
    const bool tensor_cores = facts.nv_compute_capability >= 80, vectors = facts.is_cpu && !facts.lanes_are_work_items;
    for (const char* text : {kProblem, "f16 hq=32 hkv=8 d=128 b=1 kv=4096", "bf16 hq=32 hkv=8 d=128 b=64 kv=32768 route=mean",
                             "f16 hq=16 hkv=2 d=64 b=8 kv=1000 page=16", "f16 hq=8 hkv=1 d=256 b=1 kv=131072 route=mask"}) {
      const DecodePlan plan = make_plan(facts, parse_problem(text), builtin_tuning_db());
      EXPECT_STREQ(to_string(plan.variant.engine), vectors        ? "cpu"
                                                   : tensor_cores ? "nv_mma"
                                                                  : "simt")
          << facts.name << ": " << text;
      EXPECT_FALSE(plan.match_reason.empty());
    }
    const DecodePlan f32 = make_plan(facts, parse_problem("f32 hq=8 hkv=2 d=64 b=1 kv=100"), builtin_tuning_db());
    EXPECT_STREQ(to_string(f32.variant.engine), vectors ? "cpu" : "simt") << facts.name;
  }
}

// AMD's compilers keep 8 heads in registers with pieces of 8, 16 with pieces of 4, and head_dim 256 not in 64 work-items.
TEST(BuiltinRows, AmdKeepsHeadsInRegisters) {
  for (const DeviceFacts& facts : {amd_gpu(), amd_rdna_gpu()}) {
    for (const char* dtype : {"f16", "f32"}) {
      for (const int heads : {1, 4, 7, 8, 16}) {
        for (const int head_dim : {64, 128, 256}) {
          if (dtype == std::string("f32") && heads * head_dim > 8 * 256) continue;  // local memory has no room for it
          const std::string text = fmt::format("{} hq={} hkv=1 d={} b=1 kv=4096", dtype, heads, head_dim);
          const DecodePlan plan = make_plan(facts, parse_problem(text), builtin_tuning_db());
          EXPECT_EQ(plan.match, MatchLevel::kVendor) << text;
          EXPECT_EQ(plan.variant.wg, 128) << to_string(plan);
          EXPECT_TRUE(heads <= 8 || plan.variant.vec == 4) << to_string(plan);
        }
      }
    }
  }
}

// What Intel's compilers keep in registers: few heads in wide pieces, many in narrow ones; Arc has more registers, and on the
// Max sub-groups share a row.
TEST(BuiltinRows, IntelFamilies) {
  const auto variant = [](const DeviceFacts& facts, const char* problem) {
    const DecodePlan plan = make_plan(facts, parse_problem(problem), builtin_tuning_db());
    return std::to_string(plan.variant.tile_kv) + "x" + std::to_string(plan.variant.vec) + " " + to_string(plan.match);
  };
  const char* const four = "f16 hq=32 hkv=8 d=128 b=1 kv=4096";
  EXPECT_EQ(variant(intel_gpu(), four), "32x8 family");
  EXPECT_EQ(variant(intel_lp_gpu(), four), "16x8 vendor");
  EXPECT_EQ(variant(intel_hpc_gpu(), four), "64x4 family");
  DeviceFacts without_sub_groups = intel_hpc_gpu();
  without_sub_groups.sub_group_sizes = {};
  EXPECT_EQ(variant(without_sub_groups, four), "16x4 family");
  for (const DeviceFacts& facts : {intel_gpu(), intel_lp_gpu(), without_sub_groups}) {
    EXPECT_EQ(variant(facts, "f16 hq=64 hkv=8 d=128 b=1 kv=4096").substr(0, 4), "16x4") << facts.name;
    EXPECT_NE(variant(facts, "f16 hq=16 hkv=1 d=256 b=1 kv=4096").find("x4 "), std::string::npos) << facts.name;
  }
}

}  // namespace
}  // namespace clsink
