// SPDX-License-Identifier: Apache-2.0
#include "harness/device_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "harness/storage.hpp"

namespace clsink::harness {
namespace {

constexpr std::byte kNan{0xff};                // bytes that are NaN in all three storage types, and a page out of range
constexpr std::uint8_t kPattern = 0xa5;        // around everything that kernels write
constexpr std::size_t kGuardBytes = 1024;      // a multiple of every device's alignment of sub-buffers
constexpr std::size_t kSmallOffsetBytes = 12;  // of the int32 and float inputs, in cases with offsets
constexpr std::size_t kNanTailBytes = 64;

std::int64_t row_extent(const DecodeProblem& problem, const RowStrides& strides) {
  return (problem.max_batch - 1) * strides.sequence + (problem.num_q_heads - 1) * strides.head + problem.head_dim;
}

// Sets what a kernel may write back to the pattern, so that a single comparison finds damage elsewhere.
void mask(std::vector<std::byte>& bytes, std::size_t begin, std::size_t count) {
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(begin), count, std::byte{kPattern});
}

void report_damage(const char* name, const std::vector<std::byte>& bytes, Readback& got) {
  const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{kPattern}; });
  if (bad == bytes.end()) return;
  got.damage.push_back(fmt::format("{}: byte {} of {} overwritten", name, bad - bytes.begin(), bytes.size()));
}

}  // namespace

DeviceCase::DeviceCase(const OpenClDevice& device, const DecodePlan& plan, const Case& c, const Inputs& inputs)
    : step(step_of(c)),
      device_(device),
      problem_(plan.problem),
      batch_(static_cast<std::int32_t>(c.kv_lens.size())),
      guard_bytes_(c.exact ? 0 : kGuardBytes),
      nan_tail_bytes_(c.exact ? 0 : kNanTailBytes) {
  small_offset_bytes_ = c.offset_bytes != 0 ? kSmallOffsetBytes : 0;
  if (problem_.kv_layout.is_paged()) place_pages(inputs);
  buffers.q.offset_bytes = buffers.k.offset_bytes = buffers.v.offset_bytes = static_cast<std::size_t>(c.offset_bytes);
  upload_q(inputs);
  upload_caches(c, inputs);
  kv_len_ = upload_small(inputs.kv_lens, buffers.kv_len);
  if (problem_.routing.enabled && problem_.routing.score == Score::kMask) {
    head_mask_ = upload_small(inputs.head_mask, buffers.head_mask);
  }
  if (!inputs.tau_offsets.empty() && problem_.routing.enabled && problem_.routing.score == Score::kCosine) {
    tau_offsets_ = upload_small(inputs.tau_offsets, buffers.tau_offsets);
  }
  if (!inputs.anchors.empty()) {
    anchor_ = upload_small(inputs.anchors, buffers.anchor);
  }
  const std::size_t groups = static_cast<std::size_t>(batch_) * problem_.num_kv_heads;
  out_ = guarded(static_cast<std::size_t>(row_extent(problem_, problem_.out_strides) * size_of(problem_.out_dtype)), kPattern);
  workspace_ = guarded(static_cast<std::size_t>(plan.workspace_bytes), 0xff);
  buffers.out = out_.view();
  buffers.workspace = workspace_.view();
  if (c.optional_outputs) {
    lse_ = guarded(static_cast<std::size_t>(batch_) * problem_.num_q_heads * sizeof(float), kPattern);
    status_ = guarded(sizeof(std::int32_t), 0);
    buffers.lse = lse_.view();
    buffers.status = status_.view();
    if (problem_.routing.enabled) {
      statistics_ = guarded(groups * sizeof(GroupStatistics), kPattern);
      buffers.statistics = statistics_.view();
    }
  }
}

