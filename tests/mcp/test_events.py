"""Changes of status are told once, in order, before the call returns, and harm nobody."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp import events as module
from dcc_mcp_embed.mcp.events import Events
from fakes.clock import FakeClock
from fakes.turning import Turning
from fakes.waiting import until

KEY, OTHER = ("me", "a"), ("me", "b")
DEADLINE = 20.0


class World:
    """Events, and those who are told: each notes (its name, what has become of what)."""

    def __init__(self):
        self.left = 0
        self.told = []
        self.threads = []
        logger = logging.getLogger("test of events")
        logger.propagate = False
        logger.handlers[:] = [_Noting(self)]
        self.logged = []
        self.events = Events(FakeClock(), logger, self._leave)

    def _leave(self):
        self.left += 1

    def callback(self, name="one", then=None, asynchronous=False):
        def note(event):
            self.told.append((name, event["plugin_name"], event["new_status"]))
            self.threads.append(threading.current_thread())

        def plain(event):
            note(event)
            if then is not None:
                then(event)

        async def coroutine(event):
            note(event)
            await asyncio.sleep(0)
            if then is not None:
                then(event)

        made = coroutine if asynchronous else plain
        self.events.add(made)
        return made

    def happen(self, *statuses, key=KEY):
        for status in statuses:
            self.events.happened(key, "before", status, "because")

    def tell(self, about=()):
        self.events.tell(about)

    def news(self, name=None):
        return [one[2] for one in self.told if name in (None, one[0])]


class _Noting(logging.Handler):
    def __init__(self, world):
        super().__init__()
        self.world = world

    def emit(self, record):
        self.world.logged.append(record.getMessage())


@pytest.fixture
def world(monkeypatch):
    """Return a world in which nobody waits in vain."""
    monkeypatch.setattr(module, "_PATIENCE", DEADLINE)
    began = time.monotonic()
    yield World()
    assert time.monotonic() - began < DEADLINE * 0.8, "somebody has waited for whoever waits for it"


def told_by_asyncio(world, about=()):
    asyncio.run(world.events.tell_here(about))


def told_aside(world, about=()):
    with Turning() as turning:
        turning.run(
            world.events.tell_aside(turning.loop, None, lambda e: world.logged.append(str(e)))
        )


WAYS = pytest.mark.parametrize("tell", [World.tell, told_by_asyncio, told_aside])
KINDS = pytest.mark.parametrize("asynchronous", [False, True], ids=["function", "coroutine"])


@WAYS
@KINDS
def test_an_event_is_as_the_seed_has_it(world, tell, asynchronous):
    seen = []
    world.callback(then=seen.append, asynchronous=asynchronous)
    world.events.happened(KEY, "active", "degraded", "too slow")
    tell(world)
    timestamp = seen[0].pop("timestamp")
    assert seen == [
        {
            "user_id": "me",
            "plugin_name": "a",
            "old_status": "active",
            "new_status": "degraded",
            "reason": "too slow",
        }
    ]
    assert timestamp.startswith("2023-11-1")


@WAYS
def test_each_has_an_event_of_its_own(world, tell):
    """Whatever another makes of it."""
    world.events.add(lambda event: event.clear())
    world.callback("two")
    world.happen("x")
    tell(world)
    assert world.news("two") == ["x"]
    assert world.logged == []


@WAYS
@KINDS
def test_each_is_told_once_in_order_to_all(world, tell, asynchronous):
    world.callback("one", asynchronous=asynchronous)
    world.callback("two")
    world.happen("x", "y")
    world.happen("z", key=OTHER)
    tell(world)
    tell(world)
    assert world.told == [
        (name, plugin, status)
        for plugin, status in (("a", "x"), ("a", "y"), ("b", "z"))
        for name in ("one", "two")
    ]


@WAYS
def test_what_changes_nothing_is_not_told(world, tell):
    world.callback()
    world.events.happened(KEY, "active", "active", "")
    tell(world)
    assert world.told == []


@WAYS
def test_twice_is_once(world, tell):
    world.events.add(world.callback())
    world.happen("x")
    tell(world)
    assert world.news() == ["x"]


@WAYS
def test_nobody_is_told_of_what_was_before_it_came(world, tell):
    world.callback("one")
    world.happen("x")
    world.callback("two")
    world.happen("y")
    tell(world)
    assert world.news("one") == ["x", "y"]
    assert world.news("two") == ["y"]


@WAYS
def test_nobody_is_told_once_it_has_left(world, tell):
    one = world.callback("one")
    world.callback("two")
    world.happen("x")
    world.events.remove(one)
    world.events.remove(one)
    tell(world)
    assert world.told == [("two", "a", "x")]


@WAYS
def test_callbacks_come_and_go_while_they_are_told(world, tell):
    late = []

    def change(event):
        world.events.remove(two)
        world.events.add(late.append)

    world.callback("one", then=change)
    two = world.callback("two")
    world.happen("x")
    tell(world)
    assert world.told == [("one", "a", "x")]
    assert late == []
    world.happen("y")
    tell(world)
    assert world.news("one") == ["x", "y"]
    assert [event["new_status"] for event in late] == ["y"]


#: What is raised, and by a coroutine or not; GeneratorExit has a meaning of its own for that.
RAISED = [
    (ValueError("oh"), False),
    (ValueError("oh"), True),
    (asyncio.CancelledError(), False),
    (asyncio.CancelledError(), True),
    (GeneratorExit(), False),
]


@WAYS
@pytest.mark.parametrize(("error", "asynchronous"), RAISED)
def test_what_a_callback_raises_is_logged_and_goes_no_further(world, tell, error, asynchronous):
    def raising(event):
        raise error

    world.callback("one", then=raising, asynchronous=asynchronous)
    world.callback("two")
    world.happen("x", "y")
    tell(world)
    assert world.news("two") == ["x", "y"]
    assert len(world.logged) == 2


@WAYS
def test_a_function_may_return_a_coroutine(world, tell):
    seen = []

    async def later(event):
        await asyncio.sleep(0)
        seen.append(event["new_status"])

    world.events.add(lambda event: later(event))
    world.happen("x")
    tell(world)
    assert seen == ["x"]


@WAYS
@KINDS
def test_what_comes_of_a_callback_is_told_after_it(world, tell, asynchronous):
    """As of a call of the facade in it: that returns before."""
    order = []

    def call(event):
        if event["new_status"] == "x":
            world.happen("y")
            world.events.tell(())
            order.append("returned")

    world.callback("one", then=call, asynchronous=asynchronous)
    world.callback("two", then=lambda event: order.append(event["new_status"]))
    world.happen("x")
    tell(world)
    assert order == ["returned", "x", "y"]
    assert world.news("one") == world.news("two") == ["x", "y"]


def test_a_coroutine_may_call_the_facade_too(world):
    order = []

    async def call(event):
        if event["new_status"] == "x":
            world.happen("y")
            await world.events.tell_here(())
            order.append("returned")

    world.events.add(call)
    world.callback("two", then=lambda event: order.append(event["new_status"]))
    world.happen("x")
    told_by_asyncio(world)
    assert order == ["returned", "x", "y"]


def test_they_are_told_where_the_call_was_made(world):
    world.callback("one")
    world.happen("x")
    world.tell()
    assert world.threads == [threading.current_thread()]


def test_a_coroutine_is_told_on_the_loop_of_the_call(world):
    loops = []

    async def note(event):
        loops.append(asyncio.get_running_loop())

    async def story():
        world.events.add(note)
        world.happen("x")
        await world.events.tell_here(())
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(story())


def test_a_blocking_call_on_the_thread_of_a_loop_tells_coroutines_elsewhere(world):
    world.callback("one", asynchronous=True)

    async def story():
        world.happen("x")
        world.tell()

    asyncio.run(story())
    assert world.news() == ["x"]
    assert world.threads != [threading.current_thread()]
    assert world.logged == []


class Slow:
    """A callback that waits for the test; only the first time it is called."""

    def __init__(self, world):
        self.entered, self.leave = threading.Event(), threading.Event()
        world.callback("slow", then=self._wait)

    def _wait(self, event):
        if not self.entered.is_set():
            self.entered.set()
            assert self.leave.wait(DEADLINE)


def elsewhere(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def test_whoever_comes_meanwhile_waits_until_its_own_is_told(world):
    slow = Slow(world)
    world.happen("x")
    first = elsewhere(world.tell)
    assert slow.entered.wait(DEADLINE)
    world.happen("y", key=OTHER)
    second = elsewhere(world.tell, OTHER)
    # Nothing of its own: it does not wait for others'.
    world.tell(("you",))
    assert world.news() == ["x"]
    assert second.is_alive()
    slow.leave.set()
    first.join(DEADLINE)
    second.join(DEADLINE)
    assert world.news() == ["x", "y"]
    assert len(set(world.threads)) == 1


def test_a_coroutine_waits_so_too(world):
    slow = Slow(world)
    world.happen("x")
    first = elsewhere(world.tell)
    assert slow.entered.wait(DEADLINE)

    async def story():
        world.happen("y")
        waiting = asyncio.ensure_future(world.events.tell_here(KEY))
        await world.events.tell_here(("you",))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        slow.leave.set()
        await waiting
        assert world.news() == ["x", "y"]

    asyncio.run(story())
    first.join(DEADLINE)


def hanging(world, *statuses):
    """Have a coroutine told that waits where it is told one of these; return what ends that."""
    entered, leave = [], []

    async def hang(event):
        entered.append(event["new_status"])
        if event["new_status"] in statuses:
            leave.append(asyncio.get_running_loop().create_future())
            await leave[-1]

    world.events.add(hang)
    return entered, leave


async def begun(telling, entered):
    while not entered:
        assert not telling.done()
        await asyncio.sleep(0)


@pytest.mark.parametrize("tell", [World.tell, told_by_asyncio, told_aside])
@pytest.mark.parametrize("end", ["it goes on", "closed"])
def test_a_loop_that_stands_still_holds_up_nobody(world, tell, end):
    """Its owner has left it, in the middle of a callback."""
    entered, leave = hanging(world, "x")
    world.callback("two")
    world.happen("x")
    loop = asyncio.new_event_loop()
    try:
        telling = loop.create_task(world.events.tell_here(KEY))
        loop.run_until_complete(begun(telling, entered))
        world.happen("y")
        tell(world, KEY)
        assert world.news() == ["x", "y"]
        assert entered == ["x", "y"]
        if end == "it goes on":
            leave[0].set_result(None)
            loop.run_until_complete(telling)
    finally:
        # It is not destroyed unseen.
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False
        loop.close()
    del telling
    gc.collect()
    world.happen("z")
    tell(world, KEY)
    assert world.news() == ["x", "y", "z"]
    assert entered == ["x", "y", "z"]
    assert world.logged == []
    # It left nothing to others that was not taken from it.
    assert world.left == 0


def test_a_blocking_call_does_not_wait_for_the_loop_that_it_holds_up(world):
    entered, leave = hanging(world, "x")
    world.callback("two")
    world.happen("x")

    async def story():
        telling = asyncio.ensure_future(world.events.tell_here(KEY))
        await begun(telling, entered)
        world.happen("y")
        world.tell(KEY)
        assert world.news() == ["x", "y"]
        leave[0].set_result(None)
        await telling

    asyncio.run(story())
    world.happen("z")
    world.tell(KEY)
    assert world.news() == ["x", "y", "z"]
    assert entered == ["x", "y", "z"]


def test_who_gives_up_waiting_takes_no_other_along(world):
    slow = Slow(world)
    world.happen("x")
    first = elsewhere(world.tell)
    assert slow.entered.wait(DEADLINE)

    async def story():
        waiting = [asyncio.ensure_future(world.events.tell_here(KEY)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(waiting[1], 0.01)
        assert waiting[0].cancelled()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting[2].done()
        slow.leave.set()
        assert await waiting[2] is None

    asyncio.run(story())
    first.join(DEADLINE)


def test_a_callback_that_waits_for_another_thread_s_call_is_waited_for_so_long_only(
    world, monkeypatch
):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)

    def call(event):
        if event["new_status"] == "x":
            world.happen("y")
            elsewhere(world.tell).join(DEADLINE)

    world.callback(then=call)
    world.happen("x")
    world.tell()
    assert world.news() == ["x", "y"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_from_many_threads_each_is_told_once_and_in_order(users):
    world = World()
    world.callback()
    lock = threading.Lock()
    happened = []

    def call(user):
        with lock:
            status = str(len(happened))
            happened.append(status)
            world.happen(status, key=("me", str(user)))
        world.tell(("me", str(user)))
        assert status in world.news()

    threads = [elsewhere(call, user) for user in users]
    for thread in threads:
        thread.join(DEADLINE)
    assert world.news() == happened


def test_interrupted_the_rest_is_left_to_others(world):
    def interrupt(event):
        raise KeyboardInterrupt

    world.callback("one", then=interrupt)
    world.callback("two")
    world.happen("x", "y")
    with pytest.raises(KeyboardInterrupt):
        world.tell()
    assert world.left == 1
    assert world.told == [("one", "a", "x")]
    with pytest.raises(KeyboardInterrupt):
        world.tell()
    assert world.told == [("one", "a", "x"), ("two", "a", "x"), ("one", "a", "y")]


def test_cancelled_the_rest_is_left_to_others(world):
    async def story():
        entered = asyncio.Event()
        gone = []

        async def hang(event):
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                gone.append(event["new_status"])

        world.events.add(hang)
        world.callback("two")
        world.happen("x")
        telling = asyncio.ensure_future(world.events.tell_here(()))
        await entered.wait()
        telling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await telling
        await asyncio.sleep(0)
        assert gone == ["x"]

    asyncio.run(story())
    assert world.left == 1
    world.tell()
    assert world.told == [("two", "a", "x")]


def test_beside_it_all_a_coroutine_runs_on_the_loop_that_there_is(world):
    loops = []

    async def note(event):
        loops.append(asyncio.get_running_loop())

    async def story():
        world.events.add(note)
        world.happen("x")
        here = asyncio.get_running_loop()
        with Turning() as turning:
            task, over = turning.begin(
                world.events.tell_aside(turning.loop, here, world.logged.append)
            )
            while not over:
                turning.turn(1)
                await asyncio.sleep(0)
        assert loops == [here]

    asyncio.run(story())
    assert world.logged == []


def test_beside_it_all_nobody_is_waited_for_for_ever(world):
    leave = threading.Event()
    world.callback("one", then=lambda event: leave.wait(DEADLINE))
    world.callback("two")
    world.happen("x")
    with Turning() as turning:
        turning.run(_soon(world, turning))
    leave.set()
    assert world.news("two") == ["x"]
    assert len(world.logged) == 1
    until(lambda: not [one for one in threading.enumerate() if "callback" in one.name])


async def _soon(world, turning):
    before, module._LONGEST = module._LONGEST, 1.0
    try:
        await world.events.tell_aside(turning.loop, None, world.logged.append)
    finally:
        module._LONGEST = before


def test_a_forked_child_begins_anew(world):
    world.callback()
    world.happen("x")
    world.events._lock.acquire()
    world.events.disown()
    world.happen("y")
    world.tell()
    assert world.news() == ["y"]
