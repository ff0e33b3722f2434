// SPDX-License-Identifier: Apache-2.0
// The frame of the decode kernel: finds the worker's tiles, lets the engine run over each segment (the tiles of one
// group), and leaves a finished output where a segment is a whole group, else a partial for combine.
#include "epilogue.clh"
#include "kv_layout.clh"
#include "share.clh"
#if ENGINE == 0
#include "engines/simt.clh"
#elif ENGINE == 1
#include "engines/cpu.clh"
#else
#error "unknown ENGINE"
#endif

// Head j of the engine's state as a finished output.
static inline void write_head(const decode_args *args, __global char *out, __global char *lse, int sequence, int q_head, float2 ml,
                       const engine_state *engine, int j) {
  __global out_t *row = out_row(args, out, sequence, q_head);
  const float inverse = softmax_inverse(ml.y);
  for (int d = (int)get_local_id(0); d < HEAD_DIM; d += WG) store_out(engine_channel(engine, j, d) * inverse, row + d);
  if (get_local_id(0) == 0) write_lse(args, lse, sequence, q_head, ml.x, ml.y);
}

// Head j of the engine's state as row `row` of the partials.
static inline void write_partial(const decode_args *args, __global char *workspace, long row, float2 ml, const engine_state *engine,
                          int j) {
  __global float *acc = partial_acc_in(args, workspace) + row * HEAD_DIM;
  for (int d = (int)get_local_id(0); d < HEAD_DIM; d += WG) acc[d] = engine_channel(engine, j, d);
  if (get_local_id(0) == 0) vstore2(ml, row, partial_ml_in(args, workspace));
}

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void decode(
    const __global char *restrict q, const __global char *restrict k, const __global char *restrict v,
    const __global char *restrict kv_len, const __global char *restrict page_table, const __global char *restrict anchor,
    __global char *restrict workspace, __global char *restrict out, __global char *restrict lse,
    __global char *restrict status, const decode_args args) {
  const int worker = (int)get_group_id(0);
  __global int *status_word = status_of(&args, status);
  ENGINE_LOCAL_MEMORY

  // A worker without work runs no turn of the loop. It does not return early: beside a return, PoCL 3.1 compiles loops over
  // work-items wrongly.
  const worker_share share = load_share(&args, kv_len, anchor, workspace, worker, status_word);
  int begin = share.tile, remaining = share.num_tiles;
  for (int group = share.group; remaining > 0; ++group) {
    const token_ranges ranges = load_ranges(&args, kv_len, anchor, workspace, group, status_word);
    const int count = tiles_of(ranges, args.tile_kv).count;
    if (count == 0) continue;
    const int first_segment = remaining == share.num_tiles, end = min(count, begin + remaining);
    const int whole = begin == 0 && end == count;
    const int slot = WORKLIST ? 2 * worker + !first_segment : group * args.splits + worker / num_groups_of(&args);
    const token_ranges segment = clip_to_tiles(ranges, tiles_of(ranges, args.tile_kv), begin, end, args.tile_kv);
    remaining -= end - begin;
    begin = 0;

    const int sequence = group / args.num_kv_heads, kv_head = group % args.num_kv_heads;
    const group_cache cache = open_cache(&args, k, v, page_table, sequence, kv_head);
    const __global q_t *q_rows = (const __global q_t *)(q + args.q_offset) + sequence * args.q.block +
                                 (long)kv_head * GROUP_SIZE * args.q.head;
    engine_begin(&engine, q_rows, args.q.head, args.scale * LOG2_E);
    for (int last = 0; last < 2; ++last) {  // one call, so that the engine is compiled once
      const int range_begin = last ? segment.last_begin : segment.first_begin;
      const int range_end = last ? segment.kv_len : segment.first_end;
      if (range_begin < range_end) engine_run(&engine, &cache, range_begin, range_end, status_word);
    }
    engine_merge(&engine);
    for (int j = 0; j < GROUP_SIZE; ++j) {
      const float2 ml = engine_head(&engine, j);
      if (whole) {
        const int q_head = kv_head * GROUP_SIZE + j;
        write_head(&args, out, lse, sequence, q_head, ml, &engine, j);
      } else {
        write_partial(&args, workspace, (long)slot * GROUP_SIZE + j, ml, &engine, j);
      }
    }
  }
}
