# SPDX-License-Identifier: Apache-2.0
"""The journal: one JSON object a line, appended as it is known, so that a run that is cut short loses nothing."""
from __future__ import annotations

import json
import pathlib
from typing import Any

Record = dict[str, Any]


class Journal:
    """Kinds: session, tuned, check, peer, clsink, left_out. A round of a shape is complete with its clsink record."""

    def __init__(self, path: pathlib.Path, session: str) -> None:
        self.path, self.session = path, session
        self.records: list[Record] = []
        if path.exists():
            text = path.read_text()
            if text and not text.endswith("\n"):  # cut short while a line was being written
                text = text[:text.rfind("\n") + 1]
                path.write_text(text)
            self.records = [json.loads(line) for line in text.splitlines()]

    def add(self, kind: str, **fields: Any) -> None:
        record = {"kind": kind, "session": self.session, **fields}
        self.records.append(record)
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def of(self, kind: str, **fields: Any) -> list[Record]:
        """Records of a kind whose fields have these values."""
        return [record for record in self.records
                if record["kind"] == kind and all(record.get(key) == value for key, value in fields.items())]

    def rounds_done(self, shape: str) -> int:
        """Complete rounds of all sessions."""
        return len({(record["session"], record["round"]) for record in self.of("clsink", shape=shape)})
