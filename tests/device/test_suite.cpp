// SPDX-License-Identifier: Apache-2.0
// A suite against the reference: the grid, or the one in tests/suites that CLSINK_SUITE names, with all engines or the one
// that CLSINK_ENGINE names. Each row of a covering array runs with one variant, chosen so that in the fast tier (pairwise rows)
// every engine, every schedule and every fusion meets every value of every axis, and all three together and every value of the
// variants' fields occur; with CLSINK_FULL=1 (3-wise rows) an engine's every schedule and fusion meets every value, and where
// it builds fast every value of a field too. simt kernels take seconds to build on CPU devices, so the cpu engine is taken
// where both would do.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "environment.hpp"
#include "harness/suite.hpp"

namespace clsink::harness {
namespace {

struct SuiteRun {
  std::size_t row;
  Case c;
};

void PrintTo(const SuiteRun& run, std::ostream* stream) { *stream << to_string(run.c); }

// What one run shows: pairs of something about its variant and the value of an axis, numbered.
class Meetings {
 public:
  std::vector<int> of(const DecodeVariant& variant, const std::vector<int>& row) {
    const VariantWords words = words_of(variant);
    std::vector<int> numbers = {number_of(words.engine + " " + words.schedule + " " + words.fusion)};
    for (const std::string& field : words.fields) {
      numbers.push_back(number_of(words.engine + " " + field));
      if (full_tier()) numbers.push_back(number_of(words.engine + " " + words.fusion + " " + field));
    }
    std::vector<std::string> kinds = {words.engine, words.schedule, words.fusion};
    if (full_tier()) {
      kinds = {words.schedule, words.fusion};
      if (builds_fast(variant)) kinds.insert(kinds.end(), words.fields.begin(), words.fields.end());
      for (std::string& kind : kinds) kind.insert(0, words.engine + " ");
    }
    for (const std::string& kind : kinds) {
      for (std::size_t axis = 0; axis < row.size(); ++axis) {
        numbers.push_back(number_of(kind + " " + std::to_string(axis) + " " + std::to_string(row[axis])));
      }
    }
    return numbers;
  }

 private:
  int number_of(const std::string& text) { return numbers_.emplace(text, static_cast<int>(numbers_.size())).first->second; }

  std::map<std::string, int> numbers_;
};

// One run for every row, then more until every possible meeting has happened.
class Sampler {
 public:
  Sampler(const std::vector<std::vector<int>>& rows, const std::vector<Case>& cases) {
    const char* only = std::getenv("CLSINK_ENGINE");
    Meetings meetings;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      begin_.push_back(candidates_.size());
      for (const Case& c : with_every_variant(cases[row])) {
        if (only != nullptr && words_of(*c.variant).engine != only) continue;
        candidates_.push_back({{row, c}, to_string(*c.variant), meetings.of(*c.variant, rows[row])});
        open_.insert(candidates_.back().meetings.begin(), candidates_.back().meetings.end());
      }
    }
    begin_.push_back(candidates_.size());
  }

  std::vector<SuiteRun> sample() {
    std::vector<SuiteRun> runs;
    for (std::size_t row = 0; row + 1 < begin_.size(); ++row) take_best(begin_[row], begin_[row + 1], runs);
    while (!open_.empty()) take_best(0, candidates_.size(), runs);
    return runs;
  }

 private:
  struct Candidate {
    SuiteRun run;
    std::string variant;
    std::vector<int> meetings;
  };

  // Most meetings first, then what builds fast, then what ran least.
  void take_best(std::size_t begin, std::size_t end, std::vector<SuiteRun>& runs) {
    const Candidate* best = nullptr;
    auto best_rank = std::make_tuple(std::ptrdiff_t{0}, false, 0);
    for (std::size_t i = begin; i < end; ++i) {
      const Candidate& one = candidates_[i];
      const auto gain = std::count_if(one.meetings.begin(), one.meetings.end(), [this](int m) { return open_.count(m) != 0; });
      const auto used = runs_of_.find(one.variant);
      const auto rank =
          std::make_tuple(-gain, one.run.c.variant->engine != Engine::kCpu, used == runs_of_.end() ? 0 : used->second);
      if (best == nullptr || rank < best_rank) best = &one, best_rank = rank;
    }
    if (best == nullptr) return;  // no variant fits
    for (int meeting : best->meetings) open_.erase(meeting);
    ++runs_of_[best->variant];
    runs.push_back(best->run);
  }

  std::vector<Candidate> candidates_;
  std::vector<std::size_t> begin_;  // first candidate of every row
  std::set<int> open_;
  std::map<std::string, int> runs_of_;
};

std::string suite_path() {
  const char* name = std::getenv("CLSINK_SUITE");
  return std::string(CLSINK_SOURCE_DIR "/tests/suites/") + (name != nullptr ? name : "grid") + ".txt";
}

struct Grid {
  int strength = full_tier() ? 3 : 2;
  std::vector<Axis> axes = read_suite(suite_path());
  std::vector<Case> cases = suite_cases(axes, strength);
};

std::vector<SuiteRun> suite_runs() {
  const Grid grid;
  return Sampler(covering_array(grid.axes, grid.strength), grid.cases).sample();
}

class Suite : public testing::TestWithParam<SuiteRun> {};

TEST_P(Suite, AgreesWithTheReference) { EXPECT_TRUE(passes(GetParam().c)); }

INSTANTIATE_TEST_SUITE_P(Grid, Suite, testing::ValuesIn(suite_runs()));

// The suite is worth nothing if rows stay without any variant.
TEST(SuiteRuns, EveryRowHasARun) {
  std::set<std::size_t> rows;
  for (const SuiteRun& run : suite_runs()) rows.insert(run.row);
  EXPECT_EQ(rows.size(), Grid().cases.size());
}

}  // namespace
}  // namespace clsink::harness
