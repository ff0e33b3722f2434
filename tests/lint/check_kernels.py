#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every kernel that the library would build is warning-free OpenCL C for clang, and of the tensor-core engine, whose state
must be in registers, nothing is left in (stack) memory.

    check_kernels.py KERNEL_OPTIONS_PROGRAM SUITES KERNEL_DIR

Of the folder of suites the smoke suite; with CLSINK_FULL=1 the grid.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

CLANGS = ("clang-15", "clang-14", "clang-16", "clang-19", "clang")
# Not unused functions and parameters: a header offers more than every kernel uses, a specialisation uses fewer arguments.
FLAGS = ["-x", "cl", "-Xclang", "-finclude-default-header", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function",
         "-Wno-unused-parameter"]
# __OPENCL_VERSION__ is the runtime's to define. The whole header has Intel's extensions, clang's built-ins do not.
SPIR_HEADERS = ["-cl-no-stdinc", "-D__OPENCL_VERSION__=120", "-target", "spir64-unknown-unknown", "-fsyntax-only"]
SPIR = [*SPIR_HEADERS[1:], "-Xclang", "-fdeclare-opencl-builtins"]
PTX = ["-target", "nvptx64-unknown-nvcl", "-Xclang", "-target-feature", "-Xclang", "+ptx75", "-Xclang", "-target-cpu", "-Xclang",
       "sm_80", "-S", "-O2", "-o", "-",
       # Not inlined here, the built-in would take the address of what it reads, and keep that in memory.
       "-Dvload_half(i, p)=((float)((const __private ushort *)(p))[i])"]
AMD = ["-D__OPENCL_VERSION__=200", "-target", "amdgcn-amd-amdhsa", "-mcpu=gfx90a", "-nogpulib", "-fsyntax-only"]
TENSOR_CORES, PTX_FENCE = "-DENGINE=2", "-DDEVICE_FENCE=2"
INTEL_SHUFFLES, AMD_SHUFFLES = "-DSUB_GROUP_SHUFFLE=2", "-DSUB_GROUP_SHUFFLE=3"
STACK = "local_depot"  # what clang calls it in PTX


def compile_error(clang, kernel_dir, line):
    """Nothing, or what clang says about one "kernel<TAB>options" line."""
    kernel, text = line.split("\t")
    options = text.split()
    if AMD_SHUFFLES in options:
        target = AMD
    elif INTEL_SHUFFLES in options:
        target = SPIR_HEADERS
    else:
        target = PTX if TENSOR_CORES in options or PTX_FENCE in options else SPIR
    command = [clang, *FLAGS, *target, *options, "-I", str(kernel_dir), str(kernel_dir / f"{kernel}.cl")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0 and not done.stderr and not (TENSOR_CORES in options and STACK in done.stdout):
        return None
    return f"{' '.join(command)}\n{done.stderr or 'variables in memory: ' + STACK}"


def main():
    program, suites, kernel_dir = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    suite = suites / ("grid.txt" if os.environ.get("CLSINK_FULL") == "1" else "smoke.txt")
    clang = next(filter(shutil.which, CLANGS), None)
    if clang is None:
        sys.exit(f"none of {', '.join(CLANGS)} is installed")
    listing = subprocess.run([program, suite], stdout=subprocess.PIPE, text=True)
    lines = listing.stdout.splitlines()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = list(filter(None, pool.map(lambda line: compile_error(clang, kernel_dir, line), lines)))
    print("\n".join(errors[:5]))
    kernels = {line.split("\t")[0] for line in lines}
    missing = {path.stem for path in kernel_dir.glob("*.cl")} - kernels
    print(f"{len(lines)} programs of {len(kernels)} kernels compiled with {clang}, {len(errors)} with errors")
    if missing:
        print(f"never compiled: {sorted(missing)}")
    return 1 if errors or missing or listing.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
