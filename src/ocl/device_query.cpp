// SPDX-License-Identifier: Apache-2.0
#include "ocl/device_query.hpp"

#include "ocl/ocl_error.hpp"

#include <string>

namespace clsink {
namespace {

// Of cl_nv_device_attribute_query and of OpenCL 3.0: the headers are asked for 1.2.
constexpr cl_device_info kComputeCapabilityMajorNv = 0x4000;
constexpr cl_device_info kComputeCapabilityMinorNv = 0x4001;
constexpr cl_device_info kAtomicFenceCapabilities = 0x1064;
constexpr cl_device_info kPreferredWorkGroupSizeMultiple = 0x1067;
constexpr cl_bitfield kAtomicOrderAcqRel = 1 << 1;
constexpr cl_bitfield kAtomicScopeDevice = 1 << 5;

// Of cl_amd_device_attribute_query, OpenCL 2.1 and cl_intel_required_subgroup_size.
constexpr cl_device_info kWavefrontWidthAmd = 0x4043;
constexpr cl_device_info kMaxNumSubGroups = 0x105C;
constexpr cl_device_info kSubGroupSizesIntel = 0x4108;

// False where the device does not know the question: the bindings throw then.
template <typename T>
bool ask(const cl::Device& device, cl_device_info question, T* to) {
  return clGetDeviceInfo(device(), question, sizeof(T), to, nullptr) == CL_SUCCESS;
}

bool has_extension(const cl::Device& device, const std::string& name) {
  const std::string all = " " + device.getInfo<CL_DEVICE_EXTENSIONS>() + " ";
  return all.find(" " + name + " ") != std::string::npos;
}

std::int32_t nv_compute_capability(const cl::Device& device) {
  if (!has_extension(device, "cl_nv_device_attribute_query")) return 0;
  cl_uint major = 0, minor = 0;
  if (!ask(device, kComputeCapabilityMajorNv, &major) || !ask(device, kComputeCapabilityMinorNv, &minor)) return 0;
  return static_cast<std::int32_t>(10 * major + minor);
}

// OpenCL C 2.0 has the fence; in 3.0 it is a feature.
bool has_device_scope_fence(const cl::Device& device, const std::string& version) {
  if (version.rfind("OpenCL 2.", 0) == 0) return true;
  if (version.rfind("OpenCL 3.", 0) != 0) return false;
  cl_bitfield capabilities = 0;
  return ask(device, kAtomicFenceCapabilities, &capabilities) && (capabilities & kAtomicOrderAcqRel) != 0 &&
         (capabilities & kAtomicScopeDevice) != 0;
}

// Native vectors of one float, and work-groups best in multiples of more than one work-item: Mesa's llvmpipe says 1 and 32,
// PoCL 16 and 8, Intel's CPU runtime 16 and 128, oclgrind, which interprets one work-item after the other, 1 and 1.
bool lays_work_items_along_vectors(const cl::Device& device) {
  std::size_t multiple = 1;  // before OpenCL 3.0 the query fails
  return device.getInfo<CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT>() == 1 &&
         ask(device, kPreferredWorkGroupSizeMultiple, &multiple) && multiple > 1;
}

// OpenCL C 2.0 has them by extension, 3.0 where a work-group can have any.
bool has_sub_groups(const cl::Device& device, const std::string& version) {
  if (version.rfind("OpenCL 2.", 0) == 0) {
    return has_extension(device, "cl_khr_subgroups") || has_extension(device, "cl_intel_subgroups");
  }
  cl_uint most = 0;
  return version.rfind("OpenCL 3.", 0) == 0 && ask(device, kMaxNumSubGroups, &most) && most > 0;
}

// Mesa answers without the extension, other devices may not know the question.
std::vector<std::size_t> sub_group_sizes(const cl::Device& device) {
  std::size_t bytes = 0;
  if (clGetDeviceInfo(device(), kSubGroupSizesIntel, 0, nullptr, &bytes) != CL_SUCCESS) return {};
  std::vector<std::size_t> sizes(bytes / sizeof(std::size_t));
  const cl_int code = clGetDeviceInfo(device(), kSubGroupSizesIntel, bytes, sizes.data(), nullptr);
  return code == CL_SUCCESS ? sizes : std::vector<std::size_t>{};
}

void query_sub_groups(const cl::Device& device, DeviceFacts& facts) {
  if (!has_sub_groups(device, facts.version)) return;
  const bool amd = has_extension(device, "cl_amd_device_attribute_query");
  if (has_extension(device, "cl_khr_subgroup_shuffle")) {
    facts.sub_group_shuffle = SubGroupShuffle::kKhronos;
  } else if (has_extension(device, "cl_intel_subgroups")) {
    facts.sub_group_shuffle = SubGroupShuffle::kIntel;
  } else if (amd) {
    facts.sub_group_shuffle = SubGroupShuffle::kAmdClang;
  }
  const std::vector<std::size_t> sizes = sub_group_sizes(device);
  if (sizes.size() == 1) facts.sub_group_size = static_cast<std::int32_t>(sizes[0]);
  if (has_extension(device, "cl_intel_required_subgroup_size")) {
    for (const std::size_t size : sizes) facts.sub_group_sizes.push_back(static_cast<std::int32_t>(size));
  }
  cl_uint width = 0;
  if (amd && ask(device, kWavefrontWidthAmd, &width)) facts.sub_group_size = static_cast<std::int32_t>(width);
}

}  // namespace

DeviceFacts query_device(const cl::Device& device) {
  try {
    DeviceFacts facts;
    facts.name = device.getInfo<CL_DEVICE_NAME>();
    facts.vendor = device.getInfo<CL_DEVICE_VENDOR>();
    facts.driver = device.getInfo<CL_DRIVER_VERSION>();
    facts.version = device.getInfo<CL_DEVICE_VERSION>();
    facts.platform = cl::Platform(device.getInfo<CL_DEVICE_PLATFORM>()).getInfo<CL_PLATFORM_NAME>();
    facts.is_cpu = (device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) != 0;
    facts.lanes_are_work_items = facts.is_cpu && lays_work_items_along_vectors(device);
    facts.little_endian = device.getInfo<CL_DEVICE_ENDIAN_LITTLE>() == CL_TRUE;
    facts.compute_units = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_MAX_COMPUTE_UNITS>());
    facts.max_work_group_size = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_MAX_WORK_GROUP_SIZE>());
    facts.local_mem_bytes = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_LOCAL_MEM_SIZE>());
    facts.global_mem_bytes = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_GLOBAL_MEM_SIZE>());
    facts.max_alloc_bytes = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_MAX_MEM_ALLOC_SIZE>());
    facts.address_bits = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_ADDRESS_BITS>());
    facts.base_align_bytes = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_MEM_BASE_ADDR_ALIGN>() / 8);
    facts.timer_resolution_ns = static_cast<std::int32_t>(device.getInfo<CL_DEVICE_PROFILING_TIMER_RESOLUTION>());
    facts.device_scope_fence = has_device_scope_fence(device, facts.version);
    facts.nv_compute_capability = nv_compute_capability(device);
    query_sub_groups(device, facts);
    return facts;
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
}

}  // namespace clsink
