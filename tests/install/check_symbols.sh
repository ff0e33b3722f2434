#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A shared library shows the API and nothing else, under its name of this version.    check_symbols.sh LIBRARY
set -euo pipefail

symbols=$(nm -D --defined-only "$1" | cut -d' ' -f3)
# By mangled names: the C functions, what clsink.hpp declares, and instances of the standard library's templates.
foreign=$(grep -vE '^(clsink_[a-z_]+|_ZT[ISV]N6clsink5ErrorE|_ZT[IS]ZN6clsink7Context.*|_ZNK?6clsink(7Context|5Error|7version|[0-9]+parse_|9to_string).*|_Z(Z|GV|TI|TS|TV)*N?K?(S[tabsiod]|9__gnu_cxx).*|_init|_fini)$' <<<"$symbols" |
  c++filt || true)
if [ -n "$foreign" ]; then
  printf 'the shared library shows what is no API:\n%s\n' "$foreign" >&2
  exit 1
fi
for function in clsink_context_create clsink_prepare clsink_enqueue; do
  grep -qx "$function" <<<"$symbols" || { echo "the shared library lacks $function" >&2; exit 1; }
done
grep -q 'SONAME.*libclsink.so.0.1' <<<"$(readelf -d "$1")" || { echo "the SONAME of $1 is not libclsink.so.0.1" >&2; exit 1; }
