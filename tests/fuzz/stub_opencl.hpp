// SPDX-License-Identifier: Apache-2.0
// An OpenCL of one invented device that compiles whatever it is told to and computes nothing: its functions are those that
// the library calls.
#pragma once

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl.h>

#include <functional>
#include <string>

struct _cl_mem {
  std::size_t bytes;
  cl_context context;
};

namespace clsink::fuzz {

struct StubDevice {
  cl_device_type type = CL_DEVICE_TYPE_GPU;
  std::string vendor, version, extensions;
  cl_uint compute_units = 1, address_bits = 64, nv_major = 0, nv_minor = 0;
  bool knows_sub_groups = false;  // answers questions about them
  cl_int sub_group_size = 0;      // that its kernels find
  cl_bool little_endian = CL_TRUE;
  std::size_t max_work_group_size = 256;
  cl_ulong local_mem_bytes = 32 << 10;
  bool in_order = true;
  /// What clBuildProgram returns, from several threads at once, so by the options and not by turns.
  std::function<cl_int(const std::string& options)> build;
  std::function<cl_int()> launch;  ///< what clEnqueueNDRangeKernel returns
};

/// The one device of the process; to be set before every run.
StubDevice& stub_device();

cl_context context();
cl_context another_context();
cl_device_id device();
cl_command_queue queue();

}  // namespace clsink::fuzz
