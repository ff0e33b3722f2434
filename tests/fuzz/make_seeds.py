#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of the fuzzers, from the repository's own files.

    make_seeds.py ROOT FOLDER       FOLDER/text, tuning, trace, c_api, binary_cache
"""
import json
import pathlib
import random
import re
import struct
import sys


def texts(root):
    """Problems of the bench suites; cases, variants and launches that the tests and the tuning rows spell out."""
    for path in sorted((root / "bench/suites").glob("*.txt")):
        yield from (line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#"))
    for path in sorted((root / "tests/device").glob("*.cpp")):
        yield from re.findall(r'"((?:f16|f32|bf16)\S* hq=[^"]+)"', path.read_text())
    for line in (root / "tuning/db/generic.tune").read_text().splitlines():
        yield from (part.strip() for part in line.split("|")[1:])


def tuning(root):
    """The whole file, and each device's rows alone."""
    text = (root / "tuning/db/generic.tune").read_text()
    yield text
    head, *devices = text.split("\ndevice ")
    yield from (f"{head.splitlines()[0]}\ndevice {rows}" for rows in devices)


def trace(root):
    """The recorded trace's description with short axes, and as much data."""
    description = json.loads((root / "tests/data/smollm2_trace.json").read_text())
    layers, steps, q_heads, kv_heads, tokens, head_dim = 2, 2, 2, 1, 3, 4
    shapes = {"q": [layers, steps, q_heads, head_dim], "k": [layers, kv_heads, tokens, head_dim],
              "cosine": [layers, steps, q_heads]}
    shapes.update(v=shapes["k"], sink_window=shapes["q"], sink_logit=shapes["cosine"])
    kept = {name: description[name] for name in ("model", "document", "scale")}
    kept.update(layers=description["layers"][:layers], first_kv_len=1, arrays={})
    end = 0
    for name, shape in shapes.items():
        array = {"dtype": description["arrays"][name]["dtype"], "shape": shape, "offset_bytes": end}
        size = 2 if array["dtype"] == "f16" else 4
        for axis in shape:
            size *= axis
        kept["arrays"][name] = array
        end += size
    yield json.dumps(kept).encode() + b"\0" + bytes(end)
    yield json.dumps(description).encode() + b"\0"


def binary_cache():
    """Blobs of the fuzzer's key and of another, and of other lengths than they say; the fuzzer mends the checksum."""
    for version, key in ((1, b"a key"), (1, b"another"), (1, b""), (2, b"a key")):
        for said, binary in ((0, b""), (6, b"binary"), (300, bytes(300)), (1 << 63, b"binary"), (7, b"binary")):
            yield b"clsinkpb" + struct.pack("<IIQ", version, len(key), said) + key + binary + bytes(16)


def main():
    root, folder = map(pathlib.Path, sys.argv[1:])
    numbers = random.Random(1)  # the C API's inputs are choices, not texts
    seeds = {"text": texts(root), "tuning": tuning(root), "trace": trace(root),
             "c_api": (numbers.randbytes(length) for length in [200] * 50 + [600] * 50),
             "binary_cache": binary_cache()}
    for name, inputs in seeds.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        count = 0
        for count, content in enumerate(inputs, 1):
            (target / f"seed{count}").write_bytes(content.encode() if isinstance(content, str) else content)
        if count == 0:
            sys.exit(f"no seeds for {name}")
        print(f"{count} seeds for {name}")


if __name__ == "__main__":
    main()
