// SPDX-License-Identifier: Apache-2.0
// Invented devices that planning is tested on. No OpenCL.
#pragma once

#include <map>
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

/// Without tensor cores that the library uses.
inline DeviceFacts nvidia_turing_gpu() {
  DeviceFacts facts = nvidia_gpu();
  facts.name = "NVIDIA T4";
  facts.nv_compute_capability = 75;
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

inline DeviceFacts amd_rdna_gpu() {
  DeviceFacts facts = amd_gpu();
  facts.name = "gfx1100";
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

/// Gen12LP, whose threads have 128 registers and no more.
inline DeviceFacts intel_lp_gpu() {
  DeviceFacts facts = intel_gpu();
  facts.name = "Intel(R) Iris(R) Xe Graphics";
  return facts;
}

/// Battlemage, whose threads have 16 lanes at least.
inline DeviceFacts intel_xe2_gpu() {
  DeviceFacts facts = intel_gpu();
  facts.name = "Intel(R) Arc(TM) B580 Graphics";
  facts.sub_group_sizes = {16, 32};
  return facts;
}

inline DeviceFacts intel_hpc_gpu() {
  DeviceFacts facts = intel_gpu();
  facts.name = "Intel(R) Data Center GPU Max 1550";
  facts.local_mem_bytes = 128 << 10;
  facts.sub_group_sizes = {16, 32};
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

inline DeviceFacts llvmpipe_cpu() {
  DeviceFacts facts = invented_gpu("llvmpipe", "Mesa/X.org", "rusticl");
  facts.is_cpu = facts.lanes_are_work_items = true;
  facts.version = "OpenCL 3.0 ";
  facts.compute_units = 8;
  facts.local_mem_bytes = 32 << 10;
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

/// One device of each family of GPUs whose compilers tests/portability asks.
inline std::map<std::string, DeviceFacts> family_devices() {
  return {
      {"cdna", amd_gpu()},      {"rdna", amd_rdna_gpu()},        {"xe", intel_gpu()},
      {"xe2", intel_xe2_gpu()}, {"xe_lp", intel_lp_gpu()},       {"xe_hpc", intel_hpc_gpu()},
      {"nvidia", nvidia_gpu()}, {"turing", nvidia_turing_gpu()}, {"plain", smallest_gpu()},
  };
}

inline std::vector<DeviceFacts> invented_devices() {
  return {smallest_gpu(), nvidia_gpu(), amd_gpu(), intel_gpu(), pocl_cpu(), llvmpipe_cpu()};
}

}  // namespace clsink
