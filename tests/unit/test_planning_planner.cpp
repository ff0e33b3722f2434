// SPDX-License-Identifier: Apache-2.0
// From problem and device to a plan: workers, splits, the sections of the workspace, and what the caller may force.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <clsink/error.hpp>

#include "model/problem.hpp"
#include "model/variant.hpp"
#include "planning/fits.hpp"
#include "planning/planner.hpp"
#include "planning_devices.hpp"

namespace clsink {
namespace {

const DecodeVariant kStatic = parse_variant("simt schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1");
const DecodeVariant kWorklist = parse_variant("simt schedule=worklist fusion=none wg=64 tile_kv=16 vec=4 stages=1");

DecodePlan plan_of(const DeviceFacts& facts, const std::string& problem, const DecodeVariant& variant,
                   const std::optional<LaunchTuning>& tuning = LaunchTuning{}) {
  return make_plan(facts, parse_problem(problem), builtin_tuning_db(), variant, tuning);
}

std::string problem_text(int batch, int heads, std::int64_t kv, const std::string& more = "") {
  return "f16 hq=" + std::to_string(4 * heads) + " hkv=" + std::to_string(heads) + " d=64 b=" + std::to_string(batch) +
         " kv=" + std::to_string(kv) + more;
}

struct Section {
  const char* name;
  std::int64_t offset, bytes;
};

// What the kernels touch: token ranges, slots and shares, and the partials.
std::vector<Section> sections_of(const DecodePlan& plan) {
  const DecodeProblem& p = plan.problem;
  const LaunchSpec& launch = plan.launch;
  const bool worklist = plan.variant.schedule != Schedule::kStatic;
  const std::int64_t groups = std::int64_t{p.max_batch} * p.num_kv_heads;
  const std::int64_t slots = worklist ? std::int64_t{2} * launch.workers : launch.splits > 1 ? groups * launch.splits : 0;
  const bool tagged = plan.variant.fusion == Fusion::kSingle;
  return {{"ranges", launch.group_offset, p.routing.enabled ? groups * 16 : 0},
          {"slots", launch.slot_offset, worklist ? groups * 16 : 0},
          {"shares", launch.share_offset, worklist ? launch.workers * std::int64_t{16} : 0},
          {"ml", launch.partial_ml_offset, tagged ? 0 : slots * p.group_size() * 2 * 4},
          {"acc", launch.partial_acc_offset, slots * p.group_size() * p.head_dim * (tagged ? 12 : 4)}};
}

void expect_sound_workspace(const DecodePlan& plan) {
  std::vector<Section> sections = sections_of(plan);
  sections.erase(std::remove_if(sections.begin(), sections.end(), [](const Section& s) { return s.bytes == 0; }),
                 sections.end());
  std::sort(sections.begin(), sections.end(), [](const Section& a, const Section& b) { return a.offset < b.offset; });
  std::int64_t end = 0;
  for (const Section& section : sections) {
    EXPECT_EQ(section.offset % 256, 0) << section.name;
    EXPECT_GE(section.offset, end) << section.name << " overlaps the section before it";
    end = section.offset + section.bytes;
  }
  EXPECT_GE(plan.workspace_bytes, end);
  EXPECT_LE(plan.workspace_bytes, std::max<std::int64_t>(end + 255, 256)) << "more than is used";
}

TEST(Planner, WorkspaceSectionsAreAlignedAndDisjoint) {
  for (const DeviceFacts& facts : invented_devices()) {
    for (const int batch : {1, 3, 64, 1000}) {
      for (const int heads : {1, 5, 8}) {
        for (const std::int64_t kv : {1, 17, 4096, 1000000}) {
          for (const char* route : {"", " route=mean"}) {
            for (const DecodeVariant& variant : {kStatic, kWorklist}) {
              for (const LaunchTuning tuning : {LaunchTuning{1, 1}, LaunchTuning{7, 3}}) {
                const DecodePlan plan = plan_of(facts, problem_text(batch, heads, kv, route), variant, tuning);
                SCOPED_TRACE(facts.name + ": " + to_string(plan));
                expect_sound_workspace(plan);
                const std::int64_t groups = std::int64_t{batch} * heads;
                EXPECT_GE(plan.launch.workers, 1);
                EXPECT_GE(plan.launch.splits, 1);
                if (variant.schedule == Schedule::kStatic) {
                  EXPECT_EQ(plan.launch.workers, groups * plan.launch.splits);
                }
                if (variant.schedule != Schedule::kStatic) {
                  EXPECT_EQ(plan.launch.splits, 1);
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(Planner, WorkspaceDoesNotGrowWithTheContext) {
  for (const DecodeVariant& variant : {kStatic, kWorklist}) {
    for (const char* route : {"", " route=mean"}) {
      const DecodePlan full = plan_of(nvidia_gpu(), problem_text(2, 4, 1 << 16, route), variant);
      for (const std::int64_t kv : {1 << 17, 1 << 20, 1 << 30}) {
        const DecodePlan longer = plan_of(nvidia_gpu(), problem_text(2, 4, kv, route), variant);
        EXPECT_EQ(longer.launch, full.launch) << to_string(longer);
        EXPECT_EQ(longer.workspace_bytes, full.workspace_bytes) << to_string(longer);
      }
      EXPECT_LT(plan_of(nvidia_gpu(), problem_text(2, 4, 16, route), variant).workspace_bytes, full.workspace_bytes);
    }
  }
}

TEST(Planner, AStaticScheduleWithoutSplitsNeedsNoPartials) {
  const DecodePlan plan = plan_of(smallest_gpu(), problem_text(64, 8, 4096), kStatic);
  EXPECT_EQ(plan.launch.splits, 1);
  EXPECT_EQ(plan.workspace_bytes, 256);
}

TEST(Planner, WorkersFillTheMachineAndNoMore) {
  const auto workers = [](std::int64_t kv, LaunchTuning tuning) {
    return plan_of(nvidia_gpu(), problem_text(2, 4, kv), kWorklist, tuning).launch.workers;
  };
  EXPECT_EQ(workers(1000000, {1, 1}), 32);
  EXPECT_EQ(workers(1000000, {4, 1}), 128);
  EXPECT_EQ(workers(1, {4, 1}), 8);    // 8 groups of one tile
  EXPECT_EQ(workers(17, {4, 1}), 16);  // two tiles
  EXPECT_EQ(workers(17, {4, 5}), 4);   // ceil(16 / 5)
  EXPECT_EQ(workers(17, {4, 1000}), 1);
  EXPECT_EQ(workers(1000000, {1000000, 1}), 65535);

  const auto splits = [](int batch, std::int64_t kv, LaunchTuning tuning) {
    return plan_of(nvidia_gpu(), problem_text(batch, 4, kv), kStatic, tuning).launch.splits;
  };
  EXPECT_EQ(splits(1, 1000000, {1, 1}), 8);
  EXPECT_EQ(splits(1, 1000000, {4, 1}), 32);
  EXPECT_EQ(splits(5, 1000000, {4, 1}), 6);  // 128 / 20: a seventh would be one worker too many for some compute units
  EXPECT_EQ(splits(1, 48, {4, 1}), 3);       // a tile each
  EXPECT_EQ(splits(1, 48, {4, 2}), 2);
  EXPECT_EQ(splits(1, 1, {4, 1}), 1);
  EXPECT_EQ(splits(1000, 1000000, {4, 1}), 1);
}

TEST(Planner, GroupsComeOutEven) {
  EXPECT_EQ(even_workers(264, 512), 256);  // two each
  EXPECT_EQ(even_workers(264, 528), 264);
  EXPECT_EQ(even_workers(264, 520), 260);
  EXPECT_EQ(even_workers(264, 264), 264);
  EXPECT_EQ(even_workers(264, 256), 256);  // one each
  EXPECT_EQ(even_workers(264, 128), 256);  // a half each
  EXPECT_EQ(even_workers(264, 8), 264);    // 33 of each
  EXPECT_EQ(even_workers(264, 100), 264);  // two workers a group would leave 64 without work
  EXPECT_EQ(even_workers(264, 300), 264);  // two each would leave 114 without work
  EXPECT_EQ(even_workers(264, 513), 264);  // no equal shares
  EXPECT_EQ(even_workers(264, 0), 264);
  EXPECT_EQ(even_workers(1, 7), 1);
  EXPECT_EQ(even_workers(65535, 2147483647), 65535);
}

// More mergers than one wait for one another: they must never fill the device, nor run one after the other.
TEST(Planner, MergersLeaveRoomForThoseTheyWaitFor) {
  for (const DeviceFacts& device : {nvidia_gpu(), pocl_cpu()}) {
    for (const int compute_units : {1, 32, 1000}) {
      DeviceFacts facts = device;
      facts.compute_units = compute_units;
      for (const int batch : {1, 3, 64}) {
        for (const std::int32_t workers_per_cu : {1, 4}) {
          for (const DecodeVariant& unfused : {kStatic, kWorklist}) {
            const std::string problem = problem_text(batch, 1, 1 << 20, " route=mean");
            const LaunchTuning tuning{workers_per_cu, 1};
            DecodeVariant variant = unfused;
            variant.fusion = Fusion::kSingle;
            const DecodePlan single = plan_of(facts, problem, variant, tuning),
                             plain = plan_of(facts, problem, unfused, tuning);
            SCOPED_TRACE(to_string(single) + ", compute units " + std::to_string(compute_units));
            expect_sound_workspace(single);
            EXPECT_EQ(single.launch.workers, plain.launch.workers);
            EXPECT_EQ(plain.launch.mergers, 0);
            EXPECT_GE(single.launch.mergers, 1);
            EXPECT_LE(single.launch.mergers, 4) << "of 4 x 64 channels";
            if (single.launch.mergers > 1) {
              EXPECT_GT(facts.nv_compute_capability, 0);
              EXPECT_LE(2 * batch * single.launch.mergers, compute_units * workers_per_cu);
            }
            const bool beside = variant.schedule == Schedule::kStatic;
            EXPECT_EQ(work_groups(single, Kernel::kDecode, batch),
                      static_cast<std::size_t>(single.launch.workers + (beside ? batch * single.launch.mergers : 0)));
          }
        }
      }
    }
  }
}

// Whatever is asked for, counts stay inside what share.clh computes in 32 bits, and static needs no more than worklist.
TEST(Planner, SplitsAndWorkersAreBounded) {
  const LaunchTuning greedy{2147483647, 1};
  DeviceFacts facts = nvidia_gpu();
  facts.compute_units = 100000;
  for (const int batch : {1, 2, 7, 1000, 65536}) {
    for (const int heads : {1, 3, 8, 1024}) {
      const std::string problem = problem_text(batch, heads, batch * heads > 1 << 16 ? 256 : 1 << 18);
      const std::int64_t groups = std::int64_t{batch} * heads;
      const DecodePlan worklist = plan_of(facts, problem, kWorklist, greedy), fixed = plan_of(facts, problem, kStatic, greedy);
      SCOPED_TRACE(problem);
      EXPECT_GE(worklist.launch.workers, 1);
      EXPECT_LE(worklist.launch.workers, 65535);
      EXPECT_GE(fixed.launch.splits, 1);
      EXPECT_EQ(fixed.launch.workers, groups * fixed.launch.splits) << "does not fit 32 bits";
      if (fixed.launch.splits > 1) {
        EXPECT_LE(groups * fixed.launch.splits, std::int64_t{2} * worklist.launch.workers);
      }
      expect_sound_workspace(worklist);
      expect_sound_workspace(fixed);
    }
  }
}

TEST(Planner, ADeviceWithoutComputeUnitsCountsAsOne) {
  DeviceFacts facts = nvidia_gpu();
  facts.compute_units = 0;
  EXPECT_EQ(plan_of(facts, problem_text(2, 4, 100000), kWorklist, LaunchTuning{3, 1}).launch.workers, 3);
}

TEST(Planner, TakesTheRowsVariantAndTuning) {
  TuningDb db;
  db.add("x.tune",
         "# clsink tuning db 1\ndevice \"*\"\n* | simt schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1 | "
         "workers_per_cu=9 min_tiles=3\n");
  const DecodeProblem problem = parse_problem(problem_text(2, 4, 5000));
  const DecodePlan plan = make_plan(nvidia_gpu(), problem, db);
  EXPECT_EQ(plan.problem, resolve(problem));
  EXPECT_EQ(plan.variant, kStatic);
  EXPECT_EQ(plan.launch.tuning, (LaunchTuning{9, 3}));
  EXPECT_EQ(plan.match, MatchLevel::kGeneric);
  EXPECT_NE(plan.match_reason.find("x.tune:3"), std::string::npos);
  EXPECT_EQ(make_plan(nvidia_gpu(), problem, db), plan);
  EXPECT_EQ(make_plan(nvidia_gpu(), resolve(problem), db), plan);

  // The row's tuning serves a forced variant of the same engine, and no other.
  const DecodePlan same = make_plan(nvidia_gpu(), problem, db, kWorklist, std::nullopt);
  EXPECT_EQ(same.launch.tuning, (LaunchTuning{9, 3}));
  const DecodeVariant cpu = parse_variant("cpu schedule=static fusion=none wg=1 tile_kv=16 vec=8 stages=1");
  EXPECT_EQ(make_plan(pocl_cpu(), problem, db, cpu, std::nullopt).launch.tuning, LaunchTuning{});
}

TEST(Planner, ForcedVariantsAreTakenOrRefused) {
  const DecodePlan plan = plan_of(nvidia_gpu(), problem_text(2, 4, 5000), kStatic, LaunchTuning{2, 7});
  EXPECT_EQ(plan.variant, kStatic);
  EXPECT_EQ(plan.launch.tuning, (LaunchTuning{2, 7}));
  EXPECT_EQ(plan.match, MatchLevel::kForced);
  EXPECT_FALSE(plan.match_reason.empty());
  for (const DecodeVariant& variant : fitting_variants(intel_gpu(), parse_problem(problem_text(2, 4, 5000)))) {
    EXPECT_EQ(plan_of(intel_gpu(), problem_text(2, 4, 5000), variant).variant, variant);
  }
}

template <typename Call>
void expect_error(const Call& call, ErrorCode code, const std::vector<std::string>& parts) {
  try {
    call();
    ADD_FAILURE() << "no error, expected " << to_string(code);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const std::string& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Planner, ErrorsByCode) {
  const std::string good = problem_text(2, 4, 5000), bad = problem_text(0, 4, 5000);
  const TuningDb& db = builtin_tuning_db();
  expect_error([&] { make_plan(nvidia_gpu(), parse_problem(bad), db); }, ErrorCode::kInvalidProblem, {"max_batch is 0"});
  expect_error([&] { plan_of(nvidia_gpu(), bad, kStatic); }, ErrorCode::kInvalidProblem, {"max_batch is 0"});
  const DecodeVariant cpu = parse_variant("cpu schedule=static fusion=none wg=1 tile_kv=16 vec=8 stages=1");
  expect_error([&] { plan_of(nvidia_gpu(), good, cpu); }, ErrorCode::kUnsupportedDevice, {to_string(cpu), "needs a CPU"});
  expect_error(
      [&] {
        plan_of(nvidia_gpu(), good, kStatic, LaunchTuning{0, 1});
      },
      ErrorCode::kInvalidProblem, {"workers_per_cu is 0"});
  expect_error(
      [&] {
        plan_of(nvidia_gpu(), good, kStatic, LaunchTuning{1, -3});
      },
      ErrorCode::kInvalidProblem, {"min_tiles is -3"});

  DeviceFacts big_endian = nvidia_gpu();
  big_endian.little_endian = false;
  expect_error([&] { make_plan(big_endian, parse_problem(good), db); }, ErrorCode::kUnsupportedDevice, {"big-endian"});
  expect_error([&] { make_plan(nvidia_gpu(), parse_problem(good), TuningDb{}); }, ErrorCode::kUnsupportedDevice,
               {"no tuning row"});
}

TEST(Planner, UnsupportedReasonSaysWhatMakePlanThrows) {
  const TuningDb& db = builtin_tuning_db();
  const DecodeProblem good = parse_problem(problem_text(2, 4, 5000));
  EXPECT_EQ(unsupported_reason(nvidia_gpu(), good, db), std::nullopt);
  DecodeProblem bad = good;
  bad.head_dim = 65;
  EXPECT_EQ(unsupported_reason(nvidia_gpu(), bad, db), invalid_reason(bad));
  DeviceFacts big_endian = nvidia_gpu();
  big_endian.little_endian = false;
  EXPECT_NE(unsupported_reason(big_endian, good, db).value_or("").find("big-endian"), std::string::npos);
  DeviceFacts scant = nvidia_gpu();
  scant.local_mem_bytes = 1 << 10;
  EXPECT_NE(unsupported_reason(scant, good, db).value_or("").find("local memory, the limit is 1024"), std::string::npos);
}

// The plan's text holds all that make_plan needs to make it again.
TEST(Planner, PlansRoundTripAsText) {
  for (const DeviceFacts& facts : invented_devices()) {
    for (const char* more : {"", " page=16 route=hybrid near=0,0", " keep=4,100 k_strides=128,packed,packed"}) {
      const DecodePlan plan = make_plan(facts, parse_problem(problem_text(3, 4, 5000, more)), builtin_tuning_db());
      const std::string text = to_string(plan);
      const std::size_t first = text.find(" | "), second = text.find(" | ", first + 3);
      ASSERT_NE(second, std::string::npos) << text;
      const DecodePlan read =
          make_plan(facts, parse_problem(text.substr(0, first)), builtin_tuning_db(),
                    parse_variant(text.substr(first + 3, second - first - 3)), parse_launch_tuning(text.substr(second + 3)));
      EXPECT_EQ(read, plan) << text;
    }
  }
}

}  // namespace
}  // namespace clsink
