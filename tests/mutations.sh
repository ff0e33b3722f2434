#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Breaks the kernels on purpose, one change at a time, and shows that a small suite notices each:   tests/mutations.sh [BUILD_DIR]
# Ends with "N of N caught"; fails if a mutation gets through, no longer matches the source, or the unbroken kernels fail.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/mutations/mutations.py "${1:-build/mutations}"
