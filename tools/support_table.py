#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was checked where, as a table: from the last runs of the full tier's stages and the tables of the offline compilers.
    support_table.py                  prints it
    support_table.py --write FILE     puts it between FILE's two marker lines
    support_table.py --check FILE     fails if something else stands there
"""
import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- support table: tools/support_table.py -->", "<!-- end of the support table -->"


def executed(full):
    """Rows of the stages of the full tier that name a runtime."""
    for stage in full["stages"]:
        result = f"{stage['passed']} passed" + "".join(f", {stage[key]} {key}" for key in ("failed", "skipped") if stage[key])
        for runtime in stage.get("runtimes", []):
            yield runtime["name"], runtime["version"], f"executed: {runtime['checked']}", result, stage["date"]


def compiled(table):
    """The row of one kind of offline compiler; only tables of runs without a failure are kept."""
    programs, targets = table["programs"], {target for program in table["programs"] for target in program["targets"]}
    names = ", ".join(sorted(targets))
    yield (table["kind"], ", ".join(f"{name} {version}" for name, version in sorted(table["compilers"].items())),
           f"compiled: {names}", f"{sum(len(program['targets']) for program in programs)} programs passed", table["date"])


def rows(results):
    full = results / "full.json"
    if full.exists():
        yield from executed(json.loads(full.read_text()))
    for path in sorted((results / "offline").glob("*.json")):
        yield from compiled(json.loads(path.read_text()))


def support_table(results):
    lines = ["| runtime or compiler | version | what was checked | result | date |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows(results)]
    return "\n".join(lines) + "\n"


def split(text, path):
    """What stands before, between and behind the marker lines."""
    before, begin, rest = text.partition(BEGIN + "\n")
    between, end, behind = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{path}: no lines '{BEGIN}' and '{END}'")
    return before + begin, between, end + behind


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", type=pathlib.Path, metavar="FILE")
    action.add_argument("--check", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results")
    arguments = parser.parse_args()
    table = support_table(arguments.results)
    path = arguments.write or arguments.check
    if path is None:
        print(table, end="")
        return
    before, between, behind = split(path.read_text(), path)
    if arguments.write:
        path.write_text(before + table + behind)
    elif between != table:
        sys.exit(f"{path}: the support table is not what the stored results say: tools/support_table.py --write {path}")


if __name__ == "__main__":
    main()
