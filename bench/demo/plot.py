#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the figures of clsink_demo and says what they come to.

    plot.py demo.json OUTPUT_DIR     writes routing.png and time.png
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import colors, pyplot, ticker  # noqa: E402 (after the backend)

COLOURS = {"dense": "#1f4e79", "sink+window": "#c55a11", "CLBlast": "#7f7f7f"}
LABELS = {"dense": "clsink, dense (f16)", "sink+window": "clsink, half of the groups routed (f16)",
          "CLBlast": "CLBlast: GEMM + softmax + GEMM (f32)"}


def caption(figures):
    return f"{figures['device']}, {figures['platform']} {figures['driver']}, {figures['date']}"


def table(layer, figure, heads):
    """Rows: kv heads, columns: steps."""
    steps = len(layer["groups"]) // heads
    return [[layer["groups"][step * heads + head][figure] for step in range(steps)] for head in range(heads)]


def draw_map(axes, figures, figure, title, low, high, colours):
    heads = figures["kv_heads"]
    rows = [row for layer in figures["layers"] for row in table(layer, figure, heads)]
    image = axes.imshow(rows, aspect="auto", cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    for boundary in range(heads, len(rows), heads):
        axes.axhline(boundary - 0.5, color="white", linewidth=2)
    axes.set_yticks([heads * i + (heads - 1) / 2 for i in range(len(figures["layers"]))],
                    [f"layer {layer['layer']}" for layer in figures["layers"]])
    axes.set_xlabel("decode step")
    axes.set_title(title, fontsize=11)
    return image


def draw_routing(figures, path):
    figure, (score, sink, routed, far) = pyplot.subplots(1, 4, figsize=(16, 5), width_ratios=(1, 1, 1, 1.15))
    for axes, name, title, low, high, colours in (
            (score, "score", "what the score sees:\ncosine of queries and key of token 0", -0.7, 0.7, "RdBu_r"),
            (sink, "sink_mass", "what is there:\nattention weight of token 0", 0, 1, "viridis")):
        figure.colorbar(draw_map(axes, figures, name, title, low, high, colours), ax=axes, fraction=0.05)
    draw_map(routed, figures, "routed", "half of each layer routed\nby the score (orange)", 0, 1,
             colors.ListedColormap(["#dddddd", "#c55a11"]))
    markers = "osD^v"
    for index, layer in enumerate(figures["layers"]):
        groups = layer["groups"]
        far.scatter([group["score"] for group in groups], [group["far_mass"] for group in groups], s=22, alpha=0.75,
                    marker=markers[index % len(markers)], label=f"layer {layer['layer']}")
    tau = figures["layers"][0]["paper_tau"]
    far.axvline(tau, color="black", linestyle="--", linewidth=1)
    far.text(tau + 0.02, 0.97, "paper's tau", fontsize=8, va="top", rotation=90)
    far.set_xlabel("score")
    far.set_ylabel("weight outside sink and window (lost if routed)")
    far.set_ylim(-0.02, 1)
    far.set_title("a good score would fall\nfrom upper left to lower right", fontsize=11)
    far.legend(fontsize=8)
    figure.suptitle("SmolLM2-135M-Instruct, 16 decode steps, 3 kv heads a layer (rows)   |   " + caption(figures), fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def label_points(axes, what, rows):
    if what == "dense":
        return
    for row in rows:
        text = f"x{row['speedup']:.1f}" if row["speedup"] >= 1 else f"x1/{1 / row['speedup']:.0f}"
        axes.annotate(text, (row["kv_len"], row["median_us"] / 1e3), textcoords="offset points",
                      xytext=(0, -14), ha="center", fontsize=8, color=COLOURS[what])


def draw_time(figures, path):
    # the layer that was timed at most lengths
    timed = [row["layer"] for row in figures["times"]]
    layer = max(timed, key=timed.count)
    figure, axes = pyplot.subplots(figsize=(8, 5))
    lengths = set()
    for what, label in LABELS.items():
        rows = sorted((row for row in figures["times"] if row["what"] == what and row["layer"] == layer),
                      key=lambda row: row["kv_len"])
        lengths.update(row["kv_len"] for row in rows)
        x = [row["kv_len"] for row in rows]
        axes.plot(x, [row["median_us"] / 1e3 for row in rows], "o-", color=COLOURS[what], label=label)
        axes.fill_between(x, [row["p10_us"] / 1e3 for row in rows], [row["p90_us"] / 1e3 for row in rows],
                          color=COLOURS[what], alpha=0.15)
        label_points(axes, what, rows)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sorted(lengths), [f"{length // 1024}K" for length in sorted(lengths)])
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.set_xlabel("tokens in the cache of each of 16 sequences")
    axes.set_ylabel("ms a decode step (median, band p10 to p90)")
    axes.set_title(f"Layer {layer} of SmolLM2-135M: time of a step, and how many times faster than dense\n{caption(figures)}", fontsize=10)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    figures = json.loads(pathlib.Path(sys.argv[1]).read_text())
    output = pathlib.Path(sys.argv[2])
    draw_routing(figures, output / "routing.png")
    draw_time(figures, output / "time.png")
    print(f"Pictures: {output}/routing.png, {output}/time.png; figures: {sys.argv[1]}\n\n{figures['conclusion']}")


if __name__ == "__main__":
    main()
