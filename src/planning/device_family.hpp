// SPDX-License-Identifier: Apache-2.0
// Names for kinds of devices, so that tuning rows reach devices nobody has measured. The only reader of vendor strings.
#pragma once

#include <string>

#include <clsink/device.hpp>

namespace clsink {

struct DeviceFamily {
  std::string vendor;        ///< "nvidia", "amd", "intel", "pocl", "mesa", or "unknown"
  std::string device_class;  ///< "cpu" or "gpu": what an unknown device falls back to
};

DeviceFamily device_family(const DeviceFacts& facts);

/// Whether several threads may build programs, as OpenCL promises: oclgrind 21.10 crashes.
bool builds_at_once(const DeviceFacts& facts);

}  // namespace clsink
