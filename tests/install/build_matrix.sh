#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and installs the library with each compiler, as Debug and Release, static and shared (every two of these together),
# warnings as errors; uses each from C99, C++17 and C++20 programs, which run; ends with a table. Debug cells are unity builds.
#   build_matrix.sh SOURCE_DIR WORK_DIR
set -uo pipefail
source_dir=$1 work=$2
here=$source_dir/tests/install
. "$source_dir/tools/pocl_environment.sh"
rm -rf "$work"
mkdir -p "$work"

launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)

# cell CC CXX TYPE SHARED: the library, its symbols if it is shared, and its consumers.
cell() {
  local compilers=(-DCMAKE_C_COMPILER="$1" -DCMAKE_CXX_COMPILER="$2") prefix=$PWD/prefix standard unity=OFF
  [ "$3" = Release ] || unity=ON
  cmake -S "$source_dir" -B library -G Ninja "${launcher[@]}" "${compilers[@]}" -DCMAKE_BUILD_TYPE="$3" -DBUILD_SHARED_LIBS="$4" \
    -DCLSINK_BUILD_TOOL=OFF -DCLSINK_BUILD_TUNING=OFF -DCLSINK_BUILD_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_UNITY_BUILD="$unity" &&
    cmake --build library && cmake --install library || return
  if [ "$4" = ON ]; then bash "$here/check_symbols.sh" "$prefix/lib/libclsink.so" || return; fi
  for standard in 17 20; do
    cmake -S "$here/consumer" -B "consumer$standard" -G Ninja "${launcher[@]}" "${compilers[@]}" -DCMAKE_BUILD_TYPE="$3" \
      -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_STANDARD="$standard" &&
      cmake --build "consumer$standard" && "consumer$standard/decode_from_c" && "consumer$standard/decode_from_cpp" || return
  done
}

table=()
failed=0
while read -r cc cxx type shared; do
  version=$("$cxx" -dumpfullversion -dumpversion)
  kind=static
  [ "$shared" = ON ] && kind=shared
  folder=$work/$cc-$type-$kind
  mkdir -p "$folder"
  begin=$SECONDS result=ok
  if ! (cd "$folder" && cell "$cc" "$cxx" "$type" "$shared") >"$folder.log" 2>&1 </dev/null; then
    result=FAILED
    failed=$((failed + 1))
    tail -n 40 "$folder.log"
  fi
  table+=("$(printf '%-8s %-8s %-8s %-7s %-6s %4d s' "$cc" "$version" "$type" "$kind" "$result" "$((SECONDS - begin))")")
  rm -rf "$folder"
done <<'END'
gcc g++ Debug OFF
gcc g++ Release ON
clang clang++ Debug ON
clang clang++ Release OFF
END
echo "compiler version  type     kind    result   time"
printf '%s\n' "${table[@]}"
[ "$failed" = 0 ]
