// SPDX-License-Identifier: Apache-2.0
// One work-group per group scores the query heads against the anchor's key, decides, and leaves the group's token ranges
// in the workspace (and statistics, if asked).
#include "routing.clh"

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void route(
    const __global char *restrict q, const __global char *restrict k, const __global char *restrict kv_len,
    const __global char *restrict page_table, const __global char *restrict anchor, __global char *restrict workspace,
    __global char *restrict status, const __global char *restrict head_mask, const __global char *restrict tau_offsets,
    __global char *restrict statistics, const decode_args args) {
  GROUP_LOCAL float scores[GROUP_SIZE * SCORE_FLOATS];
  const int group = (int)get_group_id(0), lid = (int)get_local_id(0);
  const int inside = group < num_groups_of(&args);  // no early return before the loop over heads: see schedule.cl
  const group_source source = source_of(&args, kv_len, anchor, workspace, status_of(&args, status));
  const routing_buffers buffers = {q, k, page_table, head_mask, tau_offsets, statistics};
  const int decides = lid == WG - 1 && inside;
  routing_inputs inputs;
  routing_choice choice;
  if (decides) inputs = load_routing_inputs(&source, &buffers, group);
  sum_groups(&source, &buffers, group, inside ? 1 : 0, scores);
  if (decides) choice = make_choice(&source, group, inputs);
  finish_groups(&args, inside ? 1 : 0, scores);
  group_barrier(CLK_LOCAL_MEM_FENCE);
  if (decides) ranges_in(&args, workspace)[group] = route_group(&source, &buffers, group, &choice, scores, 1);
}
