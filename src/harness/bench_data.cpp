// SPDX-License-Identifier: Apache-2.0
#include "harness/bench_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "harness/bench_reference.hpp"
#include "harness/compare.hpp"
#include "harness/storage.hpp"

namespace clsink::harness {
namespace {

// value = kTable[top byte of mix(element)]: odd multiples of 1/128 below 2, exact in every storage type.
constexpr int kTableSize = 256;
// q over the cache's values: weights that are neither uniform nor one-hot. A routed group's q is as much of token 0's key
// as of its own values, and smaller, so that the sink does not drown the window.
constexpr float kLogitSpread = 2, kRoutedKey = 0.25F, kRoutedSpread = 0.125F;

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

// A work-group fills a chunk of its own: neighbouring work-items on neighbouring elements for GPUs, and nothing far apart for
// CPUs, which run one work-item after the other.
constexpr std::int64_t kFillWorkGroup = 64, kFillChunk = 4096;
constexpr const char* kFillSource = R"(
uint mix(uint x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}
__kernel void fill(__global storage_t *restrict data, const ulong count, const __global storage_t *restrict table) {
  const ulong begin = get_group_id(0) * (ulong)CHUNK, end = min(begin + CHUNK, count);
  for (ulong i = begin + get_local_id(0); i < end; i += get_local_size(0)) {
    data[i] = table[mix((uint)i ^ mix((uint)(i >> 32) + 1u)) >> 24];
  }
}
)";

constexpr std::int64_t kGpuSweepBytes = 512'000'000;  // the largest caches of 2025 are 256 MB
constexpr std::int64_t kCpuSweepOverCache = 16;
constexpr std::int64_t kMostBytesOnCpu = std::int64_t{1} << 30;
constexpr std::int64_t kMostShareOfGpu = 4;  // a fourth of the device's memory
constexpr std::int64_t kMostCopies = 512;    // small problems stay warm
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

}  // namespace

std::int64_t wanted_sweep_bytes(const cl::Device& device) {
  if ((device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) == 0) return kGpuSweepBytes;
  return kCpuSweepOverCache * static_cast<std::int64_t>(device.getInfo<CL_DEVICE_GLOBAL_MEM_CACHE_SIZE>());
}

BenchData::BenchData(const OpenClDevice& opencl, const DecodeProblem& problem, std::int64_t least_step_bytes)
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
  fill_caches(opencl, copies_for(opencl.device, least_step_bytes));
  const std::int64_t out_bytes = extent(problem.out_strides, problem) * size_of(problem.out_dtype);
  out_ = cl::Buffer(opencl.context, CL_MEM_READ_WRITE, static_cast<std::size_t>(out_bytes));
}

void BenchData::make_pages(const OpenClDevice& opencl) {
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

std::int64_t BenchData::copies_for(const cl::Device& device, std::int64_t least_step_bytes) const {
  const auto limit = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_MAX_MEM_ALLOC_SIZE>());
  if (cache_bytes_ > limit) {
    throw Error(
        ErrorCode::kOutOfMemory,
        fmt::format("K and V of the problem are {} bytes, the device allocates at most {} at once", cache_bytes_, limit));
  }
  const bool is_cpu = (device.getInfo<CL_DEVICE_TYPE>() & CL_DEVICE_TYPE_CPU) != 0;
  const std::int64_t memory = static_cast<std::int64_t>(device.getInfo<CL_DEVICE_GLOBAL_MEM_SIZE>()) / kMostShareOfGpu;
  const std::int64_t fitting = (is_cpu ? std::min(kMostBytesOnCpu, memory) : memory) / cache_bytes_;
  const std::int64_t wanted = (wanted_sweep_bytes(device) + least_step_bytes - 1) / least_step_bytes;
  return std::max<std::int64_t>(std::min({wanted, fitting, kMostCopies}), 1);
}

void BenchData::fill_caches(const OpenClDevice& opencl, std::int64_t copies) {
  const std::int64_t element_bytes = size_of(problem_.kv_dtype);
  std::vector<std::byte> table(static_cast<std::size_t>(kTableSize * element_bytes));
  for (std::uint32_t i = 0; i < kTableSize; ++i) {
    const float value = table_value(i);
    store_row(problem_.kv_dtype, &value, 1, table.data() + i * element_bytes);
  }
  const cl::Buffer table_buffer = upload(opencl, table);
  cl::Program program(opencl.context, kFillSource);
  program.build({opencl.device},
                fmt::format("-DCHUNK={} -Dstorage_t={}", kFillChunk, element_bytes == 4 ? "uint" : "ushort").c_str());
  cl::Kernel kernel(program, "fill");
  const cl::CommandQueue queue = opencl.queue();
  const std::int64_t elements = cache_bytes_ / element_bytes;
  const auto work_items = static_cast<std::size_t>(round_up(elements, kFillChunk) / kFillChunk * kFillWorkGroup);
  const auto bytes = static_cast<std::size_t>(cache_bytes_);
  caches_.emplace_back(opencl.context, CL_MEM_READ_WRITE, bytes);
  kernel.setArg(0, caches_.front());
  kernel.setArg(1, static_cast<cl_ulong>(elements));
  kernel.setArg(2, table_buffer);
  queue.enqueueNDRangeKernel(kernel, cl::NullRange, cl::NDRange(work_items), cl::NDRange(kFillWorkGroup));
  for (std::int64_t copy = 1; copy < copies; ++copy) {
    caches_.emplace_back(opencl.context, CL_MEM_READ_WRITE, bytes);
    queue.enqueueCopyBuffer(caches_.front(), caches_.back(), 0, 0, bytes);
  }
  queue.finish();
}

