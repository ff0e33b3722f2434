// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "harness/reference.hpp"
#include "harness/storage.hpp"

namespace clsink::cli {
namespace {

// value = kTable[top byte of mix(element)]: odd multiples of 1/128 below 2, exact in every storage type.
constexpr int kTableSize = 256;
constexpr float kLogitSpread = 2;  // of q over the cache's values: weights that are neither uniform nor one-hot

float table_value(std::uint32_t index) { return (2.0F * static_cast<float>(index) - (kTableSize - 1)) / 128.0F; }

std::uint32_t mix(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352dU;
  x = (x ^ (x >> 15)) * 0x846ca68bU;
  return x ^ (x >> 16);
}

float value_of(std::int64_t element) {
  const auto place = static_cast<std::uint64_t>(element);
  return table_value(mix(static_cast<std::uint32_t>(place) ^ mix(static_cast<std::uint32_t>(place >> 32) + 1U)) >> 24);
}

constexpr const char* kFillSource = R"(
uint mix(uint x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}
__kernel void fill(__global storage_t *restrict data, const ulong count, const __global storage_t *restrict table) {
  for (ulong i = get_global_id(0); i < count; i += get_global_size(0)) {
    data[i] = table[mix((uint)i ^ mix((uint)(i >> 32) + 1u)) >> 24];
  }
}
)";

// A quarter of the groups of one copy is the least that a routed step reads; that should be several times what the
// last-level cache holds. Small problems would need thousands of copies for that: they stay warm.
constexpr std::int64_t kCopiesOverCache = 16;
constexpr std::int64_t kMostBytesOfCopies = std::int64_t{1} << 30;
constexpr std::int64_t kMostCopies = 128;
constexpr std::int64_t kAlignBytes = 64;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

std::int64_t num_blocks(const DecodeProblem& problem, std::int64_t page_table_entries) {
  return problem.kv_layout.is_paged() ? page_table_entries * problem.max_batch : problem.max_batch;
}

std::int64_t extent(const CacheStrides& strides, std::int64_t blocks, std::int64_t heads, std::int64_t tokens,
                    std::int64_t channels) {
  return (blocks - 1) * strides.block + (heads - 1) * strides.head + (tokens - 1) * strides.token + channels;
}

std::int64_t extent(const RowStrides& strides, const DecodeProblem& problem) {
  return (problem.max_batch - 1) * strides.sequence + (problem.num_q_heads - 1) * strides.head + problem.head_dim;
}

template <typename T>
cl::Buffer upload(const harness::OpenClDevice& opencl, std::vector<T>& values) {
  return cl::Buffer(opencl.context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, values.size() * sizeof(T), values.data());
}

}  // namespace

BenchData::BenchData(const harness::OpenClDevice& opencl, const DecodeProblem& problem)
    : problem_(problem), scale_(1.0F / std::sqrt(static_cast<float>(problem.head_dim))) {
  make_pages(opencl);
  const KvLayout& layout = problem.kv_layout;
  const std::int64_t tokens = layout.is_paged() ? layout.page_size : problem.max_kv_len;
  const std::int64_t entries = layout.is_paged() ? (problem.max_kv_len + layout.page_size - 1) / layout.page_size : 0;
  const std::int64_t blocks = num_blocks(problem, entries);
  const std::int64_t element_bytes = size_of(problem.kv_dtype);
  v_offset_bytes_ =
      round_up(extent(layout.k, blocks, problem.num_kv_heads, tokens, problem.head_dim) * element_bytes, kAlignBytes);
  cache_bytes_ =
      v_offset_bytes_ +
      round_up(extent(layout.v, blocks, problem.num_kv_heads, tokens, problem.head_dim) * element_bytes, kAlignBytes);
  fill_caches(opencl);
  make_rows(opencl);
}