// Pages in shuffled order with unused ones between them. The first and the last physical page are full ones where the
// lengths allow it, so that entries clamped into the cache still find numbers.
void DeviceCase::place_pages(const Inputs& inputs) {
  const int page_size = problem_.kv_layout.page_size;
  std::vector<std::size_t> full, partial;  // entries of the table
  const auto stride = static_cast<std::size_t>(problem_.kv_layout.page_table_stride);
  page_table_.assign(static_cast<std::size_t>(problem_.max_batch) * stride, -1);
  for (std::size_t sequence = 0; sequence < inputs.kv_lens.size(); ++sequence) {
    const int len = std::clamp(inputs.kv_lens[sequence], 0, problem_.max_kv_len);
    for (int page = 0; page * page_size < len; ++page) {
      ((page + 1) * page_size <= len ? full : partial).push_back(sequence * stride + static_cast<std::size_t>(page));
    }
  }
  const std::size_t used = full.size() + partial.size();
  num_pages_ = static_cast<std::int32_t>(used + used / 4 + 2);
  std::vector<std::int32_t> free_pages(static_cast<std::size_t>(num_pages_));
  std::iota(free_pages.begin(), free_pages.end(), 0);
  std::mt19937 random(12345);
  for (std::size_t i = free_pages.size() - 2; i > 1; --i) std::swap(free_pages[i], free_pages[1 + random() % i]);
  std::swap(free_pages[1], free_pages.back());  // handed out first: page 0, then the last one
  std::size_t next = 0;
  for (const auto& entries : {full, partial}) {
    for (std::size_t entry : entries) page_table_[entry] = free_pages[next++];
  }
  page_table_buffer_ = upload_small(page_table_, buffers.page_table);
}

void DeviceCase::upload_q(const Inputs& inputs) {
  const std::size_t offset = buffers.q.offset_bytes;
  const int element = size_of(problem_.q_dtype);
  const RowStrides& strides = problem_.q_strides;
  std::vector<std::byte> bytes(offset + static_cast<std::size_t>(row_extent(problem_, strides) * element), kNan);
  for (int sequence = 0; sequence < batch_; ++sequence) {
    for (int head = 0; head < problem_.num_q_heads; ++head) {
      const std::size_t row = static_cast<std::size_t>(sequence) * problem_.num_q_heads + head;
      store_row(problem_.q_dtype, &inputs.q[row * problem_.head_dim], problem_.head_dim,
                bytes.data() + offset + (sequence * strides.sequence + head * strides.head) * element);
    }
  }
  q_ = upload(bytes.data(), bytes.size());
  buffers.q.memory = q_();
}

std::int64_t DeviceCase::cache_extent(const CacheStrides& strides) const {
  const KvLayout& layout = problem_.kv_layout;
  const std::int64_t blocks = layout.is_paged() ? num_pages_ : problem_.max_batch;
  const std::int64_t tokens = layout.is_paged() ? layout.page_size : problem_.max_kv_len;
  return (blocks - 1) * strides.block + (problem_.num_kv_heads - 1) * strides.head + (tokens - 1) * strides.token +
         problem_.head_dim;
}

// A paged cache ends with its last page, because the library counts pages by the buffer's size.
std::vector<std::byte> DeviceCase::cache_bytes(std::size_t offset_bytes, std::int64_t extent) const {
  const std::size_t tail = problem_.kv_layout.is_paged() ? 0 : nan_tail_bytes_;
  return std::vector<std::byte>(offset_bytes + static_cast<std::size_t>(extent * size_of(problem_.kv_dtype)) + tail, kNan);
}

void DeviceCase::fill_cache(const std::vector<float>& values, const CacheStrides& strides, const Inputs& inputs,
                            std::byte* base) const {
  const KvLayout& layout = problem_.kv_layout;
  for (int sequence = 0; sequence < batch_; ++sequence) {
    const int len = std::clamp(inputs.kv_lens[sequence], 0, problem_.max_kv_len);
    for (int kv_head = 0; kv_head < problem_.num_kv_heads; ++kv_head) {
      for (int token = 0; token < len; ++token) {
        std::int64_t block = sequence, slot = token;
        if (layout.is_paged()) {
          block = page_table_[static_cast<std::size_t>(sequence * layout.page_table_stride + token / layout.page_size)];
          slot = token % layout.page_size;
        }
        const std::int64_t element = block * strides.block + kv_head * strides.head + slot * strides.token;
        store_row(problem_.kv_dtype, &values[inputs.row(problem_, sequence, kv_head, token)], problem_.head_dim,
                  base + element * size_of(problem_.kv_dtype));
      }
    }
  }
}

