#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_layers.py finds what it is there for: each rule broken once in a small invented tree."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).with_name("check_layers.py")
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
TREE = {
    "include/clsink/types.hpp": "#include <cstdint>\n",
    "src/model/program_spec.cpp": '#include "model/program_spec.hpp"\nvoid f() { g("-DWG=1"); }\n',
    "src/planning/plan.cpp": '#include <clsink/plan.hpp>\n#include "model/problem.hpp"\n',
    "src/ocl/queue.cpp": "#include <CL/opencl.hpp>\n#include <clsink/error.hpp>\n",
    "src/cli/x.cpp": '#include "tuning/x.hpp"\n',
    "tests/x.cpp": '#include "tuning/x.hpp"\n',
    "src/ocl/binary_folder.cpp": "#include <fcntl.h>\n#include <sys/stat.h>\n",
    "cl_kernels/dtype.clh": "typedef half storage_0;  // of nvidia\n",
    "cl_kernels/portability.clh": "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n",
    "cl_kernels/nv_ptx.clh": '#define PTX_WAIT __asm__("nanosleep.u32 1;")\n',
    "cl_kernels/decode.cl": '#include "engines/nv_mma.clh"\n__kernel void decode() {}  // half of it, on Intel\'s\n',
}
BROKEN = {
    "public header with OpenCL": ("include/clsink/types.hpp", "#include <CL/cl.h>\n"),
    "public header with fmt": ("include/clsink/types.hpp", "#include <fmt/format.h>\n"),
    "model includes planning": ("src/model/x.cpp", '#include "planning/planner.hpp"\n'),
    "planning includes OpenCL": ("src/planning/x.cpp", "#include <CL/cl.h>\n"),
    "planning includes the context": ("src/planning/x.cpp", "#include <clsink/context.hpp>\n"),
    "ocl knows problems": ("src/ocl/x.cpp", "#include <clsink/problem.hpp>\n"),
    "files opened elsewhere": ("src/ocl/program.cpp", "#include <fcntl.h>\n"),
    "library includes harness": ("src/runtime/x.cpp", '#include "harness/case.hpp"\n'),
    "include without folder": ("src/model/x.cpp", '#include "problem.hpp"\n'),
    "folder without rule": ("src/helpers/x.cpp", "\n"),
    "tests include bench": ("tests/x.cpp", '#include "bench/x.hpp"\n'),
    "harness includes tuning": ("src/harness/x.cpp", '#include "tuning/x.hpp"\n'),
    "tuning includes tests": ("tuning/x.cpp", '#include "tests/x.hpp"\n'),
    "vendor name in a kernel": ("cl_kernels/decode.cl", "void nvidia_trick();\n"),
    "assembly in a kernel": ("cl_kernels/decode.cl", 'void f() { __asm__("exit;"); }\n'),
    "extension in a kernel": ("cl_kernels/decode.cl", "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"),
    "built-in in a kernel": ("cl_kernels/decode.cl", "int x = __builtin_ctz(1);\n"),
    "storage type in a kernel": ("cl_kernels/decode.cl", "float x(__global half *p) { return vload_half(0, p); }\n"),
    "ifdef in a kernel": ("cl_kernels/decode.cl", "#ifdef WG\n#endif\n"),
    "long line in a kernel": ("cl_kernels/decode.cl", "// " + "x" * 126 + "\n"),
    "second function with -D": ("src/model/program_spec.cpp", 'void f() {\n  g("-DWG=1");\n}\nvoid h() {\n  g("-DVEC=1");\n}\n'),
    "-D elsewhere": ("src/ocl/program.cpp", 'void f() { g("-cl-std=CL1.2 -DWG=1"); }\n'),
    "long file": ("src/model/x.cpp", "\n" * 500),
}


def check(files, header=SPDX):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header + text)
        return subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)


class CheckLayers(unittest.TestCase):
    def test_clean_tree_passes(self):
        done = check(TREE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_rule_can_fail(self):
        for what, (path, text) in BROKEN.items():
            with self.subTest(what):
                done = check({**TREE, path: text})
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(path.rsplit("/", 1)[0], done.stdout)

    def test_file_without_licence(self):
        self.assertEqual(check(TREE, header="").returncode, 1)


if __name__ == "__main__":
    unittest.main()
