// SPDX-License-Identifier: Apache-2.0
// Where the kernels' functions say that rows lie: distances in bytes from the beginning of the buffers. Nothing is read
// there, so that a device with little memory can tell.
#include "epilogue.clh"
#include "kv_layout.clh"

// A work-item per row (sequence, head, token). `pages` is every sequence's row of the page table: the table's own would be
// far away too.
__kernel void row_addresses(__global char *base, const __global int *pages, const __global int4 *rows,
                            __global long4 *distances, const decode_args args) {
  const int i = (int)get_global_id(0), sequence = rows[i].x, head = rows[i].y, token = rows[i].z;
  group_cache cache = open_cache(&args, base, base, base, sequence, head);
  const long table_row = (const __global char *)cache.pages - base;
  cache.pages = pages;
  const token_place place = place_of(&cache, token, 0);
  distances[i] = (long4)((const __global char *)k_row(&cache, place) - base, (const __global char *)v_row(&cache, place) - base,
                         (__global char *)out_row(&args, base, sequence, head) - base, table_row);
}
