# SPDX-License-Identifier: Apache-2.0
"""tools/full_result.py and tools/support_table.py on results of their own: test_results.py SOURCE_DIR."""
import json
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(SOURCE / "tools"))
import full_result  # noqa: E402
import support_table  # noqa: E402

STAGES = [("unit", 3, 119, 0, 0, "no runtime here\n"),
          ("rusticl", 500, 12, 1, 0, "runtime: rusticl/llvmpipe | 22.3.6 | every device test\nmore\n"),
          ("intel_cpu", 1, 0, 0, 1, "skipped: intel_cpu: PyPI has no package intel-opencl-rt\n")]
OFFLINE = {"kind": "amd", "date": "2026-01-02", "compilers": {"clang": "19"}, "columns": ["spills"],
           "programs": [{"program": "decode a", "planned_for": ["amd"], "targets": {"gfx90a": [0], "gfx942": [0]}}]}


def check(condition, *what):
    if not condition:
        raise SystemExit("FAILED: " + " ".join(str(part) for part in what))


def run(program, *arguments, **options):
    command = [sys.executable, str(SOURCE / "tools" / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_store(folder):
    full_result.STORED = folder / "full.json"
    check(full_result.age() == "last full run: none is stored", full_result.age())
    lines = []
    for name, seconds, passed, failed, skipped, log in STAGES:
        (folder / name).write_text(log)
        lines.append("\t".join(map(str, (name, seconds, passed, failed, skipped, folder / name))))
    (folder / "stages.tsv").write_text("\n".join(lines) + "\n")
    full_result.git = lambda *words: {"rev-parse": "c0ffee", "status": "", "rev-list": "3"}[words[0]]
    full_result.store(folder / "stages.tsv")
    stored = json.loads(full_result.STORED.read_text())
    check([stored[key] for key in ("seconds", "passed", "failed", "skipped")] == [504, 131, 1, 1], stored)
    check({stage["commit"] for stage in stored["stages"]} == {"c0ffee"}, stored)
    check([stage["name"] for stage in stored["stages"]] == ["unit", "rusticl", "intel_cpu"], stored)
    runtime = {"name": "rusticl/llvmpipe", "version": "22.3.6", "checked": "every device test"}
    check(stored["stages"][1]["runtimes"] == [runtime], stored)
    check("131 passed, 1 failed in 8 minutes, at most 3 commits and 0 days behind" in full_result.age(), full_result.age())

    # One stage again, later and in a changed tree: the others stay what they were.
    (folder / "stages.tsv").write_text(lines[1].replace("500\t12\t1", "400\t13\t0") + "\n")
    full_result.git = lambda *words: "M file" if words[0] == "status" else "beef"
    full_result.store(folder / "stages.tsv")
    stored = json.loads(full_result.STORED.read_text())
    check([stage["commit"] for stage in stored["stages"]] == ["c0ffee", "beef with changes", "c0ffee"], stored)
    check([stored[key] for key in ("seconds", "passed", "failed", "skipped")] == [404, 132, 0, 1], stored)
    full_result.git = lambda *words: None if "c0ffee" in words[-1] else "2"
    check("unit, intel_cpu not in this history" in full_result.age(), full_result.age())


def test_runtime():
    devices = json.dumps([{"name": "A/a", "driver": "1"}, {"name": "B/b|c", "driver": "2"}])
    for wanted, line in [("", "runtime: A/a | 1 | all"), ("B/", "runtime: B/b/c | 2 | all")]:
        done = run("full_result.py", "runtime", "all", input=devices, env={"CLSINK_DEVICE": wanted})
        check(done.stdout.strip() == line, done)
        check(full_result.RUNTIME.search(done.stdout), done)
    check(run("full_result.py", "nonsense").returncode != 0, "an unknown command")


def test_table(folder):
    (folder / "offline").mkdir()
    (folder / "offline/amd.json").write_text(json.dumps(OFFLINE))
    page = folder / "page.md"
    page.write_text(f"before\n{support_table.BEGIN}\nold\n{support_table.END}\nbehind\n")
    arguments = (page, "--results", folder)
    check(run("support_table.py", "--check", *arguments).returncode != 0, "an old table was not noticed")
    check(run("support_table.py", "--write", *arguments).returncode == 0, "write")
    check(run("support_table.py", "--check", *arguments).returncode == 0, "check of what was just written")
    text = page.read_text()
    check(text.startswith("before\n") and text.endswith("behind\n") and "old" not in text, text)
    check("| rusticl/llvmpipe | 22.3.6 | executed: every device test | 13 passed | " in text, text)
    check("| amd | clang 19 | compiled: gfx90a, gfx942 | 2 programs passed | 2026-01-02 |" in text, text)
    check("intel_cpu" not in text, "a runtime that was not there", text)
    page.write_text("no markers\n")
    check(run("support_table.py", "--check", *arguments).returncode != 0, "a page without markers")
    empty = run("support_table.py", "--results", folder / "nowhere")
    check(empty.returncode == 0 and len(empty.stdout.splitlines()) == 2, empty)


with tempfile.TemporaryDirectory() as name:
    test_store(pathlib.Path(name))
    test_runtime()
    test_table(pathlib.Path(name))
print("passed")
