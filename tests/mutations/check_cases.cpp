// SPDX-License-Identifier: Apache-2.0
// Runs the cases that it is given, one line of text each, against the reference; prints the failures and returns 1 if
// there are any. mutations.py builds it with mutated kernels.
#include <cstdio>

#include "harness/device_case.hpp"

int main(int argc, char** argv) {
  try {
    const clsink::harness::OpenClDevice device = clsink::harness::open_device();
    clsink::Context context(device.context(), device.device());
    int failures = 0;
    for (int i = 1; i < argc; ++i) {
      const auto outcome = clsink::harness::run_case(device, context, clsink::harness::parse_case(argv[i]));
      std::printf("%s %s: %s\n", outcome.ok() ? "passed" : "FAILED", argv[i], outcome.summary().c_str());
      failures += outcome.ok() ? 0 : 1;
    }
    return failures == 0 && argc > 1 ? 0 : 1;
  } catch (const clsink::Error& error) {
    std::printf("FAILED %s: %s\n", to_string(error.code()), error.what());
    return 2;
  }
}
