// SPDX-License-Identifier: Apache-2.0
// clsink report: result files as one HTML page with plots, which opens from disk and needs no network.
#include <fmt/format.h>

#include <clsink/error.hpp>
#include <filesystem>
#include <fstream>
#include <memory>

#include "cli/commands.hpp"
#include "cli/files.hpp"
#include "cli/report_data.hpp"

namespace clsink::cli {
namespace {

struct ReportArguments {
  std::vector<std::string> inputs;
  std::string output = "report.html";
  bool json = false;
};

void write_page(const ReportArguments& arguments, const std::string& page) {
  for (const std::string& input : arguments.inputs) {
    std::error_code ignored;  // a file that does not exist is not the same
    if (std::filesystem::equivalent(input, arguments.output, ignored)) {
      throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: is an input, and would be overwritten", arguments.output));
    }
  }
  std::ofstream file(arguments.output, std::ios::binary);
  file << page << std::flush;
  if (!file) throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: cannot be written", arguments.output));
}

int run_report(const ReportArguments& arguments) {
  std::vector<ReportInput> inputs;
  for (const std::string& path : arguments.inputs) {
    inputs.push_back({path, read_file(path)});
    if (inputs.back().text.empty()) throw Error(ErrorCode::kInvalidProblem, fmt::format("{}: is empty", path));
  }
  const nlohmann::json document = report_document(inputs);
  for (const nlohmann::json& remark : document["remarks"]) fmt::print(stderr, "{}\n", remark.get<std::string>());
  if (arguments.json) {
    fmt::print("{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    write_page(arguments, report_page(document));
    fmt::print("{}\n", arguments.output);
  }
  return 0;
}

}  // namespace

void add_report_command(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand("report", "Turn result files into one HTML page with plots");
  command
      ->add_option(
          "file", arguments->inputs,
          "Tuning journals, rows of \"clsink bench --json\", comparisons with peers (peers.json); told apart by content")
      ->required();
  command->add_option("-o,--output", arguments->output, "The page")->capture_default_str();
  command->add_flag("--json", arguments->json, "Print the document that the page shows instead of writing the page");
  command->callback([arguments, &exit_code] { exit_code = run_report(*arguments); });
}

}  // namespace clsink::cli
