// SPDX-License-Identifier: Apache-2.0
// Field by field, between the structs of clsink.h and the C++ API. Their numbers are the same on purpose.
#include "c_api/translate.hpp"

#include <iterator>

namespace clsink::c_api {
namespace {

// The numbers of the two APIs are the same on purpose; these keep them so.
constexpr bool same(int c, ErrorCode code) { return c == static_cast<int>(code); }
static_assert(same(CLSINK_INVALID_PROBLEM, ErrorCode::kInvalidProblem) &&
              same(CLSINK_INVALID_BUFFER, ErrorCode::kInvalidBuffer) &&
              same(CLSINK_UNSUPPORTED_DEVICE, ErrorCode::kUnsupportedDevice) &&
              same(CLSINK_BUILD_FAILED, ErrorCode::kBuildFailed) && same(CLSINK_OUT_OF_MEMORY, ErrorCode::kOutOfMemory) &&
              same(CLSINK_OPENCL, ErrorCode::kOpenCl) && same(CLSINK_INVALID_PLAN, ErrorCode::kInvalidPlan) &&
              same(CLSINK_INTERNAL, ErrorCode::kInternal));
static_assert(CLSINK_F16 == int(DType::kF16) && CLSINK_BF16 == int(DType::kBF16) && CLSINK_F32 == int(DType::kF32));
static_assert(CLSINK_ROUTE_ALL - CLSINK_ROUTE_MEAN == int(Policy::kAll) &&
              CLSINK_ROUTE_HYBRID - CLSINK_ROUTE_MEAN == int(Policy::kHybrid) && int(Policy::kMean) == 0);
static_assert(CLSINK_MATCH_FORCED == int(MatchLevel::kForced) && CLSINK_MATCH_DEVICE == int(MatchLevel::kDevice) &&
              CLSINK_MATCH_FAMILY == int(MatchLevel::kFamily) && CLSINK_MATCH_VENDOR == int(MatchLevel::kVendor) &&
              CLSINK_MATCH_GENERIC == int(MatchLevel::kGeneric));
static_assert(CLSINK_LOG_INFO == int(LogLevel::kInfo) && CLSINK_LOG_WARNING == int(LogLevel::kWarning));
static_assert(CLSINK_STATUS_KV_LEN_ABOVE_BOUND == int(kStatusKvLenAboveBound) &&
              CLSINK_STATUS_KV_LEN_NEGATIVE == int(kStatusKvLenNegative) &&
              CLSINK_STATUS_PAGE_OUT_OF_RANGE == int(kStatusPageOutOfRange) &&
              CLSINK_STATUS_ANCHOR_OUT_OF_RANGE == int(kStatusAnchorOutOfRange));
static_assert(CLSINK_ALL_TOKENS == TokenSet::kAllTokens && CLSINK_PACKED_STRIDE == kPackedStride &&
              CLSINK_MAX_TAU_TABLE == TauTable::kMaxPoints);
static_assert(sizeof(clsink_group_statistics) == sizeof(GroupStatistics));

DType dtype_of(std::int32_t value, const char* field) {
  if (value < CLSINK_F16 || value > CLSINK_F32) {
    throw Error(ErrorCode::kInvalidProblem,
                std::string(field) + "=" + std::to_string(value) + " is none of CLSINK_F16, CLSINK_BF16, CLSINK_F32");
  }
  return static_cast<DType>(value);
}

SinkRouting routing_of(const clsink_problem& problem) {
  SinkRouting routing;
  switch (problem.route) {
    case CLSINK_ROUTE_NONE:
      break;
    case CLSINK_ROUTE_MEAN:
      routing = SinkRouting::cosine(Policy::kMean);
      break;
    case CLSINK_ROUTE_ALL:
      routing = SinkRouting::cosine(Policy::kAll);
      break;
    case CLSINK_ROUTE_HYBRID:
      routing = SinkRouting::cosine(Policy::kHybrid);
      break;
    case CLSINK_ROUTE_MASK:
      routing = SinkRouting::mask();
      break;
    default:
      throw Error(ErrorCode::kInvalidProblem, "route=" + std::to_string(problem.route) + " is no CLSINK_ROUTE_ value");
  }
  routing.surrogate = {problem.surrogate.keep_first, problem.surrogate.keep_last};
  return routing;
}

std::int32_t route_of(const SinkRouting& routing) {
  if (!routing.enabled) return CLSINK_ROUTE_NONE;
  if (routing.score == Score::kMask) return CLSINK_ROUTE_MASK;
  return CLSINK_ROUTE_MEAN + static_cast<std::int32_t>(routing.policy);
}

}  // namespace

template <>
clsink_problem defaults() {
  return c_problem_of({});
}

template <>
clsink_step defaults() {
  clsink_step step{};
  step.struct_size = sizeof step;
  step.batch = DecodeStep{}.batch;
  return step;
}

template <>
clsink_context_options defaults() {
  clsink_context_options options{};
  options.struct_size = sizeof options;
  options.binary_cache_max_bytes = ContextOptions{}.binary_cache_max_bytes;
  return options;
}

DecodeProblem problem_of(const clsink_problem* given) {
  const clsink_problem c = read_struct(given, "clsink_problem", ErrorCode::kInvalidProblem);
  DecodeProblem problem;
  problem.q_dtype = dtype_of(c.q_dtype, "q_dtype");
  problem.kv_dtype = dtype_of(c.kv_dtype, "kv_dtype");
  problem.out_dtype = dtype_of(c.out_dtype, "out_dtype");
  problem.num_q_heads = c.num_q_heads;
  problem.num_kv_heads = c.num_kv_heads;
  problem.head_dim = c.head_dim;
  problem.max_batch = c.max_batch;
  problem.max_kv_len = c.max_kv_len;
  problem.q_strides = {c.q_strides.head, c.q_strides.sequence};
  problem.out_strides = {c.out_strides.head, c.out_strides.sequence};
  problem.kv_layout.page_size = c.page_size;
  problem.kv_layout.page_table_stride = c.page_table_stride;
  problem.kv_layout.k = {c.k_strides.token, c.k_strides.head, c.k_strides.block};
  problem.kv_layout.v = {c.v_strides.token, c.v_strides.head, c.v_strides.block};
  problem.token_set = {c.token_set.keep_first, c.token_set.keep_last};
  problem.routing = routing_of(c);
  return problem;
}

clsink_problem c_problem_of(const DecodeProblem& problem) {
  clsink_problem c{};
  c.struct_size = sizeof c;
  c.q_dtype = static_cast<std::int32_t>(problem.q_dtype);
  c.kv_dtype = static_cast<std::int32_t>(problem.kv_dtype);
  c.out_dtype = static_cast<std::int32_t>(problem.out_dtype);
  c.num_q_heads = problem.num_q_heads;
  c.num_kv_heads = problem.num_kv_heads;
  c.head_dim = problem.head_dim;
  c.max_batch = problem.max_batch;
  c.max_kv_len = problem.max_kv_len;
  c.q_strides = {problem.q_strides.head, problem.q_strides.sequence};
  c.out_strides = {problem.out_strides.head, problem.out_strides.sequence};
  c.page_size = problem.kv_layout.page_size;
  c.page_table_stride = problem.kv_layout.page_table_stride;
  c.k_strides = {problem.kv_layout.k.token, problem.kv_layout.k.head, problem.kv_layout.k.block};
  c.v_strides = {problem.kv_layout.v.token, problem.kv_layout.v.head, problem.kv_layout.v.block};
  c.token_set = {problem.token_set.keep_first, problem.token_set.keep_last};
  c.surrogate = {problem.routing.surrogate.keep_first, problem.routing.surrogate.keep_last};
  c.route = route_of(problem.routing);
  return c;
}

DecodeBuffers buffers_of(const clsink_buffers* given) {
  const clsink_buffers c = read_struct(given, "clsink_buffers", ErrorCode::kInvalidBuffer);
  const auto view = [](const clsink_buffer& buffer) { return BufferView{buffer.memory, buffer.offset_bytes}; };
  DecodeBuffers buffers;
  buffers.q = view(c.q);
  buffers.k = view(c.k);
  buffers.v = view(c.v);
  buffers.kv_len = view(c.kv_len);
  buffers.out = view(c.out);
  buffers.workspace = view(c.workspace);
  buffers.page_table = view(c.page_table);
  buffers.head_mask = view(c.head_mask);
  buffers.tau_offsets = view(c.tau_offsets);
  buffers.anchor = view(c.anchor);
  buffers.lse = view(c.lse);
  buffers.statistics = view(c.statistics);
  buffers.status = view(c.status);
  return buffers;
}

DecodeStep step_of(const clsink_step* given) {
  const clsink_step c = read_struct(given, "clsink_step", ErrorCode::kInvalidBuffer);
  DecodeStep step;
  step.batch = c.batch;
  step.scale = c.scale;
  step.floor = c.floor;
  step.least_kv_len = c.least_kv_len;
  step.tau.count = c.tau_count;
  std::transform(std::begin(c.tau), std::end(c.tau), step.tau.points.begin(), [](const clsink_tau_point& point) {
    return TauTable::Point{point.kv_len, point.tau};
  });
  return step;
}

ContextOptions context_options_of(const clsink_context_options* given) {
  ContextOptions options;
  if (given == nullptr) return options;
  const clsink_context_options c = read_struct(given, "clsink_context_options", ErrorCode::kInvalidBuffer);
  if (c.log != nullptr) {
    options.log = [log = c.log, user_data = c.log_user_data](LogLevel level, const std::string& message) {
      log(static_cast<std::int32_t>(level), message.c_str(), user_data);
    };
  }
  if (c.binary_cache_dir != nullptr) options.binary_cache_dir = c.binary_cache_dir;
  options.binary_cache_max_bytes = c.binary_cache_max_bytes;
  if (c.load_binary != nullptr) {
    options.load_binary = [load = c.load_binary, user_data = c.binary_user_data](const std::string& name) {
      std::vector<std::uint8_t> blob(load(name.c_str(), nullptr, 0, user_data));
      if (!blob.empty()) load(name.c_str(), blob.data(), blob.size(), user_data);  // what has changed meanwhile is refused
      return blob;
    };
  }
  if (c.store_binary != nullptr) {
    options.store_binary = [store = c.store_binary, user_data = c.binary_user_data](const std::string& name,
                                                                                    const std::vector<std::uint8_t>& blob) {
      store(name.c_str(), blob.data(), blob.size(), user_data);
    };
  }
  return options;
}

clsink_device_facts c_facts_of(const DeviceFacts& device) {
  clsink_device_facts c = defaults<clsink_device_facts>();
  c.name = device.name.c_str();
  c.vendor = device.vendor.c_str();
  c.driver = device.driver.c_str();
  c.platform = device.platform.c_str();
  c.version = device.version.c_str();
  c.local_mem_bytes = device.local_mem_bytes;
  c.global_mem_bytes = device.global_mem_bytes;
  c.max_alloc_bytes = device.max_alloc_bytes;
  c.is_cpu = device.is_cpu ? 1 : 0;
  c.compute_units = device.compute_units;
  c.max_work_group_size = device.max_work_group_size;
  c.address_bits = device.address_bits;
  return c;
}

}  // namespace clsink::c_api
