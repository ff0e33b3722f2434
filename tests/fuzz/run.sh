#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzzers with clang, AddressSanitizer and UndefinedBehaviorSanitizer and runs that of the C API for so many seconds
# and beside it the four of texts and files, one after the other, each for a quarter of them:
#   tests/fuzz/run.sh [--seconds N]
# Starts from seeds of the repository's files and what earlier runs have found (build-fuzz/corpus). Inputs that crash are
# left in build-fuzz/crashes; `build-fuzz/tests/fuzz/fuzz_NAME INPUT` repeats one.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=20
case "${1:-}" in
  --seconds) seconds=$2 ;;
  "") ;;
  *) echo "usage: tests/fuzz/run.sh [--seconds N]" >&2; exit 2 ;;
esac

launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
cmake --preset fuzz "${launcher[@]}"
cmake --build build-fuzz -j "$(nproc)"

build=$PWD/build-fuzz
# A function that the stub lacks would be the OpenCL library's, which crashes on the stub's handles.
lacking=$(nm -D --undefined-only "$build/tests/fuzz/fuzz_c_api" | awk '$NF ~ /^cl[A-Z]/ { print $NF }')
[ -z "$lacking" ] || { echo "tests/fuzz/stub_opencl.cpp lacks $lacking"; exit 1; }
mkdir -p "$build/crashes"
/usr/bin/env python3 tests/fuzz/make_seeds.py . "$build/seeds"
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1

# fuzz NAME SECONDS
fuzz() {
  local name=$1 log=$build/$1.log
  mkdir -p "$build/corpus/$name"
  if "$build/tests/fuzz/fuzz_$name" -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -max_len=8192 \
    -artifact_prefix="$build/crashes/$name-" -print_final_stats=1 "$build/corpus/$name" "$build/seeds/$name" >"$log" 2>&1; then
    printf '%-12s ok, %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    printf '%-12s FAILED\n' "$name"
    tail -n 60 "$log"
    return 1
  fi
}
failed=0
fuzz c_api "$seconds" &
for name in text tuning trace binary_cache; do fuzz "$name" $((seconds / 4)) || failed=1; done
wait "$!" || failed=1
exit "$failed"
