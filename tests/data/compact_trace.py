#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the compact trace of this folder from the full recording, or checks the one that is here.

    compact_trace.py FULL_TRACE_DIR      writes smollm2_trace.bin and smollm2_trace.json (needs numpy)
    compact_trace.py --check             the data is what the description says it is

The compact trace keeps token 0 and the last tokens of the recording, the decode steps' own ones included. What the
recording says about the whole context (outputs, lse, masses) does not hold for the shorter one and is left out; what
depends only on the query, token 0 and the last 64 tokens stays, as a witness that knows nothing of our reference.
"""
import hashlib
import json
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
DATA, DESCRIPTION = HERE / "smollm2_trace.bin", HERE / "smollm2_trace.json"
SET, TOKENS = "l4096", 2048


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check():
    description = json.loads(DESCRIPTION.read_text())
    data = DATA.read_bytes()
    sizes = {"f16": 2, "f32": 4}
    offset = 0
    for name, array in description["arrays"].items():
        if array["offset_bytes"] != offset:
            sys.exit(f"{name} begins at byte {array['offset_bytes']}, not {offset}")
        offset += math.prod(array["shape"]) * sizes[array["dtype"]]
    if offset != len(data):
        sys.exit(f"{DATA.name} has {len(data)} bytes, the arrays {offset}")
    if sha256(data) != description["sha256"]:
        sys.exit(f"{DATA.name} has sha256 {sha256(data)}, not {description['sha256']}")
    print(f"{DATA.name}: {len(data)} bytes as described")


def load(folder, name, full):
    import numpy
    path = folder / f"{SET}_{name}.npy"
    if sha256(path.read_bytes()) != full["sha256"][path.name]:
        sys.exit(f"{path.name} is not the file that trace.json describes")
    return numpy.load(path)


def make(folder):
    import numpy
    full = json.loads((folder / "trace.json").read_text())
    q, k, v, cosine, alpha0, lse, near = (
        load(folder, name, full) for name in ("q", "k", "v", "cos", "alpha0", "lse", "ref_sw"))
    keep = numpy.r_[0, k.shape[2] - (TOKENS - 1):k.shape[2]]
    # The recorded weight of token 0 underflows in single precision where it is no sink, so its logit is made anew.
    group = q.shape[2] // k.shape[1]
    sink = numpy.repeat(k[:, :, 0], group, axis=1).astype(numpy.float64)
    sink_logit = full["scale"] * numpy.einsum("lshd,lhd->lsh", q.astype(numpy.float64), sink)
    if not numpy.allclose(numpy.exp(sink_logit - lse), alpha0, rtol=1e-4, atol=1e-6):
        sys.exit("the recorded weights of token 0 do not follow from its logits")
    arrays, data = {}, b""
    for name, values, dtype, meaning in (
            ("q", q, "<f2", "[layer][step][q head][channel], RoPE applied"),
            ("k", k[:, :, keep], "<f2", "[layer][kv head][token][channel], RoPE applied"),
            ("v", v[:, :, keep], "<f2", "[layer][kv head][token][channel]"),
            ("cosine", cosine, "<f4", "[layer][step][q head], recorded: cosine of q and the key of token 0"),
            ("sink_logit", sink_logit, "<f4", "[layer][step][q head], logit of token 0, agrees with the recorded weights"),
            ("sink_window", near, "<f4",
             "[layer][step][q head][channel], recorded: attention over token 0 and the last 64 tokens only")):
        arrays[name] = {"dtype": {"<f2": "f16", "<f4": "f32"}[dtype], "shape": list(values.shape),
                        "offset_bytes": len(data), "meaning": meaning}
        data += numpy.ascontiguousarray(values.astype(dtype)).tobytes()
    DATA.write_bytes(data)
    steps = q.shape[1]
    description = {
        "model": full["model"],
        "document": full["document"],
        "licence": "model: Apache-2.0; document: public domain; this recording: Apache-2.0",
        "made_by": "tests/data/compact_trace.py from the full recording",
        "sources": {f"{SET}_{name}.npy": full["sha256"][f"{SET}_{name}.npy"]
                    for name in ("q", "k", "v", "cos", "alpha0", "lse", "ref_sw")},
        "tokens": f"token 0 and the last {TOKENS - 1} of {k.shape[2]}",
        "step": "step s attends to the first first_kv_len + s tokens, its own key and value included",
        "first_kv_len": TOKENS - steps + 1,
        "layers": full["sets"][SET]["layers"],
        "scale": full["scale"],
        "byte_order": "little endian, packed",
        "arrays": arrays,
        "sha256": sha256(data),
    }
    DESCRIPTION.write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] != "--check":
        make(pathlib.Path(sys.argv[1]))
    check()
