"""A main thread that waits: for whom it may, and what is refused meanwhile."""

from __future__ import annotations

import threading

import pytest

from dcc_mcp_embed.errors import HostBusy
from dcc_mcp_embed.host import guard
from fakes.caller import Caller

ADDRESS = ("127.0.0.1", 4711)


@pytest.fixture
def caller():
    """Return a host whose main thread is that of the test, served at ADDRESS."""
    one = Caller()
    thread = threading.current_thread()
    one.host.is_main_thread = lambda: threading.current_thread() is thread
    guard.publish(ADDRESS, one.host, one.dispatcher)
    yield one
    guard.withdraw(ADDRESS)


def elsewhere(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(10)
    return found[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_whose_main_thread_this_is(caller, host):
    assert guard.is_own_main_thread((host, 4711))
    assert not guard.is_own_main_thread((host, 4712))
    assert not elsewhere(lambda: guard.is_own_main_thread((host, 4711)))


def test_what_is_not_served_is_nobody_s(caller):
    guard.withdraw(ADDRESS)
    assert not guard.is_own_main_thread(ADDRESS)


def refused(caller, name):
    """Return whether the host refuses a call."""
    try:
        caller.submit(name)
    except HostBusy as error:
        caller.errors[name] = error
        return True
    return False


def test_what_needs_the_thread_that_waits_is_refused_until_it_does_not(caller):
    with guard.waiting("somebody"):
        assert refused(caller, "a")
        assert "somebody" in str(caller.errors["a"])
        with guard.waiting("another"):
            assert refused(caller, "b")
        assert refused(caller, "c")
    assert not refused(caller, "d")


def test_it_ends_however_the_wait_ends(caller):
    with pytest.raises(KeyboardInterrupt), guard.waiting("somebody"):
        raise KeyboardInterrupt
    assert not refused(caller, "a")


def test_another_thread_holds_up_nobody(caller):
    def wait():
        with guard.waiting("somebody"):
            return refused(caller, "a")

    assert not elsewhere(wait)


def test_where_nothing_is_served_there_is_nothing_to_do():
    with guard.waiting("somebody"):
        assert not guard.is_served_main_thread()
