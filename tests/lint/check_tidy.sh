#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The library, its C API, the tuner and their headers are clean for clang-tidy (.clang-tidy).    check_tidy.sh ROOT BUILD_DIR
set -euo pipefail
cd "$1"
find src tuning -name '*.cpp' -not -path 'src/cli/*' -print0 | sort -z |
  xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$2" --quiet --warnings-as-errors='*' 2> >(grep -v 'warnings generated' >&2)
