"""The tools of the hosts that were seen last, in a file: what a client is shown while none runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any, Callable, Dict, List, NamedTuple

from .._compat import replace
from ..clock import Clock
from ..parsing import loads

__all__ = ["FILE", "Remembered", "ToolCache", "is_tool"]

FILE = "bridge-tools.json"
_FORMAT = 1
#: Bytes. A hundred tools have about 100 KiB.
_LIMIT = 16 * 1024 * 1024

Tools = List[Dict[str, Any]]


class Remembered(NamedTuple):
    """Kind of host -> its tools, the kind that was seen last at the end."""

    kinds: Dict[str, Tools]


def is_tool(value: Any) -> bool:
    """Return whether a value is a tool's description, as far as it matters here."""
    return (
        type(value) is dict
        and type(value.get("name")) is str
        and type(value.get("inputSchema")) is dict
    )


class ToolCache:
    """The file in ``directory``. What cannot be read is not there; nothing here raises. One thread.

    Several bridges share it; the last one to write wins.
    """

    def __init__(self, directory: str, clock: Clock, log: Callable[[str, str], None]) -> None:
        self._directory = directory
        self.path = os.path.join(directory, FILE)
        self._clock = clock
        self._log = log
        self._said = ""

    def load(self) -> Remembered:
        """Return what the file says."""
        try:
            with open(self.path, "rb") as file:
                value = loads(file.read(_LIMIT).decode("utf-8"))
        except FileNotFoundError:
            return Remembered({})
        except (OSError, ValueError, RecursionError) as error:
            self._say("{} cannot be read: {}".format(self.path, error))
            return Remembered({})
        kinds = value.get("kinds") if type(value) is dict else None
        if type(kinds) is not list or value.get("format") != _FORMAT:
            self._say("{} is of another version, or damaged".format(self.path))
            return Remembered({})
        return Remembered({one["dcc"]: one["tools"] for one in kinds if _is_kind(one)})

    def save(self, kind: str, tools: Tools) -> None:
        """Remember the tools of a kind of host, which is now the one that was seen last."""
        kinds = self.load().kinds
        if list(kinds)[-1:] == [kind] and kinds[kind] == tools:
            return
        kinds.pop(kind, None)
        kinds[kind] = tools
        content = {
            "format": _FORMAT,
            "kinds": [{"dcc": name, "tools": known} for name, known in kinds.items()],
        }
        try:
            self._write(json.dumps(content).encode("ascii"))
        except OSError as error:
            self._say("{} cannot be written: {}".format(self.path, error))

    def _say(self, text: str) -> None:
        """Say what is wrong once, not with each list."""
        if text != self._said:
            self._said = text
            self._log("warning", text)

    def _write(self, data: bytes) -> None:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        temporary = "{}.{}".format(self.path, self._clock.token_bytes(6).hex())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(temporary, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            replace(temporary, self.path, self._clock.sleep)
        except BaseException:
            # Whatever ends it, the half of a file is not left behind; it goes on to the caller.
            with suppress(OSError):
                os.unlink(temporary)
            raise


def _is_kind(value: Any) -> bool:
    return (
        type(value) is dict
        and type(value.get("dcc")) is str
        and type(value.get("tools")) is list
        and all(is_tool(one) for one in value["tools"])
    )
