"""A bridge and a host in this process, each on threads of its own, for the tests of the bridge."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance.watch import as_the_specification_says  # noqa: F401
from fakes.bridged import Web, Within
from fakes.live import starting
from fakes.streaming import connecting
from fakes.unhurried import no_beats  # noqa: F401


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
    with starting(home, monkeypatch) as start:
        yield lambda *tools, **options: start(tools=tools, **options)


@pytest.fixture
def web(home, monkeypatch):
    with Web(home, monkeypatch) as web:
        yield web


@pytest.fixture
def connect(web):
    with connecting(web) as one_more:
        yield one_more


@pytest.fixture
def later():
    """Return what calls a function on another thread."""
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit
