// SPDX-License-Identifier: Apache-2.0
// Compiled kernels by build options: one build per spec, however many plans and threads ask.
#pragma once

#include <CL/opencl.hpp>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "model/program_spec.hpp"
#include "ocl/program.hpp"

namespace clsink {

class ProgramCache {
 public:
  /// `log` is told before and after every build.
  using Log = std::function<void(const std::string&)>;
  ProgramCache(cl::Context context, cl::Device device, Log log)
      : context_(std::move(context)), device_(std::move(device)), log_(std::move(log)) {}

  /// Builds, or waits for another thread that builds, or returns what is there. What does not compile is
  /// remembered and thrown again; other failures are tried again.
  std::shared_ptr<CompiledKernel> get(const ProgramSpec& spec);

  std::size_t size() const noexcept { return built_; }

 private:
  using Build = std::shared_future<std::shared_ptr<CompiledKernel>>;
  std::shared_ptr<CompiledKernel> build(Kernel kernel, const std::string& options);

  cl::Context context_;
  cl::Device device_;
  Log log_;
  std::mutex mutex_;
  std::map<std::string, Build> builds_;
  std::atomic<std::size_t> built_{0};
};

}  // namespace clsink
