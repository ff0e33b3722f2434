// SPDX-License-Identifier: Apache-2.0
// What one kernel is compiled from: the part of a plan that this kernel depends on, and the only source of -D.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <clsink/device.hpp>
#include <clsink/plan.hpp>

namespace clsink {

enum class Kernel : std::uint8_t { kRoute, kSchedule, kDecode, kCombine };

const char* to_string(Kernel kernel);

/// Integers only; a parameter that the kernel does not depend on is 0, so that plans share programs.
struct ProgramSpec {
  Kernel kernel = Kernel::kDecode;
  std::int32_t q_dtype = 0, kv_dtype = 0, out_dtype = 0;
  std::int32_t head_dim = 0, group_size = 0, page_size = 0;
  std::int32_t routed = 0, schedule = 0, fusion = 0, engine = 0;
  std::int32_t wg = 1, tile_kv = 0, vec = 0, stages = 0;
  std::int32_t heads = 0, sub_group_size = 0, sub_group_request = 0, sub_group_shuffle = 0;
  std::int32_t native_exp2 = 0, device_fence = 0;
  std::int32_t opencl_c = 12;  // 10 * major + minor
  bool large_grf = false;      // Intel: 256 registers for a thread of the GPU, and half the threads
};

/// The kernels of a step in launch order.
std::vector<ProgramSpec> program_specs(const DecodePlan& plan, const DeviceFacts& facts);

/// All compiler options of a program, in a fixed order: also its cache key.
std::string build_options(const ProgramSpec& spec);

}  // namespace clsink
