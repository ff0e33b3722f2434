# SPDX-License-Identifier: Apache-2.0
"""Runs clsink report: test_report.py CLSINK SOURCE_DIR document|errors|page|browser. The last needs Chromium, else exits 77."""

import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import invented_journal

SKIPPED = 77
EVIL = '</script><script>document.title="injected"</script><img src=x onerror="document.title=\'injected\'"><!--'


def check(condition, *what):
    if not condition:
        raise SystemExit("FAILED: " + " ".join(str(part) for part in what))


def written(name, content):
    path = TEMPORARY / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def report(*arguments, expect=0):
    result = subprocess.run([CLSINK, "report", *map(str, arguments)], capture_output=True, text=True)
    check(result.returncode == expect, arguments, "exits with", result.returncode, result.stdout, result.stderr)
    return result


def document_of(*inputs):
    return json.loads(report(*inputs, "--json").stdout)


def lines(kind="gpu"):
    return invented_journal.journal(kind)


# --- The document ---------------------------------------------------------------------------------------------------------


def test_document():
    journal_document()
    later_measurements()
    cut_line()
    bench_document()
    peers_document()
    joined_devices()


def journal_document():
    journal = lines()
    # The content says what a file is, not its name.
    document = document_of(
        written("peers.json", invented_journal.text(journal)), written("cpu.txt", invented_journal.text(lines("cpu")))
    )
    names = [device["name"] for device in document["devices"]]
    check(names == ["Invented GPU", "Invented CPU"] and not document["remarks"], names, document["remarks"])
    device = document["devices"][0]
    by_kind = {kind: [line for line in journal if line["kind"] == kind] for kind in ("run", "sample", "rejected", "cell")}
    check(
        device["samples"] == len(by_kind["sample"]) and len(device["cells"]) == len(by_kind["cell"]),
        "counts of",
        device["name"],
    )
    rejected = {(line["cell"], line["variant"], line["launch"]): line["why"] for line in by_kind["rejected"]}
    for why in set(rejected.values()):
        count = sum(row["count"] for row in device["rejected"] if row["why"] == why)
        check(count == list(rejected.values()).count(why), why, "is counted", count, "times")
    run = by_kind["run"][0]
    check(all(device["runs"][0][key] == run[key] for key in ("date", "version", "clock", "suite")), device["runs"])
    cells = {cell["problem"]: cell for cell in device["cells"]}
    for line in by_kind["cell"]:
        cell = cells[line["cell"]]
        check(all(cell[key] == line[key] for key in ("best", "generic", "planned", "gain", "routed", "bytes", "read_us")), cell)
        check(f"b={cell['batch']} kv={cell['kv_len']}" in cell["problem"], cell)
        check(cell["family"] == re.sub(" (b|kv)=[0-9]+", "", cell["problem"]), cell)


def later_measurements():
    """Of a cell the latest counts, in whatever order they come; a resumed sweep is one device with two runs."""
    first = lines()
    cell = first[-1]
    resumed = [{**first[0], "date": "2026-02-02T00:00:00Z"}, {**cell, "date": "2026-02-02T00:01:00Z", "gain": 2.5}]
    unmeasured = {key: value for key, value in cell.items() if key not in ("generic", "planned", "gain", "gain_over_planned")}
    for order in (first + resumed, resumed + first):
        (device,) = document_of(written("journal", invented_journal.text(order)))["devices"]
        gains = [one["gain"] for one in device["cells"] if one["problem"] == cell["cell"]]
        check(gains == [2.5] and len(device["runs"]) == 2, gains, device["runs"])
    (device,) = document_of(written("journal", invented_journal.text([first[0], {**unmeasured, "generic": None}])))["devices"]
    check("gain" not in device["cells"][0] and "generic" not in device["cells"][0], device["cells"])


