// SPDX-License-Identifier: Apache-2.0
#include "runtime/buffers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>

#include "ocl/ocl_error.hpp"
#include "planning/planner.hpp"

namespace clsink {
namespace {

static_assert(TauTable::kMaxPoints == CLSINK_MAX_TAU_POINTS, "host and kernels agree");
static_assert(sizeof(decode_args) == offsetof(decode_args, tau) + sizeof(decode_args::tau), "no padding, which may differ");

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidBuffer, message); }

// Bytes behind a view's offset. The buffer is checked to be one of `context`.
std::int64_t available_bytes(cl_context context, const BufferView& view, const char* field, std::size_t align_bytes) {
  if (view.memory == nullptr) refuse(fmt::format("buffers.{} is null", field));
  std::size_t size = 0;
  cl_context owner = nullptr;
  if (clGetMemObjectInfo(view.memory, CL_MEM_SIZE, sizeof(size), &size, nullptr) != CL_SUCCESS ||
      clGetMemObjectInfo(view.memory, CL_MEM_CONTEXT, sizeof(owner), &owner, nullptr) != CL_SUCCESS) {
    refuse(fmt::format("buffers.{} is not a valid cl_mem", field));
  }
  if (owner != context) refuse(fmt::format("buffers.{} belongs to another cl_context", field));
  if (view.offset_bytes % align_bytes != 0) {
    refuse(fmt::format("buffers.{}.offset_bytes is {}, must be a multiple of {}", field, view.offset_bytes, align_bytes));
  }
  if (view.offset_bytes > size) {
    refuse(fmt::format("buffers.{}.offset_bytes is {}, beyond the buffer's {} bytes", field, view.offset_bytes, size));
  }
  return static_cast<std::int64_t>(size - view.offset_bytes);
}

constexpr std::size_t kTensorAlignBytes = 16;
constexpr std::size_t kWordAlignBytes = 4;

void require_bytes(cl_context context, const BufferView& view, const char* field, std::size_t align_bytes,
                   std::int64_t needed) {
  const std::int64_t available = available_bytes(context, view, field, align_bytes);
  if (available < needed) {
    refuse(fmt::format("buffers.{} holds {} bytes behind offset {}, the step needs {}", field, available, view.offset_bytes,
                       needed));
  }
}

std::int64_t row_bytes_needed(const RowStrides& strides, std::int64_t batch, const DecodeProblem& p, DType dtype) {
  return ((batch - 1) * strides.sequence + (p.num_q_heads - 1) * strides.head + p.head_dim) * size_of(dtype);
}

// Elements from the first to behind the last of one block (sequence or page).
std::int64_t block_elements(const CacheStrides& strides, std::int64_t tokens, const DecodeProblem& p) {
  return (p.num_kv_heads - 1) * strides.head + (tokens - 1) * strides.token + p.head_dim;
}

void check_contiguous_cache(cl_context context, const BufferView& view, const char* field, const CacheStrides& strides,
                            const DecodeProblem& p, std::int64_t batch) {
  const std::int64_t elements = (batch - 1) * strides.block + block_elements(strides, p.max_kv_len, p);
  require_bytes(context, view, field, kTensorAlignBytes, elements * size_of(p.kv_dtype));
}

// Pages that lie wholly inside the buffer.
std::int64_t count_pages(cl_context context, const BufferView& view, const char* field, const CacheStrides& strides,
                         const DecodeProblem& p) {
  const std::int64_t elements = available_bytes(context, view, field, kTensorAlignBytes) / size_of(p.kv_dtype);
  const std::int64_t page = block_elements(strides, p.kv_layout.page_size, p);
  if (elements < page) {
    refuse(fmt::format("buffers.{} holds {} elements behind its offset, one page needs {}", field, elements, page));
  }
  const std::int64_t pages = strides.block > 0 ? (elements - page) / strides.block + 1 : 1;
  return std::min<std::int64_t>(pages, INT32_MAX);
}

// Otherwise the step's table is not looked at.
bool has_tau(const SinkRouting& routing) { return routing.enabled && routing.score == Score::kCosine; }

