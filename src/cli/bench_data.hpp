// SPDX-License-Identifier: Apache-2.0
// Device buffers of a benchmarked problem. Every cache element is a function of its place in the buffer, so a cache of
// any size is filled on the device, never copied, and the reference can look up the rows it needs. Several equal copies
// of the cache take turns, so that no step finds its bytes in the last-level cache.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include <clsink/context.hpp>

#include "harness/opencl_device.hpp"

namespace clsink::cli {

class BenchData {
 public:
  /// Strides of the problem are filled in (as in a plan). Throws clsink::Error.
  BenchData(const harness::OpenClDevice& opencl, const DecodeProblem& problem);

  /// The next copy in turn: K at its beginning, V at v_offset_bytes.
  const cl::Buffer& next_cache() { return caches_[turn_++ % caches_.size()]; }
  std::int64_t v_offset_bytes() const { return v_offset_bytes_; }
  std::int64_t cache_bytes() const { return cache_bytes_; }
  std::size_t num_copies() const { return caches_.size(); }

  const cl::Buffer& q() const { return q_; }
  const cl::Buffer& out() const { return out_; }
  float scale() const { return scale_; }

  /// Everything but the workspace and the routing buffers, with the next cache in turn.
  DecodeBuffers buffers();

  /// So that an output which is not written cannot pass for the one before.
  void spoil_output(const cl::CommandQueue& queue) const;

  /// ||out - reference|| / ||reference|| over the given (kv head, routed) groups of the last sequence, where routed ones
  /// attend to the surrogate; infinity if anything is NaN. Blocks. References are kept.
  double relative_error(const cl::CommandQueue& queue, const std::vector<std::pair<int, bool>>& groups,
                        const TokenSet& surrogate);

 private:
  void fill_caches(const harness::OpenClDevice& opencl);
  void make_pages(const harness::OpenClDevice& opencl);
  void make_rows(const harness::OpenClDevice& opencl);
  std::vector<float> read_group(const cl::CommandQueue& queue, int sequence, int kv_head) const;
  std::vector<double> reference_group(int sequence, int kv_head, const TokenSet& token_set) const;
  void load_cache_row(const CacheStrides& strides, std::int64_t first_element, int sequence, int kv_head, int token,
                      float* row) const;
  std::int64_t q_element(int sequence, int q_head, int channel) const;

  DecodeProblem problem_;
  float scale_;
  std::int64_t v_offset_bytes_ = 0;
  std::int64_t cache_bytes_ = 0;
  std::int64_t page_table_stride_ = 0;
  std::vector<std::int32_t> page_table_;
  std::vector<cl::Buffer> caches_;
  std::size_t turn_ = 0;
  cl::Buffer q_, kv_len_, pages_, out_;
  std::map<std::pair<int, bool>, std::vector<double>> references_;
};

}  // namespace clsink::cli
