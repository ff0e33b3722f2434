# SPDX-License-Identifier: Apache-2.0
"""Triton split-K decode, dense or with SinkRouter's test in front (re-implemented from the paper), tuned for each shape.

SinkRouter as the paper has it: every program compares the group's queries with the key of token 0 and leaves early, the merge
then writes the value of token 0. The split is fixed on the host, so only tuning it for the routed fraction keeps the GPU full.
"""
from __future__ import annotations

import math
from functools import partial

import torch
import triton
import triton.language as tl

from inputs import Inputs
from timing import Call

Config = dict[str, int]

TAU = 0.55  # between the cosines of queries that inputs.py routes (0.98) and of others (0 +- 0.09)
ROWS = 16  # the least that a tensor core takes: groups are padded to it
MOST_SPLITS = 1024
PROGRAMS_PER_UNIT = (1, 2, 4, 8, 16, 32)
TILES = ((32, 4, 3), (64, 2, 3), (64, 4, 2), (64, 4, 3), (64, 8, 4), (128, 4, 2), (128, 4, 3), (128, 8, 3))  # tokens, warps, stages


@triton.jit
def split_kernel(q, k, v, partial_out, partial_stats, flags, out, kv_len, span, scale, tau, splits,
                 GROUP: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr, TILE: tl.constexpr, ROUTE: tl.constexpr,
                 DIRECT: tl.constexpr):
    """Attention of one group over tokens [split * span, (split + 1) * span): unnormalised rows, their maxima and sums."""
    split = tl.program_id(0)
    group = tl.program_id(1)
    row = tl.arange(0, ROWS)
    dim = tl.arange(0, DIM)
    token = tl.arange(0, TILE)
    used = row < GROUP
    queries = tl.load(q + (group * GROUP + row)[:, None] * DIM + dim[None, :], mask=used[:, None], other=0.0)
    keys = k + group.to(tl.int64) * kv_len * DIM
    values = v + group.to(tl.int64) * kv_len * DIM
    if ROUTE:
        sink = tl.load(keys + dim).to(tl.float32)
        wide = queries.to(tl.float32)
        norms = tl.sqrt(tl.sum(wide * wide, 1)) * tl.sqrt(tl.sum(sink * sink, 0)) + 1e-6
        cosine = tl.sum(tl.sum(wide * sink[None, :], 1) / norms, 0) / GROUP
        if split == 0:
            tl.store(flags + group, (cosine > tau).to(tl.int32))
        if cosine > tau:
            return
    top = tl.full([ROWS], -1e30, tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    rows = tl.zeros([ROWS, DIM], tl.float32)
    first = split * span
    end = tl.minimum(kv_len, first + span)
    for begin in range(first, end, TILE):
        inside = (begin + token) < end
        key = tl.load(keys + (begin + token)[None, :] * DIM + dim[:, None], mask=inside[None, :], other=0.0)
        logits = tl.where(inside[None, :], tl.dot(queries, key) * scale, -1e30)
        new_top = tl.maximum(top, tl.max(logits, 1))
        weights = tl.exp2(logits - new_top[:, None])
        fade = tl.exp2(top - new_top)
        value = tl.load(values + (begin + token)[:, None] * DIM + dim[None, :], mask=inside[:, None], other=0.0)
        total = total * fade + tl.sum(weights, 1)
        rows = rows * fade[:, None] + tl.dot(weights.to(value.dtype), value)
        top = new_top
    if DIRECT:
        tl.store(out + (group * GROUP + row)[:, None] * DIM + dim[None, :], (rows / total[:, None]).to(out.dtype.element_ty),
                 mask=used[:, None])
    else:
        place = (group * GROUP + row) * splits + split
        tl.store(partial_out + place[:, None] * DIM + dim[None, :], rows, mask=used[:, None])
        tl.store(partial_stats + place * 2, top, mask=used)
        tl.store(partial_stats + place * 2 + 1, total, mask=used)


@triton.jit
def merge_kernel(partial_out, partial_stats, flags, v, out, kv_len, splits, GROUP: tl.constexpr, DIM: tl.constexpr,
                 PADDED: tl.constexpr, CHUNK: tl.constexpr, ROUTE: tl.constexpr):
    """Joins the splits of one query row, or writes the value of token 0 if its group was routed."""
    row = tl.program_id(0)
    dim = tl.arange(0, DIM)
    if ROUTE:
        group = row // GROUP
        if tl.load(flags + group) == 1:
            tl.store(out + row * DIM + dim, tl.load(v + group.to(tl.int64) * kv_len * DIM + dim))
            return
    split = tl.arange(0, PADDED)
    tops = tl.load(partial_stats + (row * splits + split) * 2, mask=split < splits, other=-1e30)
    totals = tl.load(partial_stats + (row * splits + split) * 2 + 1, mask=split < splits, other=0.0)
    top = tl.max(tops, 0)
    total = tl.sum(tl.exp2(tops - top) * totals, 0)
    merged = tl.zeros([DIM], tl.float32)
    for first in range(0, splits, CHUNK):
        part = first + tl.arange(0, CHUNK)
        weight = tl.exp2(tl.load(partial_stats + (row * splits + part) * 2, mask=part < splits, other=-1e30) - top)
        rows = tl.load(partial_out + (row * splits + part)[:, None] * DIM + dim[None, :], mask=(part < splits)[:, None], other=0.0)
        merged += tl.sum(rows * weight[:, None], 0)
    tl.store(out + row * DIM + dim, (merged / total).to(out.dtype.element_ty))


class Workspace:
    """Partial results: one set serves all calls, which run one after the other."""

    def __init__(self, inputs: Inputs, splits: int) -> None:
        device, places = inputs.q.device, inputs.shape.batch * inputs.shape.q_heads * splits
        self.rows = torch.empty(places * inputs.shape.head_dim, device=device, dtype=torch.float32)
        self.stats = torch.empty(places * 2, device=device, dtype=torch.float32)
        self.flags = torch.zeros(inputs.shape.batch * inputs.shape.kv_heads, device=device, dtype=torch.int32)


class TritonPeer:
    """Split-K with a split and tiles found by trying; `routes` puts SinkRouter's test in front."""

    def __init__(self, name: str, routes: bool, units: int, full_search: bool = True) -> None:
        self.name, self.routes, self.units, self.full_search = name, routes, units, full_search

    def refuses(self, inputs: Inputs) -> str | None:
        return "reads no paged caches" if inputs.caches.page else None

    def configs(self, inputs: Inputs) -> list[Config]:
        """Every tile with every split that differs from the one before."""
        groups, kv_len = inputs.shape.batch * inputs.shape.kv_heads, inputs.caches.kv_len
        found: dict[tuple[int, ...], Config] = {}
        for tile, warps, stages in TILES if self.full_search else TILES[:1]:
            for programs in PROGRAMS_PER_UNIT:
                wanted = max(1, programs * self.units // groups)
                span = triton.cdiv(triton.cdiv(kv_len, wanted), tile) * tile
                splits = triton.cdiv(kv_len, span)
                if splits <= MOST_SPLITS:
                    found.setdefault((tile, warps, stages, splits),
                                     {"tile": tile, "warps": warps, "stages": stages, "span": span, "splits": splits})
        return list(found.values())

    def describe(self, config: Config) -> str:
        return f"Triton {triton.__version__}, " + " ".join(f"{key}={value}" for key, value in config.items())

    def calls(self, inputs: Inputs, config: Config) -> list[Call]:
        workspace = Workspace(inputs, config["splits"])
        return [partial(self._attend, inputs, config, workspace, k, v, torch.full_like(inputs.q, math.nan))
                for k, v in zip(inputs.caches.k, inputs.caches.v, strict=True)]

    def _attend(self, inputs: Inputs, config: Config, workspace: Workspace, k: torch.Tensor, v: torch.Tensor,
                out: torch.Tensor) -> torch.Tensor:
        shape, splits = inputs.shape, config["splits"]
        direct = splits == 1 and not self.routes
        split_kernel[(splits, shape.batch * shape.kv_heads)](
            inputs.q, k, v, workspace.rows, workspace.stats, workspace.flags, out, inputs.caches.kv_len, config["span"],
            inputs.scale * math.log2(math.e), TAU, splits, GROUP=shape.group, ROWS=ROWS, DIM=shape.head_dim, TILE=config["tile"],
            ROUTE=self.routes, DIRECT=direct, num_warps=config["warps"], num_stages=config["stages"])
        if not direct:
            merge_kernel[(shape.batch * shape.q_heads,)](
                workspace.rows, workspace.stats, workspace.flags, v, out, inputs.caches.kv_len, splits, GROUP=shape.group,
                DIM=shape.head_dim, PADDED=triton.next_power_of_2(splits), CHUNK=16, ROUTE=self.routes, num_warps=4)
        return out
