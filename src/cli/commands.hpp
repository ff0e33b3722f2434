// SPDX-License-Identifier: Apache-2.0
// The subcommands of clsink. Each adds itself to the program and, when chosen, sets the exit code:
// 0 fine, 1 a result was wrong, 2 an error (thrown).
#pragma once

#include <CLI/CLI.hpp>

namespace clsink::cli {

void add_devices_command(CLI::App& app, int& exit_code);
void add_plan_command(CLI::App& app, int& exit_code);
void add_verify_command(CLI::App& app, int& exit_code);
void add_bench_command(CLI::App& app, int& exit_code);
void add_report_command(CLI::App& app, int& exit_code);
void add_tune_command(CLI::App& app, int& exit_code);

}  // namespace clsink::cli
