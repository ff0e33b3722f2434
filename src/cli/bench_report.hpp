// SPDX-License-Identifier: Apache-2.0
// Rows of the bench as a table for people and as JSON for programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <clsink/device.hpp>
#include <nlohmann/json.hpp>

#include "harness/timing.hpp"

namespace clsink::cli {

struct BenchRow {
  std::string problem;
  std::string variant;
  double routed = 0;    ///< share of the groups whose queries ask to be routed
  std::string lengths;  ///< as of the load
  std::string pattern;
  std::int64_t kv_tokens = 0;  ///< of all sequences, attended to or not
  std::int64_t bytes = 0;
  std::size_t copies = 0;  ///< of the caches, in turn
  harness::Summary wall_us;
  harness::Summary cpu_us;
  double enqueue_us = 0;          ///< wall time of the enqueue alone, median; 0 if it was not measured
  harness::Summary read_wall_us;  ///< the read kernel, same bytes, same rounds
  harness::Summary read_cpu_us;
  std::vector<std::pair<std::string, double>> stage_us;  ///< medians of the kernels' events
  double error = 0;  ///< ||out - reference|| / ||reference|| over the groups that were checked
  double tolerance = 0;
  double percent_of_read = 0;   ///< median over the rounds, as is the next
  double speedup = 0;           ///< over the first row with the same lengths and nothing routed; 0 if there is none
  double percent_of_equal = 0;  ///< GB/s of the equal load's; 0 if the row has no such counterpart
  bool judge_by_cpu_time = false;

  bool correct() const { return error <= tolerance; }
  /// The times that count on this device.
  const harness::Summary& judged_us() const { return judge_by_cpu_time ? cpu_us : wall_us; }
  const harness::Summary& judged_read_us() const { return judge_by_cpu_time ? read_cpu_us : read_wall_us; }
  double sweep_bytes() const { return static_cast<double>(copies) * static_cast<double>(bytes); }
  double gb_per_s() const;
  double read_gb_per_s() const;
};

/// Device, clock and formula: what a reader of the table must know.
void print_bench_header(const DeviceFacts& device, std::int64_t wanted_sweep_bytes);
/// The rows of one problem.
void print_bench_rows(const std::vector<BenchRow>& rows, std::int64_t wanted_sweep_bytes);

nlohmann::json to_json(const std::vector<BenchRow>& rows, const DeviceFacts& device);

}  // namespace clsink::cli