void DeviceCase::upload_caches(const Case& c, const Inputs& inputs) {
  const KvLayout& layout = problem_.kv_layout;
  const std::size_t k_offset = buffers.k.offset_bytes;
  if (c.v_at_bytes == 0) {
    std::vector<std::byte> bytes = cache_bytes(k_offset, cache_extent(layout.k));
    fill_cache(inputs.k, layout.k, inputs, bytes.data() + k_offset);
    k_ = upload(bytes.data(), bytes.size());
    bytes = cache_bytes(k_offset, cache_extent(layout.v));
    fill_cache(inputs.v, layout.v, inputs, bytes.data() + k_offset);
    v_ = upload(bytes.data(), bytes.size());
  } else {
    const std::size_t v_offset = k_offset + static_cast<std::size_t>(c.v_at_bytes);
    std::vector<std::byte> bytes = cache_bytes(v_offset, std::max(cache_extent(layout.k), cache_extent(layout.v)));
    fill_cache(inputs.k, layout.k, inputs, bytes.data() + k_offset);
    fill_cache(inputs.v, layout.v, inputs, bytes.data() + v_offset);
    k_ = upload(bytes.data(), bytes.size());
    v_ = k_;
    buffers.v.offset_bytes = v_offset;
  }
  buffers.k.memory = k_();
  buffers.v.memory = v_();
}

cl::Buffer DeviceCase::upload(const void* bytes, std::size_t count, cl_mem_flags flags) {
  const std::size_t size = std::max<std::size_t>(count, 1);  // OpenCL knows no empty buffers
  std::vector<std::byte> padded(size, kNan);
  if (count != 0) std::memcpy(padded.data(), bytes, count);
  return cl::Buffer(device_.context, flags | CL_MEM_COPY_HOST_PTR, size, padded.data());
}

template <typename T>
cl::Buffer DeviceCase::upload_small(const std::vector<T>& values, BufferView& view) {
  std::vector<std::byte> bytes(small_offset_bytes_ + values.size() * sizeof(T), kNan);
  if (!values.empty()) std::memcpy(bytes.data() + small_offset_bytes_, values.data(), values.size() * sizeof(T));
  cl::Buffer buffer = upload(bytes.data(), bytes.size());
  view = {buffer(), small_offset_bytes_};
  return buffer;
}

// A blocking write may return before the device has the values (on Intel's CPU runtime it does); the queue's end is waited for.
void DeviceCase::write(const cl::Buffer& buffer, const std::vector<std::int32_t>& values) {
  const cl::CommandQueue queue = device_.queue();
  queue.enqueueWriteBuffer(buffer, CL_TRUE, small_offset_bytes_, values.size() * sizeof(std::int32_t), values.data());
  queue.finish();
}

void DeviceCase::upload_page_table(const std::vector<std::int32_t>& table) { write(page_table_buffer_, table); }

void DeviceCase::upload_kv_lens(const std::vector<std::int32_t>& kv_lens) { write(kv_len_, kv_lens); }

GuardedBuffer DeviceCase::guarded(std::size_t bytes, std::uint8_t fill) {
  std::vector<std::uint8_t> content(bytes + 2 * guard_bytes_, kPattern);
  std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(guard_bytes_), bytes, fill);
  return {upload(content.data(), content.size(), CL_MEM_READ_WRITE), guard_bytes_, bytes};
}

