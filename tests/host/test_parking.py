"""A generator that waits for an answer: off the thread, in no way, gone when it must go."""

from __future__ import annotations

import gc

import pytest

from dcc_mcp_embed import errors
from dcc_mcp_embed.host import job
from fakes.caller import Caller


class Question:
    pass


class Asker:
    """A caller whose generators can ask."""

    def __init__(self):
        self.calls = Caller()
        self.asked = []
        self.progress = []
        self.log = []

    def submit(self, name="ask", rounds=1, **options):
        def run():
            try:
                for _ in range(rounds):
                    self.log.append(("asks", name))
                    self.calls.clock.advance(0.1)
                    try:
                        got = yield Question()
                    except errors.ToolError as error:
                        got = error.message
                    self.log.append((name, got))
                return "done"
            finally:
                self.log.append(("left", name))

        options.setdefault("progress", self.progress.append)
        return self.calls.submit(
            name, run, question=Question, asked=lambda one: self.asked.append(one), **options
        )

    def run(self):
        self.calls.host.run()

    def resume(self, one, *answer):
        return self.calls.dispatcher.resume(one, *answer)


@pytest.fixture
def asker():
    return Asker()


def test_it_goes_on_where_it_was_with_the_answer(asker):
    one = asker.submit(rounds=2)
    asker.run()
    assert len(asker.asked) == 1
    assert asker.progress == []
    assert one.latest is None
    for _ in range(3):
        asker.run()
    assert asker.log == [("asks", "ask")]
    assert asker.resume(one, 5)
    assert not asker.resume(one, 6)
    asker.run()
    assert asker.resume(one, None)
    asker.run()
    assert asker.log == [
        ("asks", "ask"),
        ("ask", 5),
        ("asks", "ask"),
        ("ask", None),
        ("left", "ask"),
    ]
    assert asker.calls.told == {"ask": [("value", "done")]}
    assert not asker.resume(one, 7)


def test_an_error_is_raised_where_it_waits(asker):
    one = asker.submit()
    asker.run()
    assert asker.resume(one, None, errors.PermissionDenied("no"))
    asker.run()
    assert ("ask", "no") in asker.log
    assert asker.calls.told == {"ask": [("value", "done")]}


def test_others_write_while_it_waits(asker):
    one = asker.submit()
    asker.run()
    assert asker.calls.dispatcher.holder() is None
    assert asker.calls.dispatcher.status()["verdict"] == "healthy"
    asker.calls.submit("b")
    asker.run()
    assert asker.calls.effects == ["b"]
    asker.resume(one, 1)
    asker.run()
    assert asker.calls.told["ask"] == [("value", "done")]


def test_users_who_do_not_answer_are_no_host_that_does_not(asker):
    jobs = [asker.submit(name) for name in "abc"]
    asker.run()
    asker.calls.clock.advance(60.0)
    for one in jobs:
        asker.calls.dispatcher.expire(one)
    assert asker.calls.told == {name: ["timeout_running"] for name in "abc"}
    assert asker.calls.dispatcher.status()["verdict"] == "healthy"
    asker.calls.submit("next")
    asker.run()
    assert asker.calls.effects == ["next"]


@pytest.mark.parametrize(("pause", "verdict"), [(0.9, "healthy"), (1.0, "hung")])
def test_a_host_that_does_not_go_on_with_what_was_answered_is(asker, pause, verdict):
    jobs = [asker.submit(name) for name in "ab"]
    asker.run()
    asker.calls.clock.advance(60.0)
    for one in jobs:
        asker.resume(one, 1)
    asker.calls.clock.advance(pause)
    for one in jobs:
        asker.calls.dispatcher.expire(one)
    assert asker.calls.dispatcher.status()["verdict"] == verdict
    asker.run()
    assert asker.calls.dispatcher.status()["verdict"] == "healthy"
    assert ("b", 1) in asker.log


