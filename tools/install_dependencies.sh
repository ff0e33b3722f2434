#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs from Debian what is missing of the named sets; needs root or sudo only if something is.
#   tools/install_dependencies.sh SET...   where a SET is build, tests, plots, or what a script of tests/portability needs:
#                                          rusticl, pip, debootstrap
set -euo pipefail

# Each as "probe package": a program, a file (/), a header (with a dot), a pkg-config module (pc:) or a Python module (py:).
readonly kBuild="
cmake cmake
ninja ninja-build
c++ g++
cc gcc
ccache ccache
pkg-config pkg-config
python3 python3
pc:OpenCL ocl-icd-opencl-dev
CL/cl.h opencl-c-headers
CL/opencl.hpp opencl-clhpp-headers
fmt/format.h libfmt-dev
xxhash.h libxxhash-dev
nlohmann/json.hpp nlohmann-json3-dev
CLI/CLI.hpp libcli11-dev
clblast_c.h libclblast-dev
"
readonly kTests="
gtest/gtest.h libgtest-dev
clang clang
clang-rt:fuzzer libclang-rt-dev
clang-format clang-format
clang-tidy clang-tidy
oclgrind oclgrind
"
readonly kPlots="
py:matplotlib python3-matplotlib
"
readonly kRusticl="
/etc/OpenCL/vendors/rusticl.icd mesa-opencl-icd
"
readonly kPip="
py:pip python3-pip
"
readonly kDebootstrap="
/usr/sbin/debootstrap debootstrap
"

have() {
  case "$1" in
    clang-rt:*) [ -e "$(clang -print-file-name="libclang_rt.${1#clang-rt:}-$(uname -m).a")" ] ;; # a runtime library of clang
    /*) test -e "$1" ;;
    pc:*) pkg-config --exists "${1#pc:}" ;;
    py:*) /usr/bin/python3 -c "import ${1#py:}" ;; # the interpreter that Debian's modules belong to
    *.h | *.hpp) printf '#include <%s>\n' "$1" | c++ -std=c++17 -E -x c++ - ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

needs=""
for set in "$@"; do
  case "$set" in
    build) needs+=$kBuild ;;
    tests) needs+=$kTests ;;
    plots) needs+=$kPlots ;;
    rusticl) needs+=$kRusticl ;;
    pip) needs+=$kPip ;;
    debootstrap) needs+=$kDebootstrap ;;
    *) echo "unknown set $set" >&2; exit 2 ;;
  esac
done

missing=()
while read -r probe package; do
  [ -z "$probe" ] || have "$probe" || missing+=("$package")
done <<<"$needs"
compgen -G '/etc/OpenCL/vendors/*.icd' >/dev/null || missing+=(pocl-opencl-icd)
if [ "${#missing[@]}" = 0 ]; then
  echo "nothing is missing"
  exit 0
fi

echo "installing ${missing[*]}"
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update
"${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}"
