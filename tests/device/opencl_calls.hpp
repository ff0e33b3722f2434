// SPDX-License-Identifier: Apache-2.0
// Counts a program's OpenCL calls that create objects, build programs, or may keep the host waiting. Link opencl_calls.cpp
// into it: functions of an executable come before those of the OpenCL library, which they call.
#pragma once

#include <map>
#include <string>

namespace clsink::harness {

using OpenClCalls = std::map<std::string, int>;

/// Calls by function so far, of all threads; functions that were not called are not there.
OpenClCalls opencl_calls();

/// Those during `action`.
template <typename Action>
OpenClCalls opencl_calls_of(const Action& action) {
  OpenClCalls before = opencl_calls();
  action();
  OpenClCalls during;
  for (const auto& [name, count] : opencl_calls()) {
    if (count != before[name]) during[name] = count - before[name];
  }
  return during;
}

}  // namespace clsink::harness