def test_it_waits_its_turn_when_another_writer_is_between_two_steps(asker):
    one = asker.submit()
    asker.run()
    steps = []

    def walk():
        for step in range(3):
            steps.append(step)
            if step == 0:
                asker.resume(one, 1)
            yield step
        return "walked"

    asker.calls.submit("walk", walk)
    asker.run()
    assert steps == [0, 1, 2]
    assert asker.log[-2:] == [("ask", 1), ("left", "ask")]
    assert list(asker.calls.told) == ["walk", "ask"]


@pytest.mark.parametrize("when", ["waiting", "answered", "running"])
def test_cancelling_closes_it(asker, when):
    def cancel(question=None):
        before, effect = asker.calls.dispatcher.cancel(one.job_id)
        assert (before, effect) == (job.RUNNING, "cancel_requested")

    one = asker.submit()
    if when == "running":
        one.run = cancelling(one.run, cancel)
    asker.run()
    if when == "answered":
        asker.resume(one, 1)
    if when != "running":
        cancel()
    assert not asker.resume(one, 2)
    asker.run()
    assert asker.log == [("asks", "ask"), ("left", "ask")]
    assert asker.calls.told["ask"][0][0] == "error"
    assert isinstance(asker.calls.told["ask"][0][1], errors.Cancelled)
    assert one.state == job.CANCELLED


def cancelling(run, cancel):
    """Return ``run`` as a generator function that is cancelled while it takes its first step."""

    def go():
        inner = run()
        question = next(inner)
        cancel()
        try:
            yield question
        finally:
            inner.close()

    return go


@pytest.mark.parametrize("on_main", [True, False])
def test_shutting_down_settles_and_closes_it(asker, on_main):
    one = asker.submit()
    asker.run()
    asker.calls.host.main = on_main
    asker.calls.dispatcher.shutdown("over")
    asker.run()
    assert asker.calls.told["ask"] == ["host_shutting_down"]
    assert asker.log[-1] == ("left", "ask")
    assert not asker.resume(one, 1)


def test_asking_during_the_shutdown_closes_it(asker):
    def run():
        asker.calls.dispatcher.shutdown("over")
        try:
            yield Question()
        finally:
            asker.log.append("left")

    asker.calls.submit("ask", run, question=Question, asked=asker.asked.append)
    asker.run()
    assert asker.log == ["left"]
    assert asker.asked == []


def test_one_that_waits_is_at_rest(asker):
    rested = []
    one = asker.submit()
    asker.calls.dispatcher.finish("ending", lambda: rested.append(1))
    assert not asker.calls.dispatcher.resting
    asker.run()
    assert asker.calls.dispatcher.resting
    assert rested
    asker.resume(one, 1)
    assert not asker.calls.dispatcher.resting
    asker.run()
    assert asker.calls.told["ask"] == [("value", "done")]


def test_a_question_that_cannot_be_passed_on_ends_nothing_else(asker):
    def broken(question):
        raise RuntimeError("no")

    one = asker.submit()
    one.asked = broken
    asker.run()
    assert "A question of ask is lost" in asker.calls.logged[0][1]
    asker.calls.submit("b")
    asker.run()
    assert asker.calls.effects == ["b"]
    asker.calls.dispatcher.cancel(one.job_id)
    asker.run()


def test_what_is_no_question_is_progress(asker):
    def run():
        yield 1
        return 2

    asker.calls.submit(
        "a", run, question=Question, asked=asker.asked.append, progress=asker.progress.append
    )
    asker.run()
    assert (asker.progress, asker.asked) == ([1], [])


def test_an_error_that_was_sent_leaves_no_cycle(asker):
    one = asker.submit()
    asker.run()
    gc.collect()
    gc.disable()
    try:
        asker.resume(one, None, errors.PermissionDenied("no"))
        asker.run()
        assert gc.collect() == 0
    finally:
        gc.enable()
