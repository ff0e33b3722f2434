# SPDX-License-Identifier: Apache-2.0
"""cuDNN's and FlashAttention-2's decode attention through torch's scaled_dot_product_attention."""
from __future__ import annotations

from functools import partial

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from inputs import Inputs
from timing import Call

Config = dict[str, int]


class SdpaPeer:
    """One backend of torch SDPA; it reads contiguous caches only."""

    def __init__(self, name: str, backend: SDPBackend) -> None:
        self.name, self.backend = name, backend

    def refuses(self, inputs: Inputs) -> str | None:
        return "reads no paged caches" if inputs.caches.page else None

    def configs(self, inputs: Inputs) -> list[Config]:
        return [{}]  # nothing to tune

    def describe(self, config: Config) -> str:
        return f"torch {torch.__version__} SDPA, {self.backend.name}"

    def calls(self, inputs: Inputs, config: Config) -> list[Call]:
        return [partial(self._attend, inputs.q, k, v, inputs.shape.group > 1)
                for k, v in zip(inputs.caches.k, inputs.caches.v, strict=True)]

    def _attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, grouped: bool) -> torch.Tensor:
        with sdpa_kernel(self.backend):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=grouped)


def sdpa_peers(device: str) -> dict[str, SdpaPeer]:
    """By short name. A CPU has neither; there torch's plain one stands in, to check this program."""
    if device == "cpu":
        return {"cudnn": SdpaPeer("torch SDPA, plain (CPU)", SDPBackend.MATH)}
    return {"cudnn": SdpaPeer("cuDNN", SDPBackend.CUDNN_ATTENTION), "fa2": SdpaPeer("FA2", SDPBackend.FLASH_ATTENTION)}
