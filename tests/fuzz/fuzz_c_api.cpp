// SPDX-License-Identifier: Apache-2.0
// The C API from problem to step on an invented device: good values, some of them bent. Whatever comes in, a status comes
// out that the header allows there, with a message; what is accepted is consistent. OpenCL is a stub.
#include "stub_opencl.hpp"

#include <clsink/clsink.h>
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "require.hpp"

namespace {

using clsink::fuzz::stub_device;
using Input = FuzzedDataProvider;

template <typename T>
T pick(Input& in, std::initializer_list<T> values) {
  return values.begin()[in.ConsumeIntegralInRange<std::size_t>(0, values.size() - 1)];
}

// An input that is used up bends nothing.
bool rarely(Input& in) { return in.ConsumeIntegral<std::uint8_t>() > 240; }

// A struct in memory of its own length, which struct_size may promise shorter or longer, with some words changed.
template <typename Struct>
class Bent {
 public:
  explicit Bent(Input& in, const Struct& good) : memory_(2 * sizeof(Struct) / sizeof(std::int32_t)) {
    std::memcpy(memory_.data(), &good, sizeof good);
    const auto words = static_cast<int>(sizeof(Struct) / sizeof(std::int32_t));
    for (int changes = pick(in, {0, 0, 0, 1, 2, 5}); changes > 0; --changes) {
      const int at = in.ConsumeIntegralInRange<int>(2, words - 1);  // the first two are struct_size
      memory_[static_cast<std::size_t>(at)] = value(in);
    }
    if (rarely(in)) get()->struct_size = in.ConsumeIntegralInRange<std::size_t>(0, 2 * sizeof good);
  }
  Struct* get() { return reinterpret_cast<Struct*>(memory_.data()); }

 private:
  static std::int32_t value(Input& in) {
    constexpr auto kMax = std::numeric_limits<std::int32_t>::max();
    if (in.ConsumeBool()) return in.ConsumeIntegral<std::int32_t>();
    return pick<std::int32_t>(in, {0, 1, 2, 3, 4, 8, 16, 64, 128, 256, 1000, 65536, 1 << 20, 1 << 30, kMax, -1, -2, -kMax - 1});
  }

  std::vector<std::int32_t> memory_;
};

void expect(clsink_status status, std::initializer_list<int> errors) {
  if (status == CLSINK_OK) return;
  if (std::find(errors.begin(), errors.end(), status) == errors.end()) {
    std::fprintf(stderr, "%s: %s\n", clsink_status_text(status), clsink_last_error());
  }
  REQUIRE(std::find(errors.begin(), errors.end(), status) != errors.end());
  REQUIRE(std::strlen(clsink_last_error()) > 0);
}

void set_device(Input& in) {
  auto& d = stub_device();
  d = {};
  d.type = pick<cl_device_type>(in, {CL_DEVICE_TYPE_GPU, CL_DEVICE_TYPE_CPU, CL_DEVICE_TYPE_ACCELERATOR});
  d.vendor = pick<const char*>(in, {"NVIDIA Corporation", "Intel(R) Corporation", "AuthenticAMD", "Nobody"});
  d.version = pick<const char*>(in, {"OpenCL 1.2 stub", "OpenCL 2.0 stub", "OpenCL 3.0 stub", "", "OpenCL"});
  d.extensions = pick<const char*>(in, {"", "cl_nv_device_attribute_query", "cl_khr_subgroups cl_khr_subgroup_shuffle",
                                        "cl_intel_subgroups cl_intel_required_subgroup_size"});
  d.knows_sub_groups = in.ConsumeBool();
  d.sub_group_size = pick<cl_int>(in, {16, 8, 32, 64, 0, -1});
  d.compute_units = pick<cl_uint>(in, {1, 2, 132, 0, 65536, 0x7fffffff, 0xffffffff});
  d.nv_major = pick<cl_uint>(in, {0, 5, 7, 9, 0xffffffff});
  d.little_endian = pick<cl_bool>(in, {CL_TRUE, CL_TRUE, CL_TRUE, CL_FALSE});
  d.max_work_group_size = pick<std::size_t>(in, {1024, 256, 64, 1, 0, 4096, ~std::size_t{0}});
  d.local_mem_bytes = pick<cl_ulong>(in, {48 << 10, 16 << 10, 1 << 10, 0, ~cl_ulong{0}});
  d.in_order = in.ConsumeBool();
  const int refusals = in.ConsumeBool() ? in.ConsumeIntegral<std::uint16_t>() : 0;  // one bit a program
  d.build = [refusals](const std::string& options) {
    return (refusals >> (std::hash<std::string>()(options) % 16) & 1) != 0 ? CL_BUILD_PROGRAM_FAILURE : CL_SUCCESS;
  };
  int launches = pick(in, {1 << 30, 1 << 30, 3, 5, 8});
  const cl_int fault = pick(in, {CL_OUT_OF_RESOURCES, CL_OUT_OF_HOST_MEMORY, CL_INVALID_WORK_GROUP_SIZE});
  d.launch = [launches, fault]() mutable { return launches-- > 0 ? CL_SUCCESS : fault; };
}

clsink_problem good_problem(Input& in) {
  clsink_problem problem;
  clsink_problem_init(&problem, sizeof problem);
  const char* text = pick<const char*>(
      in, {"f16 hq=8 hkv=2 d=64 b=4 kv=1000", "bf16 hq=32 hkv=8 d=128 b=1 kv=131072 route=mean",
           "f32 hq=16 hkv=1 d=256 b=2 kv=77 page=16 route=hybrid", "f16 hq=4 hkv=4 d=96 b=64 kv=4096 page=1",
           "f16/f16/f32 hq=6 hkv=2 d=32 b=3 kv=50 route=mask near=0,0", "f16 hq=2 hkv=1 d=40 b=1 kv=1 keep=4,60"});
  REQUIRE(clsink_problem_parse(text, &problem) == CLSINK_OK);
  return problem;
}

// Buffers that hold anything, some bent.
struct Memory {
  std::vector<_cl_mem> objects;
  clsink_buffers buffers;

