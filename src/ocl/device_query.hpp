// SPDX-License-Identifier: Apache-2.0
// DeviceFacts of a real device.
#pragma once

#include <CL/opencl.hpp>

#include <clsink/device.hpp>

namespace clsink {

/// Throws Error(kOpenCl) if a query fails.
DeviceFacts query_device(const cl::Device& device);

}  // namespace clsink
