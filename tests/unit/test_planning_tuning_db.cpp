// SPDX-License-Identifier: Apache-2.0
// Files of tuning rows: what lines mean, what is refused with file and line, and that a bad file adds nothing.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <clsink/error.hpp>

#include "planning/tuning_db.hpp"
#include "planning_devices.hpp"
#include "tuning_texts.hpp"

namespace clsink {
namespace {

const std::string kHeader = "# clsink tuning db 1\n";
const std::string kRow = "* | simt schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1 | workers_per_cu=3 min_tiles=5";

DecodeProblem problem_of(const std::string& text) { return parse_problem(text); }

const TuningRow* row_of(const TuningDb& db, const DeviceFacts& facts, const std::string& problem) {
  return db.find(facts, problem_of(problem)).row;
}

TEST(TuningDb, RowMeansWhatItSays) {
  const TuningDb db = db_of(
      "device \"*\"\nbf16 d<=128 g=4 b=1 kv=32768 route=0 | cpu schedule=worklist fusion=none wg=1 tile_kv=32 vec=8 stages=1 | "
      "min_tiles=2 workers_per_cu=7 | driver=\"5 .1\" version=0.1.0 date=2026-01-02 us=41.2 mad=0.3 gain=1.1\n");
  ASSERT_EQ(db.size(), 1U);
  const TuningRow* row = row_of(db, pocl_cpu(), "bf16 hq=8 hkv=2 d=64 b=1 kv=32768");
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->kv_dtype, DType::kBF16);
  EXPECT_EQ(row->head_dim.kind, TuningBound::Kind::kAtMost);
  EXPECT_EQ(row->head_dim.value, 128);
  EXPECT_EQ(row->group_size.kind, TuningBound::Kind::kExact);
  EXPECT_EQ(row->group_size.value, 4);
  EXPECT_EQ(row->batch.value, 1);
  EXPECT_EQ(row->kv_len.value, 32768);
  EXPECT_EQ(row->routed.value, 0);
  EXPECT_EQ(row->variant, (DecodeVariant{Engine::kCpu, Schedule::kWorklist, Fusion::kNone, 1, 32, 8, 1}));
  EXPECT_EQ(row->tuning, (LaunchTuning{7, 2}));
  EXPECT_EQ(row->source, "x.tune:3");
  EXPECT_EQ(row->device.driver, "5 .1");
  EXPECT_FALSE(row->estimated);
}

TEST(TuningDb, ClassFieldsAdmit) {
  const struct {
    const char* row_class;
    const char* problem;
    bool admitted;
  } cases[] = {
      {"*", kProblem, true},
      {"", kProblem, true},
      {"* d=* g=* b=* kv=* route=*", kProblem, true},
      {"f16", kProblem, true},
      {"bf16", kProblem, false},
      {"f32", "f16/f32/f16 hq=8 hkv=2 d=64 b=4 kv=1000", true},  // the caches' type counts
      {"f16", "f16/f32/f16 hq=8 hkv=2 d=64 b=4 kv=1000", false},
      {"* d=64", kProblem, true},
      {"* d=72", kProblem, false},
      {"* d<=64", kProblem, true},
      {"* d<=56", kProblem, false},
      {"* g=4", kProblem, true},
      {"* g=8", kProblem, false},
      {"* g<=4", kProblem, true},
      {"* g<=3", kProblem, false},
      {"* b=64", kProblem, true},  // measured elsewhere: only nearness
      {"* b<=4", kProblem, true},
      {"* b<=3", kProblem, false},
      {"* kv=9", kProblem, true},
      {"* kv<=1000", kProblem, true},
      {"* kv<=999", kProblem, false},
      {"* route=0", kProblem, true},
      {"* route=1", kProblem, false},
      {"* route=1", "f16 hq=8 hkv=2 d=64 b=4 kv=1000 route=mask", true},
      {"* route=0", "f16 hq=8 hkv=2 d=64 b=4 kv=1000 route=mean", false},
  };
  for (const auto& c : cases) {
    const TuningDb db = db_of("device \"*\"\n" + std::string(c.row_class) + kRow.substr(1));
    EXPECT_EQ(row_of(db, nvidia_gpu(), c.problem) != nullptr, c.admitted) << c.row_class << " for " << c.problem;
  }
}

TEST(TuningDb, CommentsBlanksAndQuotes) {
  const TuningDb db = db_of(
      "\n  # a remark | with = signs\n\t\r\n  device   \"A  GPU = 3\"  vendor=nvidia class=\"gpu\" driver=\"5 5\" "
      "date=2026-11-22 clsink=abc \r\n   " +
      kRow + "   \r\n\n# the end");
  ASSERT_EQ(db.size(), 1U);
  DeviceFacts facts = nvidia_gpu();
  EXPECT_EQ(row_of(db, facts, kProblem), nullptr);
  facts.name = "A  GPU = 3";
  const TuningRow* row = row_of(db, facts, kProblem);
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->device.name, facts.name);
  EXPECT_EQ(row->device.vendor, "nvidia");
  EXPECT_EQ(row->device.device_class, "gpu");
  EXPECT_EQ(row->device.driver, "5 5");
  EXPECT_EQ(row->source, "x.tune:6");
  EXPECT_EQ(db_of("# nothing but remarks\n").size(), 0U);
}

