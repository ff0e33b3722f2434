# SPDX-License-Identifier: Apache-2.0
"""FlashInfer's decode kernels from its headers, compiled by nvcc; left out with a reason where either is missing."""
from __future__ import annotations

import ctypes
import importlib.util
import math
import pathlib
import shutil
import subprocess
from functools import partial

import torch

from inputs import Inputs
from timing import Call

SOURCE = pathlib.Path(__file__).with_name("flashinfer_peer.cu")
KERNELS = ("single decode", "single, tensor cores", "paged decode", "paged, tensor cores")  # as in the source
GROUPS_OF_DECODE = (1, 4, 8)  # query heads a group that its plain kernels are compiled for
BUILD_SECONDS = 400

Config = dict[str, int]


class Unavailable(Exception):
    """Why there is no FlashInfer here."""


def header_folder(given: str) -> pathlib.Path:
    """The wheel's folder flashinfer/data: as given, or that of the installed package."""
    if given:
        return pathlib.Path(given)
    package = importlib.util.find_spec("flashinfer")
    if package is None or not package.submodule_search_locations:
        raise Unavailable("no package flashinfer, and neither its headers nor a library named with --flashinfer")
    return pathlib.Path(package.submodule_search_locations[0]) / "data"


def build(data: pathlib.Path, library: pathlib.Path) -> None:
    """Compiles the C interface; about a minute, most of it spent in templates."""
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if nvcc is None:
        raise Unavailable("no nvcc to compile its headers")
    if not (data / "include" / "flashinfer").is_dir():
        raise Unavailable(f"no headers in {data}/include/flashinfer")
    # its own copy of CUDA's C++ library comes first: the headers use what the toolkit's may be too old for
    folders = [data / "include", data / "cccl/libcudacxx/include", data / "cccl/cub", data / "cccl/thrust"]
    command = [nvcc, "-O3", "-std=c++17", "-arch=sm_90a", "-shared", "-Xcompiler", "-fPIC,-static-libstdc++,-static-libgcc",
               "--expt-relaxed-constexpr", "-w", *(f"-I{folder}" for folder in folders if folder.is_dir()), str(SOURCE), "-o",
               str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"nvcc took more than {BUILD_SECONDS} s") from None
    if done.returncode:
        raise Unavailable("nvcc: " + " / ".join(done.stderr.strip().splitlines()[:3]))


def load(given: str, folder: pathlib.Path) -> ctypes.CDLL:
    """The library: as given (a .so), else built into `folder` once."""
    library = pathlib.Path(given) if given.endswith(".so") else folder / "libflashinfer_peer.so"
    if not library.exists():
        build(header_folder("" if given.endswith(".so") else given), library)
    try:
        loaded = ctypes.CDLL(str(library.resolve()))
    except OSError as error:
        raise Unavailable(str(error)) from None
    loaded.fi_last_error.restype = ctypes.c_char_p
    loaded.fi_create.restype = ctypes.c_void_p
    loaded.fi_create.argtypes = [ctypes.c_int] * 6 + [ctypes.c_void_p]
    loaded.fi_run.argtypes = [ctypes.c_void_p] * 6
    loaded.fi_destroy.argtypes = [ctypes.c_void_p]
    loaded.fi_destroy.restype = None
    return loaded


class Step:
    """A planned kernel of the library; freed with the last call that uses it."""

    def __init__(self, library: ctypes.CDLL, kernel: int, inputs: Inputs) -> None:
        shape, caches = inputs.shape, inputs.caches
        self.kernels, self.handle = library, None
        table = None if caches.page_table is None else caches.page_table.cpu().contiguous()
        self.handle = library.fi_create(kernel, shape.batch, shape.kv_heads, shape.group, caches.kv_len, caches.page,
                                        None if table is None else table.data_ptr())
        if not self.handle:
            raise RuntimeError(library.fi_last_error().decode())

    def __del__(self) -> None:
        if self.handle:
            self.kernels.fi_destroy(self.handle)

    def run(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        pointers = (tensor.data_ptr() for tensor in (q, k, v, out))
        if self.kernels.fi_run(self.handle, *pointers, torch.cuda.current_stream().cuda_stream):
            raise RuntimeError(self.kernels.fi_last_error().decode())
        return out


class FlashInferPeer:
    """The fastest of its kernels that can run the shape, found by trying."""

    name = "FlashInfer"

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def refuses(self, inputs: Inputs) -> str | None:
        if inputs.shape.dtype != "f16" or inputs.shape.head_dim != 128:
            return "compiled for f16 with head_dim 128 only"
        if not inputs.caches.page and inputs.shape.batch > 1:
            return "its batched kernels read pages only"
        return None

    def configs(self, inputs: Inputs) -> list[Config]:
        plain, tensor_cores = (2, 3) if inputs.caches.page else (0, 1)
        kernels = [plain] if inputs.shape.group in GROUPS_OF_DECODE else []
        return [{"kernel": kernel} for kernel in [*kernels, tensor_cores]]

    def describe(self, config: Config) -> str:
        return KERNELS[config["kernel"]]

    def calls(self, inputs: Inputs, config: Config) -> list[Call]:
        step = Step(self.library, config["kernel"], inputs)
        return [partial(step.run, inputs.q, k, v, torch.full_like(inputs.q, math.nan))
                for k, v in zip(inputs.caches.k, inputs.caches.v, strict=True)]
