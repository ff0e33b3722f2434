// SPDX-License-Identifier: Apache-2.0
// The C API: keeps texts alive and turns every exception into a status. No logic of its own.
#include <clsink/clsink.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <clsink/clsink.hpp>

#include "c_api/translate.hpp"

struct clsink_context {
  clsink::Context context;
};

struct clsink_plan {
  clsink::DecodePlan plan;
  std::string text, problem, variant;
};

namespace {

using clsink::Error;
using clsink::ErrorCode;
using namespace clsink::c_api;

std::string& last_error() {
  thread_local std::string message;
  return message;
}

clsink_status fail(ErrorCode code, const char* message) noexcept {
  try {
    last_error() = message;
  } catch (...) {
    last_error().clear();  // no memory for the message; the status still says what happened
  }
  return static_cast<clsink_status>(code);
}

template <typename Body>
clsink_status guarded(Body&& body) noexcept {
  try {
    body();
    return CLSINK_OK;
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kOutOfMemory, "out of host memory");
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, error.what());
  } catch (...) {
    return fail(ErrorCode::kInternal, "an exception of unknown type");
  }
}

template <typename Struct>
void initialize(Struct* value, std::size_t struct_size) noexcept {
  if (value != nullptr) copy_out(defaults<Struct>(), value, struct_size);
}

clsink_plan with_texts(clsink::DecodePlan plan) {
  const std::string text = to_string(plan), problem = to_string(plan.problem), variant = to_string(plan.variant);
  return {std::move(plan), text, problem, variant};
}

clsink_plan* handle_of(clsink::DecodePlan plan) { return new clsink_plan(with_texts(std::move(plan))); }

clsink::DecodePlan make_plan(const clsink::Context& context, const clsink::DecodeProblem& problem,
                             const clsink_plan_options* given) {
  clsink_plan_options options = defaults<clsink_plan_options>();
  if (given != nullptr) options = read_struct(given, "clsink_plan_options", ErrorCode::kInvalidProblem);
  const bool tuned = options.workers_per_cu != 0 || options.min_tiles != 0;
  if (options.variant == nullptr) {
    if (tuned) throw Error(ErrorCode::kInvalidProblem, "workers_per_cu and min_tiles need a variant, but variant is null");
    return context.plan(problem);
  }
  const clsink::DecodeVariant variant = clsink::parse_variant(options.variant);
  if (!tuned) return context.plan(problem, variant);
  clsink::LaunchTuning tuning;
  if (options.workers_per_cu != 0) tuning.workers_per_cu = options.workers_per_cu;
  if (options.min_tiles != 0) tuning.min_tiles = options.min_tiles;
  return context.plan(problem, variant, tuning);
}

}  // namespace

