"""Servers in a 3ds Max that a test plays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, List

from dcc_mcp_embed.host.job import QUEUED
from fakes.hazards import until
from fakes.hosted import DEADLINE, Hosted

__all__ = ["queued", "serving"]


def queued(hosted: Hosted, name: str, count: int) -> None:
    """Wait until so many calls of a tool wait for the main thread. Others may, too."""
    lane = hosted.server._lanes["main"]
    until(lambda: [job.name for job in lane.jobs() if job.state == QUEUED].count(name) == count)


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
