#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A shared library shows the API and nothing else, under its name of this version.    check_symbols.sh LIBRARY
set -euo pipefail

# The dynamic symbols are the API, template instances of the standard library aside.
foreign=$(nm -D --defined-only -C "$1" | cut -d' ' -f3- |
  grep -vE '^(clsink_[a-z_]+$|clsink::(Context|Error|version|parse_|to_string)|(typeinfo|vtable|typeinfo name) for clsink::Error$|std::|(void|bool) std::|.* std::|_init|_fini)' || true)
if [ -n "$foreign" ]; then
  printf 'the shared library shows what is no API:\n%s\n' "$foreign" >&2
  exit 1
fi
for function in clsink_context_create clsink_prepare clsink_enqueue; do
  nm -D --defined-only "$1" | grep -q " T $function\$" || { echo "the shared library lacks $function" >&2; exit 1; }
done
readelf -d "$1" | grep -q 'SONAME.*libclsink.so.0.1' || { echo "the SONAME of $1 is not libclsink.so.0.1" >&2; exit 1; }
