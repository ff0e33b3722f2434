// SPDX-License-Identifier: Apache-2.0
// What a device can read: a kernel that does nothing but load a buffer, so that every figure of the bench has its bound
// measured in the same run, on the same buffer and with the same launches.
#pragma once

#include <cstdint>

#include "harness/opencl_device.hpp"

namespace clsink::harness {

class ReadBandwidth {
 public:
  /// Lengths and offsets are multiples of so many bytes: the widest load.
  static constexpr std::int64_t kGranularityBytes = 64;

  /// Builds the kernel for the device and checks, on a small buffer, that it reads every byte. Throws clsink::Error.
  ReadBandwidth(const cl::Context& context, const cl::Device& device);

  /// Reads buffer[0, bytes) on the queue, which may be busy.
  void enqueue(const cl::CommandQueue& queue, const cl::Buffer& buffer, std::int64_t bytes);

  /// The exclusive or of all 32-bit words that the latest enqueue read. Blocks.
  std::uint32_t checksum(const cl::CommandQueue& queue) const;

 private:
  void check(const cl::Context& context, const cl::Device& device);

  bool is_cpu_;
  std::int64_t work_items_;
  std::int64_t work_group_size_;
  cl::Kernel kernel_;
  cl::Buffer sums_;
};

}  // namespace clsink::harness