void BenchData::make_pages(const harness::OpenClDevice& opencl) {
  std::vector<std::int32_t> lengths(static_cast<std::size_t>(problem_.max_batch), problem_.max_kv_len);
  kv_len_ = upload(opencl, lengths);
  const KvLayout& layout = problem_.kv_layout;
  if (!layout.is_paged()) return;
  const std::int64_t entries = (problem_.max_kv_len + layout.page_size - 1) / layout.page_size;
  page_table_stride_ = std::max(layout.page_table_stride, entries);
  std::vector<std::int32_t> pages(static_cast<std::size_t>(entries) * problem_.max_batch);
  std::iota(pages.begin(), pages.end(), 0);
  for (std::size_t i = pages.size(); i > 1; --i) std::swap(pages[i - 1], pages[mix(static_cast<std::uint32_t>(i)) % i]);
  page_table_.assign(static_cast<std::size_t>(page_table_stride_) * problem_.max_batch, 0);
  for (int sequence = 0; sequence < problem_.max_batch; ++sequence) {
    std::copy_n(pages.begin() + sequence * entries, entries, page_table_.begin() + sequence * page_table_stride_);
  }
  pages_ = upload(opencl, page_table_);
}

void BenchData::fill_caches(const harness::OpenClDevice& opencl) {
  const auto limit = static_cast<std::int64_t>(opencl.device.getInfo<CL_DEVICE_MAX_MEM_ALLOC_SIZE>());
  if (cache_bytes_ > limit) {
    throw Error(
        ErrorCode::kOutOfMemory,
        fmt::format("K and V of the problem are {} bytes, the device allocates at most {} at once", cache_bytes_, limit));
  }
  const auto device_cache = static_cast<std::int64_t>(opencl.device.getInfo<CL_DEVICE_GLOBAL_MEM_CACHE_SIZE>());
  const std::int64_t wanted = std::min(kCopiesOverCache * device_cache, kMostBytesOfCopies);
  const std::int64_t copies = std::clamp<std::int64_t>((wanted + cache_bytes_ - 1) / cache_bytes_, 1, kMostCopies);

  const std::int64_t element_bytes = size_of(problem_.kv_dtype);
  std::vector<std::byte> table(static_cast<std::size_t>(kTableSize * element_bytes));
  for (std::uint32_t i = 0; i < kTableSize; ++i) {
    const float value = table_value(i);
    harness::store_row(problem_.kv_dtype, &value, 1, table.data() + i * element_bytes);
  }
  const cl::Buffer table_buffer = upload(opencl, table);
  cl::Program program(opencl.context, kFillSource);
  program.build({opencl.device}, element_bytes == 4 ? "-Dstorage_t=uint" : "-Dstorage_t=ushort");
  cl::Kernel kernel(program, "fill");
  const cl::CommandQueue queue = opencl.queue();
  constexpr std::size_t kWorkGroupSize = 64, kWorkItems = 4096 * kWorkGroupSize;
  for (std::int64_t copy = 0; copy < copies; ++copy) {
    caches_.emplace_back(opencl.context, CL_MEM_READ_WRITE, static_cast<std::size_t>(cache_bytes_));
    kernel.setArg(0, caches_.back());
    kernel.setArg(1, static_cast<cl_ulong>(cache_bytes_ / element_bytes));
    kernel.setArg(2, table_buffer);
    queue.enqueueNDRangeKernel(kernel, cl::NullRange, cl::NDRange(kWorkItems), cl::NDRange(kWorkGroupSize));
    queue.finish();
  }
}

std::int64_t BenchData::q_element(int sequence, int q_head, int channel) const {
  return sequence * problem_.q_strides.sequence + q_head * problem_.q_strides.head + channel;
}

void BenchData::make_rows(const harness::OpenClDevice& opencl) {
  const std::int64_t elements = extent(problem_.q_strides, problem_);
  std::vector<std::byte> rows(static_cast<std::size_t>(elements * size_of(problem_.q_dtype)));
  for (std::int64_t i = 0; i < elements; ++i) {
    const float value = kLogitSpread * value_of(~i);
    harness::store_row(problem_.q_dtype, &value, 1, rows.data() + i * size_of(problem_.q_dtype));
  }
  q_ = upload(opencl, rows);
  const std::int64_t out_bytes = extent(problem_.out_strides, problem_) * size_of(problem_.out_dtype);
  out_ = cl::Buffer(opencl.context, CL_MEM_READ_WRITE, static_cast<std::size_t>(out_bytes));
}

DecodeBuffers BenchData::buffers() {
  const cl::Buffer& cache = next_cache();
  DecodeBuffers buffers;
  buffers.q = {q_(), 0};
  buffers.k = {cache(), 0};
  buffers.v = {cache(), static_cast<std::size_t>(v_offset_bytes_)};
  buffers.kv_len = {kv_len_(), 0};
  buffers.out = {out_(), 0};
  buffers.page_table = {pages_(), 0};
  return buffers;
}

