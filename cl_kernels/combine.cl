// SPDX-License-Identifier: Apache-2.0
// Finishes every group that decode did not: merges the partials of groups that were cut, and writes 0 and lse -inf for
// groups without tiles. One work-group per query head.
#include "merge.clh"

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void combine(const __global char *restrict kv_len,
                                                                      const __global char *restrict anchor,
                                                                      __global char *restrict workspace,
                                                                      __global char *restrict out, __global char *restrict lse,
                                                                      __global char *restrict status,
                                                                      const decode_args args) {
  MERGE_LOCAL_MEMORY
  const int group = (int)get_group_id(0) / GROUP_SIZE, j = (int)get_group_id(0) % GROUP_SIZE;
  // No early return: beside one, PoCL 3.1 lets work-item 0 decide for all whether a later loop runs.
  group_slots slots = make_slots((int4)(1));
  if (group < num_groups_of(&args)) {
#if WORKLIST
    slots = make_slots(group_slots_in(&args, workspace)[group]);
#else
    const group_source source = source_of(&args, kv_len, anchor, workspace, status_of(&args, status));
    slots = make_slots(static_slots(&args, group, load_tile_count(&source, group)));
#endif
  }
  const int pieces = slots.count == 1 ? 0 : PIECES;
  merge_pieces(&args, workspace, slots, group, j * PIECES, j * PIECES + pieces, out, lse, merge_ml, merge_acc);
}
