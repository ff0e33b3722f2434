#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles what the library would compile for GPUs that are not here, and checks that what the planner chooses stays in
# registers. Installs the compilers that are missing (Debian, PyPI).
#   tests/portability/offline.sh [--full] [--record] [amd|intel|nvidia|spirv...]
# One problem for each engine and target; --full: all of tests/suites/grid.txt. --record keeps the tables of a full run in
# bench/results/offline. A compiler that cannot be had is skipped, in one line; everything else that goes wrong is a failure.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

readonly kFolder=$PWD/build/offline
full=() record=0 kinds=()
for word in "$@"; do
  case "$word" in
    --full) full=(--full) ;;
    --record) record=1 ;;
    amd | intel | nvidia | spirv) kinds+=("$word") ;;
    *) echo "usage: tests/portability/offline.sh [--full] [--record] [amd|intel|nvidia|spirv...]" >&2; exit 2 ;;
  esac
done
[ "${#kinds[@]}" != 0 ] || kinds=(amd intel nvidia spirv)
if [ "$record" = 1 ] && [ "${#full[@]}" = 0 ]; then
  echo "--record needs --full" >&2
  exit 2
fi

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
export DEBIAN_FRONTEND=noninteractive
lists_fresh=0

# debian PACKAGE...: installs what is missing. 1: Debian has it not; exits if it has and does not give it.
debian() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" != 0 ] || return 0
  if [ "$lists_fresh" = 0 ]; then
    "${sudo[@]}" apt-get -q update || exit 1
    lists_fresh=1
  fi
  for package in "${missing[@]}"; do
    if [[ "$(apt-cache policy "$package")" != *'Candidate: '[!\(]* ]]; then
      echo "skipped: no package $package for this system"
      return 1
    fi
  done
  echo "installing ${missing[*]}"
  "${sudo[@]}" apt-get -q install -y --no-install-recommends "${missing[@]}" || exit 1
}

# Intel's compiler of Debian testing (Debian 12's is of 2022 and spills whatever it is given), unpacked beside this system
# with the libraries that it needs. Sets OCLOC and OCLOC_VERSION.
intel_compiler() {
  local root=$kFolder/ocloc site apt
  if [ ! -e "$root/complete" ]; then
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' 'Component: main' | head -n 1)
    if [ -z "$site" ]; then
      echo "skipped: no package intel-ocloc for this system, which is not Debian"
      return 1
    fi
    rm -rf "$root"
    mkdir -p "$root"/{lists/partial,archives/partial,unpacked}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site testing main" >"$root/sources.list"
    : >"$root/status"
    apt=(-q -o "Dir::Etc::SourceList=$root/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$root/lists"
      -o "Dir::State::Status=$root/status" -o "Dir::Cache=$root" -o "Dir::Cache::Archives=$root/archives"
      -o "APT::Sandbox::User=$(id -un)")
    apt-get "${apt[@]}" update || exit 1
    # A testing release may be without a package for some days.
    if ! apt-get "${apt[@]}" install -y --no-install-recommends --download-only intel-ocloc libigc2 libigdfcl2; then
      echo "skipped: intel-ocloc cannot be had from Debian testing today"
      return 1
    fi
    local package
    for package in "$root"/archives/*.deb; do dpkg-deb -x "$package" "$root/unpacked" || exit 1; done
    rm -rf "$root/lists"
    touch "$root/complete"
  fi
  local program
  program=$(compgen -G "$root/unpacked/usr/bin/ocloc*" | head -n 1)
  OCLOC="$root/unpacked/usr/lib64/ld-linux-x86-64.so.2 --library-path $root/unpacked/usr/lib/x86_64-linux-gnu $program"
  OCLOC_VERSION=$(cd "$root/archives" && echo intel-ocloc_*.deb libigc2_*.deb | sed 's/_amd64\.deb//g')
  export OCLOC OCLOC_VERSION
}

# ptxas of the CUDA toolkit, else of PyPI's wheel. Sets PTXAS.
nvidia_assembler() {
  local folder=$kFolder/ptxas
  PTXAS=$(command -v ptxas || compgen -G '/usr/local/cuda/bin/ptxas' || compgen -G "$folder/nvidia/*/bin/ptxas")
  if [ -z "$PTXAS" ]; then
    debian python3-pip || return 1
    mkdir -p "$folder"
    python3 -m pip download -q --no-deps --only-binary :all: --dest "$folder" nvidia-cuda-nvcc-cu12 || exit 1
    python3 -m zipfile -e "$folder"/*.whl "$folder" || exit 1
    PTXAS=$(compgen -G "$folder/nvidia/*/bin/ptxas") || exit 1
    chmod +x "$PTXAS"
  fi
  export PTXAS
}

install_amd() { debian clang-19 lld-19 rocm-device-libs; }
install_intel() { debian debian-archive-keyring && intel_compiler; }
install_nvidia() { debian clang-19 libclc-15 && nvidia_assembler; }
install_spirv() { debian clang-15 llvm-spirv-15 spirv-tools; }

mkdir -p "$kFolder"
if ! cmake --build build --target kernel_options >"$kFolder/build.log" 2>&1; then
  tail -n 30 "$kFolder/build.log"
  exit 1
fi
passed=0 failed=0 skipped=0
for kind in "${kinds[@]}"; do
  if ! "install_$kind"; then
    skipped=$((skipped + 1))
    continue
  fi
  if ! python3 "tests/portability/$kind.py" build/tests/lint/kernel_options "$kFolder" "${full[@]}"; then
    failed=$((failed + 1))
    continue
  fi
  passed=$((passed + 1))
  if [ "$record" = 1 ]; then
    mkdir -p bench/results/offline
    cp "$kFolder/$kind.json" bench/results/offline/
  fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
