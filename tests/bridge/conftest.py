"""A bridge and a host in this process, each on threads of its own, for the tests of the bridge."""

from __future__ import annotations

import pytest

from conformance.watch import as_the_specification_says  # noqa: F401
from fakes.bridged import Within
from fakes.live import Live


@pytest.fixture
def home(tmp_path):
    return str(tmp_path)


@pytest.fixture
def bridge(home, monkeypatch):
    with Within(home, monkeypatch) as bridge:
        yield bridge


@pytest.fixture
def serve(home, monkeypatch):
    """Return what starts a host in this process, with tools of the test's own."""
    running = []

    def start(*tools, **options):
        running.append(Live(home, monkeypatch, tools=tools, **options))
        return running[-1]

    yield start
    for live in running:
        if live.serving:
            live.close()
