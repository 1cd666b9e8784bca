"""Waiting for a job, by hand: who waits is answered once, whatever becomes of the job."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import pytest

from dcc_mcp_embed.errors import HostBusy, NotFound
from dcc_mcp_embed.net.timers import Timers
from dcc_mcp_embed.tools.jobs import MAX_WAIT_MS, Later, get_job
from fakes.clock import FakeClock


class FakeLoop:
    """Timers on a clock that the test moves."""

    def __init__(self):
        self.clock = FakeClock()
        self.timers = Timers()

    def call_later(self, delay, function, *args):
        return self.timers.add(self.clock.monotonic() + delay, function, *args)

    def waiting(self):
        return self.timers.timeout(self.clock.monotonic()) is not None

    def call_soon(self, function, *args):
        self.call_later(0, function, *args)

    def pass_time(self, seconds):
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            for timer in self.timers.due(self.clock.monotonic()):
                timer.callback(*timer.args)


class FakeControl:
    """Knows one job."""

    def __init__(self):
        self.result = None
        self.known = True
        self.kept = {}
        self.watching = []
        self.room = 1

    def end(self, result=None):
        self.result = result
        self.known = result is not None
        for told in list(self.watching):
            told()

    def demand_room(self):
        if len(self.watching) >= self.room:
            raise HostBusy("full")

    def watch(self, job_id, told):
        assert job_id == "j"
        self.watching.append(told)
        return lambda: self.watching.remove(told)

    def job(self, job_id):
        if not self.known:
            raise NotFound("gone")
        return {"job_id": job_id, "state": "finished" if self.result else "running"}, self.result

    def instance(self):
        return {}


@pytest.fixture
def control():
    return FakeControl()


@pytest.fixture
def loop():
    return FakeLoop()


def wait(control, loop, wait_ms):
    answers = []
    later = get_job(SimpleNamespace(control=control), "j", wait_ms)
    assert type(later) is Later
    later.begin(loop, answers.append)
    return later, answers


def state(result):
    return result["structuredContent"]["data"]["state"]


def test_the_answer_comes_with_the_end_of_the_job(control, loop):
    _, answers = wait(control, loop, 10000)
    loop.pass_time(5)
    assert answers == []
    assert loop.timers.timeout(loop.clock.monotonic()) > 4.9, "nobody looks in the meantime"
    control.end({"content": [], "isError": False})
    loop.pass_time(0.1)
    (answer,) = answers
    assert answer["_meta"]["dcc-mcp-embed/job"]["state"] == "finished"
    loop.pass_time(20)
    assert len(answers) == 1
    assert not loop.waiting()
    assert control.watching == []


@pytest.mark.parametrize("wait_ms", [200, 10000, MAX_WAIT_MS, 10 * MAX_WAIT_MS])
def test_nobody_waits_longer_than_asked_for_and_allowed(control, loop, wait_ms):
    _, answers = wait(control, loop, wait_ms)
    seconds = min(wait_ms, MAX_WAIT_MS) / 1000
    loop.pass_time(seconds - 0.1)
    assert answers == []
    loop.pass_time(0.2)
    assert [state(one) for one in answers] == ["running"]
    assert not loop.waiting()
    assert control.watching == []


def test_who_no_longer_wants_to_wait_is_told_at_once(control, loop):
    later, answers = wait(control, loop, 10000)
    later.cancel()
    assert [state(one) for one in answers] == ["running"]
    assert control.watching == []
    later.cancel()
    loop.pass_time(20)
    assert len(answers) == 1


def test_only_so_many_wait_at_once(control, loop):
    later, _ = wait(control, loop, 10000)
    with pytest.raises(HostBusy):
        wait(control, loop, 10000)
    assert state(get_job(SimpleNamespace(control=control), "j")) == "running"
    later.cancel()
    wait(control, loop, 10000)


def test_a_job_that_is_forgotten_meanwhile_is_an_answer_too(control, loop):
    _, answers = wait(control, loop, 10000)
    control.end()
    loop.pass_time(0.1)
    (answer,) = answers
    assert answer["structuredContent"]["error"]["code"] == "not_found"
    later, answers = wait_for_known(control, loop)
    control.known = False
    later.cancel()
    assert answers[0]["isError"] is True


def wait_for_known(control, loop):
    control.known = True
    return wait(control, loop, 10000)


@pytest.mark.parametrize("end", ["found", "over", "cancelled"])
def test_nothing_of_it_needs_a_collection(control, loop, end):
    class Answer:
        def __call__(self, result):
            pass

    answer = Answer()
    gone = weakref.ref(answer)
    later = get_job(SimpleNamespace(control=control), "j", 200)
    gc.disable()
    try:
        later.begin(loop, answer)
        waiting = weakref.ref(later.give_up)
        if end == "found":
            control.end({"content": [], "isError": False})
        if end == "cancelled":
            later.cancel()
        loop.pass_time(1)
        del later, answer
        assert gone() is None
        assert waiting() is None
    finally:
        gc.enable()
