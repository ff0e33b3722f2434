# SPDX-License-Identifier: Apache-2.0
"""What the scripts for offline compilers share: which programs, compiling them side by side, the table, the verdict.

A script (amd.py, intel.py, nvidia.py, spirv.py) names its targets and says how one program is compiled for one target, and
what the compiler reports. A program that the planner chooses for the target's family of devices must stay in registers:
memory that the compiler adds to it (spilled registers, private arrays) is a failure. So is any program that does not compile.
Of what the planner does not choose the numbers are only noted: those variants are there to be measured and rejected.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Callable, Dict, List, NamedTuple, Tuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITES = {False: ROOT / "tests/suites/offline.txt", True: ROOT / "tests/suites/grid.txt"}  # fast tier, full tier



class Program(NamedTuple):
    kernel: str
    options: Tuple[str, ...]
    planned: bool  # the planner chooses it for a problem of the suite
    plan: str      # the first one that needs it

    def value(self, macro):
        """An integer that is given to the kernel."""
        return next(int(o[len(macro) + 3:]) for o in self.options if o.startswith(f"-D{macro}="))

    def text(self):
        """Kernel and options without what is 0."""
        macros = [o[2:] if o.startswith("-D") else o for o in self.options]
        return " ".join([self.kernel, *(m for m in macros if not m.endswith("=0"))])


class Target(NamedTuple):
    name: str             # what the compiler calls it
    family: str           # whose plans it gets: family_devices() in tests/unit/planning_devices.hpp
    whole: bool = False   # every program, else those of decode that are planned: a whole target of the kind has the others
    allowed_bytes: int = 0  # of memory that what is planned may use, where no variant does with less


class CompileError(Exception):
    pass


class Kind(NamedTuple):
    name: str
    targets: List[Target]
    # (program, target, file of the kernel, folder for what it writes) -> what the compiler reports
    compile: Callable[[Program, Target, pathlib.Path, pathlib.Path], Dict[str, object]]
    in_memory: Tuple[str, ...]  # which of its numbers must be 0
    versions: Callable[[], Dict[str, str]]


def parse_programs(listing):
    """Lines of kernel_options: role, kernel, options, plan."""
    programs = []
    for line in listing.splitlines():
        role, kernel, options, plan = line.split("\t")
        if role not in ("planned", "fits"):
            raise ValueError(f"unknown role {role}")
        programs.append(Program(kernel, tuple(options.split()), role == "planned", plan))
    return programs


def jobs_of(targets, listings):
    """(program, target): what the planner chooses for every target, and once what it does not, whose numbers are only noted."""
    jobs, known = [], set()
    for target in targets:
        for program in listings[target.family]:
            source = program.kernel, program.options
            if target.whole and source not in known or program.planned and (target.whole or program.kernel == "decode"):
                jobs.append((program, target))
                known.add(source)
    return jobs


def run(command, **options):
    """stdout and stderr; CompileError with both if it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)
    if done.returncode != 0:
        raise CompileError(f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}")
    return done.stdout


def first_line(*command):
    return run(command).strip().splitlines()[0]


def complaint(kind, program, target, report):
    """Nothing, or why a program that compiled is a failure."""
    held = {name: report[name] for name in kind.in_memory if report[name] > target.allowed_bytes}
    if not program.planned or not held:
        return None
    return f"planned, but not all in registers: {held}"


def table_of(kind, rows, versions, date):
    """One line a program, sorted, so that differences are readable."""
    columns = list(next(iter(rows.values()))) if rows else []
    by_program = {}
    for (program, target), report in rows.items():
        planned, targets = by_program.setdefault(program.text(), (set(), {}))
        targets[target.name] = list(report.values())
        if program.planned:
            planned.add(target.family)
    lines = [json.dumps({"program": text, "planned_for": sorted(planned), "targets": dict(sorted(targets.items()))})
             for text, (planned, targets) in sorted(by_program.items())]
    head = json.dumps({"kind": kind.name, "date": date, "compilers": versions, "columns": columns}, indent=1)
    return head[:-2] + ',\n "programs": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def summary_of(kind, rows):
    """For each target: programs, and of the planned ones how many use memory and the largest numbers."""
    lines = []
    for target in kind.targets:
        reports = [(p, r) for (p, t), r in rows.items() if t == target]
        planned = [r for p, r in reports if p.planned]
        if not planned:
            continue
        numbers = {name: max(r[name] for r in planned) for name, value in planned[0].items() if isinstance(value, int)}
        memory = sum(any(r[name] for name in kind.in_memory) for p, r in reports if not p.planned)
        lines.append(f"{target.name:10} {target.family:8} {len(planned):4} planned, at most "
                     + ", ".join(f"{name} {value}" for name, value in numbers.items())
                     + (f"; {len(reports) - len(planned)} others, {memory} of them in memory" if len(reports) > len(planned)
                        else ""))
    return lines


def main(kind):
    parser = argparse.ArgumentParser(description=kind.name)
    parser.add_argument("kernel_options", help="the program that lists what the library compiles")
    parser.add_argument("folder", type=pathlib.Path, help="where tables go")
    parser.add_argument("--full", action="store_true", help="the grid instead of one problem")
    parser.add_argument("--target", action="append", help="these targets only")
    args = parser.parse_args()
    begin = time.monotonic()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    run([args.kernel_options, "--sources", folder / "kernels"])

    targets = [t for t in kind.targets if not args.target or t.name in args.target]
    listings = {}
    for family in sorted({t.family for t in targets}):
        listings[family] = parse_programs(run([args.kernel_options, SUITES[args.full], family]))
    jobs = jobs_of(targets, listings)

    def compile_one(job):
        program, target = job
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            try:
                report = kind.compile(program, target, folder / "kernels" / f"{program.kernel}.cl", pathlib.Path(scratch))
                return job, report, complaint(kind, program, target, report)
            except CompileError as error:
                return job, None, str(error)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(compile_one, jobs))
    rows = {job: report for job, report, _ in results if report is not None}
    failures = [(job, why) for job, _, why in results if why]
    date = datetime.date.today().isoformat()
    (folder / f"{kind.name}.json").write_text(table_of(kind, rows, kind.versions(), date))
    for (program, target), why in failures[:20]:
        print(f"FAILED {target.name} {program.text()}\n  {program.plan}\n  " + why.replace("\n", "\n  "))
    print("\n".join(summary_of(kind, rows)))
    print(f"{kind.name}: {len(jobs)} programs for {len(targets)} targets, {len(failures)} failed, "
          f"{time.monotonic() - begin:.0f} s")
    sys.exit(1 if failures or not jobs else 0)
