// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/version.hpp>
#include <cstdio>

#include "harness/launch_timing.hpp"
#include "harness/timing.hpp"
#include "harness/traffic.hpp"

namespace clsink::cli {
namespace {

constexpr double kMb = 1e-6;

double rate(double amount, double us) { return us > 0 ? amount / us : 0; }

std::string stages_text(const BenchRow& row) {
  std::string text;
  for (const auto& [stage, us] : row.stage_us) text += fmt::format("{}{} {:.1f}", text.empty() ? "" : ", ", stage, us);
  return text;
}

}  // namespace

double BenchRow::gb_per_s() const { return 1e-3 * rate(static_cast<double>(bytes), judged_us().median); }
double BenchRow::read_gb_per_s() const { return 1e-3 * rate(static_cast<double>(bytes), judged_read_us().median); }

void print_bench_header(const DeviceFacts& device, std::int64_t wanted_sweep_bytes) {
  fmt::print("device: {} / {}, driver {}, {} compute units\n", device.platform, device.name, device.driver,
             device.compute_units);
  if (device.is_cpu) {
    fmt::print("clock:  {} ({} {} the step's work)\n", harness::judged_by_cpu_time(device) ? "processor time" : "wall",
               device.compute_units, device.compute_units == 1 ? "thread does" : "threads share");
  } else {
    fmt::print("clock:  wall of a run of launches, divided by their number\n");
  }
  fmt::print("bytes:  {}\n", harness::kTrafficFormula);
  fmt::print("read:   a kernel that only loads the same number of bytes from the same buffers, in the same rounds\n");
  fmt::print(
      "sweep:  equal copies of K and V take turns; as many as it takes to read {:.0f} MB in one turn of all, if they fit\n",
      kMb * static_cast<double>(wanted_sweep_bytes));
  fmt::print("host:   wall time of the enqueue alone, on an idle queue\n");
  fmt::print("ratios: medians over the rounds; speedup: over nothing routed; equal: GB/s over that of equal sequences\n");
}

void print_bench_rows(const std::vector<BenchRow>& rows, std::int64_t wanted_sweep_bytes) {
  if (rows.empty()) return;
  std::size_t width = 7;
  bool ragged = false;
  double sweep_bytes = rows.front().sweep_bytes();
  for (const BenchRow& row : rows) {
    width = std::max(width, row.variant.size());
    ragged = ragged || row.percent_of_equal > 0;
    sweep_bytes = std::min(sweep_bytes, row.sweep_bytes());
  }
  const auto if_ragged = [ragged](const std::string& text) { return ragged ? fmt::format("  {:>7}", text) : ""; };
  fmt::print("{} rounds, {} copies, sweeps of {:.0f} MB or more{}\n", rows.front().wall_us.count, rows.front().copies,
             kMb * sweep_bytes,
             sweep_bytes < static_cast<double>(wanted_sweep_bytes) ? " (too few: may be cached in part)" : "");
  fmt::print("  {:>6}{}  {:<{}}  {:>10} {:>10} {:>10} {:>5} {:>7}  {:>7} {:>6}  {:>7}{}  {:>8}  {}\n", "routed",
             if_ragged("lengths"), "variant", width, "median us", "p10", "p90", "MAD %", "host us", "GB/s", "% read", "speedup",
             if_ragged("% equal"), "error", "kernels, us");
  for (const BenchRow& row : rows) {
    const harness::Summary& time = row.judged_us();
    fmt::print(
        "  {:>6.3g}{}  {:<{}}  {:>10.1f} {:>10.1f} {:>10.1f} {:>5.1f} {:>7}  {:>7.1f} {:>6.1f}  {:>7}{}  {:>8.1e}  {}{}\n",
        row.routed, if_ragged(row.lengths), row.variant, width, time.median, time.p10, time.p90, time.mad_percent,
        row.enqueue_us > 0 ? fmt::format("{:.1f}", row.enqueue_us) : "", row.gb_per_s(), row.percent_of_read,
        row.speedup > 0 ? fmt::format("x{:.2f}", row.speedup) : "",
        if_ragged(row.percent_of_equal > 0 ? fmt::format("{:.1f}", row.percent_of_equal) : ""), row.error, stages_text(row),
        row.correct() ? "" : "  WRONG");
  }
  std::fflush(stdout);
}

nlohmann::json to_json(const std::vector<BenchRow>& rows, const DeviceFacts& device) {
  nlohmann::json result = nlohmann::json::array();
  const std::string date = harness::utc_date();
  for (const BenchRow& row : rows) {
    nlohmann::json stages = nlohmann::json::object();
    for (const auto& [stage, us] : row.stage_us) stages[stage] = us;
    result.push_back({{"problem", row.problem},
                      {"variant", row.variant},
                      {"routed", row.routed},
                      {"lengths", row.lengths},
                      {"pattern", row.pattern},
                      {"kv_tokens", row.kv_tokens},
                      {"median_us", row.wall_us.median},
                      {"p10_us", row.wall_us.p10},
                      {"p90_us", row.wall_us.p90},
                      {"mad_percent", row.wall_us.mad_percent},
                      {"cpu_us", row.cpu_us.median},
                      {"enqueue_us", row.enqueue_us},
                      {"rounds", row.wall_us.count},
                      {"stage_us", stages},
                      {"bytes", row.bytes},
                      {"copies", row.copies},
                      {"sweep_bytes", row.sweep_bytes()},
                      {"clock", row.judge_by_cpu_time ? "cpu" : "wall"},
                      {"gb_per_s", row.gb_per_s()},
                      {"read_us", row.read_wall_us.median},
                      {"read_cpu_us", row.read_cpu_us.median},
                      {"read_gb_per_s", row.read_gb_per_s()},
                      {"percent_of_read", row.percent_of_read},
                      {"speedup", row.speedup},
                      {"percent_of_equal", row.percent_of_equal},
                      {"error", row.error},
                      {"correct", row.correct()},
                      {"device", device.name},
                      {"platform", device.platform},
                      {"driver", device.driver},
                      {"compute_units", device.compute_units},
                      {"date", date},
                      {"version", clsink::version()}});
  }
  return result;
}

}  // namespace clsink::cli
