// SPDX-License-Identifier: Apache-2.0
#include "model/program_spec.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "model/fields.hpp"
#include "model/variant.hpp"

namespace clsink {
namespace {

constexpr Named<Kernel> kKernels[] = {
    {Kernel::kRoute, "route"}, {Kernel::kSchedule, "schedule"}, {Kernel::kDecode, "decode"}, {Kernel::kCombine, "combine"}};

// Work-items of the small kernels around decode; one where a work-item is a worker.
constexpr std::int32_t kRouteWg = 32;
constexpr std::int32_t kScheduleWg = 256;
constexpr std::int32_t kCombineWg = 128;

constexpr std::int32_t kSingleBehindRoute = 3;  // FUSION in spec.clh, whose other values are those of Fusion

// DEVICE_FENCE in spec.clh.
constexpr std::int32_t kOpenClFence = 1;
constexpr std::int32_t kPtxFence = 2;

// Of what OpenCL C 1.2 lacks.
std::int32_t newer_opencl_c(const DeviceFacts& facts) { return facts.version.rfind("OpenCL 2", 0) == 0 ? 20 : 30; }

std::int32_t small_wg(const DecodePlan& plan, std::int32_t wanted, std::int32_t limit) {
  if (plan.variant.engine == Engine::kCpu) return 1;
  while (wanted > limit && wanted > 1) wanted /= 2;
  return wanted;
}

// Of a thread's 128 registers Intel's compiler makes 64 floats for a work-item of a Data Center GPU Max (SIMD32), too few for
// anything, and 128 on Arc, too few for more than 2 heads and for the rows that routing compares:
// bench/results/offline/intel.json. Older GPUs have no more.
bool wants_large_grf(const DecodePlan& plan, const DeviceFacts& facts, Kernel kernel) {
  if (facts.is_cpu || facts.platform.find("Intel") == std::string::npos) return false;
  const auto is_a = [&facts](const char* part) { return facts.name.find(part) != std::string::npos; };
  if (is_a("Data Center GPU Max")) return true;
  return (plan.problem.group_size() > 2 || kernel == Kernel::kRoute) && (is_a("Arc") || is_a("Data Center GPU Flex"));
}

}  // namespace

const char* to_string(Kernel kernel) { return name_of(kKernels, kernel).data(); }

std::vector<ProgramSpec> program_specs(const DecodePlan& plan, const DeviceFacts& facts) {
  const DecodeProblem& p = plan.problem;
  const Fusion fusion = plan.variant.fusion;
  ProgramSpec common;
  common.routed = p.routing.enabled;
  common.schedule = static_cast<int>(plan.variant.schedule);
  const bool native_exp2 = !facts.is_cpu;  // CPU runtimes call a library function, GPUs have an accurate instruction

  std::vector<ProgramSpec> specs;
  const bool routes_before = p.routing.enabled && !routes_in_prologue(p, plan.variant);
  if (routes_before) {
    ProgramSpec route;
    route.kernel = Kernel::kRoute;
    route.routed = 1;
    route.q_dtype = static_cast<int>(p.q_dtype);
    route.kv_dtype = static_cast<int>(p.kv_dtype);
    route.head_dim = p.head_dim;
    route.group_size = p.group_size();
    route.page_size = p.kv_layout.page_size;
    route.wg = small_wg(plan, kRouteWg, facts.max_work_group_size);
    route.large_grf = wants_large_grf(plan, facts, Kernel::kRoute);
    specs.push_back(route);
  }
  if (plan.variant.schedule == Schedule::kWorklist && fusion == Fusion::kNone) {
    ProgramSpec schedule = common;
    schedule.kernel = Kernel::kSchedule;
    schedule.wg = small_wg(plan, kScheduleWg, facts.max_work_group_size);
    specs.push_back(schedule);
  }
  ProgramSpec decode = common;
  decode.kernel = Kernel::kDecode;
  decode.q_dtype = static_cast<int>(p.q_dtype);
  decode.kv_dtype = static_cast<int>(p.kv_dtype);
  decode.out_dtype = static_cast<int>(p.out_dtype);
  decode.head_dim = p.head_dim;
  decode.group_size = p.group_size();
  decode.page_size = p.kv_layout.page_size;
  decode.fusion = fusion == Fusion::kSingle && routes_before ? kSingleBehindRoute : static_cast<int>(fusion);
  decode.engine = static_cast<int>(plan.variant.engine);
  decode.wg = plan.variant.wg;
  decode.tile_kv = plan.variant.tile_kv;
  decode.vec = plan.variant.vec;
  decode.stages = plan.variant.stages;
  decode.native_exp2 = native_exp2;
  decode.large_grf = wants_large_grf(plan, facts, Kernel::kDecode);
  if (fusion == Fusion::kSingle) {
    decode.device_fence = facts.nv_compute_capability > 0 ? kPtxFence : kOpenClFence;
    if (decode.device_fence == kOpenClFence) decode.opencl_c = newer_opencl_c(facts);
  }
  if (plan.variant.engine == Engine::kSubgroup) {
    decode.heads = plan.variant.heads;
    decode.sub_group_size = sub_group_lanes(facts, plan.variant);
    decode.sub_group_request = plan.variant.sub_group_size != 0;
    decode.sub_group_shuffle = static_cast<int>(facts.sub_group_shuffle);
    decode.opencl_c = newer_opencl_c(facts);
  }
  specs.push_back(decode);
  if (fusion == Fusion::kSingle) return specs;

  ProgramSpec combine = common;
  combine.kernel = Kernel::kCombine;
  combine.out_dtype = static_cast<int>(p.out_dtype);
  combine.head_dim = p.head_dim;
  combine.group_size = p.group_size();
  combine.wg = small_wg(plan, kCombineWg, facts.max_work_group_size);
  combine.native_exp2 = native_exp2;
  combine.large_grf = wants_large_grf(plan, facts, Kernel::kCombine);
  specs.push_back(combine);
  return specs;
}

std::string build_options(const ProgramSpec& s) {
  std::string options = fmt::format(
      "-cl-std=CL{}.{} -DQ_DTYPE={} -DKV_DTYPE={} -DOUT_DTYPE={} -DHEAD_DIM={} -DGROUP_SIZE={} -DPAGE_SIZE={} -DROUTED={} "
      "-DSCHEDULE={} -DFUSION={} -DENGINE={} -DWG={} -DTILE_KV={} -DVEC={} -DSTAGES={} -DHEADS={} -DSUB_GROUP_SIZE={} "
      "-DSUB_GROUP_REQUEST={} -DSUB_GROUP_SHUFFLE={} -DNATIVE_EXP2={} -DDEVICE_FENCE={}",
      s.opencl_c / 10, s.opencl_c % 10, s.q_dtype, s.kv_dtype, s.out_dtype, s.head_dim, s.group_size, s.page_size, s.routed,
      s.schedule, s.fusion, s.engine, s.wg, s.tile_kv, s.vec, s.stages, s.heads, s.sub_group_size, s.sub_group_request,
      s.sub_group_shuffle, s.native_exp2, s.device_fence);
  if (s.large_grf) options += " -cl-intel-256-GRF-per-thread";
  return options;
}

}  // namespace clsink
