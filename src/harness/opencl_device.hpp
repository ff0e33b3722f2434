// SPDX-License-Identifier: Apache-2.0
// The OpenCL device that tests and tools run on, in RAII: the first one, or the one that CLSINK_DEVICE names by any
// part of "platform/device".
#pragma once

#ifndef CL_HPP_TARGET_OPENCL_VERSION
#define CL_HPP_TARGET_OPENCL_VERSION 120
#define CL_HPP_MINIMUM_OPENCL_VERSION 120
#define CL_HPP_ENABLE_EXCEPTIONS
#endif
#include <CL/opencl.hpp>

#include <string>
#include <vector>

namespace clsink::harness {

struct OpenClDevice {
  cl::Device device;
  cl::Context context;
  std::string name;  ///< "platform/device"

  cl::CommandQueue queue(cl_command_queue_properties properties = 0) const {
    return cl::CommandQueue(context, device, properties);
  }
};

/// A buffer that holds the values.
template <typename T>
cl::Buffer upload(const OpenClDevice& opencl, std::vector<T> values) {
  return cl::Buffer(opencl.context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, values.size() * sizeof(T), values.data());
}

/// Names of all devices.
std::vector<std::string> device_names();

/// The first device whose name contains `wanted`; throws Error(kUnsupportedDevice) that lists what there is.
OpenClDevice open_device(const std::string& wanted);

/// open_device of the environment's CLSINK_DEVICE, or of anything.
OpenClDevice open_device();

}  // namespace clsink::harness
