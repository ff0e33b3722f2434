#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Mesa's rusticl on llvmpipe, from Debian: the smoke suite; with --full every device test.
. "$(dirname "$0")/common.sh"

install rusticl
export OCL_ICD_VENDORS=/etc/OpenCL/vendors/rusticl.icd RUSTICL_ENABLE=llvmpipe CLSINK_DEVICE=rusticl
run_tier
