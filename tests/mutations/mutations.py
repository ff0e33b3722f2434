#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutates copies of the kernels and shows that the smallest suite that should notice does.    mutations.py BUILD_DIR

Wrong numbers show on any device. A dropped barrier often does not (PoCL runs a work-group's items one after another), so
those run in oclgrind, which reports races."""
import concurrent.futures
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import time

from kernel_mutations import KERNELS, MUTATIONS, check_texts

ROOT = pathlib.Path(__file__).resolve().parents[2]

LIMIT_SECONDS = 60  # for one case: a broken kernel may never end


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def run_program(command, cache):
    """Exit code and output; a program that does not end has failed."""
    # Its own process group: oclgrind is a script around the program.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               env={**os.environ, "POCL_CACHE_DIR": str(cache)})
    try:
        output = process.communicate(timeout=LIMIT_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return 1, process.communicate()[0] + f"did not end within {LIMIT_SECONDS} s"
    return process.returncode, output


class Laboratory:
    """A build of the library whose kernels are a copy that may be broken."""

    def __init__(self, work):
        self.work, self.kernels, self.build = work, work / "kernels", work / "build"
        work.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.kernels, ignore_errors=True)
        # Files of now: with their old times a mutation that the last run left in the build would stay there.
        shutil.copytree(KERNELS, self.kernels, copy_function=shutil.copy)
        launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        self.must(["cmake", "-S", ROOT, "-B", self.build, "-G", "Ninja", f"-DCLSINK_KERNEL_DIR={self.kernels}",
                   "-DCLSINK_BUILD_TOOL=OFF", "-DCLSINK_WITH_CLBLAST=OFF", "-DCMAKE_UNITY_BUILD=ON", *launcher])
        self.must(["cmake", "--build", self.build, "--target", *sorted({m.program for m in MUTATIONS})])
        self.cache = self.fresh_cache()

    @staticmethod
    def must(command):
        done = run(command)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")

    def check(self, name, cases, races):
        """Whether all is well with the program of this name, and what was said; ends with the first case that is not."""
        self.must(["cmake", "--build", self.build, "--target", name])
        program = next(path for path in self.build.rglob(name) if path.is_file())
        said = ""
        for case in cases:
            good, output = self.check_races(program, case) if races else self.check_values(program, case)
            said += output
            if not good:
                return False, said
        return True, said

    def check_values(self, program, case):
        code, output = run_program([program, case], self.cache)
        return code == 0, output

    def check_races(self, program, case):
        log = self.work / "oclgrind.log"
        log.unlink(missing_ok=True)
        # Unoptimised: what LLVM's optimiser leaves behind (freeze, noalias scopes) oclgrind cannot interpret.
        code, output = run_program(["oclgrind", "--data-races", "--max-errors", "20", "--build-options", "-cl-opt-disable",
                                    "--log", log, program, case], self.cache)
        errors = log.read_text() if log.exists() else ""
        return code == 0 and not errors, output + errors  # oclgrind's own exit code says nothing

    def fresh_cache(self):
        cache = self.work / "pocl-cache"
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()
        return cache

    def caught(self, mutation):
        path = self.kernels / mutation.file
        original = path.read_text()
        self.cache = self.fresh_cache()
        path.write_text(original.replace(mutation.text, mutation.replacement))
        try:
            good, output = self.check(mutation.program, mutation.cases, mutation.races)
        finally:
            path.write_text(original)
        if "did not build" in output:
            sys.exit(f"'{mutation.name}' does not compile:\n{output}")
        return not good


class Laboratories:
    """One for each core; each serves one caller at a time."""

    def __init__(self, work):
        self.count = os.cpu_count() or 1
        self.free = queue.SimpleQueue()
        for i in range(self.count):
            self.free.put(Laboratory(work / str(i)))

    def each(self, function, items):
        """function(laboratory, item) for all, results in order."""
        def call(item):
            laboratory = self.free.get()
            try:
                return function(laboratory, item)
            finally:
                self.free.put(laboratory)

        with concurrent.futures.ThreadPoolExecutor(self.count) as pool:
            yield from pool.map(call, items)


def check_unbroken(laboratory, argument):
    program, races, case = argument
    return laboratory.check(program, (case,), races)


def runs_here(laboratory, mutation):
    """Whether the device has what the mutation's variants need: sub-groups are not everywhere."""
    return "unsupported device" not in laboratory.check(mutation.program, mutation.cases[:1], mutation.races)[1]


def try_mutation(laboratory, mutation):
    begin = time.monotonic()
    return laboratory.caught(mutation), time.monotonic() - begin


def main():
    check_texts()
    laboratories = Laboratories(pathlib.Path(sys.argv[1]).resolve())
    needy = [m for m in MUTATIONS if any("subgroup" in case for case in m.cases)]
    elsewhere = [m for m, here in zip(needy, laboratories.each(runs_here, needy)) if not here]
    for mutation in elsewhere:
        print(f"not here  {mutation.name}: the device has no such sub-groups")
    mutations = [m for m in MUTATIONS if m not in elsewhere]
    controls = sorted({(m.program, m.races, case) for m in mutations for case in m.cases})
    for control, (good, output) in zip(controls, laboratories.each(check_unbroken, controls)):
        if not good:
            sys.exit(f"control: the unbroken kernels fail in '{control[2]}'\n{output}")
    print(f"control: the unbroken kernels pass {len(controls)} cases", flush=True)
    caught = 0
    for mutation, (found, seconds) in zip(mutations, laboratories.each(try_mutation, mutations)):
        caught += found
        print(f"{'caught' if found else 'MISSED'}  {mutation.name}  ({seconds:.1f} s)", flush=True)
    print(f"{caught} of {len(mutations)} caught")
    return 0 if caught == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main())
