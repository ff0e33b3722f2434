// SPDX-License-Identifier: Apache-2.0
// Finishes every group that decode did not: merges the partials of groups that were cut, and writes 0 and lse -inf for
// groups without tiles. One work-group per query head; work-items share the partials and, 8 at a time, the channels.
#include "epilogue.clh"
#include "share.clh"

#define PIECES (HEAD_DIM / 8)
#define PIECE_ITEMS (WG < PIECES ? WG : PIECES)
#define PIECE_STEPS CEIL_DIV(PIECES, PIECE_ITEMS)
#define LANES (WG / PIECE_ITEMS)  // work-items of a piece, each with every LANES-th partial

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void combine(const __global char *restrict kv_len,
                                                                      const __global char *restrict anchor,
                                                                      __global char *restrict workspace,
                                                                      __global char *restrict out, __global char *restrict lse,
                                                                      __global char *restrict status,
                                                                      const decode_args args) {
  const int group = (int)get_group_id(0) / GROUP_SIZE, j = (int)get_group_id(0) % GROUP_SIZE, lid = (int)get_local_id(0);
  // No early return: beside one, PoCL 3.1 lets work-item 0 decide for all whether a later loop runs.
  group_slots slots;
  slots.count = 1;
  if (group < num_groups_of(&args)) {
    slots = load_slots(&args, kv_len, anchor, workspace, group, status_of(&args, status));
  }
  const int unfinished = slots.count != 1;

  // Each lane merges every LANES-th partial; its loads depend on nothing but the slots, so that all are in flight at once.
  const __global float *partial_ml = partial_ml_in(&args, workspace), *partial_acc = partial_acc_in(&args, workspace);
  const int piece_item = lid % PIECE_ITEMS, lane = lid / PIECE_ITEMS;
  float m = NO_MAXIMUM, l = 0.0f;
  float8 acc[PIECE_STEPS];
  UNROLL for (int n = 0; n < PIECE_STEPS; ++n) acc[n] = (float8)(0.0f);
  for (int i = lane; unfinished && lane < LANES && i < slots.count; i += LANES) {
    const long partial = (long)slot_at(slots, i) * GROUP_SIZE + j;
    const float2 ml = vload2(partial, partial_ml);
    const float new_m = ml.y > 0.0f ? fmax(m, ml.x) : m;
    const float rescale = exp2_nonpositive(m - new_m), weight = ml.y > 0.0f ? exp2_nonpositive(ml.x - new_m) : 0.0f;
    m = new_m;
    l = fma(l, rescale, ml.y * weight);
    UNROLL for (int n = 0; n < PIECE_STEPS; ++n) {
      const int piece = piece_item + n * PIECE_ITEMS;
      if (PIECES % PIECE_ITEMS == 0 || piece < PIECES) {
        acc[n] = fma((float8)(weight), vload8(partial * PIECES + piece, partial_acc), acc[n] * rescale);
      }
    }
  }

  __local float lane_m[LANES], lane_l[LANES], lane_acc[LANES * HEAD_DIM];
  if (lane < LANES) {
    lane_m[lane] = m;
    lane_l[lane] = l;
    UNROLL for (int n = 0; n < PIECE_STEPS; ++n) {
      const int piece = piece_item + n * PIECE_ITEMS;
      if (PIECES % PIECE_ITEMS == 0 || piece < PIECES) vstore8(acc[n], lane * PIECES + piece, lane_acc);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  m = NO_MAXIMUM;
  for (int i = 0; i < LANES; ++i) m = fmax(m, lane_m[i]);
  l = 0.0f;
  for (int i = 0; i < LANES; ++i) l = fma(lane_l[i], exp2_nonpositive(lane_m[i] - m), l);

  if (unfinished) {
    const float inverse = softmax_inverse(l);
    const int sequence = group / args.num_kv_heads, q_head = group % args.num_kv_heads * GROUP_SIZE + j;
    __global out_t *row = out_row(&args, out, sequence, q_head);
    for (int d = lid; d < HEAD_DIM; d += WG) {
      float sum = 0.0f;
      for (int i = 0; i < LANES; ++i) sum = fma(lane_acc[i * HEAD_DIM + d], exp2_nonpositive(lane_m[i] - m), sum);
      store_out(sum * inverse, row + d);
    }
    if (lid == 0) write_lse(&args, lse, sequence, q_head, m, l);
  }
}
