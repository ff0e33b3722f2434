/* SPDX-License-Identifier: Apache-2.0
 * The C API of clsink, with the abilities of clsink.hpp: decode attention on the caller's OpenCL context, device, queues
 * and buffers. No call waits for the device except clsink_prepare; no C++ exception leaves the library.
 *
 *   clsink_context_create -> clsink_plan_create -> clsink_prepare -> clsink_enqueue (as often as you like)
 *
 * Structs begin with struct_size. `clsink_step_init(&step, sizeof step)` and its likes set it and every default. A caller
 * compiled against an older, shorter struct is understood; from a newer, longer one everything beyond what this library
 * knows must be zero.
 *
 * Every function that can fail returns a clsink_status, and clsink_last_error() then says what was wrong. A null context
 * or plan gives CLSINK_INVALID_PLAN, a null problem or text CLSINK_INVALID_PROBLEM, any other null pointer that is not
 * optional CLSINK_INVALID_BUFFER. Outputs are written on success only.
 *
 * Threads: one context may be used by many threads at once. Destroying a context or plan with work in flight is safe;
 * destroying it while another thread is inside a call with it is not. */
#ifndef CLSINK_CLSINK_H
#define CLSINK_CLSINK_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include <stddef.h>
#include <stdint.h>

#include <clsink/export.h>
#include <clsink/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------ versions, errors */

/** Version of the running library, "major.minor.patch". */
CLSINK_API const char* clsink_version(void);

/** The numbers of clsink::ErrorCode, and 0. */
typedef int32_t clsink_status;
enum {
  CLSINK_OK = 0,
  CLSINK_INVALID_PROBLEM = 1, /**< a field of problem, variant, options or text is wrong; the message names field and value */
  CLSINK_INVALID_BUFFER = 2,  /**< a buffer, offset, step value or workspace does not fit the plan */
  CLSINK_UNSUPPORTED_DEVICE = 3, /**< the device lacks what the problem or the forced variant needs */
  CLSINK_BUILD_FAILED = 4,       /**< a kernel did not compile or start; message: variant, options and build log */
  CLSINK_OUT_OF_MEMORY = 5,      /**< host or device memory */
  CLSINK_OPENCL = 6,             /**< another OpenCL call failed; the message names call and code */
  CLSINK_INVALID_PLAN = 7,       /**< a null handle, a plan of another context, or one that is not prepared */
  CLSINK_INTERNAL = 8            /**< a defect of clsink */
};

/** Name of a status, for example "invalid problem". Never null. */
CLSINK_API const char* clsink_status_text(clsink_status status);

/** Message of the last failed call of this thread, "" if there was none. Valid until the next failure of this thread. */
CLSINK_API const char* clsink_last_error(void);

/* ------------------------------------------------------------------------------------------------------- problems */

/** Storage types; arithmetic is fp32. */
enum { CLSINK_F16 = 0, CLSINK_BF16 = 1, CLSINK_F32 = 2 };

/** What decides which groups are routed to the surrogate. */
enum {
  CLSINK_ROUTE_NONE = 0,
  CLSINK_ROUTE_MEAN = 1,   /**< mean cosine of the group > tau */
  CLSINK_ROUTE_ALL = 2,    /**< smallest cosine of the group > tau */
  CLSINK_ROUTE_HYBRID = 3, /**< mean > tau and smallest > floor */
  CLSINK_ROUTE_MASK = 4    /**< the kv heads that the head_mask buffer names */
};

#define CLSINK_ALL_TOKENS INT32_MAX /**< keep_last of a dense token set */
#define CLSINK_PACKED_STRIDE (-1)   /**< a stride to be filled in with the packed default of its layout */

/** Tokens [anchor, anchor + keep_first) and the last keep_last of kv_len. {0, CLSINK_ALL_TOKENS} is dense, {0, W} a
 *  sliding window, {S, W} sinks and window. */
typedef struct clsink_token_set {
  int32_t keep_first, keep_last;
} clsink_token_set;

/** Strides of (sequence, query head) rows in elements, multiples of 16 bytes; packed: [sequence][head][head_dim]. */
typedef struct clsink_row_strides {
  int64_t head, sequence;
} clsink_row_strides;

/** Strides of (block, kv head, token) rows in elements, multiples of 16 bytes; a block is a sequence of a contiguous cache
 *  or a page of a paged one; packed: [block][head][token][head_dim]. */
typedef struct clsink_cache_strides {
  int64_t token, head, block;
} clsink_cache_strides;

