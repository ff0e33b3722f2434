// SPDX-License-Identifier: Apache-2.0
// Ctrl-C asks long commands to finish early with what they have; a second one ends the program.
#pragma once

namespace clsink::cli {

void catch_interrupts();
bool interrupted();
constexpr int kExitInterrupted = 130;

}  // namespace clsink::cli
