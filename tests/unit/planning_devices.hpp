// SPDX-License-Identifier: Apache-2.0
// Invented devices that planning is tested on. No OpenCL.
#pragma once

#include <string>
#include <vector>

#include <clsink/device.hpp>

namespace clsink {

inline DeviceFacts invented_gpu(const std::string& name, const std::string& vendor, const std::string& platform) {
  DeviceFacts facts;
  facts.name = name;
  facts.vendor = vendor;
  facts.platform = platform;
  facts.driver = "1.0";
  facts.version = "OpenCL 1.2";
  facts.compute_units = 32;
  facts.max_work_group_size = 1024;
  facts.local_mem_bytes = 48 << 10;
  return facts;
}

inline DeviceFacts nvidia_gpu() {
  DeviceFacts facts = invented_gpu("NVIDIA H100 80GB HBM3", "NVIDIA Corporation", "NVIDIA CUDA");
  facts.version = "OpenCL 3.0 CUDA";
  facts.nv_compute_capability = 90;
  return facts;
}

inline DeviceFacts amd_gpu() {
  DeviceFacts facts = invented_gpu("gfx90a", "Advanced Micro Devices, Inc.", "AMD Accelerated Parallel Processing");
  facts.version = "OpenCL 2.0 AMD-APP";
  facts.device_scope_fence = true;
  facts.max_work_group_size = 256;
  facts.local_mem_bytes = 64 << 10;
  facts.sub_group_size = 64;
  facts.sub_group_shuffle = SubGroupShuffle::kAmdClang;
  return facts;
}

inline DeviceFacts intel_gpu() {
  DeviceFacts facts = invented_gpu("Intel(R) Arc(TM) A770 Graphics", "Intel(R) Corporation", "Intel(R) OpenCL Graphics");
  facts.version = "OpenCL 3.0 NEO";
  facts.device_scope_fence = true;
  facts.local_mem_bytes = 64 << 10;
  facts.sub_group_sizes = {8, 16, 32};
  facts.sub_group_shuffle = SubGroupShuffle::kIntel;
  return facts;
}

inline DeviceFacts pocl_cpu() {
  DeviceFacts facts = invented_gpu("pthread-zen5", "AuthenticAMD", "Portable Computing Language");
  facts.is_cpu = true;
  facts.version = "OpenCL 3.0 PoCL";
  facts.device_scope_fence = true;
  facts.compute_units = 2;
  facts.max_work_group_size = 4096;
  facts.local_mem_bytes = 512 << 10;
  return facts;
}

/// The least that the library promises to run on.
inline DeviceFacts smallest_gpu() {
  DeviceFacts facts = invented_gpu("Tiny", "Nobody Ltd", "Some Platform");
  facts.compute_units = 1;
  facts.max_work_group_size = 64;
  facts.local_mem_bytes = 32 << 10;
  return facts;
}

inline std::vector<DeviceFacts> invented_devices() {
  return {smallest_gpu(), nvidia_gpu(), amd_gpu(), intel_gpu(), pocl_cpu()};
}

}  // namespace clsink
