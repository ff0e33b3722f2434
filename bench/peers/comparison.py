# SPDX-License-Identifier: Apache-2.0
"""Measures one shape: prepares its peers (tuned, checked, captured), then lets them and clsink take turns, round by round."""
from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from clsink_tool import ClsinkTool, Row, ToolFailed
from inputs import TOLERANCES, Caches, Inputs, check, copies_past_cache, make_caches, make_inputs
from journal import Journal
from shapes import Shape
from timing import Call, Replays, spread

Config = dict[str, int]
DENSE, REMAINING, SINK = "dense", "dense on the bytes that routing leaves", "SinkRouter, surrogate (1,0)"
SEARCH_SECONDS = 30.0
FIRST_ROUND_SECONDS = 10.0  # a guess: clsink starts, compiles and computes its reference


class Peer(Protocol):
    name: str

    def refuses(self, inputs: Inputs) -> str | None: ...
    def configs(self, inputs: Inputs) -> list[Config]: ...
    def describe(self, config: Config) -> str: ...
    def calls(self, inputs: Inputs, config: Config) -> list[Call]: ...


class Refused(Exception):
    """Why a peer cannot stand beside a shape."""


class OutOfTime(Exception):
    """The time budget is spent."""


class DeviceLost(Exception):
    """A peer left the CUDA context unusable; only a new process can go on."""


@dataclass(frozen=True)
class Subject:
    """A peer and what it does for a row of the table."""

    peer: Peer
    work: str
    routed: float  # of the row
    kv_len: int  # that the peer's caches hold
    page: int

    def __str__(self) -> str:
        return f"{self.peer.name}, {self.work}, routed {self.routed:g}"

    def fields(self, shape: Shape) -> dict[str, Any]:
        return {"shape": shape.text, "peer": self.peer.name, "work": self.work, "routed": self.routed}


def subjects_of(shape: Shape, peers: dict[str, Peer]) -> list[Subject]:
    """Dense peers on the whole; for each routed fraction the best dense kernel on the bytes that remain, and SinkRouter.

    Peers that read no pages stand beside paged problems on contiguous caches: a bound, not an equal."""
    def subject(name: str, work: str, routed: float, kv_len: int, page: int = 0) -> list[Subject]:
        return [Subject(peers[name], work, routed, kv_len, page)] if name in peers else []

    found: list[Subject] = []
    if shape.lengths or shape.pattern:
        return found
    if shape.page:
        found += subject("flashinfer", f"{DENSE}, pages of {shape.page}", 0, shape.kv_len, shape.page)
        return found + subject("cudnn", f"{DENSE}, contiguous", 0, shape.kv_len)
    for name in ("cudnn", "fa2", "flashinfer", "triton"):
        found += subject(name, DENSE, 0, shape.kv_len)
    for fraction in shape.routed:
        found += subject("cudnn", REMAINING, fraction, round(shape.kv_len * (1 - fraction)))
        found += subject("sinkrouter", SINK, fraction, shape.kv_len)
    return found