std::vector<float> BenchData::q_row(int sequence, int q_head, bool routed) const {
  std::vector<float> key(static_cast<std::size_t>(problem_.head_dim)), row(key.size());
  load_cache_row(problem_.kv_layout.k, 0, sequence, q_head / problem_.group_size(), 0, key.data());
  const std::int64_t first = sequence * problem_.q_strides.sequence + q_head * problem_.q_strides.head;
  float dot = 0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    row[i] = kLogitSpread * value_of(~(first + static_cast<std::int64_t>(i)));
    dot += row[i] * key[i];
  }
  const float sign = (dot > 0) == routed ? 1.0F : -1.0F;
  for (std::size_t i = 0; i < row.size(); ++i) {
    const float value = routed ? kRoutedKey * key[i] + sign * kRoutedSpread * row[i] : sign * row[i];
    row[i] = round_to_storage(problem_.q_dtype, value);
  }
  return row;
}

cl::Buffer BenchData::make_q(const OpenClDevice& opencl, const std::vector<bool>& routed) const {
  const int element_bytes = size_of(problem_.q_dtype), group_size = std::max(problem_.group_size(), 1);
  std::vector<std::byte> rows(static_cast<std::size_t>(extent(problem_.q_strides, problem_) * element_bytes));
  for (int sequence = 0; sequence < problem_.max_batch; ++sequence) {
    for (int head = 0; head < problem_.num_q_heads; ++head) {
      const std::size_t first_group = static_cast<std::size_t>(sequence) * problem_.num_kv_heads;
      const std::vector<float> row = q_row(sequence, head, routed[first_group + head / group_size]);
      const std::int64_t element = sequence * problem_.q_strides.sequence + head * problem_.q_strides.head;
      store_row(problem_.q_dtype, row.data(), row.size(), rows.data() + element * element_bytes);
    }
  }
  return upload(opencl, rows);
}

DecodeBuffers BenchData::buffers() {
  const cl::Buffer& cache = next_cache();
  DecodeBuffers buffers;
  buffers.k = {cache(), 0};
  buffers.v = {cache(), static_cast<std::size_t>(v_offset_bytes_)};
  buffers.out = {out_(), 0};
  buffers.page_table = {pages_(), 0};
  return buffers;
}

// Appends the group's rows.
void BenchData::read_group(const cl::CommandQueue& queue, std::int32_t sequence, std::int32_t kv_head,
                           std::vector<float>& rows) const {
  const int group_size = problem_.group_size();
  const std::int64_t element_bytes = size_of(problem_.out_dtype);
  std::vector<std::byte> raw(static_cast<std::size_t>(problem_.head_dim * element_bytes));
  for (int j = 0; j < group_size; ++j) {
    const std::int64_t element =
        sequence * problem_.out_strides.sequence + (kv_head * group_size + j) * problem_.out_strides.head;
    queue.enqueueReadBuffer(out_, CL_TRUE, static_cast<std::size_t>(element * element_bytes), raw.size(), raw.data());
    rows.resize(rows.size() + static_cast<std::size_t>(problem_.head_dim));
    load_row(problem_.out_dtype, raw.data(), static_cast<std::size_t>(problem_.head_dim), &*(rows.end() - problem_.head_dim));
  }
}

std::vector<float> BenchData::read_output(const cl::CommandQueue& queue) const {
  std::vector<float> rows;
  for (std::int32_t sequence = 0; sequence < problem_.max_batch; ++sequence) {
    for (std::int32_t kv_head = 0; kv_head < problem_.num_kv_heads; ++kv_head) read_group(queue, sequence, kv_head, rows);
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

std::vector<double> BenchData::reference_of(const CheckedGroup& group) const {
  std::vector<float> q;
  for (int j = 0; j < problem_.group_size(); ++j) {
    const std::vector<float> row = q_row(group.sequence, group.kv_head * problem_.group_size() + j, group.routed);
    q.insert(q.end(), row.begin(), row.end());
  }
  const auto rows_of = [&](const CacheStrides& strides, std::int64_t first_element) {
    return [this, &strides, &group, first_element](std::int32_t token, float* row) {
      load_cache_row(strides, first_element, group.sequence, group.kv_head, token, row);
    };
  };
  return group_reference(q, problem_.head_dim, scale_, group.attended, group.kv_len, rows_of(problem_.kv_layout.k, 0),
                         rows_of(problem_.kv_layout.v, v_offset_bytes_ / size_of(problem_.kv_dtype)));
}

double BenchData::relative_error(const cl::CommandQueue& queue, const std::vector<CheckedGroup>& groups) {
  std::vector<float> got;
  std::vector<double> all_expected;
  for (const CheckedGroup& group : groups) {
    std::vector<double>& expected = references_[{group.sequence, group.kv_head, group.kv_len, group.routed}];
    if (expected.empty()) expected = reference_of(group);
    all_expected.insert(all_expected.end(), expected.begin(), expected.end());
    read_group(queue, group.sequence, group.kv_head, got);
  }
  return relative_distance(got, all_expected);
}

}  // namespace clsink::harness
