// SPDX-License-Identifier: Apache-2.0
// The frame of the decode kernel: finds the worker's tiles, lets the engine run over each segment (the tiles of one
// group), and leaves a finished output where a segment is a whole group, else a partial.
//   FUSION 0: route and schedule have run before, combine runs afterwards
//          1: routing and work list are worked out here, by every worker for itself
//          2: and work-groups that wait for a group's partials merge it: the step is one launch. `mergers` of them take a
//             part each: of the work list the last workers that share the group, beside a static schedule others, behind
//             all workers. One merger waits for lower work-groups only, which start before it; where there are more, those
//             that wait are too few to fill the device, so that those they wait for go on.
//          3: the same behind a launch of route, for more groups than a prologue can route
#include "epilogue.clh"
#include "kv_layout.clh"
#include "partials.clh"
#include "share.clh"
#if RANGES_IN_PROLOGUE
#include "prologue.clh"
#endif
#if FUSION && WORKLIST
#include "work_list.clh"
#endif
#if FUSION >= 2
#include "merge.clh"
#endif
#if ENGINE == 0 || ENGINE == 3
#include "pieces.clh"  // here, as a file is embedded once
#endif
#if ENGINE == 0
#include "engines/simt.clh"
#elif ENGINE == 1
#include "engines/cpu.clh"
#elif ENGINE == 2
#include "engines/nv_mma.clh"
#elif ENGINE == 3
#include "engines/subgroup.clh"
#else
#error "unknown ENGINE"
#endif

// The next group's first tokens come in while a group is merged, where there are registers for that.
#define PREFETCHES_NEXT (ENGINE == 2 && WORKLIST && !LANE_FOR_ROW)

#define WRITE_HEADS (WG < QUADS ? 1 : WG / QUADS)  // at once

// Writes the heads that the engine has published, as finished outputs or as partials of the slot.
static inline void write_heads(const decode_args *args, const engine_state *engine, int group, int first_head, int whole,
                               int slot, __global char *workspace, __global char *out, __global char *lse) {
  const int sequence = group / args->num_kv_heads, q_head = group % args->num_kv_heads * GROUP_SIZE;
  const int lid = (int)get_local_id(0), end = min(first_head + ENGINE_HEADS, GROUP_SIZE);
  // As many turns for all work-items: PoCL 3.1 may let the first one decide for the others.
  for (int base = first_head; base < end; base += WRITE_HEADS) {
    const int j = base + lid / QUADS;
    if (j < end && lid / QUADS < WRITE_HEADS) {
      const float2 ml = engine_ml(engine, j);
      const float scale = whole ? softmax_inverse(ml.y) : 1.0f;
      for (int quad = lid % QUADS; quad < QUADS; quad += WG) {
        const float4 channels = engine_quad(engine, j, 4 * quad);
        if (whole) {
          store_quad(channels * scale, out_row(args, out, sequence, q_head + j) + 4 * quad);
        } else {
          write_partial(args, workspace, slot, j, quad, channels, ml);
        }
      }
      if (lid % QUADS == 0 && whole) write_lse(args, lse, sequence, q_head + j, ml.x, ml.y);
    }
  }
}