std::vector<float> BenchData::read_group(const cl::CommandQueue& queue, int sequence, int kv_head) const {
  const int group_size = problem_.group_size(), element_bytes = size_of(problem_.out_dtype);
  std::vector<float> rows(static_cast<std::size_t>(group_size * problem_.head_dim));
  std::vector<std::byte> raw(static_cast<std::size_t>(problem_.head_dim * element_bytes));
  for (int j = 0; j < group_size; ++j) {
    const std::int64_t element =
        sequence * problem_.out_strides.sequence + (kv_head * group_size + j) * problem_.out_strides.head;
    queue.enqueueReadBuffer(out_, CL_TRUE, static_cast<std::size_t>(element * element_bytes), raw.size(), raw.data());
    harness::load_row(problem_.out_dtype, raw.data(), static_cast<std::size_t>(problem_.head_dim),
                      &rows[static_cast<std::size_t>(j * problem_.head_dim)]);
  }
  return rows;
}

void BenchData::spoil_output(const cl::CommandQueue& queue) const {
  constexpr cl_ushort kNanInEveryStorageType = 0x7fff;
  queue.enqueueFillBuffer(out_, kNanInEveryStorageType, 0, out_.getInfo<CL_MEM_SIZE>());
  queue.finish();
}

void BenchData::load_cache_row(const CacheStrides& strides, std::int64_t first_element, int sequence, int kv_head, int token,
                               float* row) const {
  std::int64_t block = sequence, token_in_block = token;
  if (const std::int32_t page_size = problem_.kv_layout.page_size; page_size != 0) {
    block = page_table_[static_cast<std::size_t>(sequence * page_table_stride_ + token / page_size)];
    token_in_block = token % page_size;
  }
  const std::int64_t element = first_element + block * strides.block + kv_head * strides.head + token_in_block * strides.token;
  for (int channel = 0; channel < problem_.head_dim; ++channel) row[channel] = value_of(element + channel);
}

std::vector<double> BenchData::reference_group(int sequence, int kv_head, const TokenSet& token_set) const {
  DecodeProblem group = problem_;
  group.num_kv_heads = group.max_batch = 1;
  group.num_q_heads = problem_.group_size();
  group.token_set = token_set;
  group.routing.enabled = false;
  harness::ReferenceInputs inputs;
  for (int head = 0; head < group.num_q_heads; ++head) {
    for (int channel = 0; channel < group.head_dim; ++channel) {
      inputs.q.push_back(kLogitSpread * value_of(~q_element(sequence, kv_head * group.num_q_heads + head, channel)));
    }
  }
  std::vector<float> row(static_cast<std::size_t>(group.head_dim));
  const std::int64_t v_first_element = v_offset_bytes_ / size_of(problem_.kv_dtype);
  inputs.key = [&](int, int, int token) {
    load_cache_row(problem_.kv_layout.k, 0, sequence, kv_head, token, row.data());
    return row.data();
  };
  inputs.value = [&](int, int, int token) {
    load_cache_row(problem_.kv_layout.v, v_first_element, sequence, kv_head, token, row.data());
    return row.data();
  };
  inputs.kv_lens = {problem_.max_kv_len};
  DecodeStep step;
  step.scale = scale_;
  return harness::reference_decode(group, step, inputs).out;
}

double BenchData::relative_error(const cl::CommandQueue& queue, const std::vector<std::pair<int, bool>>& groups,
                                 const TokenSet& surrogate) {
  const int sequence = problem_.max_batch - 1;
  double error = 0, norm = 0;
  for (const auto& group : groups) {
    std::vector<double>& expected = references_[group];
    if (expected.empty()) {
      expected = reference_group(sequence, group.first, group.second ? surrogate : problem_.token_set);
    }
    const std::vector<float> got = read_group(queue, sequence, group.first);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double difference = got[i] - expected[i];
      error += difference * difference;
      norm += expected[i] * expected[i];
    }
  }
  const double relative = std::sqrt(error / norm);
  return std::isnan(relative) ? std::numeric_limits<double>::infinity() : relative;
}

}  // namespace clsink::cli
