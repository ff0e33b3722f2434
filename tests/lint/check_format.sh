#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C, C++ and JavaScript file is as clang-format leaves it.    check_format.sh ROOT
set -euo pipefail
cd "$1"
mapfile -t files < <(find include src tests tuning bench \( -name '*.hpp' -o -name '*.cpp' -o -name '*.h' -o -name '*.c' -o -name '*.js' \) | sort)
clang-format --dry-run -Werror "${files[@]}"
echo "${#files[@]} files are formatted"