/** All that a caller can observe of out = softmax(scale * q K^T) V. Lengths are read on the device at every step. */
typedef struct clsink_problem {
  size_t struct_size;
  int32_t q_dtype, kv_dtype, out_dtype; /**< CLSINK_F16, CLSINK_BF16, CLSINK_F32; default CLSINK_F16 */
  int32_t num_q_heads;                  /**< a multiple of num_kv_heads, 1 to 16 times as many */
  int32_t num_kv_heads;
  int32_t head_dim;          /**< a multiple of 8 from 32 to 256 */
  int32_t max_batch;         /**< most sequences of a step; default 1 */
  int32_t max_kv_len;        /**< most tokens of a sequence, the current one included */
  int64_t page_table_stride; /**< int32 entries of a sequence's row in the page table; 0: just enough for max_kv_len */
  clsink_row_strides q_strides, out_strides;
  clsink_cache_strides k_strides, v_strides;
  clsink_token_set token_set; /**< of groups that are not routed; default dense */
  clsink_token_set surrogate; /**< of routed groups; default {1, 64}; {0, 0} is zero output */
  int32_t page_size;          /**< tokens of a page; 0: contiguous, a sequence holds max_kv_len tokens */
  int32_t route;              /**< CLSINK_ROUTE_...; default CLSINK_ROUTE_NONE */
} clsink_problem;

/** Sets struct_size, which is sizeof(clsink_problem) of the caller, and every default. Null is ignored. */
CLSINK_API void clsink_problem_init(clsink_problem* problem, size_t struct_size);

/** Reads a problem's text, for example "f16 hq=32 hkv=8 d=128 b=1 kv=131072 route=mean", into an initialised problem.
 *  Errors: CLSINK_INVALID_PROBLEM names the bad field. */
CLSINK_API clsink_status clsink_problem_parse(const char* text, clsink_problem* problem);

/* -------------------------------------------------------------------------------------------------------- context */

typedef struct clsink_context clsink_context;
typedef struct clsink_plan clsink_plan;

enum { CLSINK_LOG_INFO = 0, CLSINK_LOG_WARNING = 1 };

/** Told what was chosen, built, skipped and why; from any thread that calls into the context. `message` lives for the
 *  call only. */
typedef void (*clsink_log_callback)(int32_t level, const char* message, void* user_data);

/** Where the caller keeps compiled programs himself: the blob that was stored under `name` (32 hexadecimal digits), in this
 *  process or before. Returns its size, 0 if there is none, and copies it to `blob` if `capacity` is large enough; called with
 *  null and 0 first. It is checked before it is used. Called as the log is. */
typedef size_t (*clsink_load_binary_callback)(const char* name, void* blob, size_t capacity, void* user_data);
/** Keeps the blob under `name`; both live for the call only. */
typedef void (*clsink_store_binary_callback)(const char* name, const void* blob, size_t size, void* user_data);

typedef struct clsink_context_options {
  size_t struct_size;
  clsink_log_callback log; /**< null: no log */
  void* log_user_data;
  /** Folder where compiled programs are kept from one process to the next, created for the user alone if it is missing; null or
   *  "": the one that the environment variable CLSINK_BINARY_CACHE names, else none. A folder or file of another user, or that
   *  others may write to, and a file that is damaged or made for something else are not used: the log is warned and the
   *  program compiled. */
  const char* binary_cache_dir;
  int64_t binary_cache_max_bytes; /**< of all files; the longest unused are removed; 0: no folder at all; default 256 MiB */
  clsink_load_binary_callback load_binary;   /**< instead of a folder, null: nothing is found */
  clsink_store_binary_callback store_binary; /**< likewise, null: nothing is kept */
  void* binary_user_data;
} clsink_context_options;

CLSINK_API void clsink_context_options_init(clsink_context_options* options, size_t struct_size);

/** Adopts the caller's OpenCL context and one device of it (both are retained). `options` may be null.
 *  Errors: CLSINK_UNSUPPORTED_DEVICE (a device that is not of this OpenCL context included), CLSINK_OPENCL,
 *  CLSINK_INVALID_PROBLEM (an option's value), CLSINK_INVALID_BUFFER (the struct's size, or a null `context`). */
CLSINK_API clsink_status clsink_context_create(cl_context opencl_context, cl_device_id device,
                                               const clsink_context_options* options, clsink_context** context);

/** Null is ignored. Work in flight goes on. */
CLSINK_API void clsink_context_destroy(clsink_context* context);

/** What planning knows about the device. Texts live as long as the context. */
typedef struct clsink_device_facts {
  size_t struct_size;
  const char* name;
  const char* vendor;
  const char* driver;
  const char* platform;
  const char* version;
  int64_t local_mem_bytes, global_mem_bytes, max_alloc_bytes;
  int32_t is_cpu;
  int32_t compute_units;
  int32_t max_work_group_size;
  int32_t address_bits;
} clsink_device_facts;

CLSINK_API void clsink_device_facts_init(clsink_device_facts* facts, size_t struct_size);
CLSINK_API clsink_status clsink_context_device(const clsink_context* context, clsink_device_facts* facts);

