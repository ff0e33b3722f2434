// SPDX-License-Identifier: Apache-2.0
#include "opencl_faults.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <mutex>
#include <set>

namespace {

using clsink::harness::OpenClFaults;

const OpenClFaults* faults = nullptr;

std::mutex mutex;
std::map<cl_event, int> references;
std::set<cl_program> from_binary;  // released ones too: a program made of source at the same place leaves again

void count_reference(cl_event event, int change) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto entry = references.find(event);
  if (entry == references.end()) return;  // no launch's
  entry->second += change;
  if (entry->second == 0) references.erase(entry);
}

cl_program remember(cl_program program, bool binary) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (binary) {
    from_binary.insert(program);
  } else {
    from_binary.erase(program);
  }
  return program;
}

bool is_from_binary(cl_program program) {
  const std::lock_guard<std::mutex> lock(mutex);
  return from_binary.count(program) != 0;
}

template <typename Function>
Function* installed(const char* name, const Function&) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

namespace clsink::harness {

WithFaults::WithFaults(OpenClFaults f) : faults_(std::move(f)) { faults = &faults_; }
WithFaults::~WithFaults() { faults = nullptr; }

bool is_from_binary(cl_kernel kernel) {
  cl_program program = nullptr;
  clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof(program), &program, nullptr);
  return ::is_from_binary(program);
}

int live_events() {
  const std::lock_guard<std::mutex> lock(mutex);
  return static_cast<int>(references.size());
}

}  // namespace clsink::harness

extern "C" {

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char** texts, const size_t* sizes, cl_int* code) {
  return remember(installed("clCreateProgramWithSource", clCreateProgramWithSource)(context, count, texts, sizes, code), false);
}

cl_program clCreateProgramWithBinary(cl_context context, cl_uint count, const cl_device_id* devices, const size_t* sizes,
                                     const unsigned char** binaries, cl_int* status, cl_int* code) {
  const cl_int fault = faults != nullptr && faults->create_from_binary ? faults->create_from_binary() : CL_SUCCESS;
  if (fault != CL_SUCCESS) {
    if (code != nullptr) *code = fault;
    return nullptr;
  }
  const auto create = installed("clCreateProgramWithBinary", clCreateProgramWithBinary);
  return remember(create(context, count, devices, sizes, binaries, status, code), true);
}

cl_int clGetProgramInfo(cl_program program, cl_program_info question, size_t size, void* answer, size_t* size_needed) {
  const bool binaries = question == CL_PROGRAM_BINARIES || question == CL_PROGRAM_BINARY_SIZES;
  const cl_int fault = faults != nullptr && binaries && faults->get_binary ? faults->get_binary() : CL_SUCCESS;
  if (fault != CL_SUCCESS) return fault;
  return installed("clGetProgramInfo", clGetProgramInfo)(program, question, size, answer, size_needed);
}

cl_int clBuildProgram(cl_program program, cl_uint num_devices, const cl_device_id* devices, const char* options,
                      void (*notify)(cl_program, void*), void* user_data) {
  cl_int fault = CL_SUCCESS;
  if (faults != nullptr && is_from_binary(program)) {
    if (faults->build_binary) fault = faults->build_binary();
  } else if (faults != nullptr && faults->build) {
    fault = faults->build(options);
  }
  if (fault != CL_SUCCESS) return fault;
  return installed("clBuildProgram", clBuildProgram)(program, num_devices, devices, options, notify, user_data);
}

cl_int clGetProgramBuildInfo(cl_program program, cl_device_id device, cl_program_build_info question, size_t size, void* answer,
                             size_t* size_needed) {
  if (faults != nullptr && faults->build_log != CL_SUCCESS) return faults->build_log;
  return installed("clGetProgramBuildInfo", clGetProgramBuildInfo)(program, device, question, size, answer, size_needed);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void* host, cl_int* code) {
  const cl_int fault = faults != nullptr && faults->allocate ? faults->allocate(bytes) : CL_SUCCESS;
  if (fault == CL_SUCCESS) return installed("clCreateBuffer", clCreateBuffer)(context, flags, bytes, host, code);
  if (code != nullptr) *code = fault;
  return nullptr;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* offset,
                              const size_t* global, const size_t* local, cl_uint num_wait, const cl_event* wait_for,
                              cl_event* event) {
  const cl_int fault = faults != nullptr && faults->launch ? faults->launch(kernel, local[0]) : CL_SUCCESS;
  if (fault != CL_SUCCESS) return fault;
  const cl_int code = installed("clEnqueueNDRangeKernel", clEnqueueNDRangeKernel)(queue, kernel, dimensions, offset, global,
                                                                                  local, num_wait, wait_for, event);
  if (code == CL_SUCCESS && event != nullptr) {
    const std::lock_guard<std::mutex> lock(mutex);
    references[*event] = 1;
  }
  return code;
}

cl_int clRetainEvent(cl_event event) {
  count_reference(event, 1);
  return installed("clRetainEvent", clRetainEvent)(event);
}

cl_int clReleaseEvent(cl_event event) {
  count_reference(event, -1);
  return installed("clReleaseEvent", clReleaseEvent)(event);
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info question, size_t size, void* answer, size_t* size_needed) {
  const auto found = faults != nullptr ? faults->device_info.find(question) : decltype(faults->device_info.end()){};
  if (faults == nullptr || found == faults->device_info.end()) {
    return installed("clGetDeviceInfo", clGetDeviceInfo)(device, question, size, answer, size_needed);
  }
  const std::vector<unsigned char>& bytes = found->second;
  if (size_needed != nullptr) *size_needed = bytes.size();
  if (answer == nullptr) return CL_SUCCESS;
  if (size < bytes.size()) return CL_INVALID_VALUE;
  std::copy(bytes.begin(), bytes.end(), static_cast<unsigned char*>(answer));
  return CL_SUCCESS;
}

}  // extern "C"
