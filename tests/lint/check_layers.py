#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the source tree to its own rules: which layer may include which, and what may be named in one place only.

    check_layers.py ROOT        prints "file:line: what is wrong" and exits 1, or a count of what it read
"""
import pathlib
import re
import sys

# Folder of src/ -> (folders of src/ that it may include, public headers, other libraries); None: no limit.
ALL = None
PUBLIC = {"clsink.h", "clsink.hpp", "context.hpp", "device.hpp", "error.hpp", "export.h", "plan.hpp", "problem.hpp",
          "types.hpp", "version.h", "version.hpp"}
VALUES = PUBLIC - {"context.hpp", "clsink.h", "clsink.hpp"}  # without OpenCL
LAYERS = {
    "model": ({"model"}, VALUES, {"fmt"}),
    "planning": ({"model", "planning"}, VALUES, {"fmt"}),
    "ocl": ({"ocl"}, {"device.hpp", "error.hpp", "export.h"}, {"fmt", "CL", "xxhash.h"}),
    "runtime": ({"model", "planning", "ocl", "runtime"}, PUBLIC, {"fmt", "CL"}),
    "c_api": ({"model", "planning", "ocl", "runtime", "c_api"}, PUBLIC, {"fmt", "CL"}),
    "harness": (ALL, ALL, ALL),
    "cli": (ALL, ALL, ALL),
}
OPENCL_HEADERS = {"context.hpp", "clsink.h"}  # the public headers that may include <CL/cl.h>
ARGUMENTS = "cl_kernels/decode_args.h"        # shared with the kernels: model and planning need its numbers, the runtime fills it
FILES = "src/ocl/binary_folder.cpp"            # the library's only door to the file system
POSIX = {"dirent.h", "fcntl.h", "sys/stat.h", "unistd.h"}
APART = {"tests": ("bench",), "tuning": ("tests", "bench"), "bench": ("tests", "tuning")}  # folder -> what it never includes

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
VENDORS = re.compile(r"\b(nv|nvidia|cuda|ptx|amd|intel|arm|mali|qcom|adreno|apple|pocl)(\b|_)|\b(__)?asm(__)?\b|#\s*pragma\s+OPENCL\s+EXTENSION"
                     r"|\bcl_khr_|__builtin_|__has_builtin|__opencl_c_", re.IGNORECASE)
STORAGE = re.compile(r"\b(half\d*|_Float16|bfloat16|ushort\d*|v(load|store)a?_half\w*)\b")
DEFINE = re.compile(r'"([^"\n]*\s)?-D\w')
VENDOR_FILES = ("portability.clh", "nv_ptx.clh")  # what compilers spell differently; a vendor's instructions
MAX_LINES = 400
MAX_COLUMNS = 128  # clang-format holds C++ to them, and does not know kernels


def without_comments(text):
    """The text with comments and nothing else blanked; line numbers stay."""
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0)) if match.group(0)[0] == "/" else match.group(0)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(\\.|[^"\\\n])*"', blank, text, flags=re.DOTALL)


class Checker:
    def __init__(self, root):
        self.root, self.problems, self.files = pathlib.Path(root), [], 0

    def report(self, path, line, what):
        self.problems.append(f"{path.relative_to(self.root)}:{line}: {what}")

    def sources(self, folder, *endings):
        for path in sorted((self.root / folder).rglob("*")):
            if path.suffix in endings:
                self.files += 1
                yield path, path.read_text()

    def check_public(self):
        for path, text in self.sources("include", ".h", ".hpp"):
            for number, _, target in includes(text):
                if target.startswith("CL/") and path.name not in OPENCL_HEADERS:
                    self.report(path, number, f"only {sorted(OPENCL_HEADERS)} include OpenCL, not {target}")
                elif "/" in target and not target.startswith(("CL/", "clsink/")):
                    self.report(path, number, f"a public header includes the standard library and clsink only, not {target}")

    def check_layers(self):
        for folder in sorted(p for p in (self.root / "src").iterdir() if p.is_dir()):
            if folder.name not in LAYERS:
                self.report(folder, 0, "a folder without a rule: add it to LAYERS and to the table of layers")
                continue
            folders, public, libraries = LAYERS[folder.name]
            for path, text in self.sources(folder.relative_to(self.root), ".h", ".hpp", ".cpp"):
                for number, quoted, target in includes(text):
                    self.check_include(path, number, quoted, target, folders, public, libraries)

    def check_include(self, path, number, quoted, target, folders, public, libraries):
        top, layer = target.split("/")[0], path.relative_to(self.root / "src").parts[0]
        if top in APART and (top, layer) != ("tuning", "cli"):
            self.report(path, number, f"the library and its tools include nothing of {top}/")
        elif target == ARGUMENTS:
            if layer not in ("model", "planning", "runtime", "harness"):
                self.report(path, number, f"{ARGUMENTS} is for model and planning (its numbers) and runtime")
        elif quoted:
            if "/" not in target:
                self.report(path, number, f'write "{layer}/{target}": src/ is the root of quoted includes')
            elif folders is not ALL and top not in folders:
                self.report(path, number, f"{layer} may not include {top}")
        elif top == "clsink":
            if public is not ALL and target.split("/")[1] not in public:
                self.report(path, number, f"{layer} may not include <{target}>")
        elif target in POSIX and path == self.root / FILES:
            pass
        elif libraries is not ALL and ("/" in target or target.endswith(".h")) and top not in libraries:
            self.report(path, number, f"{layer} may not include <{target}>")

    def check_apart(self):
        for folder, never in APART.items():
            others = tuple(other + "/" for other in never)
            for path, text in self.sources(folder, ".h", ".hpp", ".cpp"):
                for number, _, target in includes(text):
                    if target.startswith(others):
                        self.report(path, number, f"{folder} may not include {target}")

    def check_kernels(self):
        for path, text in self.sources("cl_kernels", ".cl", ".clh"):
            for number, line in enumerate(without_comments(text).split("\n"), 1):
                code = re.sub(r'"[^"]*"', '""', line)  # names of files and messages may say what they like
                if path.name not in VENDOR_FILES and (found := VENDORS.search(code)):
                    self.report(path, number, f"'{found.group(0)}' belongs into {' or '.join(VENDOR_FILES)}")
                if path.name != "dtype.clh" and (found := STORAGE.search(line)):
                    self.report(path, number, f"'{found.group(0)}' belongs into dtype.clh")
                if re.match(r"\s*#\s*ifn?def\b", line):
                    self.report(path, number, "#if of an integer that is always defined, not #ifdef")
            for number, line in enumerate(text.split("\n"), 1):
                if len(line) > MAX_COLUMNS:
                    self.report(path, number, f"more than {MAX_COLUMNS} characters")

    def check_defines(self):
        """Compiler options of the library's kernels that define macros come from one function."""
        functions = set()
        for path, text in self.sources("src", ".hpp", ".cpp"):
            if path.relative_to(self.root / "src").parts[0] in ("harness", "cli"):
                continue  # they have kernels of their own
            function = 0
            for number, line in enumerate(text.split("\n"), 1):
                function = number if line.startswith("}") else function
                if DEFINE.search(line) and not line.lstrip().startswith("//"):
                    functions.add((path, function))
                    if path.name != "program_spec.cpp":
                        self.report(path, number, "-D belongs into build_options() of model/program_spec.cpp")
        if len(functions) != 1:
            self.problems.append(f"src/model/program_spec.cpp: -D is written in {len(functions)} functions, not in one")

    def check_files(self):
        for folder in ("include", "src", "cl_kernels", "tests", "tuning", "bench", "cmake"):
            for path, text in self.sources(folder, ".h", ".hpp", ".cpp", ".c", ".cl", ".clh", ".py", ".sh", ".cmake", ".js", ".css",
                                           ".html"):
                lines = text.split("\n")
                if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
                    self.report(path, 1, "the file begins without SPDX-License-Identifier: Apache-2.0")
                if len(lines) > MAX_LINES + 1:
                    self.report(path, len(lines), f"more than {MAX_LINES} lines")


def includes(text):
    for number, line in enumerate(text.split("\n"), 1):
        if match := INCLUDE.match(line):
            yield number, match.group(1) == '"', match.group(2)


def main():
    checker = Checker(sys.argv[1])
    checker.check_public()
    checker.check_layers()
    checker.check_apart()
    checker.check_kernels()
    checker.check_defines()
    checker.check_files()
    for problem in checker.problems:
        print(problem)
    print(f"{checker.files} files read, {len(checker.problems)} problems")
    return 1 if checker.problems or checker.files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
