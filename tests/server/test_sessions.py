"""Sessions: ended ones are refused, unknown ones are not, the table is bounded."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dcc_mcp_embed.server.sessions import IDLE, Sessions
from fakes.clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make(clock):
    return lambda limit: Sessions(clock, limit)


def ids(sessions):
    return [one.session_id for one in sessions.all()]


def attach(session):
    """Have a connection carry a stream of it."""
    exchange = SimpleNamespace(begin_stream=lambda _: None, send=lambda _: None)
    exchange.end_stream = lambda _: None
    session.streams().standing.attach(exchange)


def test_only_an_ended_session_is_ended(make):
    sessions = make(3)
    sessions.open("a", "2025-11-25", "client")
    assert sessions.get("a").client == "client"
    assert not sessions.ended("a")
    assert sessions.end("a")
    assert sessions.ended("a")
    assert sessions.get("a") is None
    assert not sessions.end("a")
    assert not sessions.end("never")
    assert not sessions.ended("never")


def test_the_least_recently_used_session_goes_first_and_is_then_merely_unknown(make):
    sessions = make(2)
    sessions.open("a", "v", "c")
    sessions.open("b", "v", "c")
    sessions.get("a")
    sessions.open("c", "v", "c")
    assert sessions.get("b") is None
    assert not sessions.ended("b")
    assert len(sessions) == 2


def test_a_million_abandoned_sessions_cost_nothing(make):
    sessions = make(10)
    for number in range(1000):
        sessions.open(str(number), "v", "c")
        sessions.end(str(number))
    assert len(sessions) == 0
    assert len(sessions._ended) == 10


def test_a_session_that_somebody_listens_to_goes_after_all_others(make):
    sessions = make(3)
    for ident in "abc":
        attach(sessions.open(ident, "v", "c"))
    sessions.get("a").channel.standing.let_go()
    sessions.open("d", "v", "c")
    assert ids(sessions) == ["b", "c", "d"]
    for ident in "efgh":
        sessions.open(ident, "v", "c")
    assert ids(sessions) == ["b", "c", "h"]
    attach(sessions.get("h"))
    sessions.open("i", "v", "c")
    assert ids(sessions) == ["c", "h", "i"]


def test_guests_have_few_sessions_and_make_room_for_others(make):
    sessions = make(8)
    for ident in "abcde":
        sessions.open(ident, "v", "c")
    for ident in "stu":
        sessions.open(ident, "v", "c", guest=True)
    assert ids(sessions) == ["a", "b", "c", "d", "e", "t", "u"]
    assert sessions.known("v", "v", guest=True).guest
    assert ids(sessions) == ["a", "b", "c", "d", "e", "u", "v"]
    for ident in "fgh":
        sessions.open(ident, "v", "c")
    assert ids(sessions) == ["a", "b", "c", "d", "e", "f", "g", "h"]
    # One that is listened to stays longer than one that nobody uses.
    attach(sessions.open("w", "v", "c", guest=True))
    sessions.open("i", "v", "c")
    assert ids(sessions) == ["c", "d", "e", "f", "g", "h", "w", "i"]
    # And a guest finds a place where all are taken: that of one who has left, or else no other.
    sessions.open("x", "v", "c", guest=True)
    sessions.open("y", "v", "c", guest=True)
    assert "w" in ids(sessions) and "x" not in ids(sessions) and "y" in ids(sessions)


def test_a_session_of_which_nothing_is_heard_is_over_after_a_while(make, clock):
    sessions = make(8)
    sessions.open("gone", "v", "c")
    attach(sessions.open("listens", "v", "c"))
    sessions.open("calls", "v", "c")
    clock.advance(IDLE - 1)
    sessions.get("calls")
    clock.advance(2)
    sessions.open("new", "v", "c")
    assert sorted(ids(sessions)) == ["calls", "listens", "new"]
    # Whoever has listened has its time as well, from then on.
    sessions.get("calls")
    sessions._live["listens"].channel.standing.let_go()
    clock.advance(IDLE - 1)
    sessions.open("newer", "v", "c")
    assert "listens" in ids(sessions)
    clock.advance(2)
    sessions.open("newest", "v", "c")
    assert sorted(ids(sessions)) == ["newer", "newest"]


def test_a_session_that_nobody_has_opened_here_is_a_claim(make):
    sessions = make(8)
    assert sessions.open("a", "v", "c", {}).introduced
    assert not sessions.known("b", "v").introduced
    assert sessions.known("a", "other") is sessions.get("a")
    assert sessions.known("x" * 129, "v") is None
    sessions.end("a")
    assert sessions.known("a", "v") is None
