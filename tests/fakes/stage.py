"""Tools whose moves a test decides, on a real server."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List

import dcc_mcp_embed
from dcc_mcp_embed.tools.declare import declared
from fakes.live import DEADLINE, Live, starting

__all__ = ["Stage", "declared_among"]


def declared_among(names: Dict[str, Any]) -> SimpleNamespace:
    """Return, as a module would have them, the tools among the local ``names`` of a function."""
    return SimpleNamespace(**{name: one for name, one in names.items() if declared(one)})


class Stage:
    """What a test and its tools tell each other. As a context: at its end nobody is kept.

    A tool that stays says so by ``entered`` and waits for ``leave``; one that has an effect notes
    its name in ``ran``, each time it runs. There is ``hold``, which does both; ``add`` more.
    """

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.ran: List[str] = []

        @dcc_mcp_embed.tool(thread="worker")
        def hold(name: str) -> dict:
            """Keep the worker thread."""
            self.ran.append(name)
            self.entered.release()
            assert self.leave.wait(DEADLINE)
            return {"name": name}

        self.tools = SimpleNamespace(hold=hold)

    def add(self, *tools: Any) -> None:
        for tool in tools:
            setattr(self.tools, tool.__name__, tool)

    @contextmanager
    def servers(self, home: str, monkeypatch: Any, **options: Any) -> Iterator[Callable[..., Live]]:
        """Yield what starts a server with these tools, as :func:`starting` does."""
        with starting(home, monkeypatch, tools=[self.tools], **options) as start:
            try:
                yield start
            finally:
                self.leave.set()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: Any) -> None:
        self.leave.set()
