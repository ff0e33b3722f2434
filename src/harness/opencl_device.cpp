// SPDX-License-Identifier: Apache-2.0
#include "harness/opencl_device.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <clsink/error.hpp>
#include <cstdlib>
#include <utility>

namespace clsink::harness {
namespace {

std::vector<std::pair<std::string, cl::Device>> all_devices() {
  std::vector<std::pair<std::string, cl::Device>> found;
  std::vector<cl::Platform> platforms;
  try {
    cl::Platform::get(&platforms);
  } catch (const cl::Error&) {
    return found;  // the loader reports "no platform" as an error
  }
  for (const cl::Platform& platform : platforms) {
    std::vector<cl::Device> devices;
    try {
      platform.getDevices(CL_DEVICE_TYPE_ALL, &devices);
    } catch (const cl::Error&) {
      continue;  // a platform without devices
    }
    for (const cl::Device& device : devices) {
      found.emplace_back(platform.getInfo<CL_PLATFORM_NAME>() + "/" + device.getInfo<CL_DEVICE_NAME>(), device);
    }
  }
  return found;
}

}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const auto& [name, device] : all_devices()) names.push_back(name);
  return names;
}

OpenClDevice open_device(const std::string& wanted) {
  for (const auto& [name, device] : all_devices()) {
    if (name.find(wanted) != std::string::npos) return {device, cl::Context(device), name};
  }
  throw Error(ErrorCode::kUnsupportedDevice,
              fmt::format("no OpenCL device matches \"{}\"; there are: [{}]", wanted, fmt::join(device_names(), ", ")));
}

OpenClDevice open_device() {
  const char* wanted = std::getenv("CLSINK_DEVICE");
  return open_device(wanted != nullptr ? wanted : "");
}

}  // namespace clsink::harness
