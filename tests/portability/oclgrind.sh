#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# oclgrind, a simulator that sees every access, from Debian: the smoke suite with its usual checks (bounds, divergence); with
# --full more of the suite, and again for data races and for reads of uninitialised memory. Its log must stay empty (its exit
# code says nothing), and before each turn a kernel with that fault must not leave it so.
. "$(dirname "$0")/common.sh"

install tests
export CLSINK_DEVICE=Oclgrind
# Unoptimised: what LLVM's optimiser leaves behind (freeze, noalias scopes) oclgrind cannot interpret.
readonly kOptions="-cl-opt-disable"

# expect_faults CHECK FAULT...: CHECK, a word of oclgrind's command line or nothing, finds these faults of faulty.cl and none
# in the kernel without a fault.
expect_faults() {
  local check=$1 fault log=$work/faulty.log
  shift
  for fault in 0 "$@"; do
    rm -f "$log"
    (cd tests/portability && oclgrind-kernel ${check:+"$check"} --build-options "$kOptions -DFAULT=$fault" --log "$log" \
      faulty.sim) >"$work/faulty.out" 2>&1 || die "oclgrind-kernel failed" "$work/faulty.out"
    if [ "$fault" = 0 ]; then
      [ ! -s "$log" ] || die "${check:-the usual checks} found a fault where there is none" "$log"
    else
      [ -s "$log" ] || die "${check:-the usual checks} missed fault $fault of faulty.cl"
    fi
  done
}

# simulate LABEL CHECK: the smoke suite; what oclgrind logs is one failure more.
simulate() {
  local label=$1 check=$2 errors
  rm -f "$work/$label".*.errors
  run_suite "$label" smoke oclgrind ${check:+"$check"} --max-errors 20 --build-options "$kOptions" \
    --log "$work/$label.{shard}.errors"
  errors=$(cat "$work/$label".*.errors)
  if [ -n "$errors" ]; then
    failed=$((failed + 1))
    echo "  oclgrind's log of $label:"
    head -n 60 <<<"$errors" | sed 's/^/  | /'
  fi
}

what="bounds and divergence in the smoke suite"
if [ "$full" = 1 ]; then
  export CLSINK_FULL=1
  what="bounds, divergence, data races and (simt) uninitialised reads in the smoke suite"
fi
expect_faults "" 2 4
simulate bounds ""
if [ "$full" = 1 ]; then
  expect_faults --data-races 1
  simulate races --data-races
  expect_faults --uninitialized 3
  # Of a vector that is made of two shorter ones oclgrind 21.10 takes an undefined lane's index for a real one and crashes; the
  # cpu engine is full of them. Not more of the suite: it takes five times as long as the other checks.
  CLSINK_FULL=0 CLSINK_ENGINE=simt simulate uninitialised --uninitialized
fi
checked "$what" oclgrind
finish
