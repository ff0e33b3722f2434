#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clsink on the recorded attention of a real language model: installs what is missing (Debian), builds, computes, draws.
#   bench/demo.sh [OPTIONS OF clsink_demo]        CLSINK_DEVICE picks a device; figures and pictures go to build/demo/
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/pocl_environment.sh

out=build/demo
log=$out/build.log
mkdir -p "$out"

# quietly TITLE COMMAND...: one line of progress; the log's end if it fails
quietly() {
  local title=$1 begin=$SECONDS
  shift
  printf '%-36s' "$title ..."
  if ! "$@" >>"$log" 2>&1; then
    printf 'FAILED, the end of %s:\n' "$log"
    tail -n 40 "$log"
    exit 1
  fi
  printf '%4d s\n' $((SECONDS - begin))
}

configure() {
  local launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
  cmake -S . -B "$out/cmake" -G Ninja -DCLSINK_BUILD_TESTS=OFF "${launcher[@]}"
}

: >"$log"
quietly "installing what is missing" bash tools/install_dependencies.sh build plots
quietly "configuring" configure
quietly "building" cmake --build "$out/cmake" --target clsink_demo
echo
"$out/cmake/bench/demo/clsink_demo" --json "$out/demo.json" "$@"
echo
/usr/bin/python3 bench/demo/plot.py "$out/demo.json" "$out"
