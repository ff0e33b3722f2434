// SPDX-License-Identifier: Apache-2.0
#include "opencl_calls.hpp"

#define CL_TARGET_OPENCL_VERSION 300  // the library needs 1.2, but a later function would break the same promise
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <dlfcn.h>

#include <mutex>
#include <tuple>

namespace {

std::mutex mutex;
clsink::harness::OpenClCalls calls;

// Counts the call, and returns the OpenCL library's function.
template <typename Function>
Function* counted(const char* name, const Function&) {
  const std::lock_guard<std::mutex> lock(mutex);
  ++calls[name];
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

template <typename Function>
struct Signature;
template <typename R, typename... Parameters>
struct Signature<R(Parameters...)> {
  using Result = R;
  template <std::size_t kIndex>
  using Parameter = std::tuple_element_t<kIndex, std::tuple<Parameters...>>;
};

}  // namespace

clsink::harness::OpenClCalls clsink::harness::opencl_calls() {
  const std::lock_guard<std::mutex> lock(mutex);
  return calls;
}

// The header's declarations know the parameters, so that a function is its name and their number.
#define PARAMETER(name, i) Signature<decltype(name)>::Parameter<i> p##i
#define PARAMETERS_1(name) PARAMETER(name, 0)
#define PARAMETERS_2(name) PARAMETERS_1(name), PARAMETER(name, 1)
#define PARAMETERS_3(name) PARAMETERS_2(name), PARAMETER(name, 2)
#define PARAMETERS_4(name) PARAMETERS_3(name), PARAMETER(name, 3)
#define PARAMETERS_5(name) PARAMETERS_4(name), PARAMETER(name, 4)
#define PARAMETERS_6(name) PARAMETERS_5(name), PARAMETER(name, 5)
#define PARAMETERS_7(name) PARAMETERS_6(name), PARAMETER(name, 6)
#define PARAMETERS_8(name) PARAMETERS_7(name), PARAMETER(name, 7)
#define PARAMETERS_9(name) PARAMETERS_8(name), PARAMETER(name, 8)
#define PARAMETERS_10(name) PARAMETERS_9(name), PARAMETER(name, 9)
#define ARGUMENTS_1 p0
#define ARGUMENTS_2 ARGUMENTS_1, p1
#define ARGUMENTS_3 ARGUMENTS_2, p2
#define ARGUMENTS_4 ARGUMENTS_3, p3
#define ARGUMENTS_5 ARGUMENTS_4, p4
#define ARGUMENTS_6 ARGUMENTS_5, p5
#define ARGUMENTS_7 ARGUMENTS_6, p6
#define ARGUMENTS_8 ARGUMENTS_7, p7
#define ARGUMENTS_9 ARGUMENTS_8, p8
#define ARGUMENTS_10 ARGUMENTS_9, p9
#define COUNTED(name, count) \
  Signature<decltype(name)>::Result name(PARAMETERS_##count(name)) { return counted(#name, name)(ARGUMENTS_##count); }

extern "C" {
COUNTED(clCreateCommandQueue, 4)
COUNTED(clCreateBuffer, 5)
COUNTED(clCreateSubBuffer, 5)
COUNTED(clCreateImage, 6)
COUNTED(clCreateSampler, 5)
COUNTED(clCreateUserEvent, 2)
COUNTED(clCreateProgramWithSource, 5)
COUNTED(clCreateProgramWithBinary, 7)
COUNTED(clCreateProgramWithBuiltInKernels, 5)
COUNTED(clBuildProgram, 6)
COUNTED(clCompileProgram, 9)
COUNTED(clLinkProgram, 9)
COUNTED(clCreateKernel, 3)
COUNTED(clCreateKernelsInProgram, 4)
COUNTED(clFinish, 1)
COUNTED(clWaitForEvents, 2)
COUNTED(clEnqueueReadBuffer, 9)
COUNTED(clEnqueueWriteBuffer, 9)
COUNTED(clEnqueueMapBuffer, 10)
#ifdef CL_VERSION_3_0  // whether the header knows them
COUNTED(clCreateCommandQueueWithProperties, 4)
COUNTED(clCreateBufferWithProperties, 6)
COUNTED(clCreateProgramWithIL, 4)
COUNTED(clCloneKernel, 2)
COUNTED(clSVMAlloc, 4)
COUNTED(clEnqueueSVMMap, 8)
#endif
}
