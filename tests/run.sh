#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing (Debian), builds, and runs every test:   tests/run.sh [--full [STAGE...]]
# --full takes the long suites too (triples beside pairs, all variants, fuzzing, kernels broken on purpose,
# clang-tidy, ThreadSanitizer, a million steps, every compiler and kind of library). CLSINK_DEVICE picks a device.
# Other OpenCL runtimes get a smoke suite, with --full every device test. What each stage of the full tier said last is stored in
# bench/results/full.json; named ones run alone, so that a long run can be taken in parts.
# Ends with "N passed, N failed": the cases of CTest, and each stage that is no CTest run as one.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. tools/pocl_environment.sh

readonly kFullStages=(unit device lint package tool sanitize offline fuzz mutations rusticl intel_cpu oclgrind trixie tidy threads
  soak matrix)
usage() {
  echo "usage: tests/run.sh [--full [STAGE...]]; stages: ${kFullStages[*]}" >&2
  exit 2
}
full=0
may_take_minutes=15 # on two idle cores
stages=(unit device lint package tool sanitize offline portability)
if [ "${1:-}" = --full ]; then
  full=1
  may_take_minutes=75
  shift
  stages=("${kFullStages[@]}")
  [ $# = 0 ] || stages=("$@")
  for name in "${stages[@]}"; do [[ " ${kFullStages[*]} " == *" $name "* ]] || usage; done
elif [ $# != 0 ]; then
  usage
fi
if [ "$full" = 1 ]; then
  export CLSINK_FULL=1
fi

jobs=$(nproc)
logs=build/logs
mkdir -p "$logs" build/pocl-cache
# A cache of this build folder, emptied first: an old binary cannot hide an error.
export POCL_CACHE_DIR="$PWD/build/pocl-cache"
rm -rf "${POCL_CACHE_DIR:?}"/*
unset CLSINK_BINARY_CACHE

passed=0
failed=0
: >"$logs/stages.tsv"

# stage NAME FUNCTION: runs it into a log; shows seconds, and the end of the log if it failed.
stage() {
  local name=$1 begin=$SECONDS rc=0
  "$2" >"$logs/$name.log" 2>&1 || rc=$?
  local seconds=$((SECONDS - begin))
  # the numbers of a CTest run, or of a stage's own closing lines, else the stage itself
  local counts skipped=0
  counts=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$logs/$name.log" | tail -1)
  if [ -n "$counts" ]; then
    local bad=${counts% *} all=${counts#* }
    if [ "$rc" != 0 ] && [ "$bad" = 0 ]; then bad=1; all=$((all + 1)); fi
  elif grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$logs/$name.log"; then
    local bad all
    read -r all bad skipped < <(awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { good += $1; bad += $3; skipped += $5 }
                                    END { print good + bad, bad, skipped }' "$logs/$name.log")
    if [ "$rc" != 0 ] && [ "$bad" = 0 ]; then bad=1; all=$((all + 1)); fi
  else
    local bad=$((rc != 0)) all=1
  fi
  failed=$((failed + bad))
  passed=$((passed + all - bad))
  printf '%s\t%d\t%d\t%d\t%d\t%s\n' "$name" "$seconds" "$((all - bad))" "$bad" "$skipped" "$logs/$name.log" \
    >>"$logs/stages.tsv"
  if [ "$rc" = 0 ]; then
    printf '%-10s ok      %4d s   %d passed\n' "$name" "$seconds" "$((all - bad))"
    grep '^skipped: ' "$logs/$name.log" | sed 's/^/  /'
  else
    printf '%-10s FAILED  %4d s   %d passed, %d failed; the end of %s:\n' "$name" "$seconds" "$((all - bad))" "$bad" "$logs/$name.log"
    tail -n 80 "$logs/$name.log" | sed 's/^/  | /'
  fi
  return "$rc"
}

install_missing() { bash tools/install_dependencies.sh build tests | tee >(grep '^installing' >&3 || true); }

launcher=()
build() {
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
  local unity=ON # takes half as long; the full tier builds every file for itself, as clang-tidy reads it
  [ "$full" = 0 ] || unity=OFF
  cmake --preset default -DCMAKE_UNITY_BUILD=$unity "${launcher[@]}" && cmake --build build -j "$jobs"
}

run_ctest() { ctest --test-dir build -j "$jobs" --output-on-failure --no-tests=error "$@"; }
unit() { run_ctest -L unit; }
device() {
  build/src/cli/clsink devices --json | python3 tools/full_result.py runtime "every device test" && run_ctest -L device
}
lint() { run_ctest -L lint; }
tidy() { run_ctest -L tidy; }
package() { run_ctest -L install; }
tool() { run_ctest -L tool; }
# Other OpenCL runtimes beside it load libraries in ways that the sanitizers refuse, or have no working compiler.
only_pocl() {
  if [ -e /etc/OpenCL/vendors/pocl.icd ]; then OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd "$@"; else "$@"; fi
}
sanitize() {
  cmake --preset sanitize "${launcher[@]}" &&
    cmake --build build-sanitize -j "$jobs" --target clsink_unit_tests device_errors device_c_api device_faults \
      device_binary_cache &&
    only_pocl ctest --preset sanitize -j "$jobs" --no-tests=error
}
threads() {
  cmake --preset tsan "${launcher[@]}" && cmake --build build-tsan -j "$jobs" --target device_threads device_binary_cache &&
    only_pocl ctest --preset tsan -j "$jobs" --no-tests=error
}
fuzz() { bash tests/fuzz/run.sh --seconds 240; }
soak() { run_ctest -L soak; }
matrix() { only_pocl bash tests/install/build_matrix.sh "$PWD" "$PWD/build/matrix"; }
offline() {
  local tier=()
  [ "$full" = 0 ] || tier=(--full)
  bash tests/portability/offline.sh "${tier[@]}"
}
portability() {
  local rc=0 runtime
  for runtime in rusticl intel_cpu oclgrind; do bash "tests/portability/$runtime.sh" || rc=1; done
  return "$rc"
}
rusticl() { bash tests/portability/rusticl.sh --full; }
intel_cpu() { bash tests/portability/intel_cpu.sh --full; }
oclgrind() { bash tests/portability/oclgrind.sh --full; }
trixie() { bash tests/portability/trixie.sh --full; }
mutations() { bash tests/mutations.sh build/mutations; }

exec 3>&1
stage setup install_missing && stage build build
if [ "$failed" = 0 ]; then
  for name in "${stages[@]}"; do stage "$name" "$name"; done
fi

printf '%-10s         %4d s\n' total "$SECONDS"
if [ "$SECONDS" -gt $((may_take_minutes * 60)) ]; then
  echo "warning: longer than the $may_take_minutes minutes that these tests may take on two idle cores"
fi
if [ "$full" = 1 ]; then
  python3 tools/full_result.py store "$logs/stages.tsv" && python3 tools/support_table.py --write README.md &&
    echo "stored in bench/results/full.json and the README's table"
else
  python3 tools/full_result.py age
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
