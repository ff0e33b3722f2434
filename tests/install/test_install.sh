#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the library alone, installs it to a fresh prefix and uses it from there as a stranger would: find_package from C
# and C++, pkg-config from C, and the README's example. As unities, in half the time: build_matrix.sh builds file by file.
#   test_install.sh SOURCE_DIR WORK_DIR static|shared|embedded
set -euo pipefail
source_dir=$1 work=$2/$3 kind=$3
here=$source_dir/tests/install
rm -rf "$work"
mkdir -p "$work"

launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
fi
shared=OFF
[ "$kind" = shared ] && shared=ON

# The first ```cpp block of the README is a whole program.
awk '/^```cpp/ && !done {inside = 1; next} /^```/ {if (inside) done = 1; inside = 0} inside' "$source_dir/README.md" >"$work/readme_example.cpp"
grep -q 'int main' "$work/readme_example.cpp" || { echo "the first cpp block of README.md is no program" >&2; exit 1; }

# consumer NAME OPTION...: builds the two programs and the README's example, runs them
consumer() {
  local name=$1
  shift
  cmake -S "$here/consumer" -B "$work/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release "${launcher[@]}" \
    -DREADME_EXAMPLE="$work/readme_example.cpp" "$@"
  cmake --build "$work/$name"
  "$work/$name/decode_from_c"
  "$work/$name/decode_from_cpp"
  "$work/$name/readme_example"
  # The tuner is not built with a project that clsink is a folder of, unless it asks.
  [ "$kind" = embedded ] || "$work/$name/tune_from_cpp"
}

if [ "$kind" = embedded ]; then
  consumer consumer -DCLSINK_SOURCE_DIR="$source_dir" -DCMAKE_UNITY_BUILD=ON
  exit 0
fi

cmake -S "$source_dir" -B "$work/library" -G Ninja "${launcher[@]}" -DCMAKE_INSTALL_PREFIX="$work/prefix" \
  -DBUILD_SHARED_LIBS=$shared -DCMAKE_UNITY_BUILD=ON -DCLSINK_BUILD_TOOL=OFF -DCLSINK_BUILD_TESTS=OFF -DCLSINK_WITH_CLBLAST=OFF
cmake --build "$work/library"
cmake --install "$work/library"
consumer consumer -DCMAKE_PREFIX_PATH="$work/prefix"

libdir=$(dirname "$(find "$work/prefix" -name pkgconfig -type d)")
export PKG_CONFIG_PATH="$libdir/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}" LD_LIBRARY_PATH="$libdir"
# shellcheck disable=SC2046 # the flags are words
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$here/decode.c" -o "$work/decode_pkg_config" $(pkg-config --cflags --libs clsink) -lm
"$work/decode_pkg_config"

if [ "$kind" = shared ]; then bash "$here/check_symbols.sh" "$libdir/libclsink.so"; fi
