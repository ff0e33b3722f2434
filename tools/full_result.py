#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The last full run of tests/run.sh, kept in bench/results/full.json.
    full_result.py store STAGES SECONDS   of lines "name<tab>seconds<tab>passed<tab>failed<tab>skipped<tab>log"
    full_result.py age                    how old the stored one is, in one line
    clsink devices --json | full_result.py runtime CHECKED   a log's line of a runtime: name, version, what was checked
"""
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
STORED = ROOT / "bench/results/full.json"
RUNTIME = re.compile(r"^runtime: (?P<name>[^|\n]+) \| (?P<version>[^|\n]+) \| (?P<checked>[^|\n]+)$", re.MULTILINE)


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


def git(*words):
    """What git says; None where it fails, as in a tree without history."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def stage_of(line):
    name, seconds, passed, failed, skipped, log = line.split("\t")
    stage = {"name": name, "seconds": int(seconds), "passed": int(passed), "failed": int(failed), "skipped": int(skipped)}
    runtimes = [match.groupdict() for match in RUNTIME.finditer(pathlib.Path(log).read_text(errors="replace"))]
    if runtimes:
        stage["runtimes"] = runtimes
    return stage


def store(stages_path, seconds):
    stages = [stage_of(line) for line in pathlib.Path(stages_path).read_text().splitlines()]
    commit = git("rev-parse", "HEAD") or "unknown"
    if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results/full.json"):
        commit += " with changes"
    totals = {key: sum(stage[key] for stage in stages) for key in ("passed", "failed", "skipped")}
    result = {"commit": commit, "date": today().isoformat(), "seconds": int(seconds), **totals, "stages": stages}
    STORED.write_text(json.dumps(result, indent=1) + "\n")


def age():
    if not STORED.exists():
        return "last full run: none is stored"
    result = json.loads(STORED.read_text())
    commits = git("rev-list", "--count", f"{result['commit'].split()[0]}..HEAD")
    days = (today() - datetime.date.fromisoformat(result["date"])).days
    behind = f"{commits} commits" if commits is not None else f"not in this history ({result['commit'][:12]})"
    return (f"last full run: {result['passed']} passed, {result['failed']} failed in {result['seconds'] / 60:.0f} minutes, "
            f"{behind} and {days} days behind")


def runtime(checked):
    """Of the output of `clsink devices --json` on stdin."""
    device = next(one for one in json.load(sys.stdin) if os.environ.get("CLSINK_DEVICE", "") in one["name"])
    return f"runtime: {device['name'].replace('|', '/')} | {device['driver']} | {checked}"


def main():
    command, *words = sys.argv[1:] or [""]
    if command == "store" and len(words) == 2:
        store(*words)
    elif command == "age" and not words:
        print(age())
    elif command == "runtime" and len(words) == 1:
        print(runtime(*words))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
