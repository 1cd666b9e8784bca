"""A host whose main thread stands still: one tool keeps it, and calls run out of time."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, List

import dcc_mcp_embed

from .live import DEADLINE, Live

__all__ = ["Stall"]

#: How long its calls wait, seconds.
_TIME = 0.15


class Stall:
    """``tools`` are for the server; as a context it holds the main thread of ``live``.

    The first call has run out of time when the context is entered, or will in a moment: one more,
    by :meth:`another`, and the thread counts as stalled.
    """

    def __init__(self) -> None:
        entered, leave = self._entered, self._leave = threading.Event(), threading.Event()
        self._callers: List[threading.Thread] = []

        @dcc_mcp_embed.tool(timeout=_TIME)
        def block() -> str:
            """Keep the main thread."""
            entered.set()
            assert leave.wait(DEADLINE)
            return "over"

        @dcc_mcp_embed.tool(timeout=_TIME, read_only=True)
        def look() -> str:
            """Look."""
            return "seen"

        self.tools = [SimpleNamespace(block=block, look=look)]

    def hold(self, live: Live) -> Stall:
        """Have the main thread held; return this, to be a context."""
        self._live = live
        self._call("block")
        assert self._entered.wait(DEADLINE)
        return self

    def another(self) -> None:
        """Have another call run out of time."""
        self._call("look")

    def _call(self, name: str) -> None:
        def work() -> None:
            with self._live.connect() as wire:
                wire.tool(name)

        caller = threading.Thread(target=work, name="caller")
        self._callers.append(caller)
        caller.start()

    def __enter__(self) -> Stall:
        return self

    def __exit__(self, *_: Any) -> None:
        self._leave.set()
        for caller in self._callers:
            caller.join(DEADLINE)
