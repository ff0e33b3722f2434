// SPDX-License-Identifier: Apache-2.0
// The journal of a sweep: what is appended is read back, what a process left half done is known, and T4's document of it.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "planning_devices.hpp"
#include "tuning/journal.hpp"
#include "tuning/t4.hpp"

namespace clsink::tuning {
namespace {

const char* const kCell = "f16 hq=32 hkv=8 d=128 b=1 kv=32768";

Candidate candidate(std::int32_t wg) {
  DecodeVariant variant;
  variant.wg = wg;
  return {variant, {2, 1}};
}

CellResult result_of(const Candidate& best) {
  CellResult result;
  result.problem = parse_problem(kCell);
  result.best.candidate = result.planned.candidate = result.untuned.candidate = best;
  result.best.us.median = 12.5;
  result.complete = true;
  return result;
}

class TuningJournal : public testing::Test {
 protected:
  TuningJournal() { std::filesystem::remove(path_); }
  ~TuningJournal() override { std::filesystem::remove(path_); }

  Journal open(const DeviceFacts& device = nvidia_gpu()) const {
    Journal journal(path_, device);
    journal.run(device, "device \"X\"", "test");
    return journal;
  }
  std::string text() const {
    std::ostringstream all;
    all << std::ifstream(path_).rdbuf();
    return all.str();
  }
  void append(const std::string& more) const { std::ofstream(path_, std::ios::app) << more; }

  std::string path_ = testing::TempDir() + "clsink_journal_" + testing::UnitTest::GetInstance()->current_test_info()->name();
};

std::string refusal(const std::string& text) {
  try {
    parse_journal("j", text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const char* const kRun =
    R"({"kind":"run","format":1,"device":"D","device_line":"L","platform":"P","driver":"1","version":"0"})";

TEST(TuningJournalText, BadLinesAreNamed) {
  const std::string run = std::string(kRun) + "\n";
  EXPECT_EQ(refusal(run), "");
  EXPECT_EQ(refusal("[]\n"), "j:1: not a JSON object");
  EXPECT_EQ(refusal(run + "{\n"), "j:2: not a JSON object");
  EXPECT_EQ(refusal(run + "{\"kind\":7}\n"), "j:2: no known \"kind\"");
  EXPECT_EQ(refusal("{\"kind\":\"cell\",\"cell\":\"x\"}\n"), "j:1: a journal begins with a line of kind run");
  EXPECT_EQ(refusal(run + "{\"kind\":\"cell\"}\n"), "j:2: \"cell\" is missing");
  EXPECT_EQ(refusal(run + "{\"kind\":\"ran\",\"cell\":\"x\"}\n"), "j:2: \"variant\" is missing");
  EXPECT_EQ(refusal("{\"kind\":\"run\",\"format\":1}\n"), "j:1: \"device\" is missing");
  EXPECT_EQ(refusal(R"({"kind":"run","format":2,"device":"D","device_line":"L","platform":"P","driver":"1","version":"0"})"
                    "\n"),
            "j:1: \"format\" is not 1");
}

TEST_F(TuningJournal, RemembersWhatWasDone) {
  {
    Journal journal = open();
    EXPECT_FALSE(journal.finished(kCell));
    journal.begin(kCell, candidate(64));
    journal.rejected(kCell, candidate(64), Rejection::kWrong, "by far");
    journal.begin(kCell, candidate(128));
    journal.ran(kCell, candidate(128), {0.5, 0.1, 1e-4, 12});
    journal.rejected(kCell, candidate(128), Rejection::kSlow, "others are faster");
    journal.cell(result_of(candidate(256)));
    EXPECT_TRUE(journal.finished(kCell));
  }
  const Journal again = open();
  EXPECT_EQ(again.before().remark, "");
  ASSERT_TRUE(again.finished(kCell));
  EXPECT_EQ(again.finished(kCell)->at("best").at("median_us"), 12.5);
  EXPECT_TRUE(again.known_bad(kCell, candidate(64)));
  EXPECT_FALSE(again.known_bad(kCell, candidate(128)));  // slow beside others: may be the machine
  EXPECT_FALSE(again.known_bad("another cell", candidate(64)));
}

TEST_F(TuningJournal, ALineThatWasCutShortGoes) {
  open();
  const std::string whole = text();
  append("{\"kind\":\"sam");
  const Journal journal(path_, nvidia_gpu());
  EXPECT_NE(journal.before().remark.find(":2: the last line was cut short"), std::string::npos) << journal.before().remark;
  EXPECT_EQ(text(), whole);
}

TEST_F(TuningJournal, WhoeverOutlivesACandidateThrowsItOut) {
  {
    Journal journal = open();
    EXPECT_FALSE(reject_last_begin(path_, Rejection::kCrash, "died"));
    journal.begin(kCell, candidate(64));
  }
  append("{\"kin");  // it died while it wrote
  EXPECT_TRUE(reject_last_begin(path_, Rejection::kTimeout, "too long"));
  EXPECT_FALSE(reject_last_begin(path_, Rejection::kTimeout, "too long"));
  const Journal journal(path_, nvidia_gpu());
  EXPECT_TRUE(journal.known_bad(kCell, candidate(64)));
}

TEST_F(TuningJournal, OfAnotherDriverIsRefused) {
  open();
  DeviceFacts other = nvidia_gpu();
  other.driver = "another";
  const std::string before = text();
  try {
    Journal journal(path_, other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("made with driver '" + nvidia_gpu().driver + "', this is 'another'"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(text(), before);
}

TEST_F(TuningJournal, AsT4) {
  Journal journal = open();
  journal.begin(kCell, candidate(64));
  journal.ran(kCell, candidate(64), {0.5, 0.25, 1e-4, 12});
  journal.sample(kCell, candidate(64), 0, 16);
  journal.rejected(kCell, candidate(128), Rejection::kBuild, "no");
  const nlohmann::json document = t4_document(read_journal(path_));
  EXPECT_EQ(document.at("schema_version"), "1.0.0");
  ASSERT_EQ(document.at("results").size(), 2U);
  const nlohmann::json& good = document.at("results")[0];
  EXPECT_EQ(good.at("configuration").at("wg"), 64);
  EXPECT_EQ(good.at("configuration").at("engine"), "simt");
  EXPECT_EQ(good.at("configuration").at("kv"), 32768);
  EXPECT_EQ(good.at("configuration").at("workers_per_cu"), 2);
  EXPECT_EQ(good.at("times").at("compilation_time"), 500);
  EXPECT_EQ(good.at("times").at("validation"), 250);
  EXPECT_EQ(good.at("times").at("runtimes"), nlohmann::json({0.012, 0.016}));
  EXPECT_EQ(good.at("invalidity"), "correct");
  EXPECT_EQ(good.at("correctness"), 1);
  EXPECT_EQ(document.at("results")[1].at("invalidity"), "compile");
  EXPECT_EQ(document.at("results")[1].at("correctness"), 0);
}

}  // namespace
}  // namespace clsink::tuning
