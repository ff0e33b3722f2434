// SPDX-License-Identifier: Apache-2.0
// A worse OpenCL than the installed one: devices that claim what they lack, run out of memory, refuse kernels. Link
// opencl_faults.cpp into the test program, with its symbols exported: functions of an executable come before those of the
// OpenCL library, which they call where there is no fault.
#pragma once

#include <CL/cl.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace clsink::harness {

/// What goes wrong; a function that is not there never does, one that returns CL_SUCCESS lets the call through.
struct OpenClFaults {
  std::function<cl_int(const std::string& options)> build;   ///< from source; also on threads of the library's own
  std::function<cl_int()> create_from_binary, build_binary;  ///< likewise
  std::function<cl_int()> get_binary;
  std::function<cl_int(cl_kernel kernel, std::size_t work_items)> launch;
  std::function<cl_int(std::size_t bytes)> allocate;  ///< buffers
  cl_int build_log = CL_SUCCESS;                      ///< what asking for it returns
  std::map<cl_device_info, std::vector<unsigned char>> device_info;

  /// The answer of the device to a question.
  template <typename T>
  void device_says(cl_device_info question, const T& answer) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(&answer);
    device_info[question].assign(bytes, bytes + sizeof(T));
  }
  void device_says(cl_device_info question, const std::string& answer) {
    device_info[question].assign(answer.c_str(), answer.c_str() + answer.size() + 1);
  }
};

/// In force for the whole process while it lives; one at a time.
class WithFaults {
 public:
  explicit WithFaults(OpenClFaults faults);
  ~WithFaults();
  WithFaults(const WithFaults&) = delete;
  WithFaults& operator=(const WithFaults&) = delete;

 private:
  OpenClFaults faults_;
};

/// Whether the kernel's program was created from a binary.
bool is_from_binary(cl_kernel kernel);

/// Events that launches gave out and nobody has released.
int live_events();

}  // namespace clsink::harness
