"""Where users' functions are called: order, failures, places that are gone."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading

import pytest

from dcc_mcp_embed.ipc import call_places
from dcc_mcp_embed.ipc.calling import Deliveries
from dcc_mcp_embed.net.callables import is_coroutine_function
from fakes.ipc_raw import DEADLINE
from fakes.waiting import becomes
from ipc.stages import run


async def coroutine_function():
    pass


class Callables:
    async def method(self):
        pass

    async def __call__(self):
        pass

    def plain(self):
        pass


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (coroutine_function, True),
        (functools.partial(functools.partial(coroutine_function)), True),
        (Callables().method, True),
        (Callables(), True),
        (Callables().plain, False),
        (lambda: coroutine_function(), False),
        (print, False),
        (Callables, False),
        (functools.partial(print, 1), False),
    ],
)
def test_coroutine_functions_are_known_by_sight(function, expected):
    assert is_coroutine_function(function) is expected


@pytest.fixture
def deliveries():
    deliveries = Deliveries("test callbacks")
    yield deliveries
    deliveries.end()


def test_nothing_is_called_before_there_is_a_place(deliveries):
    assert deliveries.awaits is None
    assert deliveries.put("it", print) is False
    assert deliveries.dropped == 1


def test_functions_are_called_in_order_on_one_thread(deliveries):
    deliveries.use_thread()
    assert deliveries.awaits is False
    got = []
    for number in range(1000):
        assert deliveries.put("it", lambda n: got.append((n, threading.get_ident())), number)
    assert deliveries.catch_up(DEADLINE)
    assert [number for number, _ in got] == list(range(1000))
    assert len({thread for _, thread in got} - {threading.get_ident()}) == 1


def test_the_thread_ends_and_another_one_begins(deliveries, monkeypatch):
    monkeypatch.setattr(call_places, "_LINGER", 0.01)
    deliveries.use_thread()
    before = threading.active_count()
    threads = set()
    for _ in range(3):
        deliveries.put("it", lambda: threads.add(threading.current_thread()))
        assert deliveries.catch_up(DEADLINE)
        for thread in threads:
            thread.join(DEADLINE)
        assert threading.active_count() == before
    assert len(threads) == 3


def test_catching_up_has_an_end(deliveries):
    deliveries.use_thread()
    go_on = threading.Event()
    deliveries.put("it", go_on.wait, DEADLINE)
    assert deliveries.catch_up(0.01) is False
    go_on.set()
    assert deliveries.catch_up(DEADLINE)


def test_too_many_are_dropped_if_they_may_be(deliveries, monkeypatch):
    monkeypatch.setattr(call_places, "_MOST_WAITING", 10)
    deliveries.use_thread()
    go_on, begun, got = threading.Event(), threading.Event(), []

    def first():
        begun.set()
        go_on.wait(DEADLINE)

    deliveries.put("first", first)
    assert begun.wait(DEADLINE)
    told = [deliveries.put("it", got.append, n, droppable=True) for n in range(15)]
    assert told == [True] * 10 + [False] * 5
    assert deliveries.put("callback", got.append, "callback")
    go_on.set()
    assert deliveries.catch_up(DEADLINE)
    assert got == [*range(10), "callback"]
    assert deliveries.dropped == 5


def test_too_much_is_dropped_if_it_may_be(deliveries, monkeypatch):
    monkeypatch.setattr(call_places, "_MOST_BYTES", 100)
    deliveries.use_thread()
    go_on, begun, got = threading.Event(), threading.Event(), []

    def first():
        begun.set()
        go_on.wait(DEADLINE)

    deliveries.put("first", first, droppable=True, size=90)
    assert begun.wait(DEADLINE)
    told = [deliveries.put("it", got.append, n, droppable=True, size=30) for n in range(5)]
    assert told == [True] * 3 + [False] * 2
    assert deliveries.put("small", got.append, "small", droppable=True, size=10)
    assert deliveries.put("callback", got.append, "callback")
    go_on.set()
    assert deliveries.catch_up(DEADLINE)
    assert got == [0, 1, 2, "small", "callback"]
    assert deliveries.dropped == 2
    assert deliveries.put("it", int, droppable=True, size=100)


def test_what_coroutines_hold_counts_until_they_end(deliveries, monkeypatch):
    monkeypatch.setattr(call_places, "_MOST_BYTES", 100)

    async def scene():
        deliveries.use_asyncio()
        go_on = asyncio.Event()

        async def hold():
            await go_on.wait()

        assert deliveries.put("it", hold, droppable=True, size=100)
        await becomes(lambda: deliveries._place._tasks)
        assert not deliveries.put("it", hold, droppable=True, size=1)
        go_on.set()
        await becomes(lambda: not deliveries._place._tasks)
        assert deliveries.put("it", hold, droppable=True, size=100)
        await asyncio.wrap_future(deliveries.caught_up())

    run(scene())
    assert deliveries.dropped == 1


def test_what_is_raised_is_logged_and_counted(deliveries, caplog):
    deliveries.use_thread()

    def end():
        raise SystemExit("no")

    with caplog.at_level(logging.ERROR, "dcc_mcp_embed.ipc"):
        deliveries.put("one", int, "x")
        deliveries.put("two", end)
        deliveries.put("three", coroutine_function)
        assert deliveries.catch_up(DEADLINE)
    assert deliveries.errors == 3
    assert "one failed: ValueError" in caplog.text
    assert "two failed: SystemExit" in caplog.text
    assert "three failed: TypeError" in caplog.text and "await it" in caplog.text


def test_a_log_that_fails_ends_nothing(deliveries, broken_log):
    deliveries.use_thread()

    def end():
        raise SystemExit("no")

    got = []
    for function in (lambda: 1 / 0, end, lambda: got.append(3)):
        deliveries.put("it", function)
    assert deliveries.catch_up(DEADLINE)
    assert (got, deliveries.errors, len(broken_log)) == ([3], 2, 2)


class Deleted:
    """A wrapper of a node that a host has deleted."""

    def __getattr__(self, name):
        raise SystemExit("already deleted")


class Ending(Exception):
    def __repr__(self):
        raise SystemExit("no")


def test_nothing_that_is_returned_or_raised_ends_the_thread(deliveries):
    deliveries.use_thread()

    def fail():
        raise Ending

    deliveries.put("one", Deleted)
    deliveries.put("two", fail)
    got = []
    deliveries.put("three", got.append, 3)
    assert deliveries.catch_up(DEADLINE)
    assert (got, deliveries.errors) == ([3], 1)


def test_an_asyncio_loop_that_is_closed_takes_nothing(deliveries):
    async def choose():
        deliveries.use_asyncio()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(choose())
    assert deliveries.awaits is True
    loop.close()
    assert deliveries.put("it", print) is False
    assert deliveries.dropped == 1
    assert deliveries.catch_up(DEADLINE)
    deliveries.use_thread()
    assert deliveries.put("it", lambda: None)
    assert deliveries.catch_up(DEADLINE)


def test_what_a_loop_that_has_ended_never_called_takes_no_room_on_the_next(deliveries, monkeypatch):
    monkeypatch.setattr(call_places, "_MOST_WAITING", 10)
    got = []

    async def choose():
        deliveries.use_asyncio()

    async def go_on():
        deliveries.use_asyncio()
        assert deliveries.put("it", got.append, 1, droppable=True)
        await becomes(lambda: got)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(choose())
    while deliveries.put("it", print, droppable=True):
        pass
    loop.close()
    assert deliveries.dropped == 1
    run(go_on())


def test_awaitables_are_awaited_beside_each_other(deliveries):
    got = []

    async def wait(number, event):
        got.append(number)
        await event.wait()
        got.append(-number)

    async def main():
        deliveries.use_asyncio()
        first, second = asyncio.Event(), asyncio.Event()
        deliveries.put("one", wait, 1, first)
        deliveries.put("two", lambda: wait(2, second))
        deliveries.put("three", got.append, 3)
        await becomes(lambda: 3 in got)
        second.set()
        await becomes(lambda: -2 in got)
        first.set()
        await becomes(lambda: -1 in got)

    run(main())
    assert sorted(got) == [-2, -1, 1, 2, 3]
    assert got.index(-2) < got.index(-1)


def test_coroutines_and_plain_functions_begin_in_one_order(deliveries):
    got = []

    async def later(number):
        got.append(number)
        await asyncio.Event().wait()

    async def main():
        deliveries.use_asyncio()
        others = asyncio.all_tasks()
        for number in range(0, 30, 3):
            deliveries.put("it", got.append, number)
            deliveries.put("it", later, number + 1)
            deliveries.put("it", later, number + 2)
        await becomes(lambda: len(got) == 30)
        for task in asyncio.all_tasks() - others:
            task.cancel()

    run(main())
    assert got == list(range(30))


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often something is asked for from its own thread."""

    asked = 0

    def call_soon(self, *args, **kwargs):
        self.asked += 1
        return super().call_soon(*args, **kwargs)


