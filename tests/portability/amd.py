#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""AMD GPUs, by clang and AMD's device libraries as its OpenCL does it: wave64 (gfx9) and wave32 (gfx10 and later).

    amd.py KERNEL_OPTIONS FOLDER [--full]
"""
import functools
import pathlib
import re
import sys
import tempfile
import threading

import offline

CLANG = "clang-19"  # the first of Debian 12 that knows gfx942 and gfx12
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu/amdgcn/bitcode")
TARGETS = [offline.Target("gfx906", "cdna"), offline.Target("gfx90a", "cdna", whole=True),
           offline.Target("gfx942", "cdna"), offline.Target("gfx1030", "rdna"),
           offline.Target("gfx1100", "rdna", whole=True), offline.Target("gfx1200", "rdna")]
# What clang's remarks call it. Scalar registers that do not fit go into lanes of a vector register, which costs an
# instruction and no memory: they are noted and are no failure unless they need scratch.
REMARKS = {"vgprs": "VGPRs", "agprs": "AGPRs", "sgprs": "SGPRs", "scratch_bytes": "ScratchSize [bytes/lane]",
           "vgpr_spills": "VGPRs Spill", "sgpr_spills": "SGPRs Spill", "local_bytes": "LDS Size [bytes/block]",
           "waves_per_simd": "Occupancy [waves/SIMD]"}
lock = threading.Lock()
made = []  # folders, which go when the program ends


def parse_remarks(log, kernel):
    """The numbers of -Rpass-analysis=kernel-resource-usage."""
    found = {}
    function = None
    for name, value in re.findall(r"remark: .*?\s*([A-Z][A-Za-z /\[\]]*): (\S+) \[-Rpass", log):
        if name == "Function Name":
            function = value
        elif function == kernel:
            found[name] = value
    missing = set(REMARKS.values()) - set(found) - {"AGPRs"}  # which only some gfx9 have
    if missing:
        raise offline.CompileError(f"no {', '.join(sorted(missing))} among the remarks:\n{log}")
    return {name: int(found.get(remark, 0)) for name, remark in REMARKS.items()}


@functools.lru_cache(maxsize=None)
def libraries_for(target):
    """Debian 12's device libraries are older than some targets, which differ in one constant: the version of the ISA."""
    if (LIBRARIES / f"oclc_isa_version_{target[3:]}.bc").exists():
        return LIBRARIES
    made.append(tempfile.TemporaryDirectory(prefix="clsink-device-libs-"))
    folder = pathlib.Path(made[-1].name)
    for library in LIBRARIES.glob("*.bc"):
        (folder / library.name).symlink_to(library)
    major, minor, step = target[3:-2], int(target[-2], 16), int(target[-1], 16)
    source = folder / "isa.ll"
    source.write_text('target triple = "amdgcn-amd-amdhsa"\n@__oclc_ISA_version = linkonce_odr protected local_unnamed_addr '
                      f"addrspace(4) constant i32 {int(major) * 1000 + minor * 100 + step}, align 4\n")
    offline.run([CLANG, "-target", "amdgcn-amd-amdhsa", "-nogpulib", "-x", "ir", "-c", "-emit-llvm", "-Wno-override-module",
                 source, "-o", folder / f"oclc_isa_version_{target[3:]}.bc"])
    return folder


def compile_program(program, target, kernel, folder):
    with lock:
        libraries = libraries_for(target.name)
    # The linker refuses undefined functions.
    log = offline.run([CLANG, "-x", "cl", *program.options, "-target", "amdgcn-amd-amdhsa", f"-mcpu={target.name}", "-O3",
                       f"--rocm-device-lib-path={libraries}", "-Rpass-analysis=kernel-resource-usage", kernel, "-o",
                       folder / "kernel.hsaco"])
    return parse_remarks(log, program.kernel)


def versions():
    return {"clang": offline.first_line(CLANG, "--version"),
            "rocm-device-libs": offline.first_line("dpkg-query", "-f", "${Version}\n", "-W", "rocm-device-libs")}


KIND = offline.Kind("amd", TARGETS, compile_program, ("scratch_bytes", "vgpr_spills"), versions)
if __name__ == "__main__":
    sys.exit(offline.main(KIND))
