// SPDX-License-Identifier: Apache-2.0
// Greedy covering arrays: each new row begins with the first combination that is not covered yet and takes, axis by
// axis, the value that covers most.
#include <algorithm>
#include <cstdint>
#include <numeric>

#include "harness/suite.hpp"

namespace clsink::harness {
namespace {

constexpr int kFree = -1;
constexpr int kPair = 2;

// All combinations of values of one choice of axes, and which of them some row has.
struct Combinations {
  std::vector<int> axes;
  std::vector<bool> covered;
  std::size_t first_open = 0;
};

class Coverage {
 public:
  Coverage(const std::vector<Axis>& axes, int strength) : axes_(axes), by_axis_(axes.size()) {
    std::vector<int> chosen;
    choose(0, kPair, chosen);
    if (strength > kPair) choose(0, strength, chosen);
  }

  // The first uncovered combination written into an otherwise free row; false if there is none.
  bool begin_row(std::vector<int>& row) {
    row.assign(axes_.size(), kFree);
    Combinations* best = nullptr;
    for (Combinations& c : all_) {
      while (c.first_open < c.covered.size() && c.covered[c.first_open]) ++c.first_open;
      if (c.first_open == c.covered.size()) continue;
      if (best == nullptr || c.covered.size() > best->covered.size()) best = &c;
    }
    if (best == nullptr) return false;
    std::size_t code = best->first_open;
    for (int axis : best->axes) {
      row[axis] = static_cast<int>(code % axes_[axis].values.size());
      code /= axes_[axis].values.size();
    }
    return true;
  }

  // How many new combinations a row gains with this axis' value, counting only axes that are set.
  int gain(const std::vector<int>& row, int axis) const {
    int count = 0;
    for (int index : by_axis_[axis]) {
      const std::int64_t code = encode(all_[index], row);
      if (code >= 0 && !all_[index].covered[static_cast<std::size_t>(code)]) ++count;
    }
    return count;
  }

  void cover(const std::vector<int>& row) {
    for (Combinations& c : all_) c.covered[static_cast<std::size_t>(encode(c, row))] = true;
  }

 private:
  void choose(int from, int strength, std::vector<int>& chosen) {
    if (static_cast<int>(chosen.size()) == strength) {
      std::size_t size = 1;
      for (int axis : chosen) {
        size *= axes_[axis].values.size();
        by_axis_[axis].push_back(static_cast<int>(all_.size()));
      }
      all_.push_back({chosen, std::vector<bool>(size), 0});
      return;
    }
    for (int axis = from; axis < static_cast<int>(axes_.size()); ++axis) {
      if (strength > kPair && axes_[axis].paired) continue;
      chosen.push_back(axis);
      choose(axis + 1, strength, chosen);
      chosen.pop_back();
    }
  }

  std::int64_t encode(const Combinations& c, const std::vector<int>& row) const {
    std::int64_t code = 0;
    for (std::size_t i = c.axes.size(); i-- > 0;) {
      const int value = row[c.axes[i]];
      if (value == kFree) return -1;
      code = code * static_cast<std::int64_t>(axes_[c.axes[i]].values.size()) + value;
    }
    return code;
  }

  const std::vector<Axis>& axes_;
  std::vector<Combinations> all_;
  std::vector<std::vector<int>> by_axis_;
};

}  // namespace

std::vector<std::vector<int>> covering_array(const std::vector<Axis>& axes, int strength) {
  Coverage coverage(axes, strength);
  std::vector<int> order(axes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return axes[a].values.size() > axes[b].values.size(); });
  std::vector<std::vector<int>> rows;
  for (std::vector<int> row; coverage.begin_row(row);) {
    for (int axis : order) {
      if (row[axis] != kFree) continue;
      const int count = static_cast<int>(axes[axis].values.size());
      int best = kFree, best_gain = -1;
      for (int i = 0; i < count; ++i) {
        row[axis] = (i + static_cast<int>(rows.size())) % count;  // ties go round, so that values stay balanced
        const int gain = coverage.gain(row, axis);
        if (gain > best_gain) best = row[axis], best_gain = gain;
      }
      row[axis] = best;
    }
    coverage.cover(row);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace clsink::harness
