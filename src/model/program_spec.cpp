// SPDX-License-Identifier: Apache-2.0
#include "model/program_spec.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "model/fields.hpp"

namespace clsink {
namespace {

constexpr Named<Kernel> kKernels[] = {
    {Kernel::kRoute, "route"}, {Kernel::kSchedule, "schedule"}, {Kernel::kDecode, "decode"}, {Kernel::kCombine, "combine"}};

// Work-items of the small kernels around decode; one where a work-item is a worker.
constexpr std::int32_t kRouteWg = 16;
constexpr std::int32_t kScheduleWg = 256;
constexpr std::int32_t kCombineWg = 128;

std::int32_t small_wg(const DecodePlan& plan, std::int32_t wanted, std::int32_t limit) {
  if (plan.variant.engine == Engine::kCpu) return 1;
  while (wanted > limit && wanted > 1) wanted /= 2;
  return wanted;
}

}  // namespace

const char* to_string(Kernel kernel) { return name_of(kKernels, kernel).data(); }

std::vector<ProgramSpec> program_specs(const DecodePlan& plan, bool native_exp2, std::int32_t max_work_group_size) {
  const DecodeProblem& p = plan.problem;
  ProgramSpec common;
  common.routed = p.routing.enabled;
  common.worklist = plan.variant.schedule == Schedule::kWorklist;

  std::vector<ProgramSpec> specs;
  if (common.routed) {
    ProgramSpec route;
    route.kernel = Kernel::kRoute;
    route.routed = 1;
    route.q_dtype = static_cast<int>(p.q_dtype);
    route.kv_dtype = static_cast<int>(p.kv_dtype);
    route.head_dim = p.head_dim;
    route.group_size = p.group_size();
    route.page_size = p.kv_layout.page_size;
    route.wg = small_wg(plan, kRouteWg, max_work_group_size);
    specs.push_back(route);
  }
  if (common.worklist) {
    ProgramSpec schedule = common;
    schedule.kernel = Kernel::kSchedule;
    schedule.wg = small_wg(plan, kScheduleWg, max_work_group_size);
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
  decode.engine = static_cast<int>(plan.variant.engine);
  decode.wg = plan.variant.wg;
  decode.tile_kv = plan.variant.tile_kv;
  decode.vec = plan.variant.vec;
  decode.native_exp2 = native_exp2;
  specs.push_back(decode);

  ProgramSpec combine = common;
  combine.kernel = Kernel::kCombine;
  combine.out_dtype = static_cast<int>(p.out_dtype);
  combine.head_dim = p.head_dim;
  combine.group_size = p.group_size();
  combine.wg = small_wg(plan, kCombineWg, max_work_group_size);
  combine.native_exp2 = native_exp2;
  specs.push_back(combine);
  return specs;
}

std::string build_options(const ProgramSpec& s) {
  return fmt::format(
      "-cl-std=CL1.2 -DQ_DTYPE={} -DKV_DTYPE={} -DOUT_DTYPE={} -DHEAD_DIM={} -DGROUP_SIZE={} -DPAGE_SIZE={} -DROUTED={} "
      "-DWORKLIST={} -DENGINE={} -DWG={} -DTILE_KV={} -DVEC={} -DNATIVE_EXP2={}",
      s.q_dtype, s.kv_dtype, s.out_dtype, s.head_dim, s.group_size, s.page_size, s.routed, s.worklist, s.engine, s.wg,
      s.tile_kv, s.vec, s.native_exp2);
}

}  // namespace clsink
