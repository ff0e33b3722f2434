// SPDX-License-Identifier: Apache-2.0
// Winners as rows of a tuning file: what they say, how they join a file, and that the lookup finds them there.
#include <gtest/gtest.h>

#include <string>

#include "planning/tuning_db.hpp"
#include "planning_devices.hpp"
#include "tuning/rows.hpp"

namespace clsink::tuning {
namespace {

const char* const kDevice = "device \"NVIDIA H100 80GB HBM3\" vendor=nvidia class=gpu";
const char* const kSimt = "simt schedule=static fusion=none wg=64 tile_kv=16 vec=4 stages=1";
const char* const kOther = "simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8 stages=1";

Winner winner(const std::string& problem, const char* best = kSimt, double us = 100, const char* planned = kSimt) {
  return {parse_problem(problem),
          {parse_variant(best), {2, 1}},
          {parse_variant(planned), {2, 1}},
          us,
          1,
          1.25,
          "1.0",
          "0.1.0",
          "2026-01-02"};
}

const char* const kLongProblem = "f16 hq=32 hkv=8 d=128 b=1 kv=32768";

std::string merged_text(const std::string& text, const std::vector<Winner>& winners) {
  return merge_rows("x.tune", text, kDevice, winners).text;
}

std::string only_note(const std::string& text, const Winner& one) {
  return merge_rows("x.tune", text, kDevice, {one}).notes.at(0);
}

TEST(TuningRows, ANewFile) {
  EXPECT_EQ(merged_text("", {winner(kLongProblem)}),
            std::string("# clsink tuning db 1\n\n") + kDevice + "\nf16 d=128 g=4 b=1 kv=32768 route=0 | " + kSimt +
                " | workers_per_cu=2 min_tiles=1 | driver=\"1.0\" version=0.1.0 date=2026-01-02 us=100.0 mad=1.0 gain=1.250\n");
}

TEST(TuningRows, ClassesByNumbersWhateverTheirOrder) {
  const std::string text =
      merged_text("", {winner("f16 hq=32 hkv=8 d=128 b=16 kv=4096"), winner(kLongProblem),
                       winner("f16 hq=32 hkv=8 d=128 b=2 kv=131072 route=mean"), winner("bf16 hq=32 hkv=8 d=64 b=1 kv=1024")});
  std::size_t last = 0;
  for (const char* name : {"bf16 d=64 g=4 b=1 kv=1024 route=0", "f16 d=128 g=4 b=1 kv=32768 route=0",
                           "f16 d=128 g=4 b=2 kv=131072 route=1", "f16 d=128 g=4 b=16 kv=4096 route=0"}) {
    const std::size_t at = text.find(name);
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(at, last) << name;
    last = at;
  }
}

TEST(TuningRows, TheLookupFindsThem) {
  TuningDb db;
  Winner old_driver = winner(kLongProblem, kOther);
  old_driver.driver = "0.9";
  db.add("x.tune", merged_text("", {old_driver, winner("f16 hq=32 hkv=8 d=128 b=1 kv=1024")}));
  const DeviceFacts facts = nvidia_gpu();
  ASSERT_EQ(device_line(facts), kDevice);
  const TuningDb::Match match = db.find(facts, parse_problem("f16 hq=16 hkv=4 d=128 b=1 kv=30000"));
  ASSERT_NE(match.row, nullptr);
  EXPECT_EQ(match.level, MatchLevel::kDevice);
  EXPECT_EQ(to_string(match.row->variant), kOther);
  EXPECT_NE(match.reason.find("measured with driver 0.9, this is " + facts.driver), std::string::npos) << match.reason;
}

TEST(TuningRows, WhatElseIsInTheFileStays) {
  const std::string before = "# clsink tuning db 1\n# by hand\ndevice \"Another\"\n* | " + std::string(kOther) +
                             " | workers_per_cu=2 min_tiles=2 | estimated\n\n",
                    after = "\n# of a third\ndevice \"A third\"\nf16 | " + std::string(kOther) +
                            " | workers_per_cu=1 min_tiles=1\n";
  const std::string own = std::string(kDevice) + "\n# measured at night\n";
  const std::string row = row_text(winner(kLongProblem)) + "\n",
                    second = row_text(winner("f16 hq=8 hkv=8 d=64 b=1 kv=9")) + "\n";
  EXPECT_EQ(merged_text(before + own + row + after, {winner("f16 hq=8 hkv=8 d=64 b=1 kv=9")}),
            before + own + second + row + after);
  EXPECT_EQ(merged_text(before, {winner(kLongProblem)}), before + kDevice + "\n" + row);
}

TEST(TuningRows, OnlyABetterRowReplaces) {
  const std::string text = merged_text("", {winner(kLongProblem, kSimt, 100)});
  const struct {
    Winner winner;
    const char* note;
  } cases[] = {
      {winner(kLongProblem, kSimt, 90), ": kept, measured again, the same variant"},
      {winner(kLongProblem, kOther, 99, kOther), ": kept, 99.0 us are not better than its 100.0 beyond the noise"},
      {winner(kLongProblem, kOther, 90, kOther), ": replaced"},  // 10 % with 1 % of noise each
      {winner(kLongProblem, kOther, 120, kSimt), ": replaced"},  // the row was in the same rounds, and lost
  };
  for (const auto& c : cases) {
    const std::string note = only_note(text, c.winner);
    EXPECT_NE(note.find(c.note), std::string::npos) << note;
    const bool replaced = note.find("replaced") != std::string::npos;
    EXPECT_EQ(merged_text(text, {c.winner}) == text, !replaced) << note;
  }
  Winner new_driver = winner(kLongProblem, kSimt, 130);
  new_driver.driver = "2.0";
  EXPECT_NE(merged_text(text, {new_driver}).find("driver=\"2.0\""), std::string::npos);
}

TEST(TuningRows, NoTuningFile) {
  const auto message = [](const std::string& text) {
    try {
      merged_text(text, {});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("hello\n"), "x.tune:1: the file must begin with '# clsink tuning db 1'");
  EXPECT_EQ(message("# clsink tuning db 1\n" + std::string(kDevice) + "\nf16 | simt\n"),
            "x.tune:3: a row is: problem class | variant | launch [| remarks]");
}

}  // namespace
}  // namespace clsink::tuning