  Memory(Input& in, const clsink_problem& problem) {
    clsink_buffers_init(&buffers, sizeof buffers);
    objects.reserve(16);
    const auto place = [&](clsink_buffer& buffer, bool wanted) {
      if (rarely(in)) wanted = !wanted;
      if (!wanted) return;
      objects.push_back({std::size_t{1} << 40, clsink::fuzz::context()});
      if (rarely(in)) objects.back().bytes = in.ConsumeIntegral<std::uint32_t>();
      if (rarely(in)) objects.back().context = clsink::fuzz::another_context();
      buffer.memory = &objects.back();
      if (rarely(in)) buffer.offset_bytes = in.ConsumeIntegral<std::size_t>();
    };
    clsink_buffers& b = buffers;
    for (clsink_buffer* one : {&b.q, &b.k, &b.v, &b.kv_len, &b.out, &b.workspace}) place(*one, true);
    const bool by_mask = problem.route == CLSINK_ROUTE_MASK, routed = problem.route != CLSINK_ROUTE_NONE;
    place(b.page_table, problem.page_size != 0);
    place(b.head_mask, by_mask);
    place(b.tau_offsets, routed && !by_mask && in.ConsumeBool());
    place(b.anchor, routed && in.ConsumeBool());
    place(b.lse, in.ConsumeBool());
    place(b.statistics, routed && in.ConsumeBool());
    place(b.status, in.ConsumeBool());
  }
};

void run_steps(Input& in, clsink_context* context, const clsink_plan* plan, const clsink_problem& problem) {
  const std::initializer_list<int> errors = {CLSINK_INVALID_BUFFER, CLSINK_OUT_OF_MEMORY, CLSINK_OPENCL};
  for (int steps = 0; steps < 3; ++steps) {
    Memory memory(in, problem);
    clsink_step good;
    clsink_step_init(&good, sizeof good);
    good.scale = 0.125F;
    good.tau_count = 1;
    good.tau[0] = {1, 0.5F};
    Bent<clsink_step> step(in, good);
    cl_event done = nullptr;
    const clsink_status status =
        clsink_enqueue(context, clsink::fuzz::queue(), plan, &memory.buffers, step.get(), 0, nullptr, &done);
    expect(status, errors);
    REQUIRE((done != nullptr) == (status == CLSINK_OK));
    clsink_stage_event stages[CLSINK_MAX_STAGES];
    std::size_t count = 0;
    expect(clsink_enqueue_profiled(context, clsink::fuzz::queue(), plan, &memory.buffers, step.get(), stages, &count), errors);
    REQUIRE(count <= CLSINK_MAX_STAGES);
  }
}

void run_plan(Input& in, clsink_context* context, clsink_plan* plan, const clsink_problem& problem) {
  clsink_plan_info info, again;
  clsink_plan_info_init(&info, sizeof info);
  clsink_plan_info_init(&again, sizeof again);
  const clsink_status prepared = clsink_prepare(context, plan);
  expect(prepared, {CLSINK_BUILD_FAILED, CLSINK_OUT_OF_MEMORY});
  REQUIRE(clsink_plan_get_info(plan, &info) == CLSINK_OK);
  REQUIRE(info.workspace_bytes >= 256 && info.workers > 0);
  clsink_plan* same = nullptr;
  REQUIRE(clsink_plan_from_text(context, info.text, &same) == CLSINK_OK);
  REQUIRE(clsink_plan_get_info(same, &again) == CLSINK_OK);
  REQUIRE(std::string(info.text) == again.text && info.workspace_bytes == again.workspace_bytes);
  clsink_plan_destroy(same);
  if (prepared == CLSINK_OK) run_steps(in, context, plan, problem);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  set_device(in);
  clsink_context* context = nullptr;
  expect(clsink_context_create(clsink::fuzz::context(), clsink::fuzz::device(), nullptr, &context), {});
  Bent<clsink_problem> problem(in, good_problem(in));
  clsink_plan_options options;
  clsink_plan_options_init(&options, sizeof options);
  const std::string text =
      in.ConsumeBool() ? in.ConsumeRandomLengthString(120)
                       : pick<const char*>(in, {"simt schedule=worklist fusion=single wg=128 tile_kv=32 vec=8 stages=1",
                                                "cpu schedule=static fusion=none wg=1 tile_kv=16 vec=16 stages=1",
                                                "nv_mma schedule=worklist fusion=prologue wg=128 tile_kv=64 vec=8 stages=2"});
  if (rarely(in)) options.variant = text.c_str();
  options.workers_per_cu = options.variant != nullptr ? pick(in, {0, 1, 4, 1 << 30, -1}) : 0;
  options.min_tiles = options.variant != nullptr ? pick(in, {0, 1, 4, 1 << 30, -1}) : 0;
  const std::initializer_list<int> errors = {CLSINK_INVALID_PROBLEM, CLSINK_UNSUPPORTED_DEVICE};
  expect(clsink_supports(context, problem.get()), errors);
  expect(clsink_variants(
             context, problem.get(), [](const char*, void*) {}, nullptr),
         errors);
  clsink_plan* plan = nullptr;
  const clsink_status planned = clsink_plan_create(context, problem.get(), &options, &plan);
  expect(planned, errors);
  if (planned == CLSINK_OK) run_plan(in, context, plan, *problem.get());
  clsink_plan_destroy(plan);
  clsink_context_destroy(context);
  return 0;
}
