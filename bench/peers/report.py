# SPDX-License-Identifier: Apache-2.0
"""From the journal to peers.json and the table of ratios."""
from __future__ import annotations

import json
import pathlib
import statistics
from collections import defaultdict
from typing import Any

from journal import Journal, Record

Row = dict[str, Any]
METHOD = ("In every round, on one card at a time (sessions): each peer is timed, then clsink. Peers: replays of a CUDA graph with several calls, "
          "caches rotated so that a sweep reads more than four times the last-level cache, median of the replays; outputs checked "
          "against a reference in double. clsink: `clsink bench` as its own process, wall time per back-to-back enqueue, median of "
          "its rounds; clsink_kernels_ms is the sum of its kernels' profiling times instead, clsink_enqueue_us the host's time for "
          "one enqueue on an idle queue. ratio: peer over clsink, paired by round, median over rounds. Ragged shapes: the peer is "
          "clsink itself on equal sequences that read as many bytes, in the same process and rounds.")
EQUAL = "equal"  # lengths, in rows of `clsink bench`
CLSINK_WORK = "surrogate (1,64)"  # of routed rows: what the problem says if it says nothing
RAGGED_PEER, RAGGED_WORK = "clsink", "equal lengths"  # of ragged rows: the same bytes in equal sequences, routed alike
COLD = 2  # a sweep of fewer last-level caches may be served by it in part


def _clsink_rows(journal: Journal, shape: str, equal: bool = False) -> dict[tuple[str, float], dict[tuple[str, int], Row]]:
    """By (variant asked for, routed), then by (session, round); wrong results are not there. `equal`: the counterparts of
    ragged rows instead."""
    found: dict[tuple[str, float], dict[tuple[str, int], Row]] = defaultdict(dict)
    for record in journal.of("clsink", shape=shape):
        for row in record["rows"]:
            if row["correct"] and (row.get("lengths") == EQUAL) == equal:
                found[row["asked_variant"], round(row["routed"], 6)][record["session"], record["round"]] = row
    return found


def _peer_samples(journal: Journal, shape: str) -> dict[tuple[str, str, float], dict[tuple[str, int], Record]]:
    found: dict[tuple[str, str, float], dict[tuple[str, int], Record]] = defaultdict(dict)
    for record in journal.of("peer", shape=shape):
        found[record["peer"], record["work"], round(record["routed"], 6)][record["session"], record["round"]] = record
    return found


def _three(name: str, values: list[float], digits: int = 5) -> Row:
    """Median, least and largest."""
    return {name: round(statistics.median(values), digits), f"{name}_min": round(min(values), digits),
            f"{name}_max": round(max(values), digits)}


def _over(peers_ms: list[float], ours_ms: list[float]) -> list[float]:
    return [theirs / mine for theirs, mine in zip(peers_ms, ours_ms, strict=True)]


def _row(shape: str, key: tuple[str, str, float], peers: list[Record], ours: list[Row], check: Record, cache_bytes: int) -> Row:
    peer, work, routed = key
    peers_ms = [record["ms"] for record in peers]
    ours_ms = [row["median_us"] / 1e3 for row in ours]
    kernels_ms = [sum(row["stage_us"].values()) / 1e3 for row in ours]
    last = ours[-1]
    return {
        "shape": shape, "routed": routed, "peer": peer, "label": f"{peer}, {work}", "peer_config": check["config"],
        **_three("peer_ms", peers_ms), **_three("clsink_ms", ours_ms), **_three("ratio", _over(peers_ms, ours_ms), 4),
        "runs": len(ours),
        "clsink_kernels_ms": round(statistics.median(kernels_ms), 5),
        "ratio_of_kernels": round(statistics.median(_over(peers_ms, kernels_ms)), 4) if all(kernels_ms) else None,
        "peer_p10_ms": round(min(record["p10_ms"] for record in peers), 5),
        "peer_p90_ms": round(max(record["p90_ms"] for record in peers), 5),
        "error": check["error"], "max_error": check["max_error"], "clsink_error": last["error"],
        "clsink_work": CLSINK_WORK if routed and "near=" not in shape else "dense" if not routed else shape,
        "clsink_variant": last["variant"], "clsink_asked_variant": last["asked_variant"], "bytes": last["bytes"],
        "clsink_enqueue_us": round(statistics.median(row["enqueue_us"] for row in ours), 2) if "enqueue_us" in last else None,
        "read_ms": round(statistics.median(row["read_us"] / 1e3 for row in ours), 5),
        "peer_copies": check["copies"], "clsink_copies": last["copies"],
        "clsink_sweep_over_cache": round(last["copies"] * last["bytes"] / cache_bytes, 2),
    }


