#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA GPUs: clang and libclc make PTX, ptxas makes machine code. NVIDIA's own OpenCL compiler has another front end, so
the numbers are near what a GPU gets and not the same.

    PTXAS=PROGRAM nvidia.py KERNEL_OPTIONS FOLDER [--full]
"""
import os
import pathlib
import re
import sys

import offline

CLANG = "clang-19"  # the first of Debian 12 that knows sm_89 and sm_90, and PTX 8.3, which moves 128 bits
LIBCLC = "/usr/lib/clc/nvptx64--nvidiacl.bc"
PTXAS = os.environ.get("PTXAS", "ptxas")
BUILTINS = pathlib.Path(__file__).with_name("nvptx_builtins.h")
# Where the 255 registers of a thread are just full (16 heads; nv_mma at head_dim 192) some words are spilled here and there,
# 164 bytes at most (head_dim 176).
ALLOWED = 192
TARGETS = [offline.Target("sm_75", "turing", whole=True, allowed_bytes=ALLOWED),
           *(offline.Target(name, "nvidia", allowed_bytes=ALLOWED) for name in ("sm_80", "sm_86", "sm_89")),
           offline.Target("sm_90", "nvidia", whole=True, allowed_bytes=ALLOWED)]
REGISTERS, ALLOCATION = 65536, 8  # of a multiprocessor; a warp takes them in units of so many for each thread
# bytes of shared memory and threads of a multiprocessor (CUDA C++ Programming Guide, "Technical Specifications")
SHARED = {"sm_75": 64 << 10, "sm_80": 164 << 10, "sm_86": 100 << 10, "sm_89": 100 << 10, "sm_90": 228 << 10}
THREADS = {"sm_75": 1024, "sm_80": 2048, "sm_86": 1536, "sm_89": 1536, "sm_90": 2048}


def parse_ptxas(log, kernel):
    """The numbers of ptxas -v. An entry function's properties follow its name."""
    entry = re.search(rf"Compiling entry function '{kernel}'.*?(?=Compiling entry function|\Z)", log, re.S)
    text = entry[0] if entry else ""
    patterns = {"registers": r"Used (\d+) registers", "stack_bytes": r"(\d+) bytes stack frame",
                "spill_store_bytes": r"(\d+) bytes spill stores", "spill_load_bytes": r"(\d+) bytes spill loads"}
    found = {name: re.search(pattern, text) for name, pattern in patterns.items()}
    missing = [name for name, match in found.items() if not match]
    if missing:
        raise offline.CompileError(f"no {', '.join(missing)} of {kernel}:\n{log}")
    report = {name: int(match[1]) for name, match in found.items()}
    shared = re.search(r"(\d+) bytes smem", text)
    report["local_bytes"] = int(shared[1]) if shared else 0
    return report


def warps(report, wg, target):
    """Warps of a multiprocessor that registers, shared memory and threads leave room for."""
    threads = -(-wg // 32) * 32
    blocks = [THREADS[target] // threads, REGISTERS // (-(-report["registers"] // ALLOCATION) * ALLOCATION * threads)]
    if report["local_bytes"]:
        blocks.append(SHARED[target] // (report["local_bytes"] + 1024))
    return min(blocks) * threads // 32


def compile_program(program, target, kernel, folder):
    ptx = folder / "kernel.ptx"
    offline.run([CLANG, "-x", "cl", *program.options, "-include", BUILTINS, "-target", "nvptx64-nvidia-nvcl",
                 f"-march={target.name}", "-Xclang", "-target-feature", "-Xclang", "+ptx83", "-Xclang",
                 "-mlink-builtin-bitcode", "-Xclang", LIBCLC, "-Wno-linker-warnings", "-O3", "-S", kernel, "-o", ptx])
    log = offline.run([PTXAS, "-v", f"-arch={target.name}", ptx, "-o", folder / "kernel.cubin"])
    report = parse_ptxas(log, program.kernel)
    report["warps_per_sm"] = warps(report, program.value("WG"), target.name)
    return report


def versions():
    return {"clang": offline.first_line(CLANG, "--version"),
            "libclc": offline.first_line("dpkg-query", "-f", "${Version}\n", "-W", "libclc-15"),
            "ptxas": next(line for line in offline.run([PTXAS, "--version"]).splitlines() if "release" in line)}


KIND = offline.Kind("nvidia", TARGETS, compile_program, ("stack_bytes", "spill_store_bytes", "spill_load_bytes"), versions)
if __name__ == "__main__":
    sys.exit(offline.main(KIND))