void check_step(const DecodePlan& plan, const DecodeStep& step) {
  if (step.batch < 0 || step.batch > plan.problem.max_batch) {
    refuse(fmt::format("step.batch is {}, the plan's bound is 0 to {}", step.batch, plan.problem.max_batch));
  }
  if (step.least_kv_len < 0 || step.least_kv_len > plan.problem.max_kv_len) {
    refuse(fmt::format("step.least_kv_len is {}, the plan's bound is 0 to {}", step.least_kv_len, plan.problem.max_kv_len));
  }
  if (!std::isfinite(step.scale)) refuse(fmt::format("step.scale is {}, must be finite", step.scale));
  const SinkRouting& routing = plan.problem.routing;
  if (!has_tau(routing)) return;
  const TauTable& tau = step.tau;
  if (tau.count < 1 || tau.count > TauTable::kMaxPoints) {
    refuse(fmt::format("step.tau.count is {}, cosine routing needs 1 to {} points", tau.count, TauTable::kMaxPoints));
  }
  for (int i = 0; i < tau.count; ++i) {
    const TauTable::Point& point = tau.points[static_cast<std::size_t>(i)];
    if (std::isnan(point.tau) || (tau.count > 1 && std::isinf(point.tau))) {
      refuse(fmt::format("step.tau.points[{}].tau is {}, must be finite (a table of one point may be infinite)", i, point.tau));
    }
    const std::int32_t before = i > 0 ? tau.points[static_cast<std::size_t>(i - 1)].kv_len : 0;
    if (point.kv_len <= before) {
      refuse(fmt::format("step.tau.points[{}].kv_len is {}, must rise from {}", i, point.kv_len, before));
    }
  }
  if (routing.policy == Policy::kHybrid && std::isnan(step.floor)) refuse("step.floor is nan");
}

// An optional buffer that is there sets its flag.
bool take_optional(cl_context context, const BufferView& view, const char* field, std::int64_t needed, std::int32_t flag,
                   decode_args& args) {
  if (view.memory == nullptr) return false;
  require_bytes(context, view, field, kWordAlignBytes, needed);
  args.flags |= flag;
  return true;
}

void check_routing_buffers(cl_context context, const DecodeProblem& p, const DecodeBuffers& b, decode_args& args) {
  const bool routed = p.routing.enabled;
  const bool by_mask = routed && p.routing.score == Score::kMask;
  if (by_mask) {
    require_bytes(context, b.head_mask, "head_mask", kWordAlignBytes, p.num_kv_heads * std::int64_t{4});
  } else if (b.head_mask.memory != nullptr) {
    refuse("buffers.head_mask is given, but the problem does not route by mask");
  }
  if (b.tau_offsets.memory != nullptr && (!routed || by_mask)) {
    refuse("buffers.tau_offsets is given, but the problem does not route by cosine");
  }
  if (b.statistics.memory != nullptr && !routed) refuse("buffers.statistics is given, but the problem does not route");
  if (b.anchor.memory != nullptr && !routed && p.token_set.keep_first == 0) {
    refuse("buffers.anchor is given, but the problem neither routes nor keeps first tokens");
  }
  take_optional(context, b.tau_offsets, "tau_offsets", p.num_kv_heads * std::int64_t{4}, CLSINK_HAS_TAU_OFFSETS, args);
  take_optional(context, b.anchor, "anchor", args.batch * std::int64_t{4}, CLSINK_HAS_ANCHOR, args);
  take_optional(context, b.statistics, "statistics",
                std::int64_t{args.batch} * p.num_kv_heads * static_cast<std::int64_t>(sizeof(GroupStatistics)),
                CLSINK_HAS_STATISTICS, args);
}

std::int32_t policy_code(const SinkRouting& routing) {
  if (routing.score == Score::kMask) return CLSINK_POLICY_MASK;
  switch (routing.policy) {
    case Policy::kMean:
      return CLSINK_POLICY_MEAN;
    case Policy::kAll:
      return CLSINK_POLICY_ALL;
    case Policy::kHybrid:
      return CLSINK_POLICY_HYBRID;
  }
  return CLSINK_POLICY_MEAN;
}

// Another odd number for every step, from a random one on: what lies in a workspace, of whomever, is never taken for this
// step's, and 0 for no one's.
std::int64_t next_step_tag() {
  static std::atomic<std::uint64_t> next{(std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()) | 1};
  return static_cast<std::int64_t>(next += 2);
}

}  // namespace

decode_args describe_plan(const DecodePlan& plan) {
  const DecodeProblem& p = plan.problem;
  const LaunchSpec& launch = plan.launch;
  decode_args args{};
  args.group_offset = launch.group_offset;
  args.slot_offset = launch.slot_offset;
  args.share_offset = launch.share_offset;
  args.partial_ml_offset = launch.partial_ml_offset;
  args.partial_acc_offset = launch.partial_acc_offset;
  args.q = {0, p.q_strides.head, p.q_strides.sequence};
  args.out = {0, p.out_strides.head, p.out_strides.sequence};
  args.k = {p.kv_layout.k.token, p.kv_layout.k.head, p.kv_layout.k.block};
  args.v = {p.kv_layout.v.token, p.kv_layout.v.head, p.kv_layout.v.block};
  args.page_table_stride = p.kv_layout.page_table_stride;
  args.num_kv_heads = p.num_kv_heads;
  args.max_kv_len = p.max_kv_len;
  args.tile_kv = plan.variant.tile_kv;
  args.workers = launch.workers;
  args.splits = launch.splits;
  args.min_tiles = launch.tuning.min_tiles;
  args.keep_first = p.token_set.keep_first;
  args.keep_last = p.token_set.keep_last;
  args.surrogate_first = p.routing.surrogate.keep_first;
  args.surrogate_last = p.routing.surrogate.keep_last;
  args.policy = policy_code(p.routing);
  args.mergers = launch.mergers;
  args.group_tiles = launch.group_tiles;
  if (plan.variant.engine != Engine::kCpu) args.flags |= CLSINK_TILES_BY_TURNS;
  return args;
}

