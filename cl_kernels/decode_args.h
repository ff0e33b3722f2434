// SPDX-License-Identifier: Apache-2.0
// Arguments of every kernel, compiled by both C++ and OpenCL C: one struct, so that host and kernels cannot disagree.
// 8-byte members first, then 4-byte ones, padded to 8: the same layout everywhere.
#ifndef CLSINK_DECODE_ARGS_H
#define CLSINK_DECODE_ARGS_H

#if defined(__OPENCL_C_VERSION__)
#define CLSINK_LONG long
#define CLSINK_INT int
#define CLSINK_FLOAT float
#else
#include <stdint.h>
#define CLSINK_LONG int64_t
#define CLSINK_INT int32_t
#define CLSINK_FLOAT float
#endif

#define CLSINK_MAX_TAU_POINTS 16

// Groups that a prologue can route.
#define CLSINK_MAX_PROLOGUE_GROUPS 64
// Tiles that a group of few tiles counts for in a GPU's work list beside its own: what a worker pays to begin one weighs beside
// surrogates, which have 2 tiles (planner.cpp has figures), and 2 of more than 4 would only keep groups from coming out even.
#define CLSINK_GPU_GROUP_TILES 2
#define CLSINK_SHORT_GROUP_TILES 4

// Element strides of rows; `block` is the sequence of q, out and a contiguous cache, or the page of a paged cache.
typedef struct {
  CLSINK_LONG token, head, block;
} clsink_strides;

// flags of decode_args: which optional buffers are there (an absent one is a null pointer), and the order of tiles (share.clh)
#define CLSINK_HAS_TAU_OFFSETS 1
#define CLSINK_HAS_ANCHOR 2
#define CLSINK_HAS_LSE 4
#define CLSINK_HAS_STATISTICS 8
#define CLSINK_HAS_STATUS 16
#define CLSINK_TILES_BY_TURNS 32

// policy of decode_args
#define CLSINK_POLICY_MEAN 0
#define CLSINK_POLICY_ALL 1
#define CLSINK_POLICY_HYBRID 2
#define CLSINK_POLICY_MASK 3

typedef struct {
  // byte offsets of the tensors inside their buffers
  CLSINK_LONG q_offset, k_offset, v_offset, kv_len_offset, out_offset, page_table_offset;
  CLSINK_LONG head_mask_offset, tau_offsets_offset, anchor_offset, lse_offset, statistics_offset, status_offset;
  // byte offsets inside the workspace buffer
  CLSINK_LONG group_offset, slot_offset, share_offset, partial_ml_offset, partial_acc_offset;
  CLSINK_LONG step_tag;  // of what the work-groups of this step leave for one another
  clsink_strides q, k, v, out;
  CLSINK_LONG page_table_stride, num_pages;
  CLSINK_LONG least_kv_len;  // as far as the caller knows
  CLSINK_INT batch, num_kv_heads, max_kv_len, flags;
  CLSINK_INT tile_kv, workers, splits, min_tiles;
  CLSINK_INT keep_first, keep_last;            // token set of a group that is not routed
  CLSINK_INT surrogate_first, surrogate_last;  // of one that is
  CLSINK_INT policy, tau_count;
  CLSINK_INT mergers;      // work-groups that merge a group (fusion single)
  CLSINK_INT group_tiles;  // that a short group counts for in the work list beside its own
  CLSINK_FLOAT scale, floor_score;
  CLSINK_INT tau_kv_len[CLSINK_MAX_TAU_POINTS];
  CLSINK_FLOAT tau[CLSINK_MAX_TAU_POINTS];
} decode_args;

// Token ranges of one group: [first_begin, first_end) and [last_begin, kv_len), disjoint, in order, first one maybe empty.
typedef struct {
  CLSINK_INT first_begin, first_end, last_begin, kv_len;
} token_ranges;

#endif
