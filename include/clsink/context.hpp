// SPDX-License-Identifier: Apache-2.0
// Context: the door of the library. plan() and supports() are pure, prepare() compiles, enqueue() launches.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <clsink/export.h>
#include <clsink/device.hpp>
#include <clsink/error.hpp>
#include <clsink/plan.hpp>

namespace clsink {

/// A cl_mem (a sub-buffer is fine) and where in it a tensor begins. Offsets of q, k, v, out and workspace are
/// multiples of 16 bytes, all others of 4.
struct BufferView {
  cl_mem memory = nullptr;
  std::size_t offset_bytes = 0;
};

/// All device memory of one step. Shapes in elements; strides as the problem says. Optional ones may stay empty.
struct DecodeBuffers {
  BufferView q;          ///< q_dtype   [batch][num_q_heads][head_dim], RoPE already applied
  BufferView k;          ///< kv_dtype  contiguous [max_batch][num_kv_heads][max_kv_len][head_dim], or pages
  BufferView v;          ///< kv_dtype  likewise; may be the same buffer at another offset
  BufferView kv_len;     ///< int32     [batch], the current token included; 0: output 0, lse -inf
  BufferView out;        ///< out_dtype [batch][num_q_heads][head_dim]
  BufferView workspace;  ///< plan.workspace_bytes; belongs to one step in flight
  BufferView
      page_table;  ///< int32     [batch][page_table_stride]; required by paged layouts; entries beyond kv_len are not read
  BufferView head_mask;    ///< int32     [num_kv_heads]; required by Score::kMask: not 0 = routed
  BufferView tau_offsets;  ///< float     [num_kv_heads], added to tau; +infinity keeps a head dense. Optional, cosine only
  BufferView anchor;       ///< int32     [batch], the sink's token. Optional, default 0
  BufferView lse;          ///< float     [batch][num_q_heads], natural log of the sum of exp. Optional
  BufferView statistics;   ///< GroupStatistics [batch][num_kv_heads]. Optional, needs routing
  BufferView status;       ///< int32, StatusBits or-ed in. Optional
};

/// tau(kv_len): piecewise linear in log2(kv_len) between the points, constant outside them.
struct TauTable {
  static constexpr int kMaxPoints = 16;
  struct Point {
    std::int32_t kv_len;
    float tau;
  };
  std::array<Point, kMaxPoints> points{};
  std::int32_t count = 0;

  static TauTable constant(float tau) {
    TauTable table;
    table.points[0] = {1, tau};
    table.count = 1;
    return table;
  }
};

/// What may differ from step to step and layer to layer without another plan.
struct DecodeStep {
  std::int32_t batch = 1;  ///< 0 to max_batch sequences; 0 launches nothing
  float scale = 0.0F;      ///< of the logits, usually 1 / sqrt(head_dim)
  TauTable tau;            ///< cosine routing: 1 to 16 points with rising kv_len; +infinity is dense, bit for bit
  float floor = 0.0F;      ///< Policy::kHybrid only
  /// No sequence of the step is shorter, as far as the caller knows: 0 to max_kv_len. Only speed depends on it. A device that
  /// need not wait for the lengths begins to load at once (NVIDIA, one dense sequence).
  std::int32_t least_kv_len = 0;
};

enum class LogLevel : std::uint8_t { kInfo, kWarning };

struct ContextOptions {
  /// Told what was chosen, built, skipped and why. May be called from any thread that calls into the Context; what it
  /// throws ends that call.
  std::function<void(LogLevel, const std::string&)> log;
  /// Files of tuning rows, as `clsink tune --write` makes them; see Context::add_tuning. The later ones go first.
  std::vector<std::string> tuning_files = {};

  /// Compiled programs kept from one process to the next, so that the next does not compile them. Off by default. This
  /// folder, created for the user alone if it is missing; if empty, the one that the environment variable CLSINK_BINARY_CACHE
  /// names; if that is empty too, none. A folder or file of another user, or that others may write to, is not used, nor is a
  /// file that is damaged or made for another driver, device or source: the log is warned and the program compiled.
  std::string binary_cache_dir = {};
  /// Of the folder's files together; beyond it the longest unused are removed. 0: no folder, whatever the environment says.
  std::int64_t binary_cache_max_bytes = std::int64_t{256} << 20;