def rows_of(journal: Journal) -> list[Row]:
    """One row for each shape, peer, routed fraction and variant of clsink that were measured in the same rounds."""
    sessions = {record["session"]: record for record in journal.of("session")}
    rows = []
    for shape in dict.fromkeys(record["shape"] for record in journal.of("clsink")):
        clsink = _clsink_rows(journal, shape)
        for key, samples in _peer_samples(journal, shape).items():
            checks = journal.of("check", shape=shape, peer=key[0], work=key[1], correct=True)
            checks = [record for record in checks if round(record["routed"], 6) == key[2]]
            for (_, routed), by_round in clsink.items():
                places = [place for place in samples if place in by_round]
                if routed == key[2] and places and checks:
                    peers, ours = [samples[place] for place in places], [by_round[place] for place in places]
                    rows.append(_row(shape, key, peers, ours, checks[-1], sessions[places[-1][0]]["cache_bytes"]))
        equal = _clsink_rows(journal, shape, equal=True)
        for (variant, routed), by_round in clsink.items():
            others = equal.get((variant, routed), {})
            places = [place for place in others if place in by_round]
            if places:
                last = others[places[-1]]
                check = {"config": last["variant"], "error": last["error"], "max_error": None, "copies": last["copies"]}
                peers = [{"ms": row["median_us"] / 1e3, "p10_ms": row["p10_us"] / 1e3, "p90_ms": row["p90_us"] / 1e3}
                         for row in (others[place] for place in places)]
                rows.append(_row(shape, (RAGGED_PEER, RAGGED_WORK, routed), peers, [by_round[place] for place in places], check,
                                 sessions[places[-1][0]]["cache_bytes"]))
    return rows


def table(rows: list[Row]) -> str:
    """Ratios above 1: clsink is faster."""
    lines = [f"{'routed':>6}  {'peer ms':>9} {'clsink ms':>9}  {'ratio':>6} {'min - max':>13}  {'kernels':>7}  {'host us':>7}  "
             f"{'runs':>4}  {'error':>7}  peer"]
    shape = None
    for row in rows:
        if row["shape"] != shape:
            shape = row["shape"]
            lines.append(shape)
        kernels = f"{row['ratio_of_kernels']:7.3f}" if row["ratio_of_kernels"] else "      -"
        host = f"{row['clsink_enqueue_us']:7.1f}" if row["clsink_enqueue_us"] else "      -"
        variant = f" | {row['clsink_asked_variant']}" if row["clsink_asked_variant"] else ""
        warm = " *" if row["clsink_sweep_over_cache"] < COLD else ""
        lines.append(f"{row['routed']:6g}  {row['peer_ms']:9.4f} {row['clsink_ms']:9.4f}  {row['ratio']:6.3f} "
                     f"{row['ratio_min']:6.3f}-{row['ratio_max']:6.3f}  {kernels}  {host}  {row['runs']:4}  "
                     f"{row['error']:7.1e}  {row['label']}{variant}{warm}")
    lines.append("ratio: peer's time over clsink's wall time, paired by round (above 1: clsink is faster)")
    lines.append("kernels: peer's time over the sum of the times of clsink's kernels")
    lines.append("host us: clsink's enqueue alone, on an idle queue")
    if any(row["peer"] == RAGGED_PEER for row in rows):
        lines.append(f"{RAGGED_PEER}, {RAGGED_WORK}: on equal sequences with the same bytes; a ratio of 1: raggedness is free")
    if any(row["routed"] for row in rows):
        lines.append(f"routed: clsink attends to sink and last 64 tokens, {CLSINK_WORK}; SinkRouter's (1,0) is less work")
    if any(row["clsink_sweep_over_cache"] < COLD for row in rows):
        lines.append(f"*: a sweep of clsink's rotation reads less than {COLD} last-level caches: the cache may serve it in part")
    return "\n".join(lines)


def write(journal: Journal, path: pathlib.Path) -> str:
    """Writes peers.json and returns the table."""
    rows = rows_of(journal)
    sessions = journal.of("session")
    last = sessions[-1] if sessions else {}
    left_out = [{key: record.get(key) for key in ("shape", "routed", "peer", "work", "why")} for record in journal.of("left_out")]
    figures = {"device": last.get("device"), "driver": last.get("driver"), "date": last.get("date"), "method": METHOD,
               "last_level_cache_bytes": last.get("cache_bytes"), "sessions": sessions, "rows": rows, "left_out": left_out}
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps(figures, indent=1) + "\n")
    whole.replace(path)
    return table(rows) if rows else "no rows yet"
