#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tuning journals of devices that do not exist, for tests of clsink report and to look at its page:

invented_journal.py gpu|cpu > journal.jsonl
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

DEVICES = {
    "gpu": {
        "device": "Invented GPU",
        "platform": "Invented OpenCL",
        "driver": "1.2.3",
        "class": "gpu",
        "compute_units": 64,
        "clock": "wall",
    },
    "cpu": {
        "device": "Invented CPU",
        "platform": "Invented OpenCL",
        "driver": "1.2.3",
        "class": "cpu",
        "compute_units": 1,
        "clock": "cpu",
    },
}
FAMILIES = [
    "f16 hq=32 hkv=8 d=128",
    "f16 hq=32 hkv=32 d=128",
    "bf16 hq=28 hkv=4 d=128",
    "f16 hq=14 hkv=2 d=64",
    "f16 hq=32 hkv=8 d=128 page=16",
    "f16 hq=32 hkv=8 d=128 route=mean",
]
BATCHES = {"gpu": (1, 8, 64), "cpu": (1, 4)}
LENGTHS = (1024, 4096, 16384, 32768, 131072)
GB_PER_S = {"gpu": 1800, "cpu": 18}
OVERHEAD_US = {"gpu": 6, "cpu": 30}
VARIANTS = {
    "gpu": [
        "simt schedule=worklist fusion=none wg=128 tile_kv=32 vec=8 stages=1",
        "simt schedule=static fusion=single wg=256 tile_kv=64 vec=8 stages=2",
        "subgroup schedule=worklist fusion=prologue wg=128 tile_kv=64 vec=4 stages=1 heads=4 sub_group_size=32",
        "simt schedule=worklist fusion=single wg=128 tile_kv=64 vec=8 stages=2",
    ],
    "cpu": [
        "cpu schedule=worklist fusion=none wg=1 tile_kv=16 vec=16 stages=1",
        "cpu schedule=static fusion=prologue wg=1 tile_kv=32 vec=16 stages=1",
    ],
}
LAUNCHES = ("workers_per_cu=1 min_tiles=1", "workers_per_cu=2 min_tiles=1", "workers_per_cu=2 min_tiles=4")
REJECTIONS = (
    ("constraint", "stages of 2 need 40960 bytes of local memory, the device has 32768"),
    ("build", "error: use of undeclared identifier"),
    ("launch", "CL_OUT_OF_RESOURCES"),
    ("wrong", "error 0.31 exceeds 0.001"),
    ("slow", "x4.1 of the best after 2 rounds"),
    ("timeout", "more than 2 s for a step"),
    ("crash", "the worker ended by signal 11"),
)
DATE = "2026-01-02T03:{:02d}:{:02d}Z"


def problem(family: str, batch: int, length: int) -> str:
    words = family.split()
    return " ".join([*words[:4], f"b={batch}", f"kv={length}", *words[4:]])


def measured(variant: str, launch: str, us: float, noise: random.Random) -> dict[str, Any]:
    return {
        "variant": variant,
        "launch": launch,
        "median_us": round(us, 3),
        "p10_us": round(0.99 * us, 3),
        "p90_us": round(1.02 * us, 3),
        "mad_percent": round(noise.uniform(0.1, 1.5), 2),
        "error": 2e-4,
    }


def cell_lines(
    kind: str, cell: str, family: str, batch: int, length: int, date: str, noise: random.Random
) -> list[dict[str, Any]]:
    dtype_and_heads = dict(word.split("=") for word in family.split()[1:])
    routed = 0.5 if "route" in dtype_and_heads else 0.0
    size = round(2 * 2 * int(dtype_and_heads["hkv"]) * int(dtype_and_heads["d"]) * batch * length * (1 - routed))
    read_us = size / GB_PER_S[kind] / 1e3 + OVERHEAD_US[kind] / 2
    variants = VARIANTS[kind]
    favourite = (length >= 16384) + 2 * (batch >= 8) if kind == "gpu" else int(length >= 32768)
    times = {
        variant: (read_us + OVERHEAD_US[kind]) * (1.02 if i == favourite else noise.uniform(1.03, 1.8))
        for i, variant in enumerate(variants)
    }
    lines: list[dict[str, Any]] = [
        {"kind": "sample", "cell": cell, "variant": variant, "launch": LAUNCHES[0], "round": i, "us": round(us, 3)}
        for variant, us in times.items()
        for i in range(2)
    ]
    for why, reason in noise.sample(REJECTIONS, noise.randrange(1, 4)):
        lines.append(
            {
                "kind": "rejected",
                "cell": cell,
                "variant": noise.choice(variants),
                "launch": noise.choice(LAUNCHES),
                "why": why,
                "reason": reason,
            }
        )
    best = min(times, key=times.__getitem__)
    generic, planned = variants[0], variants[1]
    lines.append(
        {
            "kind": "cell",
            "cell": cell,
            "date": date,
            "routed": routed,
            "bytes": size,
            "rounds": 12,
            "candidates": 140,
            "seconds": 31.0,
            "generic": measured(generic, LAUNCHES[1], times[generic], noise),
            "planned": measured(planned, LAUNCHES[1], times[planned], noise),
            "best": measured(best, LAUNCHES[2], times[best], noise),
            "gain": round(times[generic] / times[best], 4),
            "gain_over_planned": round(times[planned] / times[best], 4),
            "read_us": round(read_us, 3),
        }
    )
    return lines


def journal(kind: str) -> list[dict[str, Any]]:
    """The lines of a whole sweep; the same at every call."""
    noise = random.Random(kind)
    lines: list[dict[str, Any]] = [
        {"kind": "run", "format": 1, "date": DATE.format(0, 0), "version": "0.1.0", "suite": "models", **DEVICES[kind]}
    ]
    shapes = [
        (family, batch, length)
        for family in FAMILIES
        for batch in BATCHES[kind]
        for length in LENGTHS
        if batch * length <= 1 << 20
    ]
    for number, (family, batch, length) in enumerate(shapes):
        lines += cell_lines(
            kind, problem(family, batch, length), family, batch, length, DATE.format(number // 60, number % 60), noise
        )
    return lines


def text(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(text(journal(sys.argv[1])))
