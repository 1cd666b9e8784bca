"""Servers in a 3ds Max that a test plays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, List

from fakes.hosted import DEADLINE, Hosted

__all__ = ["serving"]


@contextmanager
def serving(home: str, monkeypatch: Any) -> Iterator[Callable[..., Hosted]]:
    """Yield what starts a server: ``start(stage, *tools, **options)``; all are closed at the end.

    Closing comes before the stage's end where that is a fixture of the same test.
    """
    running: List[Hosted] = []

    def start(stage: Any, *tools: Any, **options: Any) -> Hosted:
        if tools:
            options["tools"] = list(tools)
        hosted = Hosted(stage, home, monkeypatch, **options)
        running.append(hosted)
        # 3dsmaxbatch ends with what it serves, and the row that is not written by then never is.
        hosted.server.wait_registered(DEADLINE)
        return hosted

    try:
        yield start
    finally:
        for hosted in running:
            hosted.close()
