"""Checks of the way to the main thread and back: values, order, time, cancelling."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Iterator, List, Optional

from ...errors import (
    Cancelled,
    TimeoutNotStarted,
    TimeoutRunning,
    ToolError,
    WouldDeadlock,
)
from .world import SECONDS, Call, World

__all__ = [
    "cancelled_between_steps",
    "cancelled_waiting",
    "exceptions",
    "expect",
    "first_in_first_out",
    "latency",
    "many_callers",
    "no_dead_lock",
    "not_started",
    "on_the_main_thread",
    "running",
    "values",
]

#: Calls that wait in one line; fewer than a queue holds by default, as others may call too.
LINE = 20
CALLERS = 32
#: Calls of which the median is told.
HOPS = 50


def expect(held: bool, text: str) -> None:
    """Raise AssertionError with ``text`` unless it holds; ``assert`` may be compiled away."""
    if not held:
        raise AssertionError(text)


def raised(kind: Any, call: Call) -> Any:
    """Return the error of ``kind`` that a call ended with."""
    try:
        value = call.wait()
    except kind as error:
        return error
    raise AssertionError("it returned {!r} instead of {}".format(value, kind.__name__))


def told_once(*calls: Call) -> None:
    """Raise AssertionError for a call that was answered more than once or ran twice."""
    for call in calls:
        expect(len(call.told) == 1, "a caller was told {} answers".format(len(call.told)))
        expect(call.begun <= 1, "a job ran {} times".format(call.begun))


def on_the_main_thread(world: World) -> None:
    expect(not world.adapter.is_main_thread(), "this thread counts as the host's main one")
    found = [world.run(lambda: (world.adapter.is_main_thread(), threading.get_ident()))]
    found.append(world.run(lambda: (world.adapter.is_main_thread(), threading.get_ident())))
    expect(all(main for main, _ in found), "a job did not run on the main thread")
    expect(found[0] == found[1], "two jobs ran on different threads")


def values(world: World) -> None:
    value = {"an": ["object"]}
    expect(world.run(lambda: value) is value, "another value came back")
    expect(world.run(lambda: None) is None, "None did not come back")


def exceptions(world: World) -> None:
    for kind in (ValueError, KeyError, SystemExit):

        def fail(kind: Any = kind) -> None:
            raise kind("on purpose")

        call = world.start(fail)
        error = raised(kind, call)
        expect("on purpose" in str(error), "it lost its text: {!r}".format(error))
        told_once(call)
    expect(world.run(lambda: 1) == 1, "the host does not go on")


def no_dead_lock(world: World) -> None:
    def call_within() -> str:
        inner = Call(world, lambda: "never")
        try:
            return str(world.lane.call(inner.job, 1.0))
        except WouldDeadlock as error:
            return error.code

    found = world.run(call_within)
    expect(found == "would_deadlock", "a call from the main thread to itself: {}".format(found))


def latency(world: World) -> str:
    took = []
    for _ in range(HOPS):
        start = world.clock.monotonic()
        world.run(lambda: None)
        took.append(world.clock.monotonic() - start)
    took.sort()
    return "median {:.2f} ms, longest {:.2f} ms of {} calls".format(
        took[HOPS // 2] * 1000, took[-1] * 1000, HOPS
    )


def first_in_first_out(world: World) -> None:
    order: List[int] = []
    with world.occupied():
        calls = [world.start(partial(order.append, number)) for number in range(LINE)]
    for call in calls:
        call.wait()
    expect(order == list(range(LINE)), "they ran in the order {}".format(order))
    told_once(*calls)


def many_callers(world: World) -> None:
    wrong: List[str] = []
    ran: List[int] = []

    def work(number: int) -> int:
        ran.append(number)
        return number

    def caller(number: int) -> None:
        try:
            call = world.start(partial(work, number))
            value = call.wait()
            told_once(call)
        except Exception as error:
            wrong.append("{!r}".format(error))
            return
        if value != number:
            wrong.append("{} got {}".format(number, value))

    threads = [
        threading.Thread(target=caller, args=(number,), daemon=True) for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    expect(not any(thread.is_alive() for thread in threads), "a caller still waits")
    expect(not wrong, "; ".join(wrong[:3]))
    expect(sorted(ran) == list(range(CALLERS)), "{} of {} ran".format(len(ran), CALLERS))


def not_started(world: World) -> None:
    with world.occupied():
        late = world.start(lambda: "ran").expire()
        raised(TimeoutNotStarted, late)
    # All that waited before this one has had its turn.
    world.run(lambda: None)
    expect(late.begun == 0, "it ran after its caller was told that it would not")
    told_once(late)


def running(world: World) -> None:
    with world.occupied() as kept:
        kept.call.expire()
        error = raised(TimeoutRunning, kept.call)
        job_id = (error.details or {}).get("job_id")
        expect(job_id == kept.call.job.job_id, "the job is not named: {!r}".format(job_id))
        over = threading.Event()
        world.lane.watch(kept.call.job, over.set)
    expect(over.wait(SECONDS), "it did not end")
    job = world.lane.find(kept.call.job.job_id)
    expect(job.answer == ("left", None), "its result is {!r}".format(job.answer))
    told_once(kept.call)


def cancelled_waiting(world: World) -> None:
    with world.occupied():
        call = world.start(lambda: "ran")
        effect = world.lane.cancel(call.job.job_id)[1]
        expect(effect == "removed_from_queue", "the effect is {!r}".format(effect))
        raised(Cancelled, call)
    world.run(lambda: None)
    expect(call.begun == 0, "it ran after it was cancelled")
    told_once(call)


def cancelled_between_steps(world: World) -> None:
    begun = threading.Event()
    closed: List[bool] = []

    def steps() -> Iterator[Optional[int]]:
        try:
            while True:
                begun.set()
                yield None
        finally:
            closed.append(world.adapter.is_main_thread())

    call = world.start(steps)
    try:
        expect(begun.wait(SECONDS), "it did not begin")
        expect(world.run(lambda: 1) == 1, "no other call ran between two of its steps")
    finally:
        effect = _cancel(world, call)
    expect(effect == "cancel_requested", "the effect is {!r}".format(effect))
    raised(Cancelled, call)
    expect(closed == [True], "it was not ended on the main thread: {}".format(closed))
    told_once(call)


def _cancel(world: World, call: Call) -> str:
    try:
        return world.lane.cancel(call.job.job_id)[1]
    except ToolError as error:
        return error.code
