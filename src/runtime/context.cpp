// SPDX-License-Identifier: Apache-2.0
#include <clsink/context.hpp>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <shared_mutex>
#include <sstream>

#include "model/fields.hpp"
#include "model/problem.hpp"
#include "model/variant.hpp"
#include "ocl/device_query.hpp"
#include "ocl/ocl_error.hpp"
#include "planning/device_family.hpp"
#include "planning/fits.hpp"
#include "planning/planner.hpp"
#include "runtime/buffers.hpp"
#include "runtime/decode_program.hpp"
#include "runtime/program_cache.hpp"

namespace clsink {
namespace {

std::uint64_t next_context_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

cl::Context adopt_context(cl_context context) {
  if (context == nullptr) throw Error(ErrorCode::kUnsupportedDevice, "context is null");
  return cl::Context(context, true);
}

cl::Device adopt_device(const cl::Context& context, cl_device_id device) {
  if (device == nullptr) throw Error(ErrorCode::kUnsupportedDevice, "device is null");
  try {
    for (const cl::Device& member : context.getInfo<CL_CONTEXT_DEVICES>()) {
      if (member() == device) return member;
    }
  } catch (const cl::Error& error) {
    throw_cl_error(error.err(), error.what());
  }
  throw Error(ErrorCode::kUnsupportedDevice, "device does not belong to context");
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("tuning file {}: cannot be read", path));
  }
  return text.str();
}

BinaryStorage storage_of(const ContextOptions& options, const std::function<void(LogLevel, const std::string&)>& log) {
  const std::int64_t max_bytes = options.binary_cache_max_bytes;
  std::string folder = options.binary_cache_dir;
  if (max_bytes < 0) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("binary_cache_max_bytes is {}, must be 0 or more", max_bytes));
  }
  if (options.load_binary || options.store_binary) {
    if (folder.empty()) return {options.load_binary, options.store_binary};
    throw Error(ErrorCode::kInvalidProblem,
                fmt::format("binary_cache_dir is '{}', must be empty beside load_binary and store_binary", folder));
  }
  if (folder.empty()) folder = binary_folder_of_environment();
  if (folder.empty() || max_bytes == 0) return {};
  log(LogLevel::kInfo, fmt::format("binary cache: folder '{}', at most {} bytes", folder, max_bytes));
  return open_binary_folder(folder, max_bytes, [log](const std::string& message) { log(LogLevel::kWarning, message); });
}

}  // namespace

class Context::Impl {
 public:
  Impl(cl_context context, cl_device_id device, ContextOptions options)
      : context_(adopt_context(context)),
        device_(adopt_device(context_, device)),
        facts_(query_device(device_)),
        options_(std::move(options)),
        programs_(
            context_, device_, builds_at_once(facts_),
            storage_of(options_, [this](LogLevel level, const std::string& message) { log(level, message); }),
            [this](const std::string& message) { log(LogLevel::kInfo, message); },
            [this](const std::string& message) { log(LogLevel::kWarning, message); }) {
    log(LogLevel::kInfo, fmt::format("{} ({}), driver {}", facts_.name, facts_.platform, facts_.driver));
    for (const std::string& path : options_.tuning_files) add_tuning(path, read_file(path));
  }

  void log(LogLevel level, const std::string& message) const {
    if (options_.log) options_.log(level, message);
  }

  void add_tuning(const std::string& name, const std::string& text) {
    std::size_t rows = 0;
    {
      const std::unique_lock<std::shared_mutex> lock(mutex_);
      auto tuning = std::make_shared<TuningDb>(*tuning_);
      tuning->add(name, text, ++tuning_layers_);
      rows = tuning->size() - tuning_->size();
      tuning_ = std::move(tuning);
    }
    log(LogLevel::kInfo, fmt::format("{} tuning rows of {}", rows, name));
  }

