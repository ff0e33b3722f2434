// SPDX-License-Identifier: Apache-2.0
// Compiled kernels by build options: one build per spec, however many plans and threads ask. Programs come from the binary
// cache, or are compiled and handed to it.
#pragma once

#include <CL/opencl.hpp>
#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "model/program_spec.hpp"
#include "ocl/binary_cache.hpp"
#include "ocl/program.hpp"

namespace clsink {

class ProgramCache {
 public:
  using Log = std::function<void(const std::string&)>;
  using Kernels = std::vector<std::shared_ptr<CompiledKernel>>;

  /// `info` is told before and after every build, `warn` what of the binary cache is not used; both, as the storage, on the
  /// threads that call and without a lock held.
  /// Without `builds_at_once` one program is built after the other.
  ProgramCache(cl::Context context, cl::Device device, bool builds_at_once, BinaryStorage storage, Log info, Log warn)
      : context_(std::move(context)),
        device_(std::move(device)),
        builds_at_once_(builds_at_once),
        binaries_(device_, std::move(storage), warn),
        info_(std::move(info)),
        warn_(std::move(warn)) {}

  /// The kernel of each spec: built, on a thread for each, waited for where another thread builds it, or what is there. What
  /// does not compile is remembered and thrown again; other failures are tried again.
  Kernels get(const std::vector<ProgramSpec>& specs);

  /// Writes those of the kernels that were compiled, and not written yet, to the binary cache. To be called after their first
  /// launch, without which some drivers' binaries are incomplete.
  void store(const Kernels& kernels);

  /// Forgets those of the kernels that came from the binary cache; from now on they are compiled. Whether there were any.
  bool forget_loaded(const Kernels& kernels);

  std::size_t built() const noexcept { return built_; }
  std::size_t loaded() const noexcept { return loaded_; }

 private:
  using Build = std::shared_future<std::shared_ptr<CompiledKernel>>;
  struct Task;
  struct Origin {
    std::string key, binary_key;
    bool loaded;
  };
  std::vector<Task*> load(std::vector<Task>& tasks);
  void compile(const std::vector<Task*>& tasks);
  void settle(Task& task, const std::shared_ptr<CompiledKernel>& kernel, bool loaded);
  void settle(Task& task, const std::exception_ptr& failure);

  cl::Context context_;
  cl::Device device_;
  bool builds_at_once_;
  BinaryCache binaries_;
  Log info_, warn_;
  std::mutex mutex_;
  std::map<std::string, Build> builds_;
  std::map<const CompiledKernel*, Origin> origins_;  // of kernels that came from the binary cache, or are to be written to it
  std::set<std::string> distrusted_;                 // binary keys whose blobs did not run
  std::atomic<std::size_t> built_{0}, loaded_{0};
};

}  // namespace clsink
