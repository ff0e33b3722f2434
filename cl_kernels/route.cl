// SPDX-License-Identifier: Apache-2.0
// Routing: one work-group per group scores the query heads against the anchor's key, decides, and leaves the group's
// token ranges in the workspace (and statistics, if asked). arXiv 2604.16883 Eq 11-13; policies in types.hpp.
#include "kv_layout.clh"
#include "score.clh"
#include "share.clh"

// tau(kv_len): linear in log2(kv_len) between the points, constant outside them.
static inline float tau_at(const decode_args *args, int kv_len) {
  int i = 0;
  while (i < args->tau_count && args->tau_kv_len[i] <= kv_len) ++i;
  if (i == 0) return args->tau[0];
  if (i == args->tau_count) return args->tau[i - 1];
  const float x0 = log2((float)args->tau_kv_len[i - 1]), x1 = log2((float)args->tau_kv_len[i]);
  const float weight = (log2((float)kv_len) - x0) / (x1 - x0);
  return fma(weight, args->tau[i] - args->tau[i - 1], args->tau[i - 1]);
}

static inline int decide(const decode_args *args, float mean_score, float min_score, float tau) {
  if (args->policy == CLSINK_POLICY_ALL) return min_score > tau;
  if (args->policy == CLSINK_POLICY_HYBRID) return mean_score > tau && min_score > args->floor_score;
  return mean_score > tau;
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void route(
    const __global char *restrict q, const __global char *restrict k, const __global char *restrict kv_len,
    const __global char *restrict page_table, const __global char *restrict head_mask,
    const __global char *restrict tau_offsets, const __global char *restrict anchor, __global char *restrict workspace,
    __global char *restrict statistics, __global char *restrict status, const decode_args args) {
  const int group = (int)get_group_id(0), lid = (int)get_local_id(0);
  // No early return before the loop over heads: see schedule.cl.
  const int inside = group < num_groups_of(&args);
  const int sequence = group / args.num_kv_heads, kv_head = group % args.num_kv_heads;
  __global int *status_word = status_of(&args, status);
  const int length = inside ? load_kv_len(&args, kv_len, sequence, status_word) : 0;
  const int anchor_token = inside ? load_anchor(&args, anchor, sequence, length, status_word) : 0;
  const int by_mask = args.policy == CLSINK_POLICY_MASK;
  const int scored = length > 0 && (!by_mask || (args.flags & CLSINK_HAS_STATISTICS));

  __local float cosines[GROUP_SIZE], dots[GROUP_SIZE];
  if (scored) {
    const group_cache cache = open_cache(&args, k, k, page_table, sequence, kv_head);
    const __global kv_t *key = k_row(&cache, place_of(&cache, max(anchor_token, 0), status_word));
    const __global q_t *rows = (const __global q_t *)(q + args.q_offset) + sequence * args.q.block;
    for (int j = lid; j < GROUP_SIZE; j += WG) {
      const sink_score score = score_head(rows + (long)(kv_head * GROUP_SIZE + j) * args.q.head, key);
      cosines[j] = score.cosine;
      dots[j] = score.dot;
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  if (lid != 0 || !inside) return;

  float sum = 0.0f, min_score = 0.0f, dot_sum = 0.0f;
  for (int j = 0; scored && j < GROUP_SIZE; ++j) {
    sum += cosines[j];
    dot_sum += dots[j];
    min_score = j ? fmin(min_score, cosines[j]) : cosines[j];
  }
  const float mean_score = sum / GROUP_SIZE;
  int routed = 0;
  const token_ranges whole = make_ranges(args.keep_first, args.keep_last, max(anchor_token, 0), length);
  token_ranges ranges = whole;
  if (length > 0 && anchor_token >= 0) {
    if (by_mask) {
      routed = ((const __global int *)(head_mask + args.head_mask_offset))[kv_head] != 0;
    } else {
      float tau = tau_at(&args, length);
      if (args.flags & CLSINK_HAS_TAU_OFFSETS) {
        tau += ((const __global float *)(tau_offsets + args.tau_offsets_offset))[kv_head];
      }
      routed = decide(&args, mean_score, min_score, tau);
    }
    const token_ranges near = make_ranges(args.surrogate_first, args.surrogate_last, anchor_token, length);
    if (contains_ranges(near, whole)) routed = 0;
    if (routed) ranges = near;
  }
  ranges_in(&args, workspace)[group] = ranges;
  if (args.flags & CLSINK_HAS_STATISTICS) {
    __global float *row = (__global float *)(statistics + args.statistics_offset) + 4l * group;
    row[0] = mean_score;
    row[1] = min_score;
    row[2] = args.scale * (dot_sum / GROUP_SIZE);
    ((__global int *)row)[3] = routed;
  }
}
