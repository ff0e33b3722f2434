// SPDX-License-Identifier: Apache-2.0
// The clsink program: what is here, what would run, whether it is right, how fast it is, and pictures of that.
#include <fmt/format.h>

#include <clsink/error.hpp>
#include <clsink/version.hpp>

#include "cli/commands.hpp"
#include "harness/opencl_device.hpp"

int main(int argc, char** argv) {
  constexpr int kError = 2;
  CLI::App app("clsink: decode attention on any OpenCL device, that knows when not to read the KV cache");
  app.set_version_flag("--version", clsink::version());
  app.require_subcommand(1);
  int exit_code = 0;
  clsink::cli::add_devices_command(app, exit_code);
  clsink::cli::add_plan_command(app, exit_code);
  clsink::cli::add_verify_command(app, exit_code);
  clsink::cli::add_bench_command(app, exit_code);
  clsink::cli::add_report_command(app, exit_code);
  clsink::cli::add_tune_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kError;
  } catch (const clsink::Error& error) {
    fmt::print(stderr, "clsink: {}: {}\n", clsink::to_string(error.code()), error.what());
    return kError;
  } catch (const cl::Error& error) {
    fmt::print(stderr, "clsink: OpenCL: {} returned {}\n", error.what(), error.err());
    return kError;
  } catch (const std::exception& error) {
    fmt::print(stderr, "clsink: {}\n", error.what());
    return kError;
  }
  return exit_code;
}
