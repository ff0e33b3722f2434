// SPDX-License-Identifier: Apache-2.0
// Tuning rows: text files of one line a row, looked up from the exact device down to the generic rows.
//   # clsink tuning db 1
//   device "NAME" vendor=nvidia class=gpu driver="..." date=2026-11-22     rows below hold for this device
//   f16 d=128 g<=4 b=1 kv=32768 route=0 | VARIANT | LAUNCH                 one row
// A device line with name "*" holds for its vendor, with vendor "*" or none for its class. In a row, d and g are exact
// (=) or an upper bound (<=), so is route (0 or 1); b and kv say where it was measured (=, the nearest wins) or bound it
// (<=). What is left out, or *, is anything. Behind a third | a row may have remarks: what was measured when and with which
// driver (driver="..." version=0.1.0 date=2026-11-22 us=131.2 mad=0.4 gain=1.12), or "estimated", if nothing was.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <clsink/device.hpp>
#include <clsink/plan.hpp>

namespace clsink {

struct TuningDevice {
  std::string name = "*";
  std::string vendor = "*";
  std::string device_class = "*";
  std::string driver;
};

/// A number that a row asks for: exact, at most, or anything.
struct TuningBound {
  enum class Kind : std::uint8_t { kAny, kExact, kAtMost } kind = Kind::kAny;
  std::int32_t value = 0;
  bool admits(std::int32_t x) const { return kind == Kind::kAny || (kind == Kind::kExact ? x == value : x <= value); }
};

struct TuningRow {
  TuningDevice device;
  std::optional<DType> kv_dtype;
  TuningBound head_dim, group_size, batch, kv_len, routed;
  DecodeVariant variant;
  LaunchTuning tuning;
  bool estimated = false;  ///< nobody has timed it
  std::string source;      ///< "file:line"
  int layer = 0;           ///< 0: built in; the rows of a higher one go first
};

/// A variant that the device was asked to build and did not.
struct DroppedVariant {
  DecodeVariant variant;
  std::string reason;
};

class TuningDb {
 public:
  /// Adds the rows of one file; all or none. Throws Error(kInvalidProblem) with file and line of the first bad one.
  void add(std::string_view file_name, std::string_view text, int layer = 0);

  struct Match {
    const TuningRow* row = nullptr;  ///< null: no row fits
    MatchLevel level = MatchLevel::kGeneric;
    std::string reason;  ///< a sentence: the row, its level, better rows that did not fit, driver differences
  };
  /// Which rows count: all, or what a device gets that nobody has tuned, built-in rows for its vendor or for any.
  enum class Rows : std::uint8_t { kAll, kUntuned };
  /// The best row for the problem that fits the device (see misfit_reason) and was not dropped.
  Match find(const DeviceFacts& facts, const DecodeProblem& problem, const std::vector<DroppedVariant>& dropped = {},
             Rows rows = Rows::kAll) const;

  std::size_t size() const { return rows_.size(); }

 private:
  std::vector<TuningRow> rows_;
};

/// The line over rows that hold for this device alone.
std::string device_line(const DeviceFacts& facts);

/// The rows that are built into the library: of every file of tuning/db.
const TuningDb& builtin_tuning_db();

}  // namespace clsink