  std::shared_ptr<const TuningDb> tuning() const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    return tuning_;
  }

  DecodePlan own(DecodePlan plan) const {
    plan.context_id = id_;
    log(LogLevel::kInfo,
        fmt::format("plan: {} [{}], {} bytes of workspace", to_string(plan), plan.match_reason, plan.workspace_bytes));
    return plan;
  }

  DecodePlan prepare(DecodePlan plan) {
    check_owner(plan);
    std::vector<DroppedVariant> dropped;
    while (true) {
      try {
        compile(plan);
        return plan;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::kBuildFailed) throw;
        const std::string message = fmt::format("variant '{}': {}", to_string(plan.variant), error.what());
        if (plan.match == MatchLevel::kForced) throw Error(error.code(), message);
        log(LogLevel::kWarning, "dropped " + message);
        const std::string_view reason = error.what();
        dropped.push_back({plan.variant, std::string(reason.substr(0, reason.find('\n')))});
        plan = plan_without(dropped, plan.problem, message);
      }
    }
  }

  void enqueue(cl_command_queue queue, const DecodePlan& plan, const DecodeBuffers& buffers, const DecodeStep& step,
               const std::vector<cl_event>& wait_for, cl_event* done, std::vector<StageEvent>* stages) const {
    check_owner(plan);
    const auto program = find(plan);
    if (!program) {
      throw Error(ErrorCode::kInvalidPlan, "the plan is not prepared, or prepare returned another: " + to_string(plan));
    }
    const bool in_order = check_queue(queue);
    for (std::size_t i = 0; i < wait_for.size(); ++i) {
      if (wait_for[i] == nullptr) throw Error(ErrorCode::kInvalidBuffer, fmt::format("wait_for[{}] is null", i));
    }
    const decode_args args = check_and_describe(context_(), plan, buffers, step);
    if (step.batch == 0) {
      check_cl(clEnqueueMarkerWithWaitList(queue, static_cast<cl_uint>(wait_for.size()),
                                           wait_for.empty() ? nullptr : wait_for.data(), done),
               "clEnqueueMarkerWithWaitList");
      return;
    }
    program->enqueue(queue, in_order, args, buffers, wait_for, done, stages);
  }

  const DeviceFacts& facts() const { return facts_; }
  std::size_t programs_built() const { return programs_.built(); }

 private:
  void check_owner(const DecodePlan& plan) const {
    if (plan.context_id == 0) throw Error(ErrorCode::kInvalidPlan, "the plan was not made by Context::plan");
    if (plan.context_id != id_) throw Error(ErrorCode::kInvalidPlan, "the plan belongs to another Context");
  }

  void compile(const DecodePlan& plan) {
    if (find(plan)) return;
    const std::size_t built = programs_.built(), loaded = programs_.loaded();
    const auto begin = std::chrono::steady_clock::now();
    const auto program = start(plan);
    programs_.store(program->kernels());
    {
      const std::unique_lock<std::shared_mutex> lock(mutex_);
      prepared_.emplace(to_string(plan), program);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    log(LogLevel::kInfo, fmt::format("prepared: {} ({} programs built, {} loaded, {:.2f} s with the first launches)",
                                     to_string(plan), programs_.built() - built, programs_.loaded() - loaded, seconds.count()));
  }

  // Built and launched once. A binary that the driver takes but does not run must not cost the plan its variant.
  std::shared_ptr<const DecodeProgram> start(const DecodePlan& plan) {
    auto program = std::make_shared<DecodeProgram>(plan, facts_, programs_);
    try {
      program->warm_up(context_, device_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBuildFailed || !programs_.forget_loaded(program->kernels())) throw;
      log(LogLevel::kWarning,
          fmt::format("binary cache: the binaries of '{}' do not run, they are built from their sources: {}",
                      to_string(plan.variant), error.what()));
      program = std::make_shared<DecodeProgram>(plan, facts_, programs_);
      program->warm_up(context_, device_);
    }
    return program;
  }

  // The next plan for the problem; if there is none, the error of the last build with all that were dropped.
  DecodePlan plan_without(const std::vector<DroppedVariant>& dropped, const DecodeProblem& problem,
                          const std::string& last_failure) const {
    try {
      return own(make_plan(facts_, problem, *tuning(), dropped));
    } catch (const Error& error) {
      throw Error(ErrorCode::kBuildFailed, fmt::format("{}\n{}", error.what(), last_failure));
    }
  }

  // Few plans live in a context, and comparing them allocates nothing.
  std::shared_ptr<const DecodeProgram> find(const DecodePlan& plan) const {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    for (const auto& [text, program] : prepared_) {
      if (program->plan() == plan) return program;
    }
    return nullptr;
  }

  // Whether the queue is in-order; it must belong to this context and device.
  bool check_queue(cl_command_queue queue) const {
    cl_context context = nullptr;
    cl_device_id device = nullptr;
    cl_command_queue_properties properties = 0;
    if (queue == nullptr) throw Error(ErrorCode::kInvalidBuffer, "queue is null");
    if (clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context, nullptr) != CL_SUCCESS) {
      throw Error(ErrorCode::kInvalidBuffer, "queue is not a valid cl_command_queue");
    }
    check_cl(clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof(device), &device, nullptr), "clGetCommandQueueInfo");
    check_cl(clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof(properties), &properties, nullptr),
             "clGetCommandQueueInfo");
    if (context != context_()) throw Error(ErrorCode::kInvalidBuffer, "queue belongs to another cl_context");
    if (device != device_()) throw Error(ErrorCode::kInvalidBuffer, "queue belongs to another device");
    return (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0;
  }

  const std::uint64_t id_ = next_context_id();
  cl::Context context_;
  cl::Device device_;
  DeviceFacts facts_;
  ContextOptions options_;
  ProgramCache programs_;
  mutable std::shared_mutex mutex_;  // of all that follows
  std::shared_ptr<const TuningDb> tuning_ = std::make_shared<TuningDb>(builtin_tuning_db());
  int tuning_layers_ = 0;
  std::map<std::string, std::shared_ptr<const DecodeProgram>> prepared_;
};

