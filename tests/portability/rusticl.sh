#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Mesa's rusticl on llvmpipe, from Debian: the smoke suite; with --full every device test.
. "$(dirname "$0")/common.sh"

install rusticl
export OCL_ICD_VENDORS=/etc/OpenCL/vendors/rusticl.icd RUSTICL_ENABLE=llvmpipe CLSINK_DEVICE=rusticl
if [ "$full" = 1 ]; then
  run_device_tests
  checked "every device test" env
else
  run_suite smoke smoke env
  checked "the smoke suite" env
fi
finish
