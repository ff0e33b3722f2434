# SPDX-License-Identifier: Apache-2.0
"""Shapes: clsink's problem text, as far as the peers can follow it."""
from __future__ import annotations

import pathlib
from dataclasses import dataclass

DTYPES = ("f16", "bf16")
FIELDS = {"hq": "q_heads", "hkv": "kv_heads", "d": "head_dim", "b": "batch", "kv": "kv_len", "page": "page"}


@dataclass(frozen=True)
class Shape:
    """One problem and the fractions of its groups that are routed, dense aside. Ragged ones say how clsink bench spreads
    lengths and routing over the sequences; no peer stands beside them but clsink with equal sequences."""

    text: str  # also what journal and results know the shape by
    problem: str
    dtype: str
    q_heads: int = 0
    kv_heads: int = 0
    head_dim: int = 128
    batch: int = 1
    kv_len: int = 0
    page: int = 0
    routed: tuple[float, ...] = ()
    lengths: str = ""
    pattern: str = ""

    @property
    def group(self) -> int:
        return self.q_heads // self.kv_heads

    def cache_bytes(self, kv_len: int) -> int:
        """K and V of kv_len tokens a sequence; both dtypes have two bytes."""
        return self.batch * self.kv_heads * kv_len * self.head_dim * 2 * 2


def parse_shape(line: str) -> Shape:
    """Reads "f16 hq=32 hkv=8 d=128 b=1 kv=32768 page=16 | routed=0.5,0.75 lengths=1:16 pattern=ragged"; raises ValueError
    that names the bad field."""
    problem, _, options = (part.strip() for part in line.partition("|"))
    dtype, *words = problem.split()
    if dtype not in DTYPES:
        raise ValueError(f"{line}: the peers take {' or '.join(DTYPES)}, not {dtype}")
    numbers: dict[str, int] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in FIELDS:
            raise ValueError(f"{line}: the peers know no field {key}")
        numbers[FIELDS[key]] = int(value)
    values = {"routed": "", "lengths": "", "pattern": ""}
    for option in options.split():
        key, _, value = option.partition("=")
        if key not in values:
            raise ValueError(f"{line}: unknown option {key}")
        values[key] = value
    routed = tuple(float(fraction) for fraction in values.pop("routed").split(",") if fraction)
    text = " ".join([*problem.split(), *(f"{key}={value}" for key, value in values.items() if value)])
    return Shape(text=text, problem=problem, dtype=dtype, routed=routed, **values, **numbers)


def read_shapes(path: pathlib.Path, only: list[str]) -> list[Shape]:
    """The file's shapes whose line contains one of `only`, in the file's order."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [parse_shape(line) for line in lines if line and (not only or any(part in line for part in only))]


def routed_heads(kv_heads: int, fraction: float) -> list[bool]:
    """Which kv heads are routed: the same, spread ones as in clsink bench."""
    count = round(fraction * kv_heads)
    return [(head + 1) * count // kv_heads > head * count // kv_heads for head in range(kv_heads)]
