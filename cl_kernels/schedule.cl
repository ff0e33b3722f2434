// SPDX-License-Identifier: Apache-2.0
// The work list: prefix sums of the groups' tile counts, then every group's slots and every worker's share. One
// work-group.
// No early return: beside one, PoCL 3.1 lets work-item 0 decide for all whether the last loop runs at all. Without groups
// (a launch only to warm up) nothing is touched.
#include "share.clh"

__kernel __attribute__((reqd_work_group_size(WG, 1, 1))) void schedule(const __global char *restrict kv_len,
                                                                       const __global char *restrict anchor,
                                                                       __global char *restrict workspace,
                                                                       __global char *restrict status,
                                                                       const decode_args args) {
  const int lid = (int)get_local_id(0), groups = num_groups_of(&args);
  __global long *tile_begins = tile_begins_in(&args, workspace);
  __global int *status_word = status_of(&args, status);

  // each work-item sums a run of groups, then all scan the sums
  const int run = CEIL_DIV(groups, WG), begin = min(lid * run, groups), end = min(begin + run, groups);
  long sum = 0;
  for (int group = begin; group < end; ++group) {
    const token_ranges ranges = load_ranges(&args, kv_len, anchor, workspace, group, status_word);
    sum += tiles_of(ranges, args.tile_kv).count;
  }
  __local long sums[WG];
  sums[lid] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int step = 1; step < WG; step <<= 1) {
    const long before = lid >= step ? sums[lid - step] : 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    sums[lid] += before;
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const long total = sums[WG - 1];
  const int sharing = total > 0 ? sharers(total, args.workers, args.min_tiles) : 0;
  long tile = sums[lid] - sum;
  for (int group = begin; group < end; ++group) {
    const token_ranges ranges = load_ranges(&args, kv_len, anchor, workspace, group, status_word);
    const int count = tiles_of(ranges, args.tile_kv).count;
    tile_begins[group] = tile;
    group_slots_in(&args, workspace)[group] = list_slots(total, sharing, tile, tile + count);
    tile += count;
  }
  barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);

  const int workers = groups > 0 ? args.workers : 0;
  for (int worker = lid; worker < workers; worker += WG) {
    if (worker >= sharing) {
      worker_shares_in(&args, workspace)[worker] = (int4)(0);
      continue;
    }
    const long first = share_begin(total, sharing, worker), stop = share_begin(total, sharing, worker + 1);
    int low = 0, high = WG - 1;  // the run of groups that holds the tile: the first whose sum reaches beyond it
    while (low < high) {
      const int middle = (low + high) / 2;
      if (sums[middle] > first) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    const int run_stop = min((low + 1) * run, groups);
    int group = low * run;
    long group_begin = low > 0 ? sums[low - 1] : 0;
    while (group + 1 < run_stop && tile_begins[group + 1] <= first) group_begin = tile_begins[++group];
    worker_shares_in(&args, workspace)[worker] = (int4)(group, (int)(first - group_begin), (int)(stop - first), 0);
  }
}
