# SPDX-License-Identifier: Apache-2.0
# Source this: PoCL asks hwloc for cores and memory, which come from /sys; in a bare chroot without it PoCL would abort
# with "Not enough memory to run on this device". Then hwloc is told what nproc and /proc/meminfo say.
if [ ! -e /sys/devices/system/cpu ] && [ -r /proc/meminfo ]; then
  HWLOC_SYNTHETIC="numanode:1(memory=$(awk '/^MemTotal/ {printf "%.0f", $2 * 1024}' /proc/meminfo)) pu:$(nproc)"
  export HWLOC_SYNTHETIC
fi