/** CLSINK_OK if the problem can run here, else an error whose clsink_last_error() is the reason. */
CLSINK_API clsink_status clsink_supports(const clsink_context* context, const clsink_problem* problem);

/** Adds tuning rows, before all that were there: the text of a file that `clsink tune --write` made. `name` stands for it in
 *  messages. All rows or none: CLSINK_INVALID_PROBLEM, and clsink_last_error() names the first bad line. Plans that exist
 *  stay as they are. */
CLSINK_API clsink_status clsink_context_add_tuning(clsink_context* context, const char* name, const char* text);

/** Programs that this context has compiled from source, not those from a binary cache; does not grow after clsink_prepare. */
CLSINK_API clsink_status clsink_programs_built(const clsink_context* context, size_t* count);

/* ---------------------------------------------------------------------------------------------------------- plans */

typedef struct clsink_plan_options {
  size_t struct_size;
  const char* variant;    /**< text of the variant to force; null: the planner chooses */
  int32_t workers_per_cu; /**< with a variant only; 0: default */
  int32_t min_tiles;      /**< with a variant only; 0: default */
} clsink_plan_options;

CLSINK_API void clsink_plan_options_init(clsink_plan_options* options, size_t struct_size);

/** Chooses variant and launch; compiles nothing. `options` may be null.
 *  Errors: CLSINK_INVALID_PROBLEM, CLSINK_UNSUPPORTED_DEVICE (also for a forced variant that cannot run here). */
CLSINK_API clsink_status clsink_plan_create(const clsink_context* context, const clsink_problem* problem,
                                            const clsink_plan_options* options, clsink_plan** plan);

/** Reads a plan's text (clsink_plan_info.text) back. Errors as clsink_plan_create. */
CLSINK_API clsink_status clsink_plan_from_text(const clsink_context* context, const char* text, clsink_plan** plan);

/** Null is ignored. Work in flight goes on. */
CLSINK_API void clsink_plan_destroy(clsink_plan* plan);

/** How well the tuning row fitted, from best to worst. */
enum {
  CLSINK_MATCH_FORCED = 0,
  CLSINK_MATCH_DEVICE = 1,
  CLSINK_MATCH_FAMILY = 2,
  CLSINK_MATCH_VENDOR = 3,
  CLSINK_MATCH_GENERIC = 4
};

/** Texts live as long as the plan, or until clsink_prepare changes it. */
typedef struct clsink_plan_info {
  size_t struct_size;
  int64_t workspace_bytes;  /**< that the workspace buffer needs; independent of the context length */
  const char* text;         /**< the whole plan, for clsink_plan_from_text */
  const char* problem;      /**< its problem, with every stride filled in */
  const char* variant;      /**< its variant */
  const char* match_reason; /**< which tuning row, what kept better ones out, what did not build */
  int32_t match;            /**< CLSINK_MATCH_... */
  int32_t workers;          /**< work-groups of the decode kernel at max_batch */
} clsink_plan_info;

CLSINK_API void clsink_plan_info_init(clsink_plan_info* info, size_t struct_size);
CLSINK_API clsink_status clsink_plan_get_info(const clsink_plan* plan, clsink_plan_info* info);

/** Calls `visit` with the text of every variant that may run the problem here. */
CLSINK_API clsink_status clsink_variants(const clsink_context* context, const clsink_problem* problem,
                                         void (*visit)(const char* variant, void* user_data), void* user_data);

/** Compiles all that the plan needs and leaves nothing lazy. A variant with a kernel that the device refuses is dropped,
 *  with a warning to the log, and the plan becomes the next one that fits, so that its info, workspace_bytes included, is
 *  to be read afterwards: match_reason says what was dropped and why. A forced variant is never replaced. No other thread
 *  may use the plan meanwhile. Programs that are missing are built at once, each on a thread of its own; callbacks are
 *  called on the caller's thread only. Blocks, and no build can be interrupted: the log is told before and after each.
 *  Preparing again is cheap.
 *  Errors: CLSINK_BUILD_FAILED with variant, options and log, CLSINK_OUT_OF_MEMORY, CLSINK_OPENCL, CLSINK_INVALID_PLAN. */
CLSINK_API clsink_status clsink_prepare(clsink_context* context, clsink_plan* plan);

/* ---------------------------------------------------------------------------------------------------------- steps */

/** A cl_mem (a sub-buffer is fine) and where in it a tensor begins: q, k, v, out and workspace at multiples of 16 bytes,
 *  all others of 4. */
typedef struct clsink_buffer {
  cl_mem memory;
  size_t offset_bytes;
} clsink_buffer;

