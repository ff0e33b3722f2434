// SPDX-License-Identifier: Apache-2.0
// A compiled kernel that several threads may launch.
#pragma once

#include <CL/opencl.hpp>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ocl/binary_blob.hpp"

namespace clsink {

struct LaunchGeometry {
  std::size_t work_groups = 0;
  std::size_t work_items = 0;  ///< of a work-group
};

/// A kernel argument: a buffer, or a value copied at launch.
struct KernelArgument {
  const void* data = nullptr;
  std::size_t bytes = 0;
};

class CompiledKernel {
 public:
  /// Compiles `source` and takes the kernel `name` from it. Throws Error(kBuildFailed) with options and build log.
  CompiledKernel(const cl::Context& context, const cl::Device& device, std::string_view source, const std::string& name,
                 const std::string& options);
  /// The same from what binary() gave in another process; throws Error if the driver does not take it.
  CompiledKernel(const cl::Context& context, const cl::Device& device, const Blob& binary, const std::string& name,
                 const std::string& options);

  const std::string& name() const { return name_; }

  /// The program's binary for the device. PoCL's holds only kernels that were launched. Throws Error.
  Blob binary(const cl::Device& device) const;

  /// Sets all arguments and enqueues, as one step: clSetKernelArg is not thread-safe. Throws Error.
  void launch(cl_command_queue queue, const std::vector<KernelArgument>& arguments, const LaunchGeometry& geometry,
              const std::vector<cl_event>& wait_for, cl_event* done);

 private:
  void build(const cl::Device& device, std::string_view source, const std::string& options);

  cl::Program program_;
  cl::Kernel kernel_;
  std::string name_;
  std::mutex mutex_;
};

}  // namespace clsink