  /// Instead of a folder, where the caller keeps binaries himself; the environment then counts for nothing. `load_binary`
  /// returns what `store_binary` was given under this name, in this process or before, or nothing; it is checked as a file is.
  /// Names are 32 hexadecimal digits. Either may be left out. Called as the log is; what they throw ends prepare.
  std::function<std::vector<std::uint8_t>(const std::string& name)> load_binary = {};
  std::function<void(const std::string& name, const std::vector<std::uint8_t>& blob)> store_binary = {};
};

/// Adopts the caller's OpenCL context and device (both are retained). Any number of threads and queues may use one
/// Context at once. Destroying it, or a plan, with work in flight is safe. All functions throw Error, or
/// std::bad_alloc.
class CLSINK_API Context {
 public:
  Context(cl_context context, cl_device_id device, ContextOptions options = {});
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;

  const DeviceFacts& device() const noexcept;

  /// Nothing if the problem can run here, else the reason.
  std::optional<std::string> supports(const DecodeProblem& problem) const;

  /// Chooses variant and launch from the tuning rows. Compiles nothing.
  DecodePlan plan(const DecodeProblem& problem) const;
  /// The same with the caller's variant; kUnsupportedDevice with the reason if it cannot run here.
  DecodePlan plan(const DecodeProblem& problem, const DecodeVariant& variant) const;
  DecodePlan plan(const DecodeProblem& problem, const DecodeVariant& variant, const LaunchTuning& tuning) const;
  /// As if nobody had tuned this device: built-in rows for its vendor or for any. What gains are measured against.
  DecodePlan plan_untuned(const DecodeProblem& problem) const;
  /// Adds tuning rows, before all that were there: the text of a file, or what tune() returns. `name` stands for it in
  /// messages. All rows or none: Error(kInvalidProblem) names the first bad line. Plans that exist stay as they are.
  void add_tuning(const std::string& name, const std::string& text);
  /// The line that stands over rows which hold for this device: 'device "NAME" vendor=... class=...'.
  std::string tuning_device_line() const;
  /// Reads to_string(plan) back.
  DecodePlan plan_from_text(const std::string& text) const;
  /// Every variant that a sweep looks at, with why it cannot run here.
  std::vector<VariantFit> search_space(const DecodeProblem& problem) const;
  /// Every variant that may run the problem here, for tests and tuning.
  std::vector<DecodeVariant> variants(const DecodeProblem& problem) const;

  /// The kernels of a step at max_batch, in launch order.
  struct KernelLaunch {
    const char* kernel;
    std::size_t work_groups;
    std::size_t work_items;  ///< of a work-group
  };
  std::vector<KernelLaunch> launches(const DecodePlan& plan) const;

  /// Compiles all that the plan needs and launches each kernel once without work on a queue of its own, so that
  /// nothing is left lazy, and returns the plan to enqueue and to size the workspace by: `plan` itself, unless the device
  /// refuses a kernel of its variant. Such a variant is dropped, with a warning to the log, and the next one planned;
  /// match_reason says what was dropped and why. A forced variant is never replaced: Error(kBuildFailed) names it.
  /// Programs that are missing are built at once, each on a thread of its own; the log is called on the caller's thread only.
  /// Blocks, and no build can be interrupted: the log is told before and after each. What the log callback throws ends
  /// prepare when the builds under way are done; it may be called again. Preparing again is cheap.
  DecodePlan prepare(const DecodePlan& plan);

  /// Enqueues the step on the caller's queue, in-order or not, and returns at once: no waiting, no read-back, no
  /// compiling, no allocation of OpenCL objects. Everything the host can know is checked before anything is enqueued.
  /// `wait_for`: events that the step waits for. `done`: if not null, receives an event that the caller releases.
  void enqueue(cl_command_queue queue, const DecodePlan& plan, const DecodeBuffers& buffers, const DecodeStep& step,
               const std::vector<cl_event>& wait_for = {}, cl_event* done = nullptr);

  /// As above, and appends one event per launched kernel with its name ("route", "schedule", "decode", "combine"),
  /// for profiling; the caller releases them.
  struct StageEvent {
    const char* stage;
    cl_event event;
  };
  void enqueue_profiled(cl_command_queue queue, const DecodePlan& plan, const DecodeBuffers& buffers, const DecodeStep& step,
                        std::vector<StageEvent>& stages);

  /// Programs compiled from source so far by this Context, not those from a binary cache: does not grow after prepare.
  std::size_t programs_built() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clsink
