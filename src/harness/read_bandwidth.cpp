// SPDX-License-Identifier: Apache-2.0
#include "harness/read_bandwidth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <clsink/error.hpp>
#include <string>
#include <vector>

namespace clsink::harness {
namespace {

// A CPU runs one work-item at a time and likes one long stream; a GPU wants neighbouring work-items on neighbouring
// addresses. Both keep eight loads in flight. `count` is in vectors.
constexpr const char* kSource = R"(
#if IS_CPU
typedef uint16 vec;
uint fold(vec x) {
  const uint8 a = x.lo ^ x.hi;
  const uint4 b = a.lo ^ a.hi;
  return b.x ^ b.y ^ b.z ^ b.w;
}
#else
typedef uint4 vec;
uint fold(vec x) { return x.x ^ x.y ^ x.z ^ x.w; }
#endif

__kernel void read_all(const __global vec *restrict data, const ulong count, __global uint *restrict sums) {
#if IS_CPU
  const ulong share = (count + get_global_size(0) - 1) / get_global_size(0);
  ulong i = min(get_global_id(0) * share, count);
  const ulong end = min(i + share, count), step = 1;
#else
  ulong i = get_global_id(0);
  const ulong end = count, step = get_global_size(0);
#endif
  vec a = (vec)(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (; i + 7 * step < end; i += 8 * step) {
    a ^= data[i];
    b ^= data[i + step];
    c ^= data[i + 2 * step];
    d ^= data[i + 3 * step];
    e ^= data[i + 4 * step];
    f ^= data[i + 5 * step];
    g ^= data[i + 6 * step];
    h ^= data[i + 7 * step];
  }
  for (; i < end; i += step) a ^= data[i];
  sums[get_global_id(0)] = fold((a ^ b) ^ (c ^ d) ^ (e ^ f) ^ (g ^ h));
}
)";

// Enough to fill a GPU several times over; on a CPU a few pieces a core, so that a late thread costs little.
constexpr std::int64_t kGpuWorkGroupSize = 256;
constexpr std::int64_t kGpuWorkGroupsPerUnit = 16;
constexpr std::int64_t kCpuPiecesPerUnit = 4;

}  // namespace

ReadBandwidth::ReadBandwidth(const cl::Context& context, const cl::Device& device)
    : is_cpu_((device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) != 0) {
  const std::int64_t units = device.getInfo<CL_DEVICE_MAX_COMPUTE_UNITS>();
  const auto largest = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_MAX_WORK_GROUP_SIZE>());
  work_group_size_ = is_cpu_ ? 1 : std::min(kGpuWorkGroupSize, largest);
  work_items_ = is_cpu_ ? units * kCpuPiecesPerUnit : units * kGpuWorkGroupsPerUnit * work_group_size_;
  try {
    cl::Program program(context, kSource);
    program.build({device}, is_cpu_ ? "-DIS_CPU=1" : "-DIS_CPU=0");
    kernel_ = cl::Kernel(program, "read_all");
    sums_ = cl::Buffer(context, CL_MEM_READ_WRITE, static_cast<std::size_t>(work_items_) * sizeof(std::uint32_t));
    check(context, device);
  } catch (const cl::BuildError& error) {
    throw Error(ErrorCode::kBuildFailed, "read bandwidth kernel:\n" + error.getBuildLog().at(0).second);
  }
}

void ReadBandwidth::enqueue(const cl::CommandQueue& queue, const cl::Buffer& buffer, std::int64_t bytes) {
  if (bytes <= 0 || bytes % kGranularityBytes != 0) {
    throw Error(ErrorCode::kInvalidBuffer,
                fmt::format("bytes to read: {} is not a positive multiple of {}", bytes, kGranularityBytes));
  }
  const std::int64_t vector_bytes = is_cpu_ ? 64 : 16;
  kernel_.setArg(0, buffer);
  kernel_.setArg(1, static_cast<cl_ulong>(bytes / vector_bytes));
  kernel_.setArg(2, sums_);
  queue.enqueueNDRangeKernel(kernel_, cl::NullRange, cl::NDRange(static_cast<std::size_t>(work_items_)),
                             cl::NDRange(static_cast<std::size_t>(work_group_size_)));
}

std::uint32_t ReadBandwidth::checksum(const cl::CommandQueue& queue) const {
  std::vector<std::uint32_t> sums(static_cast<std::size_t>(work_items_));
  queue.enqueueReadBuffer(sums_, CL_TRUE, 0, sums.size() * sizeof(std::uint32_t), sums.data());
  std::uint32_t sum = 0;
  for (const std::uint32_t value : sums) sum ^= value;
  return sum;
}

void ReadBandwidth::check(const cl::Context& context, const cl::Device& device) {
  constexpr std::size_t kRows = 9973;  // a prime: no multiple of any unrolling or number of work-items
  std::vector<std::uint32_t> words(kRows * kGranularityBytes / sizeof(std::uint32_t));
  std::uint32_t expected = 0, value = 1;
  for (std::uint32_t& word : words) {
    value = value * 1664525U + 1013904223U;
    word = value;
    expected ^= value;
  }
  const std::size_t bytes = words.size() * sizeof(std::uint32_t);
  const cl::Buffer buffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, bytes, words.data());
  const cl::CommandQueue queue(context, device);
  enqueue(queue, buffer, static_cast<std::int64_t>(bytes));
  const std::uint32_t got = checksum(queue);
  if (got != expected) {
    throw Error(ErrorCode::kInternal, fmt::format("read bandwidth kernel: checksum {:08x}, expected {:08x}", got, expected));
  }
}

}  // namespace clsink::harness
