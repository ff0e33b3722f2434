#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Intel's OpenCL runtime for CPUs, from PyPI into the build folder: the smoke suite; with --full every device test.
. "$(dirname "$0")/common.sh"

readonly kPackages=(intel-opencl-rt intel-cmplr-lib-rt) # the second has libraries that the first needs and does not name
find_library() { [ ! -d "$work/runtime" ] || find "$work/runtime" -name libintelocl.so | head -n 1; }

library=$(find_library)
if [ -z "$library" ]; then
  install pip
  rm -rf "$work/runtime"
  if ! /usr/bin/python3 -m pip install --no-warn-script-location --root-user-action ignore --ignore-installed \
    --no-cache-dir --prefix "$work/runtime" "${kPackages[@]}" >"$work/pip.log" 2>&1; then
    absent=$(sed -nE 's/^ERROR: No matching distribution found for (.*)$/\1/p' "$work/pip.log")
    [ -z "$absent" ] || skip "PyPI has no package $absent"
    die "could not install" "$work/pip.log"
  fi
  library=$(find_library)
  [ -n "$library" ] || die "the packages have no libintelocl.so" "$work/pip.log"
fi
echo "$library" >"$work/intel.icd"
export OCL_ICD_VENDORS=$work/intel.icd CLSINK_DEVICE="Intel(R) OpenCL"
run_tier
