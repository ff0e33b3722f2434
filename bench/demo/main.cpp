// SPDX-License-Identifier: Apache-2.0
// clsink_demo: the library on recorded attention. Computes and checks; bench/demo/plot.py draws.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <clsink/error.hpp>
#include <cstdio>
#include <exception>
#include <fstream>

#include "harness/opencl_device.hpp"
#include "report.hpp"

namespace {

using namespace clsink;
using namespace clsink::demo;

constexpr int kCurveLayer = 25;  // timed at every length, and against the baseline

struct Arguments {
  std::string trace = CLSINK_TRACE, json_path;
  double seconds = 2;
  std::int32_t longest = 32768;
};

void progress(const std::string& text) {
  fmt::print("  ... {}\n", text);
  std::fflush(stdout);
}

std::vector<TimeRow> all_times(const Arguments& arguments, const harness::OpenClDevice& device, Context& context,
                               const harness::Trace& trace, const std::vector<LayerFigures>& figures) {
  std::vector<TimeRow> rows;
  for (std::size_t i = 0; i < trace.layers.size(); ++i) {
    const harness::TraceLayer& layer = trace.layers[i];
    for (std::int32_t kv_len = layer.tokens; kv_len <= arguments.longest; kv_len *= 2) {
      const bool at_end = kv_len == layer.tokens || kv_len > arguments.longest / 2;
      if (!at_end && layer.number != kCurveLayer) continue;
      TimeRequest request;
      request.kv_len = kv_len;
      request.tau = figures[i].half_tau;
      request.all_surrogates = kv_len == layer.tokens;
      request.baseline = layer.number == kCurveLayer;
      request.seconds = arguments.seconds;
      progress(fmt::format("timing layer {} at {} tokens", layer.number, kv_len));
      for (TimeRow& row : study_time(device, context, trace, layer, request)) rows.push_back(std::move(row));
    }
  }
  return rows;
}

int run(const Arguments& arguments) {
  const harness::Trace trace = harness::load_trace(arguments.trace);
  const harness::OpenClDevice device = harness::open_device();
  Context context(device.context(), device.device());
  print_header(context.device(), trace);

  std::vector<LayerFigures> figures;
  for (const harness::TraceLayer& layer : trace.layers) {
    progress(fmt::format("layer {}: dense and routed, against the double reference", layer.number));
    figures.push_back(study_routing(device, context, trace, layer));
  }
  print_routing(figures);
  fmt::print("\n");
  const std::vector<TimeRow> rows = all_times(arguments, device, context, trace, figures);
  print_times(rows, figures);
  if (arguments.json_path.empty()) {  // else whoever reads the JSON says it, after drawing
    fmt::print("\n{}\n", conclusion(figures, rows));
    return 0;
  }
  std::ofstream file(arguments.json_path);
  file << to_json(context.device(), trace, figures, rows).dump(1) << '\n';
  if (!file) throw Error(ErrorCode::kInvalidProblem, fmt::format("json {}: cannot be written", arguments.json_path));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"clsink on the recorded attention of a language model; CLSINK_DEVICE picks the device"};
  Arguments arguments;
  app.add_option("--trace", arguments.trace, "Description of the recording")->capture_default_str();
  app.add_option("--json", arguments.json_path, "Also write the figures as JSON");
  app.add_option("--seconds", arguments.seconds, "Seconds for each measurement")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--longest", arguments.longest, "Most tokens to time")
      ->check(CLI::Range(2048, 1 << 20))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "clsink_demo: {}\n", error.what());
    return 1;
  }
}
