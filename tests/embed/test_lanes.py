"""The worker's garbage: an idle host is asked to collect it, a busy one is left alone."""

from __future__ import annotations

import threading

import pytest

from dcc_mcp_embed import collector
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.embed.lanes import make_lanes
from dcc_mcp_embed.host.job import Job
from dcc_mcp_embed.logbook import LogBook

DEADLINE = 10.0


class Host:
    """A main thread that pumps when the test says so."""

    def __init__(self, idle):
        self._idle = idle

    def wake(self, pump):
        if self._idle:
            pump()

    def modal_state(self):
        return None


@pytest.mark.parametrize("idle", [True, False])
def test_garbage_of_the_worker_leaves_nothing_in_the_line_of_the_host(idle, monkeypatch):
    collections = []
    monkeypatch.setattr(collector, "due", lambda: True)
    monkeypatch.setattr(collector, "catch_up", lambda: collections.append("collected"))
    clock = SystemClock()
    lanes, worker = make_lanes(
        Host(idle), clock, Limits(), lambda *_: None, LogBook(clock), lambda: None
    )
    over = threading.Event()
    job = Job(
        "a",
        "litter",
        lambda: None,
        lambda value, error, report: value,
        lambda job, answer, error: over.set(),
        writes=False,
    )
    lanes["worker"].submit(job)
    assert over.wait(DEADLINE)
    assert worker.stop(DEADLINE)
    assert collections == ["collected"] * idle
    assert lanes["main"].jobs() == []
    assert lanes["main"].status()["queue_depth"] == 0
