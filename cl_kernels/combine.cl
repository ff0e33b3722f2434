// SPDX-License-Identifier: Apache-2.0
// Finishes every group that decode did not: merges the partials of groups that were cut, and writes 0 and lse -inf for
// groups without tiles. One work-group per query head; work-items share the partials and, 8 at a time, the channels.
#include "epilogue.clh"
#include "share.clh"

#define PIECES (HEAD_DIM / 8)
#define PIECE_ITEMS (WG < PIECES ? WG : PIECES)
#define LANES (WG / PIECE_ITEMS)  // work-items of a piece, each with every LANES-th partial

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void combine(const __global char *restrict kv_len,
                                                                      const __global char *restrict anchor,
                                                                      __global char *restrict workspace,
                                                                      __global char *restrict out, __global char *restrict lse,
                                                                      __global char *restrict status,
                                                                      const decode_args args) {
  const int group = (int)get_group_id(0) / GROUP_SIZE, j = (int)get_group_id(0) % GROUP_SIZE, lid = (int)get_local_id(0);
  if (group >= num_groups_of(&args)) return;
  int tile_count = 0;
#if !WORKLIST
  const token_ranges ranges = load_ranges(&args, kv_len, anchor, workspace, group, status_of(&args, status));
  tile_count = tiles_of(ranges, args.tile_kv).count;
#endif
  const group_slots slots = slots_of(&args, workspace, group, tile_count);
  if (slots.count == 1) return;

  const __global float *partial_ml = partial_ml_in(&args, workspace), *partial_acc = partial_acc_in(&args, workspace);
  const int lane = lid / PIECE_ITEMS;
  float m = NO_MAXIMUM, l = 0.0f;
  for (int i = 0; i < slots.count; ++i) {
    const float2 ml = vload2((long)slot_at(slots, i) * GROUP_SIZE + j, partial_ml);
    if (ml.y > 0.0f) m = fmax(m, ml.x);
  }
  for (int i = 0; i < slots.count; ++i) {
    const float2 ml = vload2((long)slot_at(slots, i) * GROUP_SIZE + j, partial_ml);
    if (ml.y > 0.0f) l = fma(ml.y, exp2_nonpositive(ml.x - m), l);
  }
  const float inverse = softmax_inverse(l);
  const int sequence = group / args.num_kv_heads, q_head = group % args.num_kv_heads * GROUP_SIZE + j;
  __global out_t *row = out_row(&args, out, sequence, q_head);

  __local float lanes[LANES * HEAD_DIM];
  if (lane < LANES) {
    for (int piece = lid % PIECE_ITEMS; piece < PIECES; piece += PIECE_ITEMS) {
      float8 acc = (float8)(0.0f);
      for (int i = lane; i < slots.count; i += LANES) {
        const long partial = (long)slot_at(slots, i) * GROUP_SIZE + j;
        const float2 ml = vload2(partial, partial_ml);
        if (ml.y > 0.0f) acc = fma((float8)(exp2_nonpositive(ml.x - m)), vload8(partial * PIECES + piece, partial_acc), acc);
      }
      vstore8(acc, lane * PIECES + piece, lanes);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int d = lid; d < HEAD_DIM; d += WG) {
    float sum = 0.0f;
    for (int i = 0; i < LANES; ++i) sum += lanes[i * HEAD_DIM + d];
    store_out(sum * inverse, row + d);
  }
  if (lid == 0) write_lse(&args, lse, sequence, q_head, m, l);
}
