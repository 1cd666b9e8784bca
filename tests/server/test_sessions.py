"""Sessions: ended ones are refused, unknown ones are not, the table is bounded."""

from __future__ import annotations

from dcc_mcp_embed.server.sessions import Sessions


def test_only_an_ended_session_is_ended():
    sessions = Sessions(limit=3)
    sessions.open("a", "2025-11-25", "client")
    assert sessions.get("a").client == "client"
    assert not sessions.ended("a")
    assert sessions.end("a")
    assert sessions.ended("a")
    assert sessions.get("a") is None
    assert not sessions.end("a")
    assert not sessions.end("never")
    assert not sessions.ended("never")


def test_the_least_recently_used_session_goes_first_and_is_then_merely_unknown():
    sessions = Sessions(limit=2)
    sessions.open("a", "v", "c")
    sessions.open("b", "v", "c")
    sessions.get("a")
    sessions.open("c", "v", "c")
    assert sessions.get("b") is None
    assert not sessions.ended("b")
    assert len(sessions) == 2


def test_a_million_abandoned_sessions_cost_nothing():
    sessions = Sessions(limit=10)
    for number in range(1000):
        sessions.open(str(number), "v", "c")
        sessions.end(str(number))
    assert len(sessions) == 0
    assert len(sessions._ended) == 10
