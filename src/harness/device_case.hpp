// SPDX-License-Identifier: Apache-2.0
// A case on a device: buffers in exactly the layout that its problem describes, with NaN in everything that must not be
// read and a pattern around everything that must not be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "harness/compare.hpp"
#include "harness/inputs.hpp"
#include "harness/opencl_device.hpp"

namespace clsink::harness {

/// One buffer and the pattern that fills it outside the rows that kernels may write.
struct GuardedBuffer {
  cl::Buffer memory;
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;
  BufferView view() const { return {memory(), offset_bytes}; }
};

class DeviceCase {
 public:
  /// `plan` must come from the case's problem. Uploads; blocks.
  DeviceCase(const OpenClDevice& device, const DecodePlan& plan, const Case& c, const Inputs& inputs);

  /// Optional ones may be emptied before a step.
  DecodeBuffers buffers;
  DecodeStep step;

  /// Physical page of (sequence, logical page), row by row with the problem's page table stride.
  const std::vector<std::int32_t>& page_table() const { return page_table_; }
  std::int32_t num_pages() const { return num_pages_; }
  void upload_page_table(const std::vector<std::int32_t>& table);
  void upload_kv_lens(const std::vector<std::int32_t>& kv_lens);

  /// Fills outputs, status and workspace with their patterns again.
  void reset(cl::CommandQueue& queue);
  /// Waits for the queue and reads everything back.
  Readback read(cl::CommandQueue& queue);

 private:
  void place_pages(const Inputs& inputs);
  void upload_q(const Inputs& inputs);
  void upload_caches(const Case& c, const Inputs& inputs);
  std::vector<std::byte> cache_bytes(std::size_t offset_bytes, std::int64_t extent) const;
  void fill_cache(const std::vector<float>& values, const CacheStrides& strides, const Inputs& inputs, std::byte* base) const;
  std::int64_t cache_extent(const CacheStrides& strides) const;
  cl::Buffer upload(const void* bytes, std::size_t count, cl_mem_flags flags = CL_MEM_READ_ONLY);
  template <typename T>
  cl::Buffer upload_small(const std::vector<T>& values, BufferView& view);
  void write(const cl::Buffer& buffer, const std::vector<std::int32_t>& values);
  GuardedBuffer guarded(std::size_t bytes, std::uint8_t fill);
  std::vector<std::byte> fetch(cl::CommandQueue& queue, const GuardedBuffer& buffer) const;

  OpenClDevice device_;
  DecodeProblem problem_;
  std::int32_t batch_ = 0;
  std::int32_t num_pages_ = 0;
  std::size_t small_offset_bytes_ = 0;
  std::vector<std::int32_t> page_table_;
  std::size_t guard_bytes_, nan_tail_bytes_;
  cl::Buffer q_, k_, v_, kv_len_, page_table_buffer_, head_mask_, tau_offsets_, anchor_;
  GuardedBuffer out_, lse_, statistics_, status_, workspace_;
};

/// Runs the case once on an own queue and compares. `inputs` and `reference` may serve many variants of one case.
Outcome run_case(const OpenClDevice& device, Context& context, const Case& c, const Inputs& inputs,
                 const ReferenceResult& reference);
Outcome run_case(const OpenClDevice& device, Context& context, const Case& c);

/// The plan that a case asks for.
DecodePlan plan_of(const Context& context, const Case& c);

}  // namespace clsink::harness
