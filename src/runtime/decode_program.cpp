// SPDX-License-Identifier: Apache-2.0
#include "runtime/decode_program.hpp"

#include <fmt/format.h>

#include <clsink/error.hpp>

#include "model/program_spec.hpp"
#include "ocl/ocl_error.hpp"
#include "planning/planner.hpp"
#include "runtime/buffers.hpp"

namespace clsink {
namespace {

// The kernels' argument lists, in order. A buffer that the step lacks is a null pointer there, and never touched: on NVIDIA
// each buffer of a launch costs the host 0.25 us, a null pointer nothing.
std::vector<KernelArgument> arguments_of(Kernel kernel, Fusion fusion, const DecodeBuffers& b, const decode_args& args) {
  std::vector<KernelArgument> arguments;
  arguments.reserve(14);
  const auto add = [&](const BufferView& view) {
    arguments.push_back({view.memory != nullptr ? &view.memory : nullptr, sizeof(cl_mem)});
  };
  switch (kernel) {
    case Kernel::kRoute:
      for (const BufferView* view : {&b.q, &b.k, &b.kv_len, &b.page_table, &b.anchor, &b.workspace, &b.status, &b.head_mask,
                                     &b.tau_offsets, &b.statistics}) {
        add(*view);
      }
      break;
    case Kernel::kSchedule:
      for (const BufferView* view : {&b.kv_len, &b.anchor, &b.workspace, &b.status}) add(*view);
      break;
    case Kernel::kDecode:
      for (const BufferView* view :
           {&b.q, &b.k, &b.v, &b.kv_len, &b.page_table, &b.anchor, &b.workspace, &b.out, &b.lse, &b.status}) {
        add(*view);
      }
      if (fusion == Fusion::kNone) break;
      for (const BufferView* view : {&b.head_mask, &b.tau_offsets, &b.statistics}) add(*view);
      break;
    case Kernel::kCombine:
      for (const BufferView* view : {&b.kv_len, &b.anchor, &b.workspace, &b.out, &b.lse, &b.status}) add(*view);
      break;
  }
  arguments.push_back({&args, sizeof(args)});
  return arguments;
}

// Releases what it holds; an event per launch where launches must be chained.
class EventChain {
 public:
  ~EventChain() {
    for (cl_event event : held_) clReleaseEvent(event);
  }
  void hold(cl_event event) { held_.push_back(event); }

 private:
  std::vector<cl_event> held_;
};

}  // namespace

DecodeProgram::DecodeProgram(DecodePlan plan, const DeviceFacts& facts, ProgramCache& cache) : plan_(std::move(plan)) {
  const std::vector<ProgramSpec> specs = program_specs(plan_, facts);
  const ProgramCache::Kernels kernels = cache.get(specs);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    stages_.push_back({specs[i].kernel, static_cast<std::size_t>(specs[i].wg), specs[i].sub_group_size, kernels[i]});
  }
}

ProgramCache::Kernels DecodeProgram::kernels() const {
  ProgramCache::Kernels kernels;
  for (const Stage& stage : stages_) kernels.push_back(stage.compiled);
  return kernels;
}

void DecodeProgram::warm_up(const cl::Context& context, const cl::Device& device) const {
  try {
    const cl::CommandQueue queue(context, device);
    const cl::Buffer placeholder(context, CL_MEM_READ_WRITE, 16);
    DecodeBuffers buffers;
    buffers.workspace = {placeholder(), 0};
    const decode_args args = describe_plan(plan_);  // batch 0: the kernels return before they touch memory
    for (const Stage& stage : stages_) {
      try {
        stage.compiled->launch(queue(), arguments_of(stage.kernel, plan_.variant.fusion, buffers, args),
                               {work_groups(plan_, stage.kernel, plan_.problem.max_batch), stage.work_items}, {}, nullptr);
      } catch (const OpenClError& error) {
        // Memory may be there next time; anything else is the kernel's: without sequences a launch asks for nothing more.
        if (error.cl_code() == CL_MEM_OBJECT_ALLOCATION_FAILURE || error.cl_code() == CL_OUT_OF_HOST_MEMORY) throw;
        throw Error(ErrorCode::kBuildFailed,
                    fmt::format("kernel '{}' does not run: {}", to_string(stage.kernel), error.what()));
      }
    }
    queue.finish();
    for (const Stage& stage : stages_) {
      if (stage.sub_group_size == 0) continue;
      std::int32_t size = 0;
      queue.enqueueReadBuffer(placeholder, CL_TRUE, 0, sizeof(size), &size);
      if (size != stage.sub_group_size) {
        throw Error(ErrorCode::kBuildFailed,
                    fmt::format("kernel '{}' is compiled for sub-groups of {}, on this device they have {}: {}",
                                to_string(stage.kernel), stage.sub_group_size, size, to_string(plan_.variant)));
      }
    }
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
}

void DecodeProgram::enqueue(cl_command_queue queue, bool in_order, const decode_args& args, const DecodeBuffers& buffers,
                            const std::vector<cl_event>& wait_for, cl_event* done,
                            std::vector<Context::StageEvent>* stages) const {
  EventChain chain;
  std::vector<cl_event> before = wait_for;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    const bool last = i + 1 == stages_.size();
    const bool wants_event = stages != nullptr || (last ? done != nullptr : !in_order);
    cl_event event = nullptr;
    stage.compiled->launch(queue, arguments_of(stage.kernel, plan_.variant.fusion, buffers, args),
                           {work_groups(plan_, stage.kernel, args.batch), stage.work_items}, before,
                           wants_event ? &event : nullptr);
    before.clear();
    if (event == nullptr) continue;
    if (stages != nullptr) {
      clRetainEvent(event);
      stages->push_back({to_string(stage.kernel), event});
    }
    if (last && done != nullptr) {
      *done = event;
    } else {
      chain.hold(event);
      if (!in_order) before.push_back(event);
    }
  }
}

}  // namespace clsink
