#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clsink beside its peers, in one run on one card. Writes OUT/journal.jsonl while it goes, OUT/peers.json and a table at the end.

    run.py --clsink build/src/cli/clsink --device NVIDIA --out build/peers --minutes 9

Interrupt it whenever you like; the same command goes on where it stopped.
"""
from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import signal
import sys
import time

import torch

from clsink_tool import ClsinkTool, ToolFailed
from comparison import Comparison, DeviceLost, OutOfTime, Peer, forget_tensors
from journal import Journal
from peers_torch import sdpa_peers
from report import write
from shapes import Shape, read_shapes

HERE = pathlib.Path(__file__).parent
PEERS = ("cudnn", "fa2", "triton", "sinkrouter", "flashinfer")
CPU_CACHE_BYTES = 1 << 13  # self-checks are small
LEAST_SECONDS = 15  # no shape is begun with less
# A process that replaces itself after a lost device goes on in the same session, with the same deadline.
SESSION, BEGIN, RESTARTS = "CLSINK_PEERS_SESSION", "CLSINK_PEERS_BEGIN", "CLSINK_PEERS_RESTARTS"
MOST_RESTARTS = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clsink", type=pathlib.Path, required=True, help="the clsink program")
    parser.add_argument("--device", default="NVIDIA", help='part of "platform/device" of the OpenCL device')
    parser.add_argument("--variant", action="append", default=[], help="clsink's variant instead of the planner's; repeatable")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of journal and results")
    parser.add_argument("--shapes", type=pathlib.Path, default=HERE / "shapes.txt")
    parser.add_argument("--only", action="append", default=[], help="only shapes whose line contains this; repeatable")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; default: %(default)s")
    parser.add_argument("--flashinfer", default="", help="folder flashinfer/data of its wheel, or the built libflashinfer_peer.so")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of a shape (default %(default)s)")
    parser.add_argument("--replays", type=int, default=15, help="graph replays of a peer in a round (default %(default)s)")
    parser.add_argument("--clsink-seconds", type=float, default=1.5, help="clsink bench --seconds in a round (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop in time for this budget")
    parser.add_argument("--torch-device", choices=("cuda", "cpu"), default="cuda", help="cpu: only to check this program")
    parser.add_argument("--report-only", action="store_true", help="results of the journal as it is")
    return parser.parse_args()


def make_peers(wanted: list[str], args: argparse.Namespace, units: int) -> tuple[dict[str, Peer], dict[str, str]]:
    """The peers that can be had, and why the others cannot."""
    peers: dict[str, Peer] = {name: peer for name, peer in sdpa_peers(args.torch_device).items() if name in wanted}
    missing: dict[str, str] = {}
    if {"triton", "sinkrouter"} & set(wanted):
        try:
            from peers_triton import TritonPeer
            both: dict[str, Peer] = {"triton": TritonPeer("Triton split-K", False, units, args.torch_device == "cuda"),
                                     "sinkrouter": TritonPeer("Triton SinkRouter", True, units, args.torch_device == "cuda")}
            peers |= {name: peer for name, peer in both.items() if name in wanted}
        except ImportError as error:
            missing["Triton"] = str(error)
    if "flashinfer" in wanted:
        from peers_flashinfer import FlashInferPeer, Unavailable, load
        try:
            if args.torch_device == "cpu":
                raise Unavailable("needs a GPU")
            peers["flashinfer"] = FlashInferPeer(load(args.flashinfer, args.out))
        except Unavailable as error:
            missing["FlashInfer"] = str(error)
    return peers, missing


def measure(args: argparse.Namespace, journal: Journal, begin: float) -> None:
    """All shapes, the most important first, until the time is spent."""
    def say(text: str) -> None:
        print(f"[{time.time() - begin:6.1f} s] {text}", flush=True)

    def seconds_left() -> float:
        return begin + 60 * args.minutes - time.time()

    on_gpu = args.torch_device == "cuda"
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    tool = ClsinkTool(args.clsink, args.device, args.clsink_seconds)
    facts = tool.facts()
    properties = torch.cuda.get_device_properties(0) if on_gpu else None
    cache_bytes = properties.L2_cache_size if properties else CPU_CACHE_BYTES
    name = properties.name if properties else facts["name"]
    say(f"{name}, last-level cache {cache_bytes / 1e6:.0f} MB; torch {torch.__version__}; clsink on {facts['name']}, driver "
        f"{facts['driver']}, which reports a cache of {facts['cache_bytes'] / 1e6:.1f} MB")
    if not journal.of("session", session=journal.session):
        journal.add("session", device=name, driver=facts["driver"], date=journal.session, torch=torch.__version__,
                    cache_bytes=cache_bytes, opencl=facts, variants=args.variant)
    peers, missing = make_peers(args.peers.split(","), args, properties.multi_processor_count if properties else 4)
    for peer, why in missing.items():
        say(f"{peer} left out: {why}")
        journal.add("left_out", shape="all", routed=0, peer=peer, work="", why=why)
    comparison = Comparison(peers, tool, args.variant or [""], journal, args.torch_device, cache_bytes, args.rounds,
                            args.replays, seconds_left, say)
    shapes: list[Shape] = read_shapes(args.shapes, args.only)
    for index, shape in enumerate(shapes):
        if seconds_left() < LEAST_SECONDS:
            raise OutOfTime
        say(f"shape {index + 1} of {len(shapes)}: {shape.text}")
        comparison.run(shape)
        forget_tensors()
        write(journal, args.out / "peers.json")
    say("all shapes are complete")


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(SESSION, datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    begin = float(os.environ.setdefault(BEGIN, repr(time.time())))
    journal = Journal(args.out / "journal.jsonl", os.environ[SESSION])
    signal.signal(signal.SIGTERM, stop)
    exit_code = 0
    try:
        if not args.report_only:
            measure(args, journal, begin)
    except OutOfTime:
        print(f"the {args.minutes:g} minutes are spent; the same command goes on from here", flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", flush=True)
        exit_code = 130
    except ToolFailed as error:
        print(f"clsink: {error}", flush=True)
        exit_code = 1
    except DeviceLost as error:
        restarts = int(os.environ.get(RESTARTS, "0"))
        if restarts < MOST_RESTARTS:
            print(f"the device is lost to this process ({error.__cause__}); a new one goes on without that peer", flush=True)
            os.environ[RESTARTS] = str(restarts + 1)
            os.execv(sys.executable, [sys.executable, *sys.argv])
        exit_code = 1
    print("\n" + write(journal, args.out / "peers.json") + f"\n\nresults: {args.out / 'peers.json'}", flush=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