void DeviceCase::reset(cl::CommandQueue& queue) {
  queue.finish();
  const auto fill = [&](const GuardedBuffer& buffer, std::uint8_t value) {
    if (buffer.memory() == nullptr || buffer.size_bytes == 0) return;
    const std::vector<std::uint8_t> content(buffer.size_bytes, value);
    queue.enqueueWriteBuffer(buffer.memory, CL_TRUE, buffer.offset_bytes, content.size(), content.data());
  };
  fill(out_, kPattern);
  fill(lse_, kPattern);
  fill(statistics_, kPattern);
  fill(status_, 0);
  fill(workspace_, 0xff);
  queue.finish();  // a step on an out-of-order queue would not wait for the writes
}

std::vector<std::byte> DeviceCase::fetch(cl::CommandQueue& queue, const GuardedBuffer& buffer) const {
  std::vector<std::byte> bytes(buffer.size_bytes + 2 * guard_bytes_);
  queue.enqueueReadBuffer(buffer.memory, CL_TRUE, 0, bytes.size(), bytes.data());
  return bytes;
}

Readback DeviceCase::read(cl::CommandQueue& queue) {
  queue.finish();
  Readback got;
  std::vector<std::byte> bytes = fetch(queue, out_);
  const int element = size_of(problem_.out_dtype);
  const int head_dim = problem_.head_dim;
  got.out.resize(static_cast<std::size_t>(batch_) * problem_.num_q_heads * head_dim);
  for (int row = 0; row < batch_ * problem_.num_q_heads; ++row) {
    const std::int64_t at =
        row / problem_.num_q_heads * problem_.out_strides.sequence + row % problem_.num_q_heads * problem_.out_strides.head;
    const std::size_t begin = guard_bytes_ + static_cast<std::size_t>(at * element);
    load_row(problem_.out_dtype, bytes.data() + begin, head_dim, &got.out[static_cast<std::size_t>(row) * head_dim]);
    mask(bytes, begin, static_cast<std::size_t>(head_dim) * static_cast<std::size_t>(element));
  }
  report_damage("out", bytes, got);
  bytes = fetch(queue, workspace_);
  mask(bytes, guard_bytes_, workspace_.size_bytes);
  report_damage("workspace", bytes, got);
  const auto take = [&](const char* name, const GuardedBuffer& buffer, BufferView view, void* target) {
    if (view.memory == nullptr) return;
    std::vector<std::byte> content = fetch(queue, buffer);
    std::memcpy(target, content.data() + guard_bytes_, buffer.size_bytes);
    mask(content, guard_bytes_, buffer.size_bytes);
    report_damage(name, content, got);
  };
  if (buffers.lse.memory != nullptr) got.lse.resize(lse_.size_bytes / sizeof(float));
  if (buffers.statistics.memory != nullptr) got.statistics.resize(statistics_.size_bytes / sizeof(GroupStatistics));
  take("lse", lse_, buffers.lse, got.lse.data());
  take("statistics", statistics_, buffers.statistics, got.statistics.data());
  take("status", status_, buffers.status, &got.status);
  return got;
}

DecodePlan plan_of(const Context& context, const Case& c) {
  if (!c.variant) return context.plan(c.problem);
  return c.tuning ? context.plan(c.problem, *c.variant, *c.tuning) : context.plan(c.problem, *c.variant);
}

Outcome run_case(const OpenClDevice& device, Context& context, const Case& c, const Inputs& inputs,
                 const ReferenceResult& reference) {
  const DecodePlan plan = context.prepare(plan_of(context, c));
  DeviceCase on_device(device, plan, c, inputs);
  cl::CommandQueue queue = device.queue();
  context.enqueue(queue(), plan, on_device.buffers, on_device.step);
  return compare(plan.problem, reference, on_device.read(queue), c.optional_outputs);
}

Outcome run_case(const OpenClDevice& device, Context& context, const Case& c) {
  const Inputs inputs = make_inputs(c);
  return run_case(device, context, c, inputs, reference_decode(c.problem, step_of(c), reference_inputs(c.problem, inputs)));
}

}  // namespace clsink::harness
