// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.hpp"

#include <csignal>

namespace clsink::cli {
namespace {

volatile std::sig_atomic_t flag = 0;

extern "C" void on_interrupt(int signal) {
  flag = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() { std::signal(SIGINT, on_interrupt); }
bool interrupted() { return flag != 0; }

}  // namespace clsink::cli