/** All device memory of one step. Those below "optional" may stay null. */
typedef struct clsink_buffers {
  size_t struct_size;
  clsink_buffer q;         /**< q_dtype   [batch][num_q_heads][head_dim], RoPE already applied */
  clsink_buffer k;         /**< kv_dtype  contiguous [max_batch][num_kv_heads][max_kv_len][head_dim], or pages */
  clsink_buffer v;         /**< kv_dtype  likewise; may be the same buffer at another offset */
  clsink_buffer kv_len;    /**< int32     [batch], the current token included; 0: output 0, lse -inf */
  clsink_buffer out;       /**< out_dtype [batch][num_q_heads][head_dim] */
  clsink_buffer workspace; /**< workspace_bytes of the plan; belongs to one step in flight */
  /* optional */
  clsink_buffer page_table;  /**< int32   [batch][page_table_stride]; required by paged caches */
  clsink_buffer head_mask;   /**< int32   [num_kv_heads]; required by CLSINK_ROUTE_MASK: not 0 = routed */
  clsink_buffer tau_offsets; /**< float   [num_kv_heads], added to tau; +infinity keeps a head dense; not with MASK */
  clsink_buffer anchor;      /**< int32   [batch], the sink's token, default 0 */
  clsink_buffer lse;         /**< float   [batch][num_q_heads], natural log of the sum of exp */
  clsink_buffer statistics;  /**< clsink_group_statistics [batch][num_kv_heads]; needs routing */
  clsink_buffer status;      /**< int32, CLSINK_STATUS_... or-ed in; the caller clears it */
} clsink_buffers;

CLSINK_API void clsink_buffers_init(clsink_buffers* buffers, size_t struct_size);

typedef struct clsink_group_statistics {
  float mean_score; /**< mean cosine of the group's query heads with the anchor's key */
  float min_score;  /**< the smallest of them */
  float sink_logit; /**< mean of scale * dot(q, key of the anchor) */
  int32_t routed;   /**< 1: attended to the surrogate */
} clsink_group_statistics;

/** What only the device can see: the value is clamped or skipped, never followed out of bounds. */
enum {
  CLSINK_STATUS_KV_LEN_ABOVE_BOUND = 1,
  CLSINK_STATUS_KV_LEN_NEGATIVE = 2,
  CLSINK_STATUS_PAGE_OUT_OF_RANGE = 4,
  CLSINK_STATUS_ANCHOR_OUT_OF_RANGE = 8
};

#define CLSINK_MAX_TAU_TABLE 16

typedef struct clsink_tau_point {
  int32_t kv_len;
  float tau;
} clsink_tau_point;

/** What may differ from step to step and layer to layer without another plan. */
typedef struct clsink_step {
  size_t struct_size;
  int32_t batch;     /**< 0 to max_batch sequences; 0 launches nothing; default 1 */
  float scale;       /**< of the logits, usually 1 / sqrt(head_dim) */
  float floor;       /**< CLSINK_ROUTE_HYBRID only */
  int32_t tau_count; /**< cosine routing: 1 to 16 points */
  /** Rising kv_len; tau is linear in log2(kv_len) between the points and constant outside; +infinity is dense. */
  clsink_tau_point tau[CLSINK_MAX_TAU_TABLE];
  int32_t least_kv_len; /**< no sequence is shorter, as far as the caller knows: 0 to max_kv_len; only speed depends on it */
} clsink_step;

CLSINK_API void clsink_step_init(clsink_step* step, size_t struct_size);

/** Enqueues one step on the caller's queue, in-order or not, and returns at once. Everything that the host can know is
 *  checked before anything is enqueued. `wait_for`: num_wait events, null if none. `done`: optional, receives an event
 *  that the caller releases.
 *  Errors: CLSINK_INVALID_PLAN, CLSINK_INVALID_BUFFER (nothing was enqueued); CLSINK_OPENCL, CLSINK_OUT_OF_MEMORY (out and
 *  workspace are undefined). */
CLSINK_API clsink_status clsink_enqueue(clsink_context* context, cl_command_queue queue, const clsink_plan* plan,
                                        const clsink_buffers* buffers, const clsink_step* step, cl_uint num_wait,
                                        const cl_event* wait_for, cl_event* done);

#define CLSINK_MAX_STAGES 4

/** One launched kernel: "route", "schedule", "decode" or "combine", and its event, which the caller releases. */
typedef struct clsink_stage_event {
  const char* stage;
  cl_event event;
} clsink_stage_event;

/** As clsink_enqueue, without waiting, with one event per launched kernel: `stages` has room for CLSINK_MAX_STAGES,
 *  `count` receives how many there are. */
CLSINK_API clsink_status clsink_enqueue_profiled(clsink_context* context, cl_command_queue queue, const clsink_plan* plan,
                                                 const clsink_buffers* buffers, const clsink_step* step,
                                                 clsink_stage_event* stages, size_t* count);

#ifdef __cplusplus
}
#endif
#endif
