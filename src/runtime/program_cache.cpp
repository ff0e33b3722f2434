// SPDX-License-Identifier: Apache-2.0
#include "runtime/program_cache.hpp"

#include <fmt/format.h>

#include <chrono>
#include <clsink/error.hpp>

#include "runtime/kernel_source.hpp"

namespace clsink {

// A program that this call builds, and others may wait for.
struct ProgramCache::Task {
  std::string name, options, key;
  std::string_view source;
  std::string binary_key;
  std::promise<std::shared_ptr<CompiledKernel>> promise;
  bool settled = false;
};

namespace {

struct Result {
  std::shared_ptr<CompiledKernel> kernel;
  std::exception_ptr failure;
  double seconds = 0;
};

// Runs work(0) ... work(count - 1): at once, or each on this thread when its result is asked for, as the first one is anyway,
// and the others where the system has no more threads.
template <typename Work>
std::vector<std::future<Result>> build_all(std::size_t count, bool at_once, const Work& work) {
  const auto timed = [&work](std::size_t i) {
    const auto begin = std::chrono::steady_clock::now();
    Result result;
    try {
      result.kernel = work(i);
    } catch (...) {
      result.failure = std::current_exception();
    }
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  };
  std::vector<std::future<Result>> results;
  results.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto where = i == 0 || !at_once ? std::launch::deferred : std::launch::async | std::launch::deferred;
    results.push_back(std::async(where, timed, i));
  }
  return results;
}

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

std::string message_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

void ProgramCache::settle(Task& task, const std::shared_ptr<CompiledKernel>& kernel, bool loaded) {
  if (loaded || binaries_.keeps()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    origins_.insert_or_assign(kernel.get(), Origin{task.key, task.binary_key, loaded});
  }
  task.promise.set_value(kernel);
  task.settled = true;
}

void ProgramCache::settle(Task& task, const std::exception_ptr& failure) {
  task.promise.set_exception(failure);
  task.settled = true;
  if (is_final(failure)) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  builds_.erase(task.key);
}

// Returns those that have to be compiled.
std::vector<ProgramCache::Task*> ProgramCache::load(std::vector<Task>& tasks) {
  std::vector<Task*> found, missing;
  std::vector<Blob> blobs;
  for (Task& task : tasks) {
    task.binary_key = binaries_.key(task.source, task.name, task.options);
    const auto distrusted = [&] {
      const std::lock_guard<std::mutex> lock(mutex_);
      return distrusted_.count(task.binary_key) != 0;
    };
    auto blob = distrusted() ? std::nullopt : binaries_.load(task.binary_key);
    (blob ? found : missing).push_back(&task);
    if (blob) blobs.push_back(std::move(*blob));
  }
  const auto load = [&](std::size_t i) {
    return std::make_shared<CompiledKernel>(context_, device_, blobs[i], found[i]->name, found[i]->options);
  };
  auto results = build_all(found.size(), builds_at_once_, load);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Result result = results[i].get();
    if (result.failure) {
      warn_(fmt::format("binary cache: the driver refuses the binary of kernel '{}', which is built from its source: {}",
                        found[i]->name, message_of(result.failure)));
      missing.push_back(found[i]);
    } else {
      info_(fmt::format("loaded kernel '{}' from the binary cache in {:.2f} s", found[i]->name, result.seconds));
      ++loaded_;
      settle(*found[i], result.kernel, true);
    }
  }
  return missing;
}

void ProgramCache::compile(const std::vector<Task*>& tasks) {
  for (const Task* task : tasks) info_(fmt::format("building kernel '{}': {}", task->name, task->options));
  const auto build = [&](std::size_t i) {
    return std::make_shared<CompiledKernel>(context_, device_, tasks[i]->source, tasks[i]->name, tasks[i]->options);
  };
  auto results = build_all(tasks.size(), builds_at_once_, build);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Result result = results[i].get();
    if (result.failure) {
      info_(fmt::format("kernel '{}' failed after {:.2f} s", tasks[i]->name, result.seconds));
      settle(*tasks[i], result.failure);
    } else {
      info_(fmt::format("built kernel '{}' in {:.2f} s", tasks[i]->name, result.seconds));
      ++built_;
      settle(*tasks[i], result.kernel, false);
    }
  }
}

ProgramCache::Kernels ProgramCache::get(const std::vector<ProgramSpec>& specs) {
  std::vector<Build> builds;
  std::vector<Task> mine;
  builds.reserve(specs.size());
  mine.reserve(specs.size());
  for (const ProgramSpec& spec : specs) {
    Task task;
    task.name = to_string(spec.kernel);
    task.options = build_options(spec);
    task.key = fmt::format("{} {}", task.name, task.options);
    task.source = kernel_source(spec.kernel);
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto [entry, fresh] = builds_.try_emplace(task.key, task.promise.get_future().share());
    builds.push_back(entry->second);
    if (fresh) mine.push_back(std::move(task));
  }
  try {
    compile(load(mine));
  } catch (...) {
    for (Task& task : mine) {
      if (!task.settled) settle(task, std::current_exception());
    }
    throw;
  }
  // Other threads' builds are waited for when ours are there, so that no two threads wait for each other.
  Kernels kernels;
  for (const Build& build : builds) kernels.push_back(build.get());
  return kernels;
}

void ProgramCache::store(const Kernels& kernels) {
  if (!binaries_.keeps()) return;
  for (const std::shared_ptr<CompiledKernel>& kernel : kernels) {
    const auto unwritten_key = [&]() -> std::string {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto origin = origins_.find(kernel.get());
      return origin == origins_.end() || origin->second.loaded ? "" : origin->second.binary_key;
    };
    const std::string key = unwritten_key();
    if (key.empty()) continue;
    try {
      binaries_.store(key, kernel->binary(device_));
    } catch (const Error& error) {
      warn_(fmt::format("binary cache: kernel '{}' is not written: {}", kernel->name(), error.what()));
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    origins_.erase(kernel.get());
  }
}

bool ProgramCache::forget_loaded(const Kernels& kernels) {
  const std::lock_guard<std::mutex> lock(mutex_);
  bool any = false;
  for (const std::shared_ptr<CompiledKernel>& kernel : kernels) {
    const auto origin = origins_.find(kernel.get());
    if (origin == origins_.end() || !origin->second.loaded) continue;
    distrusted_.insert(origin->second.binary_key);
    builds_.erase(origin->second.key);
    origins_.erase(origin);
    any = true;
  }
  return any;
}

}  // namespace clsink
