// SPDX-License-Identifier: Apache-2.0
// Loaded before the OpenCL library (LD_PRELOAD), so that launches of kernel "decode" in work-groups of CLSINK_FAULT_WG
// work-items go wrong as CLSINK_FAULT says: "wrong" (nothing is computed), "hang", "crash", "lose" (from then on every launch
// and every wait of the process fails, as on NVIDIA after a bad address); with CLSINK_FAULT_ONCE, the path of a file to be
// made, the first launch alone; with CLSINK_FAULT_JOURNAL, the path of a sweep's journal, once candidates take turns.
#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool is_meant(cl_kernel kernel, const size_t* local) {
  char name[64] = {};
  if (clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, nullptr) != CL_SUCCESS) return false;
  return std::string(name) == "decode" && local != nullptr && std::to_string(local[0]) == variable("CLSINK_FAULT_WG");
}

bool turns_are_taken() {
  static bool taken = false;
  const std::string journal = variable("CLSINK_FAULT_JOURNAL");
  if (journal.empty() || taken) return true;
  std::ifstream file(journal);
  for (std::string line; !taken && std::getline(file, line);) taken = line.find("\"kind\":\"sample\"") != std::string::npos;
  return taken;
}

bool is_time() {
  if (!turns_are_taken()) return false;
  const std::string once = variable("CLSINK_FAULT_ONCE");
  return once.empty() || open(once.c_str(), O_CREAT | O_EXCL, 0600) >= 0;
}

bool lost = false;

}  // namespace

extern "C" cl_int clFinish(cl_command_queue queue) {
  static const auto real = reinterpret_cast<decltype(&clFinish)>(dlsym(RTLD_NEXT, "clFinish"));
  return lost ? CL_INVALID_COMMAND_QUEUE : real(queue);
}

extern "C" cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* offset,
                                         const size_t* global, const size_t* local, cl_uint num_events,
                                         const cl_event* wait_for, cl_event* done) {
  static const auto real = reinterpret_cast<decltype(&clEnqueueNDRangeKernel)>(dlsym(RTLD_NEXT, "clEnqueueNDRangeKernel"));
  const std::string fault = variable("CLSINK_FAULT");
  if (!fault.empty() && is_meant(kernel, local) && is_time()) {
    if (fault == "crash") std::abort();
    if (fault == "hang") pause();
    if (fault == "lose") lost = true;
    if (fault == "wrong" && done == nullptr) return CL_SUCCESS;
  }
  if (lost) return CL_INVALID_COMMAND_QUEUE;
  return real(queue, kernel, dimensions, offset, global, local, num_events, wait_for, done);
}
