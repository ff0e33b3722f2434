#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SPIR-V for OpenCL, by clang and llvm-spirv: valid, with the capabilities that every OpenCL device has, and whole.

    spirv.py KERNEL_OPTIONS FOLDER [--full]
"""
import re
import sys

import offline

CLANG, TRANSLATOR = "clang-15", "llvm-spirv-15"  # one version: a translator reads the bitcode of its own LLVM
TARGETS = [offline.Target("spir64", "plain", whole=True)]
# OpenCL SPIR-V Environment Specification, full profile of OpenCL 1.2; Linkage says that there are names, see below.
CAPABILITIES = {"Addresses", "Float16Buffer", "Int64", "Int16", "Int8", "Kernel", "Linkage", "Vector16"}


def parse_module(text):
    """Numbers of a disassembled module. CompileError for what a device may refuse."""
    capabilities = set(re.findall(r"OpCapability (\w+)", text))
    if not capabilities or capabilities - CAPABILITIES:
        raise offline.CompileError(f"capabilities beyond OpenCL 1.2: {sorted(capabilities - CAPABILITIES)}")
    # Functions that nobody defines are imported, silently.
    imports = re.findall(r'LinkageAttributes "([^"]+)" Import', text)
    undefined = [name for name in imports if not name.startswith("__spirv_BuiltIn")]
    if undefined:
        raise offline.CompileError(f"undefined functions: {', '.join(sorted(undefined))}")
    return {"instructions": len(re.findall(r"^ *(?:%\S+ = )?Op\w+", text, re.M)),
            "capabilities": " ".join(sorted(capabilities))}


def compile_program(program, target, kernel, folder):
    bitcode, module = folder / "kernel.bc", folder / "kernel.spv"
    # Optimised bitcode has instructions that the translator lacks.
    offline.run([CLANG, "-x", "cl", *program.options, "-target", target.name, "-Xclang", "-finclude-default-header", "-O1",
                 "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-c", kernel, "-o", bitcode])
    offline.run([TRANSLATOR, "--spirv-max-version=1.2", bitcode, "-o", module])
    offline.run(["spirv-val", "--target-env", "opencl2.1", module])
    return parse_module(offline.run(["spirv-dis", module]))


def versions():
    return {"clang": offline.first_line(CLANG, "--version"),
            "llvm-spirv": offline.first_line("dpkg-query", "-f", "${Version}\n", "-W", "llvm-spirv-15"),
            "spirv-tools": offline.first_line("dpkg-query", "-f", "${Version}\n", "-W", "spirv-tools")}


KIND = offline.Kind("spirv", TARGETS, compile_program, (), versions)
if __name__ == "__main__":
    sys.exit(offline.main(KIND))
