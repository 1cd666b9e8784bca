"""The thread of a facade: coroutines for other threads, cut short, closed and ended."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.mcp import MCPError
from dcc_mcp_embed.mcp.engine import Engine
from dcc_mcp_embed.net.tasks import Cut, Group, Wait, sleep
from fakes.waiting import until

DEADLINE = 20.0


class Client:
    """What a facade has on its thread, as far as an engine knows it. It notes what is done."""

    def __init__(self, loop):
        self.loop = loop
        self.plugins = self
        self.done = []
        self.stuck = False

    def begin(self):
        self.done.append("begun")

    def disown(self):
        self.done.append("disowned")

    def tell(self):
        self.done.append("told")

    def defect(self, name, error):
        self.done.append(error)

    async def close(self):
        if self.stuck:
            await Wait()
        self.done.append("closed")

    def shut(self):
        self.done.append("shut")

    async def value(self, value):
        await sleep(self.loop, 0)
        return value

    async def fail(self, error):
        await sleep(self.loop, 0)
        raise error

    async def wait(self):
        self.done.append("waits")
        try:
            await Wait()
        except Cut:
            self.done.append("cut")
            raise

    async def begin_another(self):
        """Begin another task, which ends with this one."""
        another = Group(self.loop, self.done.append)
        another.spawn(self.wait())
        try:
            await Wait()
        finally:
            another.cancel()

    async def stay(self):
        """Do not end for being cut short, but at the second time."""
        try:
            await Wait()
        except Cut:
            self.done.append("cut")
            await Wait()


@pytest.fixture
def engine():
    one = Engine(SystemClock(), Client, lambda: None)
    one.start()
    yield one
    one.stop()


def test_it_begins_once_and_returns_what_coroutines_do(engine):
    assert engine.run(lambda client: client.value(7)).result(DEADLINE) == 7
    assert engine.client.done == ["begun"]
    assert engine.alive
    assert engine._tasks == {}


@pytest.mark.parametrize("error", [ValueError("oh"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_they_raise_comes_to_the_caller(engine, error):
    with pytest.raises(type(error)) as caught:
        engine.run(lambda client: client.fail(error)).result(DEADLINE)
    assert caught.value is error
    assert engine.run(lambda client: client.value(7)).result(DEADLINE) == 7


def test_many_at_once_each_has_its_own(engine):
    futures = [engine.run(lambda client, n=n: client.value(n)) for n in range(50)]
    assert [one.result(DEADLINE) for one in futures] == list(range(50))


def test_cancelled_it_is_cut_short_and_what_came_of_it_is_told_by_others(engine):
    future = engine.run(lambda client: client.wait())
    until(lambda: "waits" in engine.client.done)
    assert future.cancel()
    until(lambda: "told" in engine.client.done)
    assert engine.client.done == ["begun", "waits", "cut", "told"]
    with pytest.raises(CancelledError):
        future.result(DEADLINE)
    assert engine._tasks == {}


def test_cancelled_before_it_began_it_does_not_begin(engine):
    hold = threading.Event()
    engine.loop.call_soon(hold.wait, DEADLINE)
    future = engine.run(lambda client: client.wait())
    future.cancel()
    hold.set()
    assert engine.run(lambda client: client.value(7)).result(DEADLINE) == 7
    assert "waits" not in engine.client.done


def test_it_knows_its_thread(engine):
    async def on_it(client):
        return engine.is_current(), threading.current_thread()

    current, thread = engine.run(on_it).result(DEADLINE)
    assert current
    assert not engine.is_current()
    assert thread.daemon
    assert thread.name == "dcc-mcp-embed mcp client"


def closed(future):
    with pytest.raises(MCPError) as caught:
        future.result(DEADLINE)
    return caught.value.code == "closed"


def test_closed_it_cuts_short_what_is_under_way_then_closes(engine):
    waiting = engine.run(lambda client: client.wait())
    until(lambda: "waits" in engine.client.done)
    assert engine.close().result(DEADLINE) is None
    assert closed(waiting)
    assert engine.client.done == ["begun", "waits", "cut", "closed"]
    assert closed(engine.run(lambda client: client.value(7)))
    engine.stop()
    assert not engine.alive
    assert engine.client.done[-1] == "shut"


def test_stopped_it_ends_whatever_there_is(engine):
    engine.client.stuck = True
    future = engine.close()
    stays = engine.run(lambda client: client.value(7))
    engine.stop()
    assert closed(future)
    assert closed(stays)
    assert not engine.alive


def test_what_does_not_end_for_being_cut_short_is_settled_all_the_same(engine):
    future = engine.run(lambda client: client.stay())
    engine.run(lambda client: client.value(7)).result(DEADLINE)
    engine.stop()
    assert closed(future)
    assert "cut" in engine.client.done


def test_stopped_it_ends_what_those_have_begun(engine):
    engine.run(lambda client: client.begin_another())
    until(lambda: "waits" in engine.client.done)
    engine.stop()
    assert engine.client.done == ["begun", "waits", "shut", "cut"]


def test_stopped_without_a_close_it_takes_nothing_more(engine):
    """Ctrl-C may come before the close."""
    engine.stop()
    with pytest.raises(MCPError) as caught:
        engine.run(lambda client: client.value(7)).result(DEADLINE)
    assert caught.value.code == "closed"


def test_stopped_twice_and_closed_after_that(engine):
    engine.stop()
    engine.stop()
    assert engine.close().result(DEADLINE) is None


def test_a_defect_is_told_to_the_client(engine):
    error = ValueError("oh")

    def broken():
        raise error

    engine.loop.call_soon(broken)
    until(lambda: error in engine.client.done)


def test_a_thread_that_cannot_be_started_leaves_nothing(monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    one = Engine(SystemClock(), Client, lambda: None)
    with pytest.raises(RuntimeError, match="new thread"):
        one.start()
    assert not one.alive
    # Of no harm.
    assert one.close().result(DEADLINE) is None
    one.stop()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_while_the_thread_starts_ends_it(monkeypatch, moment):
    begin, begun = threading.Thread.start, []

    def start(self):
        if moment == "after":
            begin(self)
            begun.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    one = Engine(SystemClock(), Client, lambda: None)
    with pytest.raises(KeyboardInterrupt):
        one.start()
    assert not one.alive
    for thread in begun:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    with pytest.raises(MCPError):
        one.run(lambda client: client.value(7)).result(DEADLINE)
