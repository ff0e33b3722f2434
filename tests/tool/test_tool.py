# SPDX-License-Identifier: Apache-2.0
"""Runs the clsink program: test_tool.py CLSINK SOURCE_DIR devices|plan|verify|bench|errors."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

PROBLEM = "f16 hq=8 hkv=4 d=64 b=2 kv=1000"
TOLERANCE = {"f16": 1e-3, "f32": 1e-5}
SURROGATE = 65  # tokens
ROW_FIELDS = """problem variant routed lengths pattern kv_tokens median_us p10_us p90_us mad_percent cpu_us enqueue_us stage_us bytes
copies sweep_bytes gb_per_s read_gb_per_s percent_of_read percent_of_equal error device driver date version""".split()


def run(*arguments, expect=0):
    result = subprocess.run([CLSINK, *arguments], capture_output=True, text=True)
    if result.returncode != expect:
        raise SystemExit(f"clsink {arguments}: exit code {result.returncode}, expected {expect}\n{result.stdout}{result.stderr}")
    return result.stdout if expect == 0 else result.stdout + result.stderr


def check(condition, *what):
    if not condition:
        raise SystemExit("FAILED: " + " ".join(str(part) for part in what))


def test_devices():
    devices = json.loads(run("devices", "--json"))
    check(devices, "no device")
    text = run("devices")
    for device in devices:
        check(device["name"] in text, device["name"], "is not in", text)
        check("missing" in device or device["variant"].split()[0] in ("cpu", "simt", "nv_mma"), device)
        if "missing" not in device:
            check(device["type"] == "cpu" or not device["variant"].startswith("cpu "), "engine of", device)


def test_plan():
    plan = json.loads(run("plan", PROBLEM + " route=mean", "--json"))
    check(plan["dense_step_bytes"] == 2 * (4 * 1000 * 64 * 2 * 2 + 8 * 64 * 2), "bytes", plan)
    for fusion, launches in [("none", ["route", "schedule", "decode", "combine"]), ("prologue", ["decode", "combine"])]:
        variant = re.sub("schedule=[a-z]+ fusion=[a-z]+", f"schedule=worklist fusion={fusion}", plan["variant"])
        form = json.loads(run("plan", PROBLEM + " route=mean", "--variant", variant, "--json"))
        check([launch["kernel"] for launch in form["launches"]] == launches, form)
        combine = form["launches"][-1]
        check(combine["work_groups"] == 16 and combine["global_size"] == 16 * combine["local_size"], form)
    longer = json.loads(run("plan", PROBLEM.replace("kv=1000", "kv=100000"), "--json"))
    longest = json.loads(run("plan", PROBLEM.replace("kv=1000", "kv=1000000"), "--json"))
    check(longer["workspace_bytes"] == longest["workspace_bytes"], "workspace grows with the context")
    variant = re.sub("schedule=[a-z]+ fusion=[a-z]+", "schedule=static fusion=none", plan["variant"])
    forced = json.loads(run("plan", PROBLEM, "--variant", variant, "--json"))
    check(forced["variant"] == variant and forced["match"] == "forced", forced)
    check(plan["variant"] in run("plan", PROBLEM + " route=mean"), "variant is not printed")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLSINK_BINARY_CACHE"] = folder
        cold, warm = (json.loads(run("plan", PROBLEM + " route=mean", "--prepare", "--json")) for _ in range(2))
        del os.environ["CLSINK_BINARY_CACHE"]
    check(cold["prepare"]["programs_built"] == len(cold["launches"]) and cold["prepare"]["seconds"] > 0, cold)
    check(warm["prepare"]["programs_built"] == 0, "a program is compiled that the cache holds", warm)
    check("prepare" not in plan and "prepare" in run("plan", PROBLEM, "--prepare"), "prepare is not printed")


def test_verify():
    case = "f16 hq=4 hkv=2 d=64 b=2 kv=300 route=mean @ lens=300,17 seed=3 data=sink"
    variant = json.loads(run("plan", PROBLEM, "--json"))["variant"]
    verdict = json.loads(run("verify", "--case", case, "--variant", variant, "--json"))
    check(verdict["cases"] == verdict["runs"] == 1 and not verdict["failures"], verdict)
    check(0 < verdict["worst_error_of_tolerance"] <= 1, verdict)
    suite = TEMPORARY / "tiny.txt"
    grid = (SOURCE / "tests/suites/grid.txt").read_text().splitlines()
    axes = [line.split(":") for line in grid if line and not line.startswith("#")]
    suite.write_text("\n".join(f"{name}: {values.split()[0]}" for name, values in axes))  # one value of every axis
    check("1 cases, 1 runs" in run("verify", "--suite", str(suite), "--variant", variant), "a suite of one case")


def shape_of(row):
    dtype, *words = row["problem"].split()
    fields = dict(word.split("=") for word in words)
    return ({"f16": 2, "f32": 4}[dtype], *(int(fields[key]) for key in ("hq", "hkv", "d", "b", "kv")))


def bytes_to_read(row):
    """Of sequences that are routed alike and longer than the surrogate."""
    element, q_heads, heads, dim, batch, _ = shape_of(row)
    routed = round(row["routed"] * heads)
    tokens = (heads - routed) * row["kv_tokens"] + routed * batch * SURROGATE
    return tokens * dim * 2 * element + batch * q_heads * dim * element


def check_row(row):
    for field in ROW_FIELDS:
        check(field in row, "no field", field, "in", row)
    _, _, _, _, batch, kv = shape_of(row)
    check(row["lengths"] != "full" or row["kv_tokens"] == batch * kv, "tokens of", row)
    check(row["pattern"] == "ragged" or row["bytes"] == bytes_to_read(row), "bytes of", row)
    check(row["error"] <= TOLERANCE[row["problem"].split()[0]] and row["correct"], "error of", row)
    check(0 < row["p10_us"] <= row["median_us"] <= row["p90_us"], "times of", row)
    check(row["read_gb_per_s"] > 0 and row["percent_of_read"] > 0 and row["cpu_us"] > 0, "figures of", row)
    check(row["enqueue_us"] > 0 and row["copies"] > 0 and row["sweep_bytes"] == row["copies"] * row["bytes"], "figures of", row)
    stages = list(row["stage_us"])
    check("decode" in stages, "stages of", row)
    check("fusion=none" not in row["variant"] or ("route" in stages) == (row["routed"] > 0), "stages of", row)


def test_bench():
    path = TEMPORARY / "rows.json"
    suite = SOURCE / "bench/suites/small.txt"
    table = run("bench", "--suite", str(suite), "--rounds", "3", "--json", str(path))
    rows = json.loads(path.read_text())
    problems = [line for line in suite.read_text().splitlines() if line and not line.startswith("#")]
    check(len(rows) == 4 * len(problems), "rows:", len(rows))
    check([row["routed"] for row in rows[:4]] == [0, 0.25, 0.5, 0.75], "routed fractions")
    for row in rows:
        check(row["problem"] in table and row["rounds"] == 3 and row["lengths"] == "full", row)
        check_row(row)
    check("host us" in table and "% equal" not in table, "columns of", table)
    ragged_bench(path)
    interrupted_bench(path)


def ragged_bench(path):
    """Ragged rows are followed by equal ones of the same bytes."""
    problem = PROBLEM.replace("b=2", "b=8").replace("kv=1000", "kv=1600")
    for pattern, exact in [("spread", True), ("ragged", False)]:
        table = run("bench", problem, "--lengths", "1:16", "--pattern", pattern, "--routed", "0,0.5", "--rounds", "2",
                    "--json", str(path))
        rows = json.loads(path.read_text())
        check([(row["lengths"], row["routed"]) for row in rows] == [(lengths, routed) for routed in (0, 0.5)
                                                                    for lengths in ("1:16", "equal")], "rows:", rows)
        check("% equal" in table and " 1:16 " in table and " equal " in table, "columns of", table)
        for row in rows:
            check_row(row)
        for ragged, equal in zip(rows[::2], rows[1::2]):
            check(ragged["kv_tokens"] < 8 * 1600 and ragged["pattern"] == pattern and equal["pattern"] == "spread", ragged, equal)
            check(ragged["percent_of_equal"] > 0 and equal["percent_of_equal"] == 0, "% equal of", ragged, equal)
            heads, row_bytes = 4, 64 * 2 * 2
            check(abs(ragged["bytes"] - equal["bytes"]) <= (0 if exact else heads * row_bytes), "bytes of", ragged, equal)
            check(not exact or ragged["kv_tokens"] == equal["kv_tokens"], "tokens of", ragged, equal)


def interrupted_bench(path):
    """Ctrl-C: ends early, writes what was measured."""
    path.unlink()
    bench = subprocess.Popen([CLSINK, "bench", PROBLEM, PROBLEM, "--routed", "0", "--seconds", "100", "--json", str(path)],
                             stdout=subprocess.PIPE, text=True)
    while "take turns" not in bench.stdout.readline():
        check(bench.poll() is None, "bench ended before it measured")
    time.sleep(1)  # some rounds
    bench.send_signal(signal.SIGINT)
    bench.communicate(timeout=30)
    check(bench.returncode == 130, "exit code after Ctrl-C:", bench.returncode)
    rows = json.loads(path.read_text())
    check(len(rows) == 1 and rows[0]["rounds"] > 0, "rows after Ctrl-C:", rows)


def test_errors():
    for arguments, expected in [
        (["plan", "f16 hq=3 hkv=2 d=64 b=1 kv=8"], "num_q_heads"),
        (["plan", "f16 hq=2 hkv=2 d=65 b=1 kv=8"], "head_dim"),
        (["plan", PROBLEM, "--device", "no such device"], "no such device"),
        (["plan", PROBLEM, "--variant", "nonsense"], "nonsense"),
        (["bench"], "problem"),
        (["bench", "--suite", "missing.txt"], "missing.txt"),
        (["bench", PROBLEM, "--routed", "2"], "routed"),
        (["bench", PROBLEM, "--lengths", "16"], "lengths"),
        (["bench", PROBLEM + " route=mask", "--pattern", "ragged", "--routed", "0.5"], "pattern"),
        (["verify", "--case", "f16 @ lens"], "lens"),
        ([], "subcommand"),
    ]:
        text = run(*arguments, expect=2)
        check(expected in text, arguments, "says", text)


CLSINK, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
with tempfile.TemporaryDirectory() as folder:
    TEMPORARY = pathlib.Path(folder)
    {name[5:]: function for name, function in list(globals().items()) if name.startswith("test_")}[sys.argv[3]]()
print("passed")
