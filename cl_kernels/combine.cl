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
  if (group >= num_groups_of(&args)) return;
  const group_slots slots = load_slots(&args, kv_len, anchor, workspace, group, status_of(&args, status));
  if (slots.count == 1) return;

  const __global float *partial_ml = partial_ml_in(&args, workspace), *partial_acc = partial_acc_in(&args, workspace);
  __local float reduced[WG], weights[WG], lanes[LANES * HEAD_DIM];
  float m = NO_MAXIMUM;
  for (int i = lid; i < slots.count; i += WG) {
    const float2 ml = vload2((long)slot_at(slots, i) * GROUP_SIZE + j, partial_ml);
    if (ml.y > 0.0f) m = fmax(m, ml.x);
  }
  reduced[lid] = m;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_wg = WG / 2; half_wg > 0; half_wg /= 2) {
    if (lid < half_wg) reduced[lid] = fmax(reduced[lid], reduced[lid + half_wg]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  m = reduced[0];

  // WG partials at a time: their weights, then every lane's share of the accumulators
  const int piece_item = lid % PIECE_ITEMS, lane = lid / PIECE_ITEMS;
  float8 acc[PIECE_STEPS];
  UNROLL for (int n = 0; n < PIECE_STEPS; ++n) acc[n] = (float8)(0.0f);
  float l = 0.0f;
  for (int base = 0; base < slots.count; base += WG) {
    barrier(CLK_LOCAL_MEM_FENCE);  // the weights before and reduced[0] have been read
    float weight = 0.0f;
    if (base + lid < slots.count) {
      const float2 ml = vload2((long)slot_at(slots, base + lid) * GROUP_SIZE + j, partial_ml);
      if (ml.y > 0.0f) weight = exp2_nonpositive(ml.x - m);
      l = fma(ml.y, weight, l);
    }
    weights[lid] = weight;
    barrier(CLK_LOCAL_MEM_FENCE);
    const int num_here = min(WG, slots.count - base);
    UNROLL for (int n = 0; n < PIECE_STEPS; ++n) {
      const int piece = piece_item + n * PIECE_ITEMS;
      if (lane < LANES && piece < PIECES) {
        for (int i = lane; i < num_here; i += LANES) {  // no test of the weight: loads of several partials stay in flight
          const long partial = (long)slot_at(slots, base + i) * GROUP_SIZE + j;
          acc[n] = fma((float8)(weights[i]), vload8(partial * PIECES + piece, partial_acc), acc[n]);
        }
      }
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);  // reduced[0] has been read, by groups without partials too
  reduced[lid] = l;
  UNROLL for (int n = 0; n < PIECE_STEPS; ++n) {
    const int piece = piece_item + n * PIECE_ITEMS;
    if (lane < LANES && piece < PIECES) vstore8(acc[n], lane * PIECES + piece, lanes);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int half_wg = WG / 2; half_wg > 0; half_wg /= 2) {
    if (lid < half_wg) reduced[lid] += reduced[lid + half_wg];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  l = reduced[0];

  const float inverse = softmax_inverse(l);
  const int sequence = group / args.num_kv_heads, q_head = group % args.num_kv_heads * GROUP_SIZE + j;
  __global out_t *row = out_row(&args, out, sequence, q_head);
  for (int d = lid; d < HEAD_DIM; d += WG) {
    float sum = 0.0f;
    for (int i = 0; i < LANES; ++i) sum += lanes[i * HEAD_DIM + d];
    store_out(sum * inverse, row + d);
  }
  if (lid == 0) write_lse(&args, lse, sequence, q_head, m, l);
}
