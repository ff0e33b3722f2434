#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What every stage of tests/run.sh --full said last and on which commit, kept in bench/results/full.json.
    full_result.py store STAGES           of lines "name<tab>seconds<tab>passed<tab>failed<tab>skipped<tab>log"
    full_result.py age                    how old the stored ones are, in one line
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


def stored_stages():
    return json.loads(STORED.read_text())["stages"] if STORED.exists() else []


def store(stages_path):
    commit = git("rev-parse", "HEAD") or "unknown"
    if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results/full.json", ":!README.md"):
        commit += " with changes"
    run = {"commit": commit, "date": today().isoformat()}
    stages = {stage["name"]: stage for stage in stored_stages()}
    for line in pathlib.Path(stages_path).read_text().splitlines():
        stage = stage_of(line)
        stages[stage["name"]] = {**stage, **run}
    totals = {key: sum(stage[key] for stage in stages.values()) for key in ("seconds", "passed", "failed", "skipped")}
    STORED.write_text(json.dumps({**totals, "stages": list(stages.values())}, indent=1) + "\n")


def age():
    if not STORED.exists():
        return "last full run: none is stored"
    result = json.loads(STORED.read_text())
    behind = {}
    for stage in result["stages"]:
        commits = git("rev-list", "--count", f"{stage['commit'].split()[0]}..HEAD")
        behind[stage["name"]] = None if commits is None else int(commits)
    unknown = [name for name, commits in behind.items() if commits is None]
    oldest = min(datetime.date.fromisoformat(stage["date"]) for stage in result["stages"])
    where = f"{', '.join(unknown)} not in this history" if unknown else f"at most {max(behind.values())} commits"
    return (f"last full runs: {result['passed']} passed, {result['failed']} failed in {result['seconds'] / 60:.0f} minutes, "
            f"{where} and {(today() - oldest).days} days behind")


def runtime(checked):
    """Of the output of `clsink devices --json` on stdin."""
    device = next(one for one in json.load(sys.stdin) if os.environ.get("CLSINK_DEVICE", "") in one["name"])
    return f"runtime: {device['name'].replace('|', '/')} | {device['driver']} | {checked}"


def main():
    command, *words = sys.argv[1:] or [""]
    if command == "store" and len(words) == 1:
        store(*words)
    elif command == "age" and not words:
        print(age())
    elif command == "runtime" and len(words) == 1:
        print(runtime(*words))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
