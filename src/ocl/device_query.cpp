// SPDX-License-Identifier: Apache-2.0
#include "ocl/device_query.hpp"

#include "ocl/ocl_error.hpp"

namespace clsink {

DeviceFacts query_device(const cl::Device& device) {
  try {
    DeviceFacts facts;
    facts.name = device.getInfo<CL_DEVICE_NAME>();
    facts.vendor = device.getInfo<CL_DEVICE_VENDOR>();
    facts.driver = device.getInfo<CL_DRIVER_VERSION>();
    facts.version = device.getInfo<CL_DEVICE_VERSION>();
    facts.platform = cl::Platform(device.getInfo<CL_DEVICE_PLATFORM>()).getInfo<CL_PLATFORM_NAME>();
    facts.is_cpu = (device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) != 0;
    facts.little_endian = device.getInfo<CL_DEVICE_ENDIAN_LITTLE>() == CL_TRUE;
    facts.compute_units = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_MAX_COMPUTE_UNITS>());
    facts.max_work_group_size = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_MAX_WORK_GROUP_SIZE>());
    facts.local_mem_bytes = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_LOCAL_MEM_SIZE>());
    facts.global_mem_bytes = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_GLOBAL_MEM_SIZE>());
    facts.max_alloc_bytes = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_MAX_MEM_ALLOC_SIZE>());
    facts.address_bits = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_ADDRESS_BITS>());
    facts.base_align_bytes = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_MEM_BASE_ADDR_ALIGN>() / 8);
    facts.timer_resolution_ns = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_PROFILING_TIMER_RESOLUTION>());
    return facts;
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
}

}  // namespace clsink
