# SPDX-License-Identifier: Apache-2.0
"""Runs `clsink bench` as a program of its own and reads the rows that it writes."""
from __future__ import annotations

import json
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any

from shapes import Shape

Row = dict[str, Any]
EXIT_INCORRECT = 1  # rows are written, some are wrong and say so


class ToolFailed(Exception):
    """What the tool said."""


@dataclass
class ClsinkTool:
    binary: pathlib.Path
    device: str
    seconds: float
    timeout: float = 300

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run([str(self.binary), *arguments], capture_output=True, text=True, timeout=self.timeout, check=False)
        except subprocess.TimeoutExpired:
            raise ToolFailed(f"took more than {self.timeout:.0f} s") from None
        except OSError as error:
            raise ToolFailed(str(error)) from None

    def facts(self) -> Row:
        """The OpenCL device that the name stands for."""
        done = self._run(["devices", "--json"])
        if done.returncode:
            raise ToolFailed(done.stderr.strip()[-300:])
        devices = json.loads(done.stdout)
        for device in devices:
            if self.device in device["name"]:
                return dict(device)
        raise ToolFailed(f"no OpenCL device matches '{self.device}'; there are {[device['name'] for device in devices]}")

    def bench(self, shape: Shape, variant: str) -> list[Row]:
        """Rows for dense and for every routed fraction, ragged and equal; `variant` empty: the planner's."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rows.json"
            fractions = ",".join(f"{fraction:g}" for fraction in (0.0, *shape.routed))
            options = {"--device": self.device, "--variant": variant, "--lengths": shape.lengths, "--pattern": shape.pattern}
            done = self._run(["bench", shape.problem, "--routed", fractions, "--seconds", f"{self.seconds:g}", "--json", str(path),
                              *(word for option in options.items() if option[1] for word in option)])
            if done.returncode not in (0, EXIT_INCORRECT) or not path.exists():
                raise ToolFailed((done.stderr or done.stdout).strip()[-300:] or f"exit code {done.returncode}")
            rows: list[Row] = json.loads(path.read_text())
            return rows