@dataclass
class Comparison:
    peers: dict[str, Peer]
    tool: ClsinkTool
    variants: list[str]
    journal: Journal
    device: str
    cache_bytes: int  # the last-level cache's
    rounds: int
    replays: int
    seconds_left: Callable[[], float]
    say: Callable[[str], None]

    def run(self, shape: Shape) -> None:
        """All rounds of the shape that the journal does not have."""
        done = self.journal.rounds_done(shape.text)
        if done >= self.rounds:
            return self.say("complete in the journal")
        ready = self._prepare(shape)
        longest = self.tool.seconds * len(self.variants) + FIRST_ROUND_SECONDS
        for round_index in range(done, self.rounds):
            if self.seconds_left() < longest:
                raise OutOfTime
            begin = time.monotonic()
            if not self._round(shape, round_index, ready):
                return
            longest = max(longest, time.monotonic() - begin)
            self.say(f"round {round_index + 1} of {self.rounds} took {time.monotonic() - begin:.1f} s")

    def _prepare(self, shape: Shape) -> dict[Subject, Replays]:
        caches: dict[tuple[int, int], Caches] = {}
        inputs: dict[tuple[int, int, float], Inputs] = {}
        ready: dict[Subject, Replays] = {}
        for subject in subjects_of(shape, self.peers):
            if self.seconds_left() <= 0:
                raise OutOfTime
            if self.journal.of("left_out", session=self.journal.session, **subject.fields(shape)):
                continue
            try:
                replays = self._ready(shape, subject, self._inputs(shape, subject, caches, inputs))
            except (OutOfTime, DeviceLost):
                raise
            except Exception as error:  # whatever it is, the others go on
                self._leave_out(shape, subject, error)
                continue
            ready[subject] = replays
        return ready

    def _inputs(self, shape: Shape, subject: Subject, caches: dict[tuple[int, int], Caches],
                inputs: dict[tuple[int, int, float], Inputs]) -> Inputs:
        place = (subject.kv_len, subject.page)
        if place not in caches:
            most_routed = max(shape.routed, default=0.0) if subject.kv_len == shape.kv_len else 0.0
            copies = copies_past_cache(shape.cache_bytes(subject.kv_len) * (1 - most_routed), self.cache_bytes)
            caches[place] = make_caches(shape, *place, copies, self.device)
        fraction = subject.routed if subject.work == SINK else 0.0
        if (*place, fraction) not in inputs:
            inputs[*place, fraction] = make_inputs(shape, caches[place], fraction)
        return inputs[*place, fraction]

    def _ready(self, shape: Shape, subject: Subject, inputs: Inputs) -> Replays:
        if refusal := subject.peer.refuses(inputs):
            raise Refused(refusal)
        for config in self._configs(shape, subject, inputs):
            replays = Replays(subject.peer.calls(inputs, config))
            error, max_error = check(inputs, replays)
            correct = error <= TOLERANCES[shape.dtype]
            description = subject.peer.describe(config)
            copies = len(inputs.caches.k)
            self.journal.add("check", **subject.fields(shape), error=error, max_error=max_error, correct=correct,
                             config=description, copies=copies, calls=replays.num_calls)
            self.say(f"{subject}: {description}; {copies} copies, {replays.num_calls} calls a replay, error {error:.1e}"
                     + ("" if correct else " WRONG"))
            if correct:
                return replays
        raise Refused("its output is wrong")

    def _configs(self, shape: Shape, subject: Subject, inputs: Inputs) -> list[Config]:
        """The fastest configurations, best first: as found before, or by timing each of them once."""
        if known := self.journal.of("tuned", **subject.fields(shape)):
            return list(known[-1]["configs"])
        configs = subject.peer.configs(inputs)
        if len(configs) < 2:
            return configs
        times: list[tuple[float, int]] = []
        begin = time.monotonic()
        failures: list[str] = []
        for index, config in enumerate(configs):
            if self.seconds_left() <= 0:
                raise OutOfTime  # rather than keep what a search that was cut short has found
            if times and time.monotonic() - begin > SEARCH_SECONDS:
                break
            try:
                replays = Replays(subject.peer.calls(inputs, config))
                times.append((statistics.median(replays.sample(3, warm_up_seconds=0.01)), index))
            except Exception as error:  # more local memory than there is, for example
                failures.append(str(error))
                self._raise_if_lost(error)
        if not times:
            raise RuntimeError(failures[-1])
        best = [configs[index] for _, index in sorted(times)[:3]]
        self.journal.add("tuned", **subject.fields(shape), configs=best, ms=min(times)[0], timed=len(times), of=len(configs))
        self.say(f"{subject}: {len(times)} of {len(configs)} configurations timed in {time.monotonic() - begin:.1f} s"
                 + (f", {len(failures)} failed: {failures[-1][:100]}" if failures else ""))
        return best

    def _round(self, shape: Shape, round_index: int, ready: dict[Subject, Replays]) -> bool:
        """Whether clsink had anything to say: the round ends with its record."""
        for subject, replays in list(ready.items()):
            try:
                times = spread(replays.sample(self.replays))
            except Exception as error:
                del ready[subject]
                self._leave_out(shape, subject, error)
                continue
            self.journal.add("peer", **subject.fields(shape), round=round_index, **times)
        rows = [row for variant in self.variants for row in self._clsink_rows(shape, variant)]
        if rows:
            self.journal.add("clsink", shape=shape.text, round=round_index, rows=rows)
        return bool(rows)

    def _clsink_rows(self, shape: Shape, variant: str) -> list[Row]:
        try:
            rows = self.tool.bench(shape, variant)
        except ToolFailed as error:
            self._leave_out_clsink(shape, variant, 0, str(error))
            return []
        for row in rows:
            row["asked_variant"] = variant
            if not row["correct"]:
                self._leave_out_clsink(shape, row["variant"], row["routed"], f"WRONG, error {row['error']:.1e}")
        return rows

    def _leave_out_clsink(self, shape: Shape, variant: str, routed: float, why: str) -> None:
        self.say(f"clsink {variant or 'as planned'}, routed {routed:g}: left out: {why}")
        self.journal.add("left_out", shape=shape.text, peer="clsink", work=variant, routed=routed, why=why)

    def _leave_out(self, shape: Shape, subject: Subject, error: Exception) -> None:
        why = str(error) if isinstance(error, Refused) else " ".join(f"{type(error).__name__}: {error}".split())[:300]
        self.say(f"{subject}: left out: {why}")
        self.journal.add("left_out", **subject.fields(shape), why=why)
        self._raise_if_lost(error)

    def _raise_if_lost(self, error: Exception) -> None:
        if self.device == "cpu":
            return
        try:
            torch.cuda.synchronize()
        except Exception:
            raise DeviceLost from error


def forget_tensors() -> None:
    """Gives the memory of a shape back to the device, for clsink's process and the next shape."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
