"""What breaks outside a tool costs one call at most, and a suspended writer is never forgotten."""

from __future__ import annotations

import pytest

from dcc_mcp_embed import errors
from dcc_mcp_embed.host import holder, pump
from dcc_mcp_embed.host.adapter import UndoChunk
from fakes.caller import Caller


class Broken(UndoChunk):
    """An undo step that raises where it is told to."""

    def __init__(self, where, kind=RuntimeError):
        self.where = where
        self.kind = kind

    def __enter__(self):
        if self.where == "enter":
            raise self.kind("no undo")
        return self

    def __exit__(self, kind, error, trace):
        if self.where == "exit":
            raise self.kind("no undo")


def raising(error):
    def function(*_):
        raise error

    return function


def alive(calls):
    """Check that the dispatcher serves on, for writers too."""
    calls.submit("next")
    calls.host.run()
    assert calls.told["next"] == [("value", "next")]
    assert calls.dispatcher.holder() is None
    assert calls.dispatcher.status()["verdict"] == "healthy"


# -- what the adapter does wrong --------------------------------------------------------------


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["make", "enter", "exit"])
def test_an_undo_step_that_raises_ends_its_call_only(where, kind):
    calls = Caller()
    usual = calls.host.undo_chunk
    calls.host.undo_chunk = (
        raising(kind("no undo")) if where == "make" else lambda label: Broken(where, kind)
    )
    calls.submit("a", undo_label="MCP: a")
    calls.host.run()
    assert calls.told["a"][0][0] == "error"
    assert type(calls.told["a"][0][1]) is kind
    assert calls.effects == (["a"] if where == "exit" else [])
    calls.host.undo_chunk = usual
    alive(calls)


@pytest.mark.parametrize("many", ["steps", "poll"])
def test_an_undo_step_that_raises_between_two_steps_ends_the_call_and_its_generator(many):
    calls = Caller()
    calls.host.undo_chunk = lambda label: Broken("exit")

    def steps():
        try:
            yield 1
            calls.effects.append("second step")
            yield 2
        finally:
            calls.effects.append("closed")

    calls.submit("a", steps if many == "steps" else lambda: lambda: None, undo_label="MCP: a")
    calls.host.run()
    kind, error = calls.told["a"][0]
    assert (kind, str(error)) == ("error", "no undo")
    assert calls.effects == (["closed"] if many == "steps" else [])
    assert calls.laters == []
    alive(calls)


def test_a_host_that_cannot_say_whether_a_dialog_is_open_refuses_the_call():
    calls = Caller()
    usual = calls.host.modal_state
    calls.host.modal_state = raising(RuntimeError("no windows"))
    calls.submit("a")
    calls.submit("read", writes=False)
    calls.host.run()
    assert calls.told["a"] == ["host_error"]
    assert calls.errors["a"].state == "not_started"
    assert "no windows" in str(calls.errors["a"])
    assert calls.effects == ["read"]
    assert any(level == "error" and "no windows" in text for level, text in calls.logged)
    calls.host.modal_state = usual
    alive(calls)


def test_it_ends_a_writer_between_two_steps_as_well():
    calls = Caller()

    def steps():
        try:
            yield 1
            calls.effects.append("second step")
        finally:
            calls.effects.append("closed")

    calls.submit("a", steps)
    calls.host.modal_state = iter_states([None, RuntimeError("no windows")])
    calls.host.run()
    assert calls.told["a"][0][0] == "error"
    assert calls.effects == ["closed"]
    del calls.host.modal_state
    alive(calls)


def iter_states(states):
    left = iter(states)

    def modal_state():
        state = next(left)
        if isinstance(state, Exception):
            raise state
        return state

    return modal_state


# -- what our own callbacks do wrong ----------------------------------------------------------


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("part", ["finish", "settled", "progress"])
def test_a_callback_that_raises_does_not_stop_the_others(part, kind):
    calls = Caller()

    def steps():
        yield 1
        calls.effects.append("over")

    one = calls.job("a", steps, progress=lambda value: None)
    setattr(one, part, raising(kind("broken")))
    calls.dispatcher.submit(one)
    interrupt = calls.dispatcher.pump()
    # An answer that cannot be made is the tool's fault, whatever it raised.
    assert (type(interrupt) is KeyboardInterrupt) is (
        kind is KeyboardInterrupt and part != "finish"
    )
    calls.host.run()
    if part != "settled":
        assert len(calls.told["a"]) == 1, "told once"
    alive(calls)


