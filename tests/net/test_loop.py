"""The loop: calls from other threads, timers, sockets, and errors that do not end it."""

from __future__ import annotations

import math
import socket
import threading

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.net.loop import READ, Loop
from dcc_mcp_embed.net.thread import LoopThread
from fakes.clock import FakeClock

DEADLINE = 10.0


@pytest.fixture
def failures():
    return []


@pytest.fixture
def loop(failures):
    one = Loop(FakeClock(), lambda where, error: failures.append((where, error)))
    yield one
    one.close()


def test_a_call_runs_in_the_next_turn_in_order(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon(seen.append, 2)
    assert seen == []
    loop.turn()
    assert seen == [1, 2]


def test_a_call_that_repeats_itself_does_not_starve_sockets(loop):
    seen = []
    left, right = socket.socketpair()
    with left, right:
        loop.register(left, READ, lambda events: seen.append(left.recv(10)))

        def again():
            loop.call_soon(again)

        loop.call_soon(again)
        loop.turn()
        right.send(b"x")
        loop.turn()
        assert seen == [b"x"]
        loop.unregister(left)


def test_timers_run_when_their_time_has_come(loop):
    seen = []
    loop.call_later(5.0, seen.append, "later")
    loop.call_soon(seen.append, "now")
    loop.turn()
    assert seen == ["now"]
    loop.clock.advance(5.0)
    loop.turn()
    assert seen == ["now", "later"]


def test_a_timer_cancelled_by_another_of_the_same_moment_does_not_run(loop):
    seen = []
    second = []
    loop.call_later(1.0, lambda: second[0].cancel())
    second.append(loop.call_later(1.0, seen.append, "no"))
    loop.clock.advance(1.0)
    loop.turn()
    assert seen == []


def test_a_selector_that_fails_ends_the_loop_and_what_is_for_its_end_is_done(loop, monkeypatch):
    def fail(timeout):
        raise OSError("it was closed by somebody else")

    seen = []
    loop.at_end(lambda: seen.append("last"))
    monkeypatch.setattr(loop._selector, "select", fail)
    with pytest.raises(OSError, match="somebody else"):
        loop.run()
    assert seen == ["last"]


def test_an_error_is_reported_and_the_loop_goes_on(loop, failures):
    seen = []
    loop.call_soon(lambda: 1 // 0)
    loop.call_soon(seen.append, "on")
    loop.turn()
    assert seen == ["on"]
    assert isinstance(failures[0][1], ZeroDivisionError)


def test_what_is_for_its_end_is_done_there_and_what_was_for_the_next_turn_is_not(loop, failures):
    seen = []
    loop.at_end(lambda: seen.append(loop.is_current()))
    loop.at_end(lambda: 1 // 0)
    loop.at_end(lambda: seen.append("last"))
    loop.call_soon(loop.call_soon, seen.append, "another turn")
    loop.call_soon(loop.stop)
    loop.run()
    assert seen == [True, "last"]
    assert [type(error) for _, error in failures] == [ZeroDivisionError]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["call", "timer", "socket"])
def test_what_ends_a_program_does_not_end_the_loop(loop, failures, kind, place):
    def leaving(*_):
        raise kind("out")

    left, right = socket.socketpair()
    with left, right:
        if place == "call":
            loop.call_soon(leaving)
        elif place == "timer":
            loop.call_later(0.0, leaving)
        else:
            loop.register(left, READ, leaving)
            right.send(b"x")
        seen = []
        loop.call_soon(seen.append, "on")
        loop.turn()
        assert seen == ["on"]
        assert [type(error) for _, error in failures] == [kind]
        if place == "socket":
            loop.unregister(left)


@pytest.mark.parametrize("when", [3e6, 1e9, 1e300, math.inf])
def test_a_far_off_timer_ends_no_loop(loop, when):
    """Though the kernel takes no such time."""
    loop.call_at(when, print)
    # So it need not wait.
    loop.stop()
    loop.turn()


def test_other_threads_wake_it(failures):
    loop = Loop(SystemClock(), lambda where, error: failures.append((where, error)))
    thread = LoopThread(loop)
    thread.start()
    ran = threading.Event()
    loop.call_soon(ran.set)
    assert ran.wait(DEADLINE)
    total = 20_000
    seen = []
    done = threading.Event()

    def count(who):
        seen.append(who)
        if len(seen) == 4 * total:
            done.set()

    def flood(who):
        for _ in range(total):
            loop.call_soon(count, who)

    callers = [threading.Thread(target=flood, args=(who,)) for who in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert done.wait(DEADLINE), "a wake-up was lost"
    loop.stop()
    assert thread.finish(DEADLINE)
    assert failures == []


def test_an_idle_loop_does_not_wake_up():
    """Idle costs nothing: no turn happens without a reason."""

    class CountingSelector:
        def __init__(self):
            import selectors

            self.inner = selectors.DefaultSelector()
            self.timeouts = []

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def select(self, timeout):
            self.timeouts.append(timeout)
            return self.inner.select(timeout)

    selector = CountingSelector()
    loop = Loop(SystemClock(), lambda *_: None, selector)
    thread = LoopThread(loop)
    thread.start()
    ran = threading.Event()
    loop.call_soon(ran.set)
    assert ran.wait(DEADLINE)
    loop.stop()
    assert thread.finish(DEADLINE)
    # The turn that saw the call, and the one that waits for ever: nothing in between.
    assert selector.timeouts[-1] is None or selector.timeouts[-1] == 0.0
    assert len(selector.timeouts) <= 3
