#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Intel GPUs, by ocloc: Tiger Lake (Gen12LP), Arc A (DG2), Arc B (Battlemage) and Data Center GPU Max (PVC).

    OCLOC=COMMAND intel.py KERNEL_OPTIONS FOLDER [--full]
"""
import os
import re
import shlex
import struct
import sys

import offline

OCLOC = shlex.split(os.environ.get("OCLOC", "ocloc"))
# A thread of Tiger Lake has 128 registers and no more: with 7 heads and more no variant that was tried stays in them.
TARGETS = [offline.Target("tgllp", "xe_lp", allowed_bytes=4096), offline.Target("dg2-g10", "xe"),
           offline.Target("bmg-g21", "xe2", whole=True), offline.Target("pvc", "xe_hpc", whole=True)]
ENVIRONMENT = {"simd": "simd_size", "grfs": "grf_count", "spill_bytes": "spill_size", "private_bytes": "private_size",
               "local_bytes": "slm_size", "threads_per_eu": "eu_thread_count"}


def ze_info(binary):
    """The text section of an ELF file that describes its kernels."""
    if binary[:4] != b"\x7fELF":
        raise offline.CompileError("ocloc wrote no ELF file")
    table, = struct.unpack_from("<Q", binary, 0x28)
    size, count, names = struct.unpack_from("<HHH", binary, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", binary, table + i * size) for i in range(count)]
    for name, _, _, _, offset, length in sections:
        begin = sections[names][4] + name
        if binary[begin:binary.index(b"\0", begin)] == b".ze_info":
            return binary[offset:offset + length].decode()
    raise offline.CompileError("no .ze_info in what ocloc wrote")


def parse_ze_info(text, kernel):
    """The numbers of one kernel; a number that is 0 is left out there."""
    for part in re.split(r"\n  - name: +", text)[1:]:
        if part.split()[0] == kernel:
            environment = re.search(r"\n    execution_env: *\n((?:      .*\n)+)", part)
            if environment:
                found = dict(re.findall(r"      (\w+): +(\d+)", environment[1]))
                report = {name: int(found.get(key, 0)) for name, key in ENVIRONMENT.items()}
                # older compilers have no sizes of their own but a list of buffers
                buffers = re.findall(r"type: +(\w+)\s+usage: +(\w+)\s+size: +(\d+)", part)
                report["scratch_bytes"] = sum(int(size) for _, _, size in buffers)
                if report["simd"] and report["grfs"]:
                    return report
    raise offline.CompileError(f"no kernel {kernel} with SIMD width and registers in .ze_info:\n{text}")


def compile_program(program, target, kernel, folder):
    log = offline.run([*OCLOC, "compile", "-file", kernel, "-device", target.name, "-options", " ".join(program.options),
                       "-output_no_suffix", "-out_dir", folder, "-output", "kernel"])
    binaries = list(folder.glob("*.bin"))
    if len(binaries) != 1:
        raise offline.CompileError(f"ocloc wrote {len(binaries)} binaries:\n{log}")
    return parse_ze_info(ze_info(binaries[0].read_bytes()), program.kernel)


def versions():
    return {"ocloc": os.environ.get("OCLOC_VERSION", "unknown")}


KIND = offline.Kind("intel", TARGETS, compile_program, ("spill_bytes", "private_bytes", "scratch_bytes"), versions)
if __name__ == "__main__":
    sys.exit(offline.main(KIND))