TEST(TuningDb, ADeviceLineHoldsUntilTheNext) {
  const TuningDb db = db_of("device \"A\"\n" + kRow + "\n" + kRow + "\ndevice \"B\"\n" + kRow + "\n");
  EXPECT_EQ(db.size(), 3U);
  DeviceFacts facts = nvidia_gpu();
  for (const auto& [name, source] : {std::pair{"A", "x.tune:3"}, std::pair{"B", "x.tune:6"}}) {
    facts.name = name;
    const TuningRow* row = row_of(db, facts, kProblem);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(row->source, source);
  }
}

struct BadLine {
  std::string line;
  std::vector<std::string> parts;
};

void expect_rows_refused(const std::string& text, const std::string& where, const std::vector<std::string>& parts) {
  SCOPED_TRACE(text);
  TuningDb db;
  db.add("good.tune", kHeader + "device \"*\"\n" + kRow);
  try {
    db.add("some/bad.tune", text);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidProblem);
    EXPECT_EQ(std::string(error.what()).find("some/bad.tune:" + where + ": "), 0U) << error.what();
    for (const std::string& part : parts) EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
  EXPECT_EQ(db.size(), 1U) << "all rows of a file or none";
}

TEST(TuningDb, TheFirstLineSaysWhatItIs) {
  expect_rows_refused("", "1", {"must begin with", "clsink tuning db 1"});
  expect_rows_refused("\n" + kHeader + "device \"*\"\n" + kRow, "1", {"must begin with"});
  expect_rows_refused("# clsink tuning db 2\ndevice \"*\"\n" + kRow, "1", {"must begin with"});
}

TEST(TuningDb, BadDeviceLinesAreNamed) {
  const BadLine lines[] = {
      {"device \"\"", {"no name"}},
      {"device \"A", {"quote"}},
      {"device \"A\" vendor=\"nvidia", {"quote"}},
      {"device \"A\" family=sm90", {"unknown device field", "'family'"}},
      {"device \"A\" gpu", {"'gpu'", "key=value"}},
      {"device \"A\" class=tpu", {"class", "'tpu'", "cpu, gpu"}},
  };
  for (const BadLine& bad : lines) expect_rows_refused(kHeader + "device \"*\"\n" + kRow + "\n" + bad.line, "4", bad.parts);
}

TEST(TuningDb, BadRowsAreNamed) {
  const std::string variant = "simt schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1",
                    launch = "workers_per_cu=3 min_tiles=5";
  const std::string rest = " | " + variant + " | " + launch;
  const BadLine lines[] = {
      {"gibberish", {"variant | launch"}},
      {"* | " + variant, {"variant | launch"}},
      {"f64" + rest, {"'f64'"}},
      {"d=64" + rest, {"'d=64'"}},
      {"* d" + rest, {"d needs = or <="}},
      {"* d<64" + rest, {"d needs = or <=", "'<64'"}},
      {"* d=" + rest, {"d is ''"}},
      {"* g<=x" + rest, {"g is 'x'"}},
      {"* b=1.5" + rest, {"b is '1.5'"}},
      {"* kv=32k" + rest, {"kv is '32k'"}},
      {"* kv=4294967296" + rest, {"kv is 4294967296", "32 bits"}},
      {"* route=mean" + rest, {"route is 'mean'"}},
      {"* heads=8" + rest, {"unknown class field", "'heads=8'"}},
      {"* d=64 d<=128" + rest, {"'d'", "twice"}},
      {"* | simt schedule=static fusion=none wg=64 tile_kv=16 | " + launch, {"lacks", "'vec'"}},
      {"* | tpu schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1 | " + launch, {"engine", "'tpu'"}},
      {"* | " + variant + " | workers_per_cu=3", {"lacks", "'min_tiles'"}},
      {"* | " + variant + " | workers_per_cu=0 min_tiles=5", {"workers_per_cu is 0"}},
      {"* | " + variant + " | ", {"lacks", "'workers_per_cu'"}},
  };
  for (const BadLine& bad : lines) {
    expect_rows_refused(kHeader + "device \"*\"\n" + kRow + "\n\n" + bad.line + "\n" + kRow, "5", bad.parts);
  }
  expect_rows_refused(kHeader + kRow + "\ndevice \"*\"\n" + kRow, "2", {"before the first device line"});
}

TEST(TuningDb, FilesAddUp) {
  TuningDb db;
  db.add("a.tune", kHeader + "device \"*\"\n" + kRow);
  db.add("b.tune", kHeader + "device \"*\" class=cpu\n" + kRow + "\n" + kRow);
  EXPECT_EQ(db.size(), 3U);
  EXPECT_EQ(row_of(db, nvidia_gpu(), kProblem)->source, "a.tune:3");
}

}  // namespace
}  // namespace clsink
