# SPDX-License-Identifier: Apache-2.0
"""Random caches, rotated past the last-level cache, queries that are routed as wanted, and what the output must be."""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from shapes import Shape, routed_heads
from timing import Replays

TORCH_DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16}
# ||error|| / ||output|| beyond which an output is wrong; P and the output are rounded to the storage type by most peers.
TOLERANCES = {"f16": 5e-3, "bf16": 2e-2}
MOST_COPIES = 128


@dataclass
class Caches:
    """Copies of K and V, [batch][kv head][token][channel], or [page][kv head][token in page][channel] with a page table."""

    kv_len: int
    page: int
    k: list[torch.Tensor]
    v: list[torch.Tensor]
    page_table: torch.Tensor | None = None

    def group(self, copy: int, sequence: int, head: int) -> tuple[torch.Tensor, torch.Tensor]:
        """K and V of one (sequence, kv head) in order of tokens."""
        if self.page_table is None:
            return self.k[copy][sequence, head], self.v[copy][sequence, head]
        pages = self.page_table[sequence].long()
        k, v = self.k[copy][pages, head], self.v[copy][pages, head]
        return k.reshape(self.kv_len, -1), v.reshape(self.kv_len, -1)


def make_caches(shape: Shape, kv_len: int, page: int, copies: int, device: str) -> Caches:
    """Normal values. Token 0 has the same key in all copies, so that queries are routed alike whichever is read."""
    dtype = TORCH_DTYPES[shape.dtype]
    size: tuple[int, ...] = (shape.batch, shape.kv_heads, kv_len, shape.head_dim)
    table = None
    if page:
        pages = kv_len // page
        size = (shape.batch * pages, shape.kv_heads, page, shape.head_dim)
        table = torch.randperm(shape.batch * pages, device=device).to(torch.int32).view(shape.batch, pages)
    caches = Caches(kv_len, page, [], [], table)
    for _ in range(copies):
        caches.k.append(torch.randn(size, device=device, dtype=dtype))
        caches.v.append(torch.randn(size, device=device, dtype=dtype))
        if not page:
            caches.k[-1][:, :, 0] = caches.k[0][:, :, 0]
    return caches


@dataclass
class Inputs:
    """What a peer is called with: queries [batch][query head][1][channel], caches, and which kv heads it must route."""

    shape: Shape
    caches: Caches
    q: torch.Tensor
    routed: list[bool]
    references: dict[int, torch.Tensor] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        return 1 / math.sqrt(self.shape.head_dim)

    def reference(self, copy: int) -> torch.Tensor:
        """The output in double; routed heads give the value of token 0."""
        if copy not in self.references:
            out = torch.empty(self.q.shape, device=self.q.device, dtype=torch.float64)
            for sequence in range(self.shape.batch):
                for head, is_routed in enumerate(self.routed):
                    rows = slice(head * self.shape.group, (head + 1) * self.shape.group)
                    k, v = self.caches.group(copy, sequence, head)
                    if is_routed:
                        out[sequence, rows, 0] = v[0].double()
                    else:
                        logits = self.q[sequence, rows, 0].double() @ k.double().T * self.scale
                        out[sequence, rows, 0] = torch.softmax(logits, -1) @ v.double()
            self.references[copy] = out
        return self.references[copy]

    def errors(self, copy: int, output: torch.Tensor) -> tuple[float, float]:
        """||error|| / ||reference||, and the largest error over the largest magnitude; NaN counts as infinite."""
        expected = self.reference(copy)
        difference = output.reshape(expected.shape).double() - expected
        relative = float(difference.norm() / expected.norm())
        largest = float(difference.abs().max() / expected.abs().max())
        return (relative, largest) if math.isfinite(relative) else (math.inf, math.inf)


def check(inputs: Inputs, replays: Replays) -> tuple[float, float]:
    """The worse errors of what a replay leaves for the first and the last copy; outputs are poisoned before."""
    for output in replays.outputs:
        output.fill_(math.nan)
    replays.sample(1, warm_up_seconds=0)
    copies = {0, len(replays.outputs) - 1}
    errors = [inputs.errors(copy, replays.outputs[copy]) for copy in copies]
    return max(relative for relative, _ in errors), max(largest for _, largest in errors)


def make_inputs(shape: Shape, caches: Caches, routed_fraction: float) -> Inputs:
    """Queries of routed heads point along the key of token 0 (cosine about 0.98), those of others anywhere."""
    routed = routed_heads(shape.kv_heads, routed_fraction)
    device, dtype = caches.k[0].device, caches.k[0].dtype
    q = torch.randn((shape.batch, shape.q_heads, 1, shape.head_dim), device=device, dtype=dtype)
    for head, is_routed in enumerate(routed):
        if is_routed:
            rows = slice(head * shape.group, (head + 1) * shape.group)
            q[:, rows, 0] = 1.5 * caches.k[0][:, head, :1] + 0.3 * q[:, rows, 0]
    return Inputs(shape, caches, q, routed)


def copies_past_cache(bytes_read: float, cache_bytes: int) -> int:
    """So many copies that what a sweep over them reads exceeds four times the last-level cache."""
    return max(1, min(MOST_COPIES, math.ceil(4 * cache_bytes / bytes_read)))