__kernel REQUESTED_SUB_GROUP __attribute__((reqd_work_group_size(WG, 1, 1))) void decode(
    const __global char *restrict q, const __global char *restrict k, const __global char *restrict v,
    const __global char *restrict kv_len, const __global char *restrict page_table, const __global char *restrict anchor,
    __global char *restrict workspace, __global char *restrict out, __global char *restrict lse,
    __global char *restrict status,
#if FUSION
    const __global char *restrict head_mask, const __global char *restrict tau_offsets, __global char *restrict statistics,
#endif
    const decode_args args) {
  const int worker = (int)get_group_id(0), groups = num_groups_of(&args);
  group_source source = source_of(&args, kv_len, anchor, workspace, status_of(&args, status));
  ENGINE_LOCAL_MEMORY
#if SUB_GROUP_SIZE
  if (args.batch == 0 && worker == 0) report_sub_group_size(workspace);
#endif
#if FUSION >= 2
  MERGE_LOCAL_MEMORY
#endif
#if RANGES_IN_PROLOGUE
  PROLOGUE_LOCAL_MEMORY
  const routing_buffers routing = {q, k, page_table, head_mask, tau_offsets, statistics};
  const int first = WORKLIST || groups == 0 ? 0 : worker % groups, count = WORKLIST ? groups : min(groups, 1);
  const int reports = WORKLIST ? worker == 0 : worker < groups;
  source.in_prologue = prologue_ranges;
  work_out_ranges(&source, &routing, first, count, prologue_ranges, prologue_scores, reports);
#endif

#if ENGINE == 2 && !WORKLIST && !ROUTED && !PAGE_SIZE
  // Where workers take turns, the first tile is theirs whatever the length: its tokens come in while the length does.
  if (args.keep_last >= args.max_kv_len && worker < groups * args.splits) {
    const int sequence = worker % groups / args.num_kv_heads, kv_head = worker % groups % args.num_kv_heads;
    const group_cache cache = open_cache(&args, k, v, page_table, sequence, kv_head);
    engine_prefetch(&cache, worker / groups * TILE_KV, (int)args.least_kv_len);
  }
#endif
  worker_share share = no_share();
#if WORKLIST && FUSION
  GROUP_LOCAL int sums[LIST_SUMS];
  GROUP_LOCAL list_place first_place;
  const work_list list = make_work_list(&source, sums);
  find_worker(&source, &list, worker, &first_place);
  if (worker < list.sharing) share = listed_share(&source, &list, worker, first_place);
  if (FUSION == 1 && worker == 0) write_slots(&source, &list);
#elif WORKLIST
  if (groups > 0 && worker < args.workers) {  // those that schedule has written
    const int4 words = shares_in(&args, workspace)[worker];
    share = make_share(words.x, words.y, words.z, words.w);
  }
#else
#if RANGES_IN_PROLOGUE
  // for combine
  if (FUSION == 1 && worker < groups && get_local_id(0) == 0) ranges_in(&args, workspace)[worker] = prologue_ranges[0];
#endif
  if (groups > 0) share = static_share(&source, worker);
#endif

#if FUSION >= 2 && WORKLIST
  // The groups that the worker began and ended with and did not finish: where their partials are.
  int first_cut = 0, last_cut = 0, list_begin = share.list_begin;
  group_slots first_slots = make_slots((int4)(0)), last_slots = make_slots((int4)(0));
#endif
  // A worker without work runs no turn of the loop. It does not return early: beside a return, PoCL 3.1 compiles loops over
  // work-items wrongly.
  int begin = share.tile, remaining = share.num_tiles, first_segment = 1;
#if PREFETCHES_NEXT
  token_ranges next_ranges;
  if (remaining > 0) next_ranges = load_ranges(&source, share.group);
#endif
  for (int group = share.group; remaining > 0;
       ++group, remaining -= WORKLIST ? places_before_group(&source, group, remaining) : 0) {
#if PREFETCHES_NEXT
    const token_ranges ranges = next_ranges;
    if (group + 1 < groups) next_ranges = load_ranges(&source, group + 1);  // while nobody waits for them
#else
    const token_ranges ranges = load_ranges(&source, group);
#endif
    const tile_list tiles = tiles_of(ranges, tile_size(&args));
    if (tiles.count == 0) continue;
    const int count = share.stride > 1 ? remaining : min(tiles.count - begin, remaining);
    const int whole = count == tiles.count;
    const int slot = WORKLIST ? 2 * worker + !first_segment : group * args.splits + worker / groups;

    const int sequence = group / args.num_kv_heads, kv_head = group % args.num_kv_heads;
    const group_cache cache = open_cache(&args, k, v, page_table, sequence, kv_head);
    const __global q_t *q_rows = (const __global q_t *)(q + args.q_offset) + sequence * args.q.block +
                                 (long)kv_head * GROUP_SIZE * args.q.head;
    engine_begin(&engine, q_rows, args.q.head, args.scale * LOG2_E);
    for (int last = 0; last < 2; ++last) {  // one call, so that the engine is compiled once
      const token_run run = run_in_range(ranges, tiles, last, begin, count, share.stride, tile_size(&args));
      if (run.begin < run.stop) engine_run(&engine, &cache, run, source.status);
    }
#if PREFETCHES_NEXT
    if (remaining > count) {
      const int sequence_next = (group + 1) / args.num_kv_heads, kv_head_next = (group + 1) % args.num_kv_heads;
      const group_cache next = open_cache(&args, k, v, page_table, sequence_next, kv_head_next);
      const int two = next_ranges.first_end > next_ranges.first_begin;
      engine_prefetch(&next, two ? next_ranges.first_begin : next_ranges.last_begin,
                      two ? next_ranges.first_end : next_ranges.kv_len);
    }
#endif
    engine_merge(&engine);
    for (int first_head = 0; first_head < GROUP_SIZE; first_head += ENGINE_HEADS) {
      engine_publish(&engine, first_head);
      write_heads(&args, &engine, group, first_head, whole, slot, workspace, out, lse);
    }
#if FUSION >= 2 && WORKLIST
    if (!whole) {
      const group_slots slots = make_slots(list_slots(&args, list.total, list.sharing, list_begin, tiles.count));
      if (first_segment) {
        first_cut = group;
        first_slots = slots;
      } else {
        last_cut = group;
        last_slots = slots;
      }
    }
    list_begin += num_places(&args, tiles.count);
#endif
    remaining -= count;
    begin = 0;
    first_segment = 0;
  }
#if FUSION >= 2
  // groups without tiles, which nobody else writes
  for (int group = worker; group < groups; group += (int)get_num_groups(0)) {
    if (load_tile_count(&source, group) > 0) continue;
    for (int i = (int)get_local_id(0); i < GROUP_SIZE * HEAD_DIM; i += WG) {
      const int sequence = group / args.num_kv_heads, q_head = group % args.num_kv_heads * GROUP_SIZE + i / HEAD_DIM;
      store_out(0.0f, out_row(&args, out, sequence, q_head) + i % HEAD_DIM);
      if (i % HEAD_DIM == 0) write_lse(&args, lse, sequence, q_head, NO_MAXIMUM, 0.0f);
    }
  }
  // Only now: partials of all workers are on their way before anyone waits.
#if WORKLIST
  for (int last = 0; last < 2; ++last) {
    const group_slots slots = last ? last_slots : first_slots;
    const int part = worker - (slots.second / 2 - 1) - (slots.count - min(args.mergers, slots.count));
    merge_part(&args, workspace, slots, last ? last_cut : first_cut, part, out, lse, merge_ml, merge_acc);
  }
#else
  const int group = groups > 0 ? worker % groups : 0, part = groups > 0 ? worker / groups - args.splits : -1;
  const group_slots slots = make_slots(part < 0 ? (int4)(0) : static_slots(&args, group, load_tile_count(&source, group)));
  merge_part(&args, workspace, slots, group, part, out, lse, merge_ml, merge_acc);
#endif
#endif
}
