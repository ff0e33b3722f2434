// SPDX-License-Identifier: Apache-2.0
// Wrong on purpose: shows that the checks of oclgrind.sh can fail. FAULT picks what is wrong.
__kernel void faulty(__global int *memory, int size, __local int *shared) {
  const int lid = (int)get_local_id(0);
#if FAULT == 0  // nothing
  memory[lid] = lid;
#elif FAULT == 1  // a neighbour's word is read without a barrier
  shared[lid] = lid;
  memory[lid] = shared[(lid + 1) % get_local_size(0)];
#elif FAULT == 2  // one word beside the buffer is read
  memory[lid] = memory[lid + 1];
#elif FAULT == 3  // what nobody wrote decides
  memory[lid] = shared[lid] > 0 ? 1 : 2;
#elif FAULT == 4  // a barrier that only some reach
  if (lid > 0) barrier(CLK_LOCAL_MEM_FENCE);
  memory[lid] = lid;
#endif
}
