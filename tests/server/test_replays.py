"""What is kept of streams for clients that come back: what is newer, within the bounds."""

from __future__ import annotations

from dcc_mcp_embed.server.replays import Replays


def test_what_is_newer_on_the_same_stream_comes_again():
    kept = Replays()
    for number, stream in enumerate((0, 1, 0, 1, 0), 1):
        kept.add("a", stream, number, b"%d" % number)
    kept.add("b", 0, 1, b"other")
    assert kept.after("a", 0, 0) == [b"1", b"3", b"5"]
    assert kept.after("a", 0, 3) == [b"5"]
    assert kept.after("a", 1, 4) == []
    assert kept.after("b", 0, 0) == [b"other"]
    assert kept.after("nobody", 0, 0) == []


def test_events_and_bytes_of_a_session_are_bounded():
    kept = Replays(count=3, size=100)
    for number in range(1, 6):
        kept.add("a", 0, number, b"x")
    assert len(kept.after("a", 0, 0)) == 3
    kept.add("a", 0, 6, b"y" * 99)
    assert kept.after("a", 0, 0) == [b"x", b"y" * 99]
    kept.add("a", 0, 7, b"z" * 101)
    assert kept.after("a", 0, 5) == [b"y" * 99]


def test_the_bytes_of_all_sessions_are_bounded_and_the_oldest_go_first():
    kept = Replays(total=30)
    for number in range(3):
        kept.add("abc"[number], 0, 1, b"x" * 10)
    kept.add("c", 0, 2, b"y" * 10)
    assert kept.after("a", 0, 0) == []
    assert kept.after("b", 0, 0) == [b"x" * 10]
    assert kept.held == 30


def test_nothing_is_left_of_a_session_that_is_over():
    kept = Replays()
    for number in range(10):
        kept.add("a", 0, number + 1, b"x")
        kept.add("b", 0, number + 1, b"x")
    kept.forget("a")
    kept.forget("a")
    assert len(kept) == 10
    kept.forget("b")
    assert (len(kept), kept.held, kept._numbers, kept._sizes) == (0, 0, {}, {})
