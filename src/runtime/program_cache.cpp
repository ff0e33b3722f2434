// SPDX-License-Identifier: Apache-2.0
#include "runtime/program_cache.hpp"

#include <fmt/format.h>

#include <chrono>
#include <clsink/error.hpp>

#include "runtime/kernel_source.hpp"

namespace clsink {

namespace {

// What the compiler refused it refuses again; memory may be there next time.
bool is_final(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == ErrorCode::kBuildFailed;
  } catch (...) {
    return false;
  }
}

}  // namespace

std::shared_ptr<CompiledKernel> ProgramCache::build(Kernel kernel, const std::string& options) {
  const std::string name = to_string(kernel);
  log_(fmt::format("building kernel '{}': {}", name, options));
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  std::shared_ptr<CompiledKernel> compiled;
  try {
    compiled = std::make_shared<CompiledKernel>(context_, device_, kernel_source(kernel), name, options);
  } catch (const Error&) {
    log_(fmt::format("kernel '{}' failed after {:.2f} s", name, seconds()));
    throw;
  }
  log_(fmt::format("built kernel '{}' in {:.2f} s", name, seconds()));
  ++built_;
  return compiled;
}

std::shared_ptr<CompiledKernel> ProgramCache::get(const ProgramSpec& spec) {
  const std::string options = build_options(spec), key = fmt::format("{} {}", to_string(spec.kernel), options);
  std::promise<std::shared_ptr<CompiledKernel>> promise;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto [entry, fresh] = builds_.try_emplace(key, promise.get_future().share());
    if (!fresh) {
      const Build build = entry->second;
      lock.unlock();
      return build.get();
    }
  }
  try {
    auto kernel = build(spec.kernel, options);
    promise.set_value(kernel);
    return kernel;
  } catch (...) {
    promise.set_exception(std::current_exception());
    if (!is_final(std::current_exception())) {
      const std::lock_guard<std::mutex> lock(mutex_);
      builds_.erase(key);
    }
    throw;
  }
}

}  // namespace clsink