def cut_line():
    """A last line without its end is left out with a remark; a broken line elsewhere is an error."""
    text = invented_journal.text(lines())
    count = text.count("\n")
    path = written("cut.jsonl", text[:-20])
    result = report(path, "--json")
    document = json.loads(result.stdout)
    check(len(document["remarks"]) == 1 and f"{path}:{count}: " in document["remarks"][0], document["remarks"])
    check(document["remarks"][0] in result.stderr, "the remark is not printed")
    check(
        len(document["devices"][0]["cells"]) == sum(line["kind"] == "cell" for line in lines()) - 1,
        "the cut cell is not left out",
    )
    check(
        f"{path}:{count}: " in report(written("cut.jsonl", text[:-20] + "\n" + text), expect=2).stderr,
        "a line broken in the middle",
    )
    whole = document_of(written("whole.jsonl", text.rstrip("\n")))
    check(
        not whole["remarks"] and len(whole["devices"][0]["cells"]) == len(document["devices"][0]["cells"]) + 1,
        "a whole last line",
    )


def bench_document():
    rows = json.loads(CPU_BENCH.read_text())
    (device,) = document_of(CPU_BENCH)["devices"]
    check(
        len(device["bench"]) == len(rows) and device["name"] == rows[0]["device"] and device["driver"] == rows[0]["driver"],
        device,
    )
    shown = {(row["problem"], row["routed"]): row for row in device["bench"]}
    for row in rows:
        one = shown[row["problem"], row["routed"]]
        check(one["us"] == row["cpu_us"], "processor time is what counts:", one)
        check(
            all(
                one[key] == row[key]
                for key in ("gb_per_s", "read_gb_per_s", "percent_of_read", "speedup", "variant", "correct")
            ),
            one,
        )
    newer = [{**row, "date": "2999-01-01T00:00:00Z", "speedup": 9.0} for row in rows]
    (device,) = document_of(written("newer.json", newer), CPU_BENCH)["devices"]
    check({row["speedup"] for row in device["bench"]} == {9.0} and len(device["bench"]) == len(rows), "the newer rows count")
    check("no rows" in document_of(written("empty.json", []))["remarks"][0], "remark on an empty array")


def peers_document():
    figures = json.loads(PEERS.read_text())
    (device,) = document_of(PEERS)["devices"]
    check(device["name"] == figures["device"] and device["runs"][0]["date"] == figures["date"], device["runs"])
    shown = {(row["problem"], row["routed"], row["label"]): row for row in device["peers"]}
    check(len(shown) == len(device["peers"]) == len(figures["rows"]), "rows:", len(shown), len(figures["rows"]))
    for row in figures["rows"]:
        one = shown[row["shape"], row["routed"], row["label"]]
        check(all(one[key] == row[key] for key in ("ratio", "ratio_min", "ratio_max", "peer_ms", "clsink_ms", "bytes")), one)
    ragged = [row for row in device["peers"] if "lengths=1:16" in row["problem"]]
    check(ragged and all("lengths=1:16" in row["family"] for row in ragged), "the load is part of what a plot holds together")


def joined_devices():
    """Bench and peers of one card are one device; another driver or number of compute units is another."""
    (device,) = document_of(PEERS, GPU_BENCH)["devices"]
    check(device["bench"] and device["peers"] and device["compute_units"] == 132, device["name"])
    rows = json.loads(CPU_BENCH.read_text())
    for change in ({"driver": "4.0"}, {"compute_units": 8}):
        both = document_of(CPU_BENCH, written("other.json", [{**row, **change} for row in rows]))
        check(len(both["devices"]) == 2, change, "is taken for the same device")


# --- Errors ---------------------------------------------------------------------------------------------------------------


def changed(line, *path, value=None):
    """The line with a field replaced, or without it."""
    copy = json.loads(json.dumps(line))
    owner = copy
    for key in path[:-1]:
        owner = owner[key]
    if value is None:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return copy