decode_args check_and_describe(cl_context context, const DecodePlan& plan, const DecodeBuffers& b, const DecodeStep& step) {
  check_step(plan, step);
  decode_args args = describe_plan(plan);
  args.batch = step.batch;
  // Only where it costs to begin a group.
  if (args.group_tiles > 0) args.workers = even_workers(args.workers, step.batch * plan.problem.num_kv_heads);
  args.least_kv_len = step.least_kv_len;
  if (step.batch == 0) return args;
  const DecodeProblem& p = plan.problem;

  require_bytes(context, b.q, "q", kTensorAlignBytes, row_bytes_needed(p.q_strides, step.batch, p, p.q_dtype));
  require_bytes(context, b.out, "out", kTensorAlignBytes, row_bytes_needed(p.out_strides, step.batch, p, p.out_dtype));
  require_bytes(context, b.kv_len, "kv_len", kWordAlignBytes, step.batch * std::int64_t{4});
  require_bytes(context, b.workspace, "workspace", kTensorAlignBytes, plan.workspace_bytes);
  if (p.kv_layout.is_paged()) {
    args.num_pages =
        std::min(count_pages(context, b.k, "k", p.kv_layout.k, p), count_pages(context, b.v, "v", p.kv_layout.v, p));
    const std::int64_t used = (std::int64_t{p.max_kv_len} + p.kv_layout.page_size - 1) / p.kv_layout.page_size;
    require_bytes(context, b.page_table, "page_table", kWordAlignBytes,
                  ((step.batch - 1) * p.kv_layout.page_table_stride + used) * 4);
  } else {
    check_contiguous_cache(context, b.k, "k", p.kv_layout.k, p, step.batch);
    check_contiguous_cache(context, b.v, "v", p.kv_layout.v, p, step.batch);
    if (b.page_table.memory != nullptr) refuse("buffers.page_table is given, but the layout is contiguous");
  }
  check_routing_buffers(context, p, b, args);
  take_optional(context, b.lse, "lse", std::int64_t{step.batch} * p.num_q_heads * 4, CLSINK_HAS_LSE, args);
  take_optional(context, b.status, "status", 4, CLSINK_HAS_STATUS, args);

  args.q_offset = static_cast<std::int64_t>(b.q.offset_bytes);
  args.k_offset = static_cast<std::int64_t>(b.k.offset_bytes);
  args.v_offset = static_cast<std::int64_t>(b.v.offset_bytes);
  args.kv_len_offset = static_cast<std::int64_t>(b.kv_len.offset_bytes);
  args.out_offset = static_cast<std::int64_t>(b.out.offset_bytes);
  args.page_table_offset = static_cast<std::int64_t>(b.page_table.offset_bytes);
  args.head_mask_offset = static_cast<std::int64_t>(b.head_mask.offset_bytes);
  args.tau_offsets_offset = static_cast<std::int64_t>(b.tau_offsets.offset_bytes);
  args.anchor_offset = static_cast<std::int64_t>(b.anchor.offset_bytes);
  args.lse_offset = static_cast<std::int64_t>(b.lse.offset_bytes);
  args.statistics_offset = static_cast<std::int64_t>(b.statistics.offset_bytes);
  args.status_offset = static_cast<std::int64_t>(b.status.offset_bytes);
  const auto workspace_offset = static_cast<std::int64_t>(b.workspace.offset_bytes);
  for (CLSINK_LONG* offset :
       {&args.group_offset, &args.slot_offset, &args.share_offset, &args.partial_ml_offset, &args.partial_acc_offset}) {
    *offset += workspace_offset;
  }
  args.step_tag = next_step_tag();
  args.scale = step.scale;
  args.floor_score = step.floor;
  if (!has_tau(p.routing)) return args;
  args.tau_count = step.tau.count;
  for (int i = 0; i < step.tau.count; ++i) {
    args.tau_kv_len[i] = step.tau.points[static_cast<std::size_t>(i)].kv_len;
    args.tau[i] = step.tau.points[static_cast<std::size_t>(i)].tau;
  }
  return args;
}

}  // namespace clsink
