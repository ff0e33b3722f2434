#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws peers.json: time and bandwidth over kv_len, and speed-up over the routed fraction.

    plot.py peers.json out.png
"""
from __future__ import annotations

import json
import pathlib
import re
import sys
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402 (after the backend)
from matplotlib.lines import Line2D  # noqa: E402

Row = dict[str, Any]
Points = list[tuple[float, float]]

SHAPE = re.compile(r"f16 hq=32 hkv=8 d=128 b=1 kv=(\d+)")  # of which lengths are compared
CLSINK = "clsink"
COLOURS = {CLSINK: "#c55a11", "cuDNN": "#1f4e79", "FA2": "#5b9bd5", "FlashInfer": "#548235", "Triton split-K": "#7f7f7f"}
MARKERS = {CLSINK: "o", "cuDNN": "s", "FA2": "^", "FlashInfer": "D", "Triton split-K": "v"}
LENGTH_COLOURS = ("#b39ad6", "#7b4fa3", "#3f007d", "#000000")  # not those of the peers
SPEED_STYLES = {"clsink, sink and 64 tokens": ("-", "o"), "Triton SinkRouter, token 0's value": ("--", "v"),
                "cuDNN on the bytes that remain": (":", "s")}


def length_text(tokens: float) -> str:
    return f"{tokens / 1024:g}K"


def compared(figures: dict[str, Any]) -> list[tuple[int, Row]]:
    """Rows of the compared shape with their length; of several variants of clsink the fastest for each length and fraction."""
    found = [(int(match[1]), row) for row in figures["rows"] if (match := SHAPE.fullmatch(row["shape"]))]
    best: dict[tuple[int, float], float] = {}
    for length, row in found:
        key = length, row["routed"]
        best[key] = min(best.get(key, row["clsink_ms"]), row["clsink_ms"])
    return [(length, row) for length, row in found if row["clsink_ms"] == best[length, row["routed"]]]


def dense_times(rows: list[tuple[int, Row]]) -> dict[str, dict[int, tuple[float, float, float]]]:
    """Median, least and largest ms by who and length."""
    times: dict[str, dict[int, tuple[float, float, float]]] = {CLSINK: {}}
    for length, row in rows:
        if not row["routed"]:
            times[CLSINK][length] = row["clsink_ms"], row["clsink_ms_min"], row["clsink_ms_max"]
            times.setdefault(row["peer"], {})[length] = row["peer_ms"], row["peer_ms_min"], row["peer_ms_max"]
    return times


def draw_dense(time_axes: Any, rate_axes: Any, rows: list[tuple[int, Row]]) -> None:
    """Above ms, below TB/s, both over kv_len, with what a plain read of the same bytes takes."""
    dense = {length: row for length, row in rows if not row["routed"]}
    lengths = sorted(dense)
    read = [dense[length]["read_ms"] for length in lengths]
    sizes = {length: dense[length]["bytes"] for length in lengths}
    time_axes.plot(lengths, read, color="black", linestyle="--", linewidth=1, label="pure read (ceiling)")
    read_rates = [sizes[length] / ms / 1e9 for length, ms in zip(lengths, read, strict=True)]
    rate_axes.plot(lengths, read_rates, color="black", linestyle="--", linewidth=1)
    for who, times in dense_times(rows).items():
        x = sorted(times)
        style = {"color": COLOURS.get(who), "marker": MARKERS.get(who, "x"), "markersize": 5,
                 "linewidth": 2 if who == CLSINK else 1.2, "zorder": 3 if who == CLSINK else 2}
        time_axes.plot(x, [times[length][0] for length in x], label=who, **style)
        rates = [sizes[length] / times[length][0] / 1e9 for length in x]
        spans = [[max(0.0, rate - sizes[length] / times[length][2] / 1e9) for rate, length in zip(rates, x, strict=True)],
                 [max(0.0, sizes[length] / times[length][1] / 1e9 - rate) for rate, length in zip(rates, x, strict=True)]]
        rate_axes.errorbar(x, rates, yerr=spans, capsize=2, elinewidth=1, **style)
    for axes in (time_axes, rate_axes):
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths)
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda tokens, _: length_text(tokens)))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.grid(True, which="major", alpha=0.3)
    time_axes.set_yscale("log")
    time_axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    time_axes.yaxis.set_minor_locator(ticker.NullLocator())
    time_axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    time_axes.set_ylabel("ms a step")
    time_axes.tick_params(labelbottom=False)
    time_axes.set_title("Dense, 8 kv heads x 4, one sequence", fontsize=11)
    time_axes.legend(fontsize=8, loc="upper left")
    rate_axes.set_ylim(bottom=0)
    rate_axes.set_ylabel("TB/s of K and V")
    rate_axes.set_xlabel("kv_len (bars: least to largest of the rounds)")


def speed_ups(rows: list[tuple[int, Row]]) -> dict[tuple[str, int], Points]:
    """By what and length: (routed fraction, times faster than cuDNN on all bytes, or the fastest dense peer)."""
    curves: dict[tuple[str, int], Points] = {}
    for length in sorted({length for length, row in rows if row["routed"]}):
        here = [row for row_length, row in rows if row_length == length]
        dense = {row["peer"]: row["peer_ms"] for row in here if not row["routed"]}
        if not dense:
            continue
        base = dense.get("cuDNN", min(dense.values()))
        ours = {row["routed"]: base / row["clsink_ms"] for row in here}
        curves["clsink, sink and 64 tokens", length] = sorted(ours.items())
        for name, what in (("Triton SinkRouter", "Triton SinkRouter, token 0's value"),
                           ("cuDNN", "cuDNN on the bytes that remain")):
            points = sorted((row["routed"], base / row["peer_ms"]) for row in here if row["peer"] == name and row["routed"])
            if points:
                first = [(0.0, base / dense["Triton split-K"])] if name != "cuDNN" and "Triton split-K" in dense else []
                curves[what, length] = ([(0.0, 1.0)] if name == "cuDNN" and "cuDNN" in dense else first) + points
    return curves


def draw_routed(axes: Any, rows: list[tuple[int, Row]]) -> None:
    """Speed-up over cuDNN's dense time, with the ideal: time in proportion to what is left."""
    curves = speed_ups(rows)
    lengths = sorted({length for _, length in curves})
    colours = dict(zip(lengths, LENGTH_COLOURS, strict=False))
    fractions = sorted({fraction for points in curves.values() for fraction, _ in points}) or [0.0]
    ideal = [fractions[-1] * i / 100 for i in range(101)]
    axes.plot(ideal, [1 / (1 - fraction) for fraction in ideal], color="black", linewidth=1)
    for (what, length), points in curves.items():
        line, marker = SPEED_STYLES[what]
        axes.plot(*zip(*points), linestyle=line, marker=marker, color=colours[length], markersize=5)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda times, _: f"x{times:g}"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xticks(fractions)
    axes.grid(True, which="major", alpha=0.3)
    axes.set_xlabel("fraction of the groups that is routed")
    axes.set_ylabel("times faster than cuDNN dense on everything")
    axes.set_title("Routed, 8 kv heads x 4, one sequence", fontsize=11)
    handles = [Line2D([], [], color="black", linewidth=1, label="ideal 1 / (1 - routed)")]
    handles += [Line2D([], [], color="gray", linestyle=line, marker=marker, markersize=5, label=what)
                for what, (line, marker) in SPEED_STYLES.items() if any(what == curve for curve, _ in curves)]
    handles += [Line2D([], [], color=colours[length], linewidth=4, label=f"{length_text(length)} tokens") for length in lengths]
    axes.legend(handles=handles, fontsize=8, loc="upper left")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    figures = json.loads(pathlib.Path(sys.argv[1]).read_text())
    rows = compared(figures)
    if not rows:
        sys.exit(f"{sys.argv[1]}: no rows of the compared shape, {SHAPE.pattern}")
    figure = pyplot.figure(figsize=(14, 6))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.1, 1))
    time_axes = figure.add_subplot(grid[0, 0])
    draw_dense(time_axes, figure.add_subplot(grid[1, 0], sharex=time_axes), rows)
    draw_routed(figure.add_subplot(grid[:, 1]), rows)
    card = f"{figures['device']}, driver {figures['driver']}, {str(figures['date'])[:10]}"
    figure.suptitle(f"{card}; f16, head_dim 128, medians", fontsize=10)
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=100)


if __name__ == "__main__":
    main()