def journal_errors():
    run, sample = lines()[:2]
    rejected, cell = (next(line for line in lines() if line["kind"] == kind) for kind in ("rejected", "cell"))
    for bad, expected in [
        ([run, changed(sample, "us")], [":2: ", '"us" is missing']),
        ([run, changed(sample, "us", value="fast")], [":2: ", '"us" is "fast"']),
        ([run, changed(sample, "us", value=-1)], [":2: ", '"us" is -1']),
        ([run, sample, changed(sample, "kind", value="sampel")], [":3: ", '"kind" is "sampel"']),
        ([run, changed(sample, "kind", value=3)], [":2: ", '"kind" is 3']),
        ([run, changed(rejected, "why", value="bored")], [":2: ", '"why" is "bored"', "constraint, build"]),
        ([run, changed(cell, "best")], [":2: ", '"best" is missing']),
        ([run, changed(cell, "best", "median_us")], [":2: best: ", '"median_us" is missing']),
        ([run, changed(cell, "generic", value=[])], [":2: generic: ", "not an object"]),
        ([run, changed(cell, "routed", value=1.5)], [":2: ", '"routed" is 1.5']),
        ([run, changed(cell, "cell", value="f16 hq=8 colour=red")], [":2: ", '"cell"', "colour"]),
        ([changed(run, "format", value=2)], [":1: ", '"format" is 2']),
        ([changed(run, "device")], [":1: ", '"device" is missing']),
        ([cell, run], [":1: ", '"run"']),
    ]:
        yield invented_journal.text(bad), expected
    text = invented_journal.text([run, sample])
    yield text + "[1]\n", [":3: ", "not an object"]
    yield text + "\n" + text, [":3: "]
    yield text.replace('"us": ', '"us": 1e999, "was": ') + text, [":2: ", "1e999"]


def array_errors():
    bench_rows, figures = json.loads(CPU_BENCH.read_text()), json.loads(PEERS.read_text())
    bench_rows[3]["problem"] = "f16 hq=7 hkv=2 d=64 b=1 kv=x"
    yield json.dumps(bench_rows), [": /3: ", '"problem"', "kv"]
    yield json.dumps([changed(bench_rows[0], "gb_per_s")]), [": /0: ", '"gb_per_s" is missing']
    yield json.dumps([changed(bench_rows[0], "correct", value="yes")]), [": /0: ", '"correct" is "yes"']
    cut = json.dumps(bench_rows, indent=1)[:-200]
    yield cut, [f"parse error at line {cut.count(chr(10)) + 1}"]
    yield json.dumps([1]), [": /0: ", "not an object"]
    yield json.dumps(changed(figures, "rows", 5, "ratio", value="x1")), [": /rows/5: ", '"ratio" is "x1"']
    yield json.dumps(changed(figures, "driver")), ['"driver" is missing']
    yield json.dumps(changed(figures, "rows", value={})), ['"rows"', "not an array"]
    yield json.dumps({"rows of": "nothing"}), ["neither a tuning journal"]
    yield "17", ["neither a tuning journal"]
    yield "device,us\n", ["parse error at line 1"]
    yield "", ["empty"]


def test_errors():
    page = TEMPORARY / "report.html"
    good = written("good.jsonl", invented_journal.text(lines()))
    for text, expected in [*journal_errors(), *array_errors()]:
        path = written("bad.jsonl", text)
        said = report(good, path, "-o", page, expect=2).stderr
        check(all(part in said for part in [path, *expected]), "expected", expected, "in", said)
        check(not page.exists(), "a page was written in spite of", said)
    for arguments, expected in [
        ([], "required"),
        ([TEMPORARY / "missing.jsonl"], "missing.jsonl"),
        ([TEMPORARY], str(TEMPORARY)),
        ([good, "-o", TEMPORARY / "no" / "page"], "no/page"),
        ([good, "-o", good], "is an input"),
    ]:
        check(expected in report(*arguments, expect=2).stderr, arguments)
    check(pathlib.Path(good).read_text() == invented_journal.text(lines()), "an input was overwritten")


# --- The page -------------------------------------------------------------------------------------------------------------