extern "C" {

const char* clsink_version(void) { return clsink::version(); }

const char* clsink_status_text(clsink_status status) {
  if (status == CLSINK_OK) return "ok";
  const bool known = status >= CLSINK_INVALID_PROBLEM && status <= CLSINK_INTERNAL;
  return known ? clsink::to_string(static_cast<ErrorCode>(status)) : "unknown status";
}

const char* clsink_last_error(void) { return last_error().c_str(); }

void clsink_problem_init(clsink_problem* problem, size_t struct_size) { initialize(problem, struct_size); }
void clsink_context_options_init(clsink_context_options* options, size_t struct_size) { initialize(options, struct_size); }
void clsink_device_facts_init(clsink_device_facts* facts, size_t struct_size) { initialize(facts, struct_size); }
void clsink_plan_options_init(clsink_plan_options* options, size_t struct_size) { initialize(options, struct_size); }
void clsink_plan_info_init(clsink_plan_info* info, size_t struct_size) { initialize(info, struct_size); }
void clsink_buffers_init(clsink_buffers* buffers, size_t struct_size) { initialize(buffers, struct_size); }
void clsink_step_init(clsink_step* step, size_t struct_size) { initialize(step, struct_size); }

clsink_status clsink_problem_parse(const char* text, clsink_problem* problem) {
  return guarded([&] {
    const char* line = &required(text, "text", ErrorCode::kInvalidProblem);
    const clsink_problem parsed = c_problem_of(clsink::parse_problem(line));
    required(problem, "clsink_problem", ErrorCode::kInvalidProblem);
    write_struct(parsed, problem, "clsink_problem");
  });
}

clsink_status clsink_context_create(cl_context opencl_context, cl_device_id device, const clsink_context_options* options,
                                    clsink_context** context) {
  return guarded([&] {
    clsink_context*& handle = required(context, "context", ErrorCode::kInvalidBuffer);
    handle = new clsink_context{clsink::Context(opencl_context, device, context_options_of(options))};
  });
}

void clsink_context_destroy(clsink_context* context) { delete context; }

clsink_status clsink_context_device(const clsink_context* context, clsink_device_facts* facts) {
  return guarded([&] {
    const clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    write_struct(c_facts_of(ours.device()), facts, "clsink_device_facts");
  });
}

clsink_status clsink_supports(const clsink_context* context, const clsink_problem* problem) {
  return guarded([&] {
    const clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    if (const auto reason = ours.supports(problem_of(problem))) throw Error(ErrorCode::kUnsupportedDevice, *reason);
  });
}

clsink_status clsink_context_add_tuning(clsink_context* context, const char* name, const char* text) {
  return guarded([&] {
    clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    const char* file = &required(name, "name", ErrorCode::kInvalidProblem);
    ours.add_tuning(file, &required(text, "text", ErrorCode::kInvalidProblem));
  });
}

clsink_status clsink_programs_built(const clsink_context* context, size_t* count) {
  return guarded([&] {
    const clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    required(count, "count", ErrorCode::kInvalidBuffer) = ours.programs_built();
  });
}

clsink_status clsink_plan_create(const clsink_context* context, const clsink_problem* problem,
                                 const clsink_plan_options* options, clsink_plan** plan) {
  return guarded([&] {
    const clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    clsink_plan*& handle = required(plan, "plan", ErrorCode::kInvalidBuffer);
    handle = handle_of(make_plan(ours, problem_of(problem), options));
  });
}

clsink_status clsink_plan_from_text(const clsink_context* context, const char* text, clsink_plan** plan) {
  return guarded([&] {
    const clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    const char* line = &required(text, "text", ErrorCode::kInvalidProblem);
    clsink_plan*& handle = required(plan, "plan", ErrorCode::kInvalidBuffer);
    handle = handle_of(ours.plan_from_text(line));
  });
}

void clsink_plan_destroy(clsink_plan* plan) { delete plan; }

clsink_status clsink_plan_get_info(const clsink_plan* plan, clsink_plan_info* info) {
  return guarded([&] {
    const clsink_plan& ours = required(plan, "plan", ErrorCode::kInvalidPlan);
    clsink_plan_info c = defaults<clsink_plan_info>();
    c.workspace_bytes = ours.plan.workspace_bytes;
    c.text = ours.text.c_str();
    c.problem = ours.problem.c_str();
    c.variant = ours.variant.c_str();
    c.match_reason = ours.plan.match_reason.c_str();
    c.match = static_cast<std::int32_t>(ours.plan.match);
    c.workers = ours.plan.launch.workers;
    write_struct(c, info, "clsink_plan_info");
  });
}

clsink_status clsink_variants(const clsink_context* context, const clsink_problem* problem,
                              void (*visit)(const char* variant, void* user_data), void* user_data) {
  return guarded([&] {
    const clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    required(visit, "visit", ErrorCode::kInvalidBuffer);
    for (const clsink::DecodeVariant& variant : ours.variants(problem_of(problem)))
      visit(to_string(variant).c_str(), user_data);
  });
}

clsink_status clsink_prepare(clsink_context* context, clsink_plan* plan) {
  return guarded([&] {
    clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    clsink_plan& given = required(plan, "plan", ErrorCode::kInvalidPlan);
    clsink::DecodePlan prepared = ours.prepare(given.plan);
    if (!(prepared == given.plan)) given = with_texts(std::move(prepared));
  });
}

clsink_status clsink_enqueue(clsink_context* context, cl_command_queue queue, const clsink_plan* plan,
                             const clsink_buffers* buffers, const clsink_step* step, cl_uint num_wait, const cl_event* wait_for,
                             cl_event* done) {
  return guarded([&] {
    clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    const clsink::DecodePlan& decode = required(plan, "plan", ErrorCode::kInvalidPlan).plan;
    if (num_wait > 0) required(wait_for, "wait_for", ErrorCode::kInvalidBuffer);
    const std::vector<cl_event> events =
        num_wait > 0 ? std::vector<cl_event>(wait_for, wait_for + num_wait) : std::vector<cl_event>();
    ours.enqueue(queue, decode, buffers_of(buffers), step_of(step), events, done);
  });
}

clsink_status clsink_enqueue_profiled(clsink_context* context, cl_command_queue queue, const clsink_plan* plan,
                                      const clsink_buffers* buffers, const clsink_step* step, clsink_stage_event* stages,
                                      size_t* count) {
  return guarded([&] {
    clsink::Context& ours = required(context, "context", ErrorCode::kInvalidPlan).context;
    const clsink::DecodePlan& decode = required(plan, "plan", ErrorCode::kInvalidPlan).plan;
    required(stages, "stages", ErrorCode::kInvalidBuffer);
    size_t& number = required(count, "count", ErrorCode::kInvalidBuffer);
    std::vector<clsink::Context::StageEvent> launched;
    launched.reserve(CLSINK_MAX_STAGES);
    try {
      ours.enqueue_profiled(queue, decode, buffers_of(buffers), step_of(step), launched);
    } catch (...) {
      for (const clsink::Context::StageEvent& stage : launched) clReleaseEvent(stage.event);  // the caller never sees them
      throw;
    }
    std::transform(launched.begin(), launched.end(), stages, [](const clsink::Context::StageEvent& stage) {
      return clsink_stage_event{stage.stage, stage.event};
    });
    number = launched.size();
  });
}

}  // extern "C"
