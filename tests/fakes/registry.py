"""Registries for tests: a directory, a clock that stands still, and what was logged."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Tuple

from dcc_mcp_embed.registry.file_registry import FileRegistry
from dcc_mcp_embed.registry.place import Place
from fakes.clock import FakeClock

__all__ = ["ID", "Opened", "raw_row"]

#: An instance id, for rows that tests write themselves.
ID = "00112233-4455-6677-8899-aabbccddeeff"


def raw_row(**changes: Any) -> Dict[str, Any]:
    """Return a row as another program may have written it: valid, without sentinel or pid."""
    row = {
        "dcc_type": "maya",
        "instance_id": ID,
        "host": "127.0.0.1",
        "port": 18812,
        "version": "2025",
        "scene": None,
        "metadata": {},
        "registered_at": {"secs_since_epoch": 1700000000, "nanos_since_epoch": 123456789},
        "last_heartbeat": {"secs_since_epoch": 1700000000, "nanos_since_epoch": 123456789},
        "status": "available",
    }
    row.update(changes)
    return {name: value for name, value in row.items() if value is not ...}


class Opened:
    """A registry in ``directory`` and everything around it, as a context manager."""

    def __init__(self, directory: object, clock: Any = None, **options: Any) -> None:
        self.directory = str(directory)
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self.clock = clock or FakeClock()
        self.logged: List[Tuple[str, str]] = []
        self.registry = FileRegistry(
            Place(self.directory, "argument"),
            self.clock,
            lambda level, text: self.logged.append((level, text)),
            **options,
        )

    @property
    def path(self) -> str:
        return os.path.join(self.directory, "services.json")

    def rows(self) -> Any:
        """Return what stands in the file."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return []

    def write(self, *rows: Any) -> None:
        """Replace the file, as a program does that knows neither locks nor other rows."""
        self.write_bytes(json.dumps(list(rows), indent=2).encode("utf-8"))

    def write_bytes(self, content: bytes) -> None:
        with open(self.path + ".new", "wb") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)

    def corrupted(self) -> List[str]:
        """Return the names of files that were set aside."""
        return sorted(name for name in os.listdir(self.directory) if ".corrupted-" in name)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: Any) -> None:
        self.registry.close()