class Elements(html.parser.HTMLParser):
    """Start tags with their attributes, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def outside(text):
    """What in a page could reach outside of it."""
    return re.findall(
        r"https?:|//[a-z]+\.|[\s.](?:src|href)\s*=|@import|url\(|\bfetch\b|XMLHttpRequest|\bimport\b|WebSocket|sendBeacon", text
    )


def page_of(*inputs):
    path = TEMPORARY / "report.html"
    check(report(*inputs, "-o", path).stdout == f"{path}\n", "the page is not named")
    return path


def everything():
    return [
        written("gpu.jsonl", invented_journal.text(lines())),
        written("cpu.jsonl", invented_journal.text(lines("cpu"))),
        GPU_BENCH,
        PEERS,
        CPU_BENCH,
    ]


def evil_inputs():
    journal = [
        {key: value + EVIL if key in ("device", "platform", "suite", "reason") else value for key, value in line.items()}
        for line in lines()
    ]
    figures = json.loads(PEERS.read_text())
    figures["device"] += EVIL
    for row in figures["rows"]:
        row["peer"] += EVIL
        row["label"] += EVIL
        row["clsink_variant"] += EVIL
    return [written("evil.jsonl", invented_journal.text(journal)), written("evil.json", figures)]


def test_page():
    check(
        outside('<img src="x">') and outside("@import") and outside("see https://x"),
        "the check for what reaches outside finds nothing",
    )
    text = page_of(*everything()).read_text()
    check(not outside(text), "the page reaches outside:", outside(text))
    check("default-src 'none'" in text, "the browser is not told to load nothing")
    elements = Elements(text)
    check(json.loads(elements.scripts[0]) == document_of(*everything()), "the page shows another document")
    evil = Elements(page_of(*evil_inputs()).read_text())
    check([tag for tag, _ in evil.tags] == [tag for tag, _ in elements.tags], "text became markup:", evil.tags)
    check(json.loads(evil.scripts[0]) == document_of(*evil_inputs()), "text was changed on its way into the page")


def test_browser():
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("skipped: no Chromium here; how the page draws is not tested")
        sys.exit(SKIPPED)

    def drawn(*inputs):
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={TEMPORARY}/profile",
            "--enable-logging=stderr",
            "--dump-dom",
            page_of(*inputs).as_uri(),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300)
        complaints = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        check(result.returncode == 0 and not complaints, "the browser says", complaints or result.stderr)
        return result.stdout

    dom = drawn(*everything())
    titles = re.findall("<h2>(.*?)</h2>", dom)
    check(
        titles
        == [
            "Best variant",
            "Speed-up over generic",
            "Bandwidth of the best variant",
            "Tuned cells",
            "Rejected candidates",
            "Bench: share of read bandwidth",
            "Bench: bandwidth against kv_len",
            "Bench: speed-up against the routed fraction",
            "Bench: rows",
            "Peers: time ratio",
            "Peers: bandwidth against kv_len",
            "Peers: rows",
        ],
        titles,
    )
    cells = sum(line["kind"] == "cell" for kind in ("gpu", "cpu") for line in lines(kind))
    check(len(re.findall('<td class="value"', dom)) == cells, "cells of the heat map of speed-ups")
    check(
        not re.search("NaN|undefined|Infinity", re.sub("<script.*?</script>", "", dom, flags=re.DOTALL)),
        "a value is missing in the page",
    )
    check(re.findall("<h2>(.*?)</h2>", drawn(CPU_BENCH)) == titles[5:9], "sections without data are not left out")
    dom = drawn(*evil_inputs())
    check("<title>clsink report" in dom and "<img" not in dom, "text became markup in the browser")


CLSINK, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
RESULTS = SOURCE / "bench/results"
GPU_BENCH, CPU_BENCH, PEERS = (
    RESULTS / name for name in ("nvidia-h200/bench.json", "cpu-zen5/one-thread.json", "nvidia-h200/peers.json")
)
with tempfile.TemporaryDirectory() as folder:
    TEMPORARY = pathlib.Path(folder)
    {name[5:]: function for name, function in list(globals().items()) if name.startswith("test_")}[sys.argv[3]]()
print("passed")