def test_a_host_that_cannot_be_woken_does_not_end_the_pump():
    calls = Caller(budget=0.0)
    calls.submit("a")
    calls.submit("b")
    calls.host.wake = raising(RuntimeError("no timer"))
    calls.dispatcher.pump()
    assert calls.effects == ["a"]
    assert any("no timer" in text for _, text in calls.logged)
    del calls.host.wake
    calls.submit("c")
    calls.host.run()
    assert calls.effects == ["a", "b", "c"]


def test_a_call_for_a_host_that_cannot_be_woken_is_refused_and_never_runs():
    calls = Caller()
    calls.host.wake = raising(RuntimeError("no timer"))
    with pytest.raises(errors.HostBusy, match="no timer"):
        calls.submit("a")
    assert calls.dispatcher.resting
    del calls.host.wake
    alive(calls)
    assert calls.effects == ["next"]
    assert "a" not in calls.told


def test_a_job_that_began_before_waking_failed_goes_on():
    calls = Caller(budget=0.0)

    def wake(pump):
        calls.host.pump = pump
        del calls.host.wake
        calls.host.turn()
        raise RuntimeError("no timer")

    calls.host.wake = wake
    calls.submit("a", stepping(calls))
    assert calls.effects == [0]
    calls.host.run()
    assert calls.told["a"] == [("value", "value")]
    assert any("no timer" in text for _, text in calls.logged)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_generator_that_ends_badly_does_not_end_the_pump(kind):
    calls = Caller(budget=0.0)

    def steps():
        try:
            yield 1
        finally:
            raise kind("out")

    calls.submit("a", steps)
    calls.dispatcher.pump()
    calls.dispatcher.shutdown("the end")
    calls.host.run()
    assert calls.told["a"] == ["host_shutting_down"]


# -- a writer between two steps ---------------------------------------------------------------


def polling(calls):
    left = [None, None, "value"]
    return lambda: lambda: left.pop(0)


def stepping(calls):
    def steps():
        for number in range(3):
            calls.effects.append(number)
            yield None
        return "value"

    return steps


def suspended(calls, make, **options):
    """Start a writer of two steps or more; it is between two of them when this returns."""
    calls.submit("paint", make(calls), client="Studio", **options)
    calls.host.turn()
    if make is polling:
        assert calls.laters


def finish(calls):
    """Let the writer come to its end."""
    while calls.laters or calls.host.pump:
        calls.host.run()
        if calls.laters:
            calls.later()
    assert calls.told["paint"] == [("value", "value")]


@pytest.mark.parametrize("make", [polling, stepping])
def test_a_writer_between_two_steps_holds_the_thread_since_its_start(make):
    calls = Caller(budget=0.0)
    suspended(calls, make)
    calls.clock.advance(holder.STACK_AFTER + 2)
    found = calls.dispatcher.holder()
    assert (found.tool, found.client, found.job_id) == ("paint", "Studio", "id-paint")
    assert found.age == holder.STACK_AFTER + 2
    assert found.stack is None, "the thread does something else now"
    status = calls.dispatcher.status()
    assert status["verdict"] == "busy"
    assert status["holder"]["tool"] == "paint"
    finish(calls)
    alive(calls)


def test_in_a_step_the_age_of_a_writer_still_counts_from_its_start():
    calls = Caller(budget=0.0)
    ages = []

    def steps():
        for _ in range(3):
            ages.append(calls.dispatcher.holder().age)
            yield None

    calls.submit("paint", steps)
    while calls.host.turn():
        calls.clock.advance(1.0)
    assert ages == [0.0, 1.0, 2.0]


def test_a_reader_between_two_steps_holds_nothing():
    calls = Caller(budget=0.0)
    suspended(calls, polling, writes=False)
    assert calls.dispatcher.holder() is None
    assert calls.dispatcher.status()["verdict"] == "healthy"


