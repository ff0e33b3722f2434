# SPDX-License-Identifier: Apache-2.0
# Source this: what the scripts for OpenCL runtimes share. Each is called as NAME.sh [--full] after a build into build/,
# installs what it needs, and ends with "N passed, N failed, N skipped"; logs and caches are in build/portability/NAME.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

name=$(basename "$0" .sh)
full=0
case "${1:-}" in
  --full) full=1 ;;
  "") ;;
  *) echo "usage: tests/portability/$name.sh [--full]" >&2; exit 2 ;;
esac
unset CLSINK_FULL # chosen by each script: what is full here is less than on the runtime that all tests run on

jobs=$(nproc)
tree=$PWD
work=$tree/build/portability/$name
mkdir -p "$work"
# Emptied first: an old binary cannot hide an error.
export POCL_CACHE_DIR=$work/pocl-cache MESA_SHADER_CACHE_DIR=$work/mesa-cache
rm -rf "$POCL_CACHE_DIR" "$MESA_SHADER_CACHE_DIR"
mkdir -p "$POCL_CACHE_DIR"
unset CLSINK_BINARY_CACHE

passed=0
failed=0

# The only way to run less: a package that its registry does not have.
skip() {
  echo "skipped: $name: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

die() {
  echo "$name: $1"
  [ -z "${2:-}" ] || tail -n 40 "$2" | sed 's/^/  | /'
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

# install SET: of tools/install_dependencies.sh.
install() {
  local log=$work/install.log absent
  bash tools/install_dependencies.sh "$1" >"$log" 2>&1 && return
  absent=$(sed -nE "s/^E: Unable to locate package (.*)$/\1/p; s/^E: Package '(.*)' has no installation candidate$/\1/p" "$log")
  [ -z "$absent" ] || skip "Debian has no package ${absent//$'\n'/, }"
  die "could not install" "$log"
}

# count SECONDS CODE LABEL GOOD BAD LOG...: adds one step's numbers; a step that fails without a failed case, or in which
# nothing passed, is a failure too.
count() {
  local seconds=$1 code=$2 label=$3 good=$4 bad=$5
  shift 5
  if [ "$bad" = 0 ] && { [ "$code" != 0 ] || [ "$good" = 0 ]; }; then bad=1; fi
  passed=$((passed + good))
  failed=$((failed + bad))
  printf '  %-40s %4d s   %d passed, %d failed\n' "$name: $label" "$seconds" "$good" "$bad"
  [ "$bad" = 0 ] || tail -n 60 "$@" | sed 's/^/  | /'
}

# run_suite LABEL SUITE COMMAND...: the suite's cases, shared by as many processes as there are cores. `{shard}` in the
# command's words is the number of the process.
run_suite() {
  local label=$1 suite=$2 begin=$SECONDS code=0 shard logs=() processes=()
  shift 2
  for ((shard = 0; shard < jobs; ++shard)); do
    logs+=("$work/$label.$shard.log")
    CLSINK_SUITE=$suite GTEST_TOTAL_SHARDS=$jobs GTEST_SHARD_INDEX=$shard "${@//\{shard\}/$shard}" \
      build/tests/device/device_suite >"${logs[-1]}" 2>&1 &
    processes+=($!)
  done
  for process in "${processes[@]}"; do wait "$process" || code=$?; done
  count $((SECONDS - begin)) "$code" "$label" "$(cat "${logs[@]}" | grep -c '^\[       OK \]')" \
    "$(cat "${logs[@]}" | grep -c '^\[  FAILED  \].* ms)$')" "${logs[@]}"
}

# Every device test, as CTest runs them.
run_device_tests() {
  local begin=$SECONDS code=0 log=$work/device.log bad all
  ctest --test-dir build -L device -j "$jobs" --output-on-failure --no-tests=error >"$log" 2>&1 || code=$?
  read -r bad all <<<"$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$log")" || true
  count $((SECONDS - begin)) "$code" "device tests" $((${all:-0} - ${bad:-0})) "${bad:-0}" "$log"
}

# checked WHAT COMMAND...: says what was, and on which runtime, which COMMAND (env, or what starts programs elsewhere) finds.
checked() {
  local what=$1
  shift
  "$@" build/src/cli/clsink devices --json | python3 tools/full_result.py runtime "$what"
}

# A runtime that is beside this system's: the smoke suite; with --full every device test.
run_tier() {
  if [ "$full" = 1 ]; then
    run_device_tests
    checked "every device test" env
  else
    run_suite smoke smoke env
    checked "the smoke suite" env
  fi
  finish
}

finish() {
  echo "$passed passed, $failed failed, 0 skipped"
  [ "$failed" = 0 ]
}
