// SPDX-License-Identifier: Apache-2.0
// A prepared plan: its compiled kernels and how a step launches them.
#pragma once

#include <clsink/context.hpp>

#include <memory>
#include <vector>

#include "cl_kernels/decode_args.h"
#include "runtime/program_cache.hpp"

namespace clsink {

class DecodeProgram {
 public:
  /// Compiles what is missing.
  DecodeProgram(DecodePlan plan, const DeviceFacts& facts, ProgramCache& cache);

  const DecodePlan& plan() const { return plan_; }
  ProgramCache::Kernels kernels() const;

  /// Launches every kernel at max_batch with no sequence in the step, and waits: compilers that work at the first
  /// launch do so now. Throws Error(kBuildFailed) if the device does not run a kernel that it has built, or gives it sub-groups
  /// of another size than it is compiled for.
  void warm_up(const cl::Context& context, const cl::Device& device) const;

  /// Enqueues the step's kernels. `stages`, if not null, receives an event of each.
  void enqueue(cl_command_queue queue, bool in_order, const decode_args& args, const DecodeBuffers& buffers,
               const std::vector<cl_event>& wait_for, cl_event* done, std::vector<Context::StageEvent>* stages) const;

 private:
  struct Stage {
    Kernel kernel;
    std::size_t work_items;
    std::int32_t sub_group_size;
    std::shared_ptr<CompiledKernel> compiled;
  };

  DecodePlan plan_;
  std::vector<Stage> stages_;
};

}  // namespace clsink
