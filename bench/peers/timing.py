# SPDX-License-Identifier: Apache-2.0
"""Times calls as replays of one CUDA graph that holds several calls, over one copy of the caches after the other."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

Call = Callable[[], torch.Tensor]

SWEEP_MS = 2.0  # a graph lasts about so long: far above the resolution of events
MOST_CALLS = 256
WARM_UP_SECONDS = 0.05  # idle clocks are low


class Replays:
    """The calls, captured once. On a CPU, where there are no graphs, they are simply repeated (for self-checks only)."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = list(calls)
        for call in self.calls:  # compiles, plans, allocates
            call()
        self.on_gpu = torch.cuda.is_available() and self.calls[0]().is_cuda
        self.num_calls = self._wanted_calls()
        self.outputs: list[torch.Tensor] = []
        if self.on_gpu:
            self._capture()

    def _wanted_calls(self) -> int:
        copies = len(self.calls)
        begin = time.perf_counter()
        for call in self.calls:
            call()
        self._wait()
        sweep_ms = 1e3 * (time.perf_counter() - begin)
        sweeps = max(1, round(SWEEP_MS / sweep_ms), -(-16 // copies)) if self.on_gpu else 1
        return min(sweeps * copies, max(copies, MOST_CALLS // copies * copies))

    def _capture(self) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for call in self.calls:
                call()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="relaxed"):  # peers may query the device
            for i in range(self.num_calls):
                output = self.calls[i % len(self.calls)]()
                if i < len(self.calls):
                    self.outputs.append(output)

    def _wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    def _once_ms(self) -> float:
        if not self.on_gpu:
            begin = time.perf_counter()
            self.outputs = [call() for call in self.calls]
            return 1e3 * (time.perf_counter() - begin) / len(self.calls)
        begin_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin_event.record()
        self.graph.replay()
        end_event.record()
        end_event.synchronize()
        return float(begin_event.elapsed_time(end_event)) / self.num_calls

    def sample(self, replays: int, warm_up_seconds: float = WARM_UP_SECONDS) -> list[float]:
        """Milliseconds a call of so many replays, after a warm-up."""
        warm = time.perf_counter() + warm_up_seconds
        self._once_ms()
        while self.on_gpu and time.perf_counter() < warm:
            self._once_ms()
        return [self._once_ms() for _ in range(replays)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 10th and 90th percentile."""
    if len(values) < 2:
        return {"ms": values[0], "p10_ms": values[0], "p90_ms": values[0]}
    deciles = statistics.quantiles(values, n=10, method="inclusive")
    return {"ms": statistics.median(values), "p10_ms": deciles[0], "p90_ms": deciles[-1]}
