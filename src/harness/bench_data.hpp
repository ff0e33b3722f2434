// SPDX-License-Identifier: Apache-2.0
// Device buffers of a benchmarked problem. Every cache element is a function of its place in the buffer, so a cache of
// any size is filled on the device, never copied, and the reference can look up the rows it needs. Several equal copies
// of the cache take turns, so that no step finds its bytes in the last-level cache.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include <clsink/context.hpp>

#include "harness/opencl_device.hpp"

namespace clsink::harness {

/// What one sweep over the copies is to read: on a GPU far more than any last-level cache, whatever OpenCL says of it (it
/// may name another level's size); on a CPU 16 times what OpenCL says.
std::int64_t wanted_sweep_bytes(const cl::Device& device);

/// A (sequence, kv head) whose output is compared with the reference.
struct CheckedGroup {
  std::int32_t sequence, kv_head, kv_len;
  bool routed;  ///< which queries it has
  TokenSet attended;
};

class BenchData {
 public:
  /// Strides of the problem are filled in (as in a plan). `least_step_bytes`: what the step that reads least will read;
  /// copies are made for it, as far as memory allows. Throws clsink::Error.
  BenchData(const OpenClDevice& opencl, const DecodeProblem& problem, std::int64_t least_step_bytes);

  /// The next copy in turn: K at its beginning, V at v_offset_bytes.
  const cl::Buffer& next_cache() { return caches_[turn_++ % caches_.size()]; }
  std::int64_t v_offset_bytes() const { return v_offset_bytes_; }
  std::int64_t cache_bytes() const { return cache_bytes_; }
  std::size_t num_copies() const { return caches_.size(); }

  const cl::Buffer& out() const { return out_; }
  float scale() const { return scale_; }

  /// Queries of routed groups lean towards the key of token 0, cosine about 0.7; those of others away from it, cosine 0
  /// or less. routed: [batch][num_kv_heads].
  cl::Buffer make_q(const OpenClDevice& opencl, const std::vector<bool>& routed) const;
  static constexpr float kTauBetween = 0.35F;

  /// Output, page table and the next cache in turn; the rest is the step's.
  DecodeBuffers buffers();

  /// So that an output which is not written cannot pass for the one before.
  void spoil_output(const cl::CommandQueue& queue) const;

  /// All of out's rows, in order. Blocks.
  std::vector<float> read_output(const cl::CommandQueue& queue) const;

  /// ||out - reference|| / ||reference|| over the given groups; infinity if anything is NaN. Blocks. References are kept.
  double relative_error(const cl::CommandQueue& queue, const std::vector<CheckedGroup>& groups);

 private:
  std::int64_t copies_for(const cl::Device& device, std::int64_t least_step_bytes) const;
  void fill_caches(const OpenClDevice& opencl, std::int64_t copies);
  void make_pages(const OpenClDevice& opencl);
  std::vector<float> q_row(int sequence, int q_head, bool routed) const;
  void read_group(const cl::CommandQueue& queue, std::int32_t sequence, std::int32_t kv_head, std::vector<float>& rows) const;
  std::vector<double> reference_of(const CheckedGroup& group) const;
  void load_cache_row(const CacheStrides& strides, std::int64_t first_element, int sequence, int kv_head, int token,
                      float* row) const;

  DecodeProblem problem_;
  float scale_;
  std::int64_t v_offset_bytes_ = 0;
  std::int64_t cache_bytes_ = 0;
  std::int64_t page_table_stride_ = 0;
  std::vector<std::int32_t> page_table_;
  std::vector<cl::Buffer> caches_;
  std::size_t turn_ = 0;
  cl::Buffer pages_, out_;
  std::map<std::tuple<int, int, int, bool>, std::vector<double>> references_;
};

}  // namespace clsink::harness