@pytest.mark.parametrize("make", [polling, stepping])
def test_a_write_that_waited_for_it_in_vain_is_told_its_name(make):
    calls = Caller(budget=0.0)
    suspended(calls, make)
    waiting = calls.submit("waiting")
    reading = calls.submit("reading", writes=False)
    calls.clock.advance(3.0)
    calls.dispatcher.expire(waiting)
    calls.dispatcher.expire(reading)
    assert calls.told["waiting"] == ["timeout_not_started"]
    assert "paint of Studio has held it for 3.0 s" in calls.errors["waiting"].hint
    assert "paint" not in calls.errors["reading"].hint, "it was not in the way"


def test_a_suspended_writer_holds_nothing_after_the_shutdown():
    calls = Caller(budget=0.0)
    suspended(calls, polling)
    calls.dispatcher.shutdown("the end")
    calls.host.run()
    assert calls.dispatcher.holder() is None


@pytest.mark.parametrize("make", [polling, stepping])
def test_a_writer_takes_no_step_while_a_dialog_is_open_and_goes_on_afterwards(make):
    calls = Caller(budget=0.0)
    suspended(calls, make)
    before = list(calls.effects)
    calls.host.modal = "Save changes?"
    for _ in range(4):
        calls.host.run()
        calls.later()
    calls.host.run()
    assert calls.effects == before
    assert "paint" not in calls.told
    assert calls.dispatcher.status()["verdict"] == "modal"
    assert calls.laters[0][0] == pump.MODAL_EVERY, "nobody spins meanwhile"
    calls.host.modal = None
    finish(calls)
    alive(calls)


class Render:
    """What a tool returns whose work goes on by itself; it is looked at once a minute."""

    every = 60

    def __init__(self, calls, check=lambda: None):
        self.calls = calls
        self.check = check

    def __call__(self):
        self.calls.effects.append("look")
        return self.check()

    def close(self):
        self.calls.effects.append(("closed", self.calls.host.main))


@pytest.mark.parametrize("writes", [True, False])
def test_what_is_polled_ends_when_it_is_cancelled_not_at_its_next_look(writes):
    calls = Caller()
    one = calls.submit("render", lambda: Render(calls), writes=writes)
    calls.host.run()
    calls.later()
    calls.host.run()
    assert [delay for delay, _, _ in calls.laters] == [60]
    assert calls.dispatcher.cancel(one.job_id) == ("running", "cancel_requested")
    calls.dispatcher.cancel(one.job_id)
    calls.host.run()
    assert isinstance(calls.told["render"][0][1], errors.Cancelled)
    assert calls.effects == ["look", ("closed", True)]
    calls.later()
    calls.host.run()
    assert calls.effects == ["look", ("closed", True)]
    assert len(calls.told["render"]) == 1
    alive(calls)


def test_what_is_cancelled_while_it_is_looked_at_waits_for_no_other_look():
    calls = Caller()

    def check():
        calls.dispatcher.cancel("id-render")

    calls.submit("render", lambda: Render(calls, check))
    calls.host.run()
    calls.later()
    calls.host.run()
    assert calls.laters == []
    assert isinstance(calls.told["render"][0][1], errors.Cancelled)
    assert calls.effects == ["look", ("closed", True)]


def test_what_is_polled_ends_with_the_call_when_a_look_fails():
    calls = Caller()
    calls.submit("render", lambda: Render(calls, raising(RuntimeError("no tiles"))))
    calls.host.run()
    calls.later()
    calls.host.run()
    assert "no tiles" in str(calls.told["render"][0][1])
    assert calls.effects == ["look", ("closed", True)]
    alive(calls)


@pytest.mark.parametrize("make", [polling, stepping])
def test_a_writer_that_waits_for_a_dialog_to_go_is_cancelled_at_once(make):
    calls = Caller(budget=0.0)
    suspended(calls, make)
    before = list(calls.effects)
    calls.host.modal = "Save changes?"
    if make is polling:
        calls.later()
    calls.host.run()
    assert [delay for delay, _, _ in calls.laters] == [pump.MODAL_EVERY]
    calls.dispatcher.cancel("id-paint")
    calls.host.run()
    assert isinstance(calls.told["paint"][0][1], errors.Cancelled)
    assert calls.effects == before
    calls.later()
    calls.host.run()
    assert calls.laters == []
    calls.host.modal = None
    alive(calls)


def test_a_reader_goes_on_while_a_dialog_is_open():
    calls = Caller()
    suspended(calls, polling, writes=False)
    calls.host.modal = "Save changes?"
    finish(calls)