def test_what_waits_for_a_coroutine_to_begin_costs_nothing_meanwhile(deliveries):
    """Else a client that has fallen behind never catches up: each turn costs all that waits."""
    got = []

    async def take(number):
        got.append(number)

    async def main():
        deliveries.use_asyncio()
        for number in range(400):
            deliveries.put("it", take, number)
        await becomes(lambda: len(got) == 400)

    loop = CountingLoop()
    run(main(), loop)
    assert got == list(range(400))
    assert loop.asked < 400 * 10


def test_what_ends_the_loop_keeps_nobody_from_being_called(deliveries):
    got = []

    def end():
        raise KeyboardInterrupt

    async def choose():
        deliveries.use_asyncio()

    async def wait():
        await becomes(lambda: got)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(choose())
    deliveries.put("it", coroutine_function)
    deliveries.put("it", end)
    deliveries.put("it", got.append, "on")
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert got == []
    run(wait(), loop)


def test_a_coroutine_that_is_cancelled_before_it_begins_keeps_nobody_waiting(deliveries):
    got = []

    async def main():
        deliveries.use_asyncio()
        others = asyncio.all_tasks()

        def cancel():
            for task in asyncio.all_tasks() - others:
                task.cancel()

        async def never():
            got.append("never")

        deliveries.put("it", never)
        asyncio.get_event_loop().call_soon(cancel)
        deliveries.put("it", got.append, "on")
        await becomes(lambda: got)

    run(main())
    assert (got, deliveries.errors) == (["on"], 0)


def test_the_end_of_the_interpreter_is_no_error(deliveries, monkeypatch):
    deliveries.use_thread()

    def refused(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert deliveries.put("it", print) is False
    assert deliveries.dropped == 1
