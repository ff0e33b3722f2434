#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verdict on offline compilers can fail: their lines are read, spills included, and a spill of what is planned fails."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import amd
import intel
import nvidia
import offline
import spirv

OPTIONS = "-cl-std=CL1.2 -DGROUP_SIZE=8 -DROUTED=0 -DWG=1024"
LISTING = f"planned\tdecode\t{OPTIONS}\tf16 hq=8 | simt\nfits\tdecode\t-DWG=64\tf16 hq=8 | simt\n"

# clang 19, gfx906: a work-group too large for its registers, behind a function that is not asked for
REMARKS = """
x.cl:1:0: remark: Function Name: route [-Rpass-analysis=kernel-resource-usage]
x.cl:1:0: remark:     VGPRs: 1 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark: Function Name: decode [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     SGPRs: 100 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     VGPRs: 64 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     ScratchSize [bytes/lane]: 136 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     Dynamic Stack: False [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     Occupancy [waves/SIMD]: 4 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     SGPRs Spill: 13 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     VGPRs Spill: 81 [-Rpass-analysis=kernel-resource-usage]
decode.cl:51:0: remark:     LDS Size [bytes/block]: 39008 [-Rpass-analysis=kernel-resource-usage]
"""
# ptxas 12.9 -v
PTXAS = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'decode' for 'sm_90'
ptxas info    : Function properties for decode
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 39812 bytes smem, 888 bytes cmem[0]
"""
# ocloc 26.27, bmg-g21
ZE_INFO = """---
version:         '1.73'
kernels:
  - name:            Intel_Symbol_Table_Void_Program
    execution_env:
      grf_count:       128
      simd_size:       32
  - name:            decode
    user_attributes:
      reqd_work_group_size: [ 128, 1, 1 ]
    execution_env:
      barrier_count:   1
      grf_count:       128
      simd_size:       16
      slm_size:        25856
      spill_size:      10496
      eu_thread_count: 8
    payload_arguments:
      - arg_type:        arg_bypointer
        size:            8
    per_thread_memory_buffers:
      - type:            scratch
        usage:           single_space
        size:            16384
"""
MODULE = """               OpCapability Addresses
               OpCapability Kernel
               OpDecorate %1 LinkageAttributes "__spirv_BuiltInWorkgroupId" Import
          %2 = OpTypeVoid
"""


class Parsers(unittest.TestCase):
    def test_amd(self):
        self.assertEqual(amd.parse_remarks(REMARKS, "decode"),
                         {"vgprs": 64, "agprs": 0, "sgprs": 100, "scratch_bytes": 136, "vgpr_spills": 81, "sgpr_spills": 13,
                          "local_bytes": 39008, "waves_per_simd": 4})
        with self.assertRaises(offline.CompileError):
            amd.parse_remarks(REMARKS, "route")  # not all numbers

    def test_nvidia(self):
        report = nvidia.parse_ptxas(PTXAS, "decode")
        self.assertEqual(report, {"registers": 128, "stack_bytes": 8, "spill_store_bytes": 4, "spill_load_bytes": 12,
                                  "local_bytes": 39812})
        self.assertEqual(nvidia.warps(report, 128, "sm_90"), 16)  # 65536 registers / (128 x 128), four blocks
        with self.assertRaises(offline.CompileError):
            nvidia.parse_ptxas(PTXAS, "combine")

    def test_intel(self):
        self.assertEqual(intel.parse_ze_info(ZE_INFO, "decode"),
                         {"simd": 16, "grfs": 128, "spill_bytes": 10496, "private_bytes": 0, "local_bytes": 25856,
                          "threads_per_eu": 8, "scratch_bytes": 16384})
        for text, kernel in ((ZE_INFO, "combine"), (ZE_INFO.replace("simd_size", "size"), "decode")):
            with self.assertRaises(offline.CompileError):
                intel.parse_ze_info(text, kernel)
        with self.assertRaises(offline.CompileError):
            intel.ze_info(b"CTNI, the format of old drivers")

    def test_spirv(self):
        self.assertEqual(spirv.parse_module(MODULE), {"instructions": 4, "capabilities": "Addresses Kernel"})
        for module in (MODULE.replace("__spirv_BuiltInWorkgroupId", "_Z9undefinedi"),
                       MODULE.replace("Addresses", "Groups"), ""):
            with self.assertRaises(offline.CompileError):
                spirv.parse_module(module)


class Verdict(unittest.TestCase):
    def run_main(self, report, allowed_bytes=0):
        """Exit code, output and table for a compiler that reports this of every program, or refuses it."""
        def compile_program(program, target, kernel, folder):
            if report is None:
                raise offline.CompileError("undefined symbol")
            return dict(report)

        chip = offline.Target("chip", "cdna", True, allowed_bytes)
        kind = offline.Kind("invented", [chip], compile_program, ("spills",), dict)
        with tempfile.TemporaryDirectory() as folder, io.StringIO() as output:
            listing = pathlib.Path(folder, "kernel_options")
            listing.write_text(f"#!/bin/sh\n[ \"$1\" = --sources ] || printf '{LISTING}'\n".replace("\t", "\\t"))
            listing.chmod(0o755)
            with mock.patch.object(sys, "argv", ["invented", str(listing), folder]), contextlib.redirect_stdout(output), \
                    self.assertRaises(SystemExit) as stop:
                offline.main(kind)
            return stop.exception.code, output.getvalue(), json.loads(pathlib.Path(folder, "invented.json").read_text())

    def test_registers_alone_pass(self):
        code, _, table = self.run_main({"registers": 64, "spills": 0})
        self.assertEqual(code, 0)
        self.assertEqual(table["columns"], ["registers", "spills"])
        self.assertEqual([p["planned_for"] for p in table["programs"]], [["cdna"], []])
        self.assertEqual(table["programs"][0]["program"], "decode -cl-std=CL1.2 GROUP_SIZE=8 WG=1024")
        self.assertEqual(table["programs"][0]["targets"], {"chip": [64, 0]})

    def test_spill_of_what_is_planned_fails(self):
        code, output, _ = self.run_main({"registers": 64, "spills": 81})
        self.assertEqual(code, 1)
        self.assertIn("1 failed", output)  # the one that merely fits is noted
        self.assertIn("planned, but not all in registers: {'spills': 81}", output)

    def test_more_than_allowed_fails(self):
        self.assertEqual(self.run_main({"registers": 64, "spills": 81}, 81)[0], 0)
        self.assertEqual(self.run_main({"registers": 64, "spills": 81}, 80)[0], 1)

    def test_what_does_not_compile_fails(self):
        code, output, _ = self.run_main(None)
        self.assertEqual(code, 1)
        self.assertIn("2 failed", output)

    def test_what_is_not_planned_is_compiled_once(self):
        programs = offline.parse_programs(LISTING)
        targets = [offline.Target("big", "cdna", True), offline.Target("bigger", "cdna", True), offline.Target("small", "cdna")]
        self.assertEqual([(program.planned, target.name) for program, target in offline.jobs_of(targets, {"cdna": programs})],
                         [(True, "big"), (False, "big"), (True, "bigger"), (True, "small")])

    def test_unknown_role(self):
        with self.assertRaises(ValueError):
            offline.parse_programs("hoped\tdecode\t-DWG=64\tplan\n")


if __name__ == "__main__":
    unittest.main()
