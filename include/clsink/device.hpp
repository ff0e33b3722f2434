// SPDX-License-Identifier: Apache-2.0
// DeviceFacts: what planning knows about a device. Filled from OpenCL queries, or invented by a test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace clsink {

/// How the lanes of a sub-group read each other.
enum class SubGroupShuffle : std::uint8_t {
  kNone,      ///< not at all: reductions of the whole sub-group
  kKhronos,   ///< cl_khr_subgroup_shuffle
  kIntel,     ///< cl_intel_subgroups
  kAmdClang,  ///< built-ins of AMD's compiler
};

struct DeviceFacts {
  std::string name;
  std::string vendor;
  std::string driver;                 ///< CL_DRIVER_VERSION
  std::string platform;               ///< CL_PLATFORM_NAME
  std::string version;                ///< CL_DEVICE_VERSION
  bool is_cpu = false;                ///< CL_DEVICE_TYPE_CPU
  bool lanes_are_work_items = false;  ///< a CPU whose runtime lays work-items along its vectors
  bool little_endian = true;
  std::int32_t compute_units = 1;
  std::int32_t max_work_group_size = 1;
  std::int64_t local_mem_bytes = 0;
  std::int64_t global_mem_bytes = 0;
  std::int64_t max_alloc_bytes = 0;
  std::int32_t address_bits = 64;
  std::int32_t base_align_bytes = 128;  ///< CL_DEVICE_MEM_BASE_ADDR_ALIGN
  std::int32_t timer_resolution_ns = 0;
  bool device_scope_fence = false;            ///< OpenCL C 2.0's acquire-release fence for all work-groups
  std::int32_t nv_compute_capability = 0;     ///< 10 * major + minor; 0: no NVIDIA device
  std::int32_t sub_group_size = 0;            ///< lanes of every kernel's sub-groups; 0: none, or compilers choose
  std::vector<std::int32_t> sub_group_sizes;  ///< that a kernel can ask for (cl_intel_required_subgroup_size)
  SubGroupShuffle sub_group_shuffle = SubGroupShuffle::kNone;
};

}  // namespace clsink
