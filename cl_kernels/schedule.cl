// SPDX-License-Identifier: Apache-2.0
// Writes the work list: every group's slots and every worker's share. One work-group.
// No early return: beside one, PoCL 3.1 lets work-item 0 decide for all whether the last loop runs at all. Without groups
// (a launch only to warm up) nothing is touched.
#include "work_list.clh"

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void schedule(const __global char *restrict kv_len,
                                                                       const __global char *restrict anchor,
                                                                       __global char *restrict workspace,
                                                                       __global char *restrict status,
                                                                       const decode_args args) {
  GROUP_LOCAL int sums[LIST_SUMS];
  const group_source source = source_of(&args, kv_len, anchor, workspace, status_of(&args, status));
  const work_list list = make_work_list(&source, sums);
  write_slots(&source, &list);
  const int workers = list.entries > 0 ? args.workers : 0;
  for (int worker = (int)get_local_id(0); worker < workers; worker += WG) {
    worker_share share = no_share();
    if (worker < list.sharing) share = listed_share(&source, &list, worker, find_worker(&source, &list, worker));
    shares_in(&args, workspace)[worker] = (int4)(share.group, share.tile, share.num_tiles, share.stride);
  }
}