Context::Context(cl_context context, cl_device_id device, ContextOptions options)
    : impl_(std::make_unique<Impl>(context, device, std::move(options))) {}
Context::~Context() = default;
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;

const DeviceFacts& Context::device() const noexcept { return impl_->facts(); }

std::optional<std::string> Context::supports(const DecodeProblem& problem) const {
  return unsupported_reason(impl_->facts(), problem, *impl_->tuning());
}

DecodePlan Context::plan(const DecodeProblem& problem) const {
  return impl_->own(make_plan(impl_->facts(), problem, *impl_->tuning()));
}
DecodePlan Context::plan(const DecodeProblem& problem, const DecodeVariant& variant) const {
  return impl_->own(make_plan(impl_->facts(), problem, *impl_->tuning(), variant, std::nullopt));
}
DecodePlan Context::plan(const DecodeProblem& problem, const DecodeVariant& variant, const LaunchTuning& tuning) const {
  return impl_->own(make_plan(impl_->facts(), problem, *impl_->tuning(), variant, tuning));
}
DecodePlan Context::plan_untuned(const DecodeProblem& problem) const {
  return impl_->own(make_plan(impl_->facts(), problem, builtin_tuning_db(), {}, TuningDb::Rows::kUntuned));
}
void Context::add_tuning(const std::string& name, const std::string& text) { impl_->add_tuning(name, text); }
std::string Context::tuning_device_line() const { return device_line(impl_->facts()); }
DecodePlan Context::plan_from_text(const std::string& text) const {
  const auto parts = split(text, '|');
  if (parts.size() != 3) {
    throw Error(ErrorCode::kInvalidProblem, fmt::format("plan is '{}', must be problem | variant | launch", text));
  }
  return plan(parse_problem(std::string(parts[0])), parse_variant(std::string(parts[1])),
              parse_launch_tuning(std::string(parts[2])));
}

std::vector<VariantFit> Context::search_space(const DecodeProblem& problem) const {
  return clsink::search_space(impl_->facts(), resolve(problem));
}

std::vector<DecodeVariant> Context::variants(const DecodeProblem& problem) const {
  return fitting_variants(impl_->facts(), resolve(problem));
}

std::vector<Context::KernelLaunch> Context::launches(const DecodePlan& plan) const {
  std::vector<KernelLaunch> launches;
  for (const ProgramSpec& spec : program_specs(plan, device())) {
    launches.push_back(
        {to_string(spec.kernel), work_groups(plan, spec.kernel, plan.problem.max_batch), static_cast<std::size_t>(spec.wg)});
  }
  return launches;
}

DecodePlan Context::prepare(const DecodePlan& plan) { return impl_->prepare(plan); }

void Context::enqueue(cl_command_queue queue, const DecodePlan& plan, const DecodeBuffers& buffers, const DecodeStep& step,
                      const std::vector<cl_event>& wait_for, cl_event* done) {
  impl_->enqueue(queue, plan, buffers, step, wait_for, done, nullptr);
}

void Context::enqueue_profiled(cl_command_queue queue, const DecodePlan& plan, const DecodeBuffers& buffers,
                               const DecodeStep& step, std::vector<StageEvent>& stages) {
  impl_->enqueue(queue, plan, buffers, step, {}, nullptr, &stages);
}

std::size_t Context::programs_built() const noexcept { return impl_->programs_built(); }

}  // namespace clsink
