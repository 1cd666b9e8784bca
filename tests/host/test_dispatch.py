"""The dispatcher: order, budget, deadlines, undo, and one answer per job whatever happens when."""

from __future__ import annotations

import itertools
import threading

import pytest

from dcc_mcp_embed import errors
from dcc_mcp_embed.host import dispatch, holder, job
from fakes.caller import Caller


def test_jobs_run_in_their_order_and_each_caller_is_told_once():
    calls = Caller()
    for name in "abc":
        calls.submit(name)
    calls.host.run()
    assert calls.effects == ["a", "b", "c"]
    assert calls.told == {name: [("value", name)] for name in "abc"}


def test_nothing_runs_before_the_host_pumps():
    calls = Caller()
    calls.submit("a")
    assert calls.effects == []
    assert calls.host.wakes == 1


def test_a_pump_runs_one_job_at_least_and_stops_when_its_budget_is_spent():
    calls = Caller(budget=0.008)

    def slow():
        calls.clock.advance(0.005)
        calls.effects.append(calls.clock.now)

    for name in "abcd":
        calls.submit(name, slow)
    calls.host.turn()
    assert len(calls.effects) == 2
    assert calls.host.pump is not None, "the rest must have been arranged for"
    calls.host.turn()
    assert len(calls.effects) == 4


def test_the_queue_is_bounded_and_says_so():
    calls = Caller(limit=3)
    for name in "abc":
        calls.submit(name)
    with pytest.raises(errors.HostBusy) as caught:
        calls.submit("d")
    assert caught.value.state == "not_started"
    assert caught.value.retry_after_ms > 0
    calls.host.run()
    calls.submit("e")
    calls.host.run()
    assert calls.effects == ["a", "b", "c", "e"]


def test_a_job_that_left_the_queue_makes_room():
    calls = Caller(limit=1)
    one = calls.submit("a")
    calls.dispatcher.cancel(one.job_id)
    calls.submit("b")
    calls.host.run()
    assert calls.effects == ["b"]


def test_a_tool_that_spins_the_event_loop_does_not_start_another():
    calls = Caller()

    def spinning():
        calls.effects.append("spin begins")
        calls.dispatcher.pump()
        calls.effects.append("spin ends")

    calls.submit("spin", spinning)
    calls.submit("b")
    calls.host.run()
    assert calls.effects == ["spin begins", "spin ends", "b"]


def test_an_exception_is_the_answer_and_the_next_job_runs():
    calls = Caller()

    def failing():
        raise ValueError("no")

    calls.submit("a", failing)
    calls.submit("b")
    calls.host.run()
    kind, error = calls.told["a"][0]
    assert kind == "error"
    assert isinstance(error, ValueError)
    assert calls.effects == ["b"]


def test_a_tool_that_exits_does_not_take_the_host_with_it():
    calls = Caller()

    def leaving():
        raise SystemExit(3)

    calls.submit("a", leaving)
    calls.submit("b")
    calls.host.run()
    assert calls.told["a"][0][0] == "error"
    assert calls.effects == ["b"]


def test_ctrl_c_reaches_whoever_runs_the_host_after_the_caller_was_told():
    calls = Caller()

    def interrupted():
        raise KeyboardInterrupt

    calls.submit("a", interrupted)
    assert isinstance(calls.dispatcher.pump(), KeyboardInterrupt)
    assert calls.told["a"][0][0] == "error"
    calls.submit("b")
    calls.host.run()
    assert calls.effects == ["b"]


def test_an_answer_that_cannot_be_made_is_a_host_error():
    calls = Caller()
    one = calls.job("a")

    def unfit(value, error, report):
        raise TypeError("a node is not JSON")

    one.finish = unfit
    calls.dispatcher.submit(one)
    calls.host.run()
    assert calls.told["a"] == ["host_error"]


# -- undo -------------------------------------------------------------------------------------


def test_a_write_is_one_undo_step_and_a_read_is_none():
    calls = Caller()
    calls.submit("write", undo_label="MCP: write")
    calls.submit("read", writes=False)
    calls.host.run()
    assert calls.host.events == ["open MCP: write", "close MCP: write"]
    assert calls.reports["write"].undo_steps == 1
    assert calls.reports["read"].undo_steps == 0


def test_the_undo_step_is_closed_when_the_tool_raises():
    calls = Caller()

    def failing():
        raise ValueError

    calls.submit("a", failing, undo_label="MCP: a")
    calls.host.run()
    assert calls.host.events == ["open MCP: a", "close MCP: a"]


def test_a_generator_gets_one_undo_step_per_advance():
    calls = Caller()

    def steps():
        yield 1
        yield 2
        return "end"

    calls.submit("a", steps, undo_label="MCP: a")
    calls.host.run()
    assert calls.told["a"] == [("value", "end")]
    assert calls.reports["a"].undo_steps == 3
    assert calls.host.events == ["open MCP: a", "close MCP: a"] * 3


# -- generators and polls ---------------------------------------------------------------------


def test_a_generator_reports_progress_and_lets_readers_in_but_no_writer():
    calls = Caller(budget=0.0)
    seen = []

    def steps():
        for number in range(3):
            calls.effects.append("step {}".format(number))
            yield number
        calls.effects.append("end")

    calls.submit("long", steps, progress=seen.append)
    calls.submit("writer")
    calls.submit("reader", writes=False)
    calls.host.run()
    assert seen == [0, 1, 2]
    assert calls.effects.index("reader") < calls.effects.index("end")
    assert calls.effects.index("writer") > calls.effects.index("end")


def test_a_poll_callable_is_asked_again_later_until_it_has_a_value():
    calls = Caller()
    answers = iter([None, None, "baked"])
    calls.submit("bake", lambda: lambda: next(answers))
    calls.host.run()
    for _ in range(3):
        assert calls.told == {}
        calls.later()
        calls.host.run()
    assert calls.told["bake"] == [("value", "baked")]
    assert calls.laters == []


def test_a_generator_is_cancelled_between_two_steps_and_cleans_up():
    calls = Caller(budget=0.0)

    def steps():
        try:
            while True:
                calls.effects.append("step")
                yield
        finally:
            calls.effects.append("cleaned")

    one = calls.submit("long", steps, undo_label="MCP: long")
    calls.host.turn()
    assert calls.dispatcher.cancel(one.job_id) == ("running", "cancel_requested")
    calls.host.run()
    kind, error = calls.told["long"][0]
    assert isinstance(error, errors.Cancelled)
    assert calls.effects == ["step", "cleaned"]
    assert calls.host.events[-1] == "close MCP: long"


def test_a_plain_tool_sees_that_its_cancellation_is_wanted_and_its_work_is_reported():
    calls = Caller()
    seen = []

    def looking():
        calls.dispatcher.cancel("id-a")
        seen.append(one.cancelled())
        return "half of it"

    one = calls.submit("a", looking)
    calls.host.run()
    assert seen == [True]
    assert calls.told["a"] == [("value", "half of it")]


# -- deadlines --------------------------------------------------------------------------------


def test_a_job_that_times_out_in_the_queue_never_runs():
    calls = Caller()
    one = calls.submit("a")
    calls.dispatcher.expire(one)
    assert calls.told["a"] == ["timeout_not_started"]
    calls.host.run()
    assert calls.effects == []
    assert calls.told["a"] == ["timeout_not_started"]


def test_a_job_that_times_out_while_it_runs_can_be_asked_for_later():
    calls = Caller()

    def slow():
        calls.dispatcher.expire(one)
        return "late"

    one = calls.submit("a", slow)
    calls.host.run()
    assert calls.told["a"] == ["timeout_running"]
    found = calls.dispatcher.find(one.job_id)
    assert found.state == job.LATE
    assert found.answer == ("value", "late")


def test_results_that_nobody_fetches_are_kept_in_bounds():
    calls = Caller()
    for number in range(dispatch.KEPT_RESULTS + 10):
        name = str(number)
        box = []
        box.append(calls.submit(name, lambda box=box: calls.dispatcher.expire(box[0])))
        calls.host.run()
    assert len(calls.dispatcher.jobs()) == dispatch.KEPT_RESULTS
    with pytest.raises(errors.NotFound):
        calls.dispatcher.find("id-0")


def test_two_time_outs_in_a_row_refuse_at_once_until_the_thread_shows_life():
    calls = Caller()
    for name in "ab":
        calls.dispatcher.expire(calls.submit(name))
    with pytest.raises(errors.HostBusy) as caught:
        calls.submit("c")
    assert caught.value.retry_after_ms > 0
    assert calls.dispatcher.status()["verdict"] == "hung"
    wakes = calls.host.wakes
    calls.clock.advance(dispatch.PROBE_EVERY)
    with pytest.raises(errors.HostBusy):
        calls.submit("d")
    assert calls.host.wakes == wakes + 1, "a refused call probes"
    calls.host.run()
    assert calls.dispatcher.status()["verdict"] == "healthy"
    calls.submit("e")
    calls.host.run()
    assert calls.effects == ["e"]


def test_calls_that_ran_out_of_time_while_one_had_the_thread_are_forgotten_at_its_end():
    """Whoever has its answer can make the next call: the thread is at the end of its turn still."""
    turned = []
    calls = Caller(turned=lambda: turned.append(calls.dispatcher.stalled))
    waiting = []

    def long():
        waiting.extend(calls.submit(name) for name in "ab")
        for one in waiting:
            calls.dispatcher.expire(one)

    one = calls.job("long", long)
    told = one.settled

    def next_call(*answer):
        told(*answer)
        calls.submit("next")

    one.settled = next_call
    calls.dispatcher.submit(one)
    calls.host.run()
    assert calls.effects == ["next"]
    assert turned == [True, False]


def test_a_thread_that_comes_back_is_no_more_stalled_when_it_begins():
    calls = Caller()
    found = []
    calls.submit("a", lambda: found.append(calls.dispatcher.stalled))
    for name in "bc":
        calls.dispatcher.expire(calls.submit(name))
    found.append(calls.dispatcher.stalled)
    calls.host.turn()
    assert found == [True, False]


def test_calls_that_ran_out_of_time_while_an_answer_was_handed_over_are_forgotten_too():
    turned = []
    calls = Caller(turned=lambda: turned.append(calls.dispatcher.stalled))
    one = calls.job("long")

    def handed_over(*_):
        for name in "ab":
            calls.dispatcher.expire(calls.submit(name))

    one.settled = handed_over
    calls.dispatcher.submit(one)
    calls.host.turn()
    assert turned == [True, False]


def test_a_host_that_ran_something_and_then_hangs_is_found():
    calls = Caller()
    calls.submit("a", lambda: calls.clock.advance(0.3))
    calls.host.run()
    calls.clock.advance(0.1)
    for name in "bc":
        calls.dispatcher.expire(calls.submit(name))
    assert calls.dispatcher.status()["verdict"] == "hung"


def test_calls_whose_time_is_found_to_be_over_after_the_thread_moved_are_no_stall():
    """A step ended while they waited; whoever looks at their time comes late, as loops do."""
    calls = Caller()

    def next_call(*_):
        for name in "ab":
            calls.dispatcher.expire(waiting[name])
        calls.submit("next")

    one = calls.job("long", lambda: calls.clock.advance(0.3))
    one.settled = next_call
    calls.dispatcher.submit(one)
    waiting = {name: calls.submit(name) for name in "ab"}
    calls.host.run()
    assert calls.told["a"] == calls.told["b"] == ["timeout_not_started"]
    assert calls.effects == ["next"]


def test_calls_that_waited_behind_others_are_a_stall_once_the_thread_has_not_moved_for_long():
    calls = Caller(budget=0.0)
    calls.submit("a", lambda: calls.clock.advance(0.3))
    waiting = [calls.submit(name) for name in "bcd"]
    calls.host.turn()
    calls.clock.advance(0.9)
    calls.dispatcher.expire(waiting[0])
    calls.clock.advance(0.2)
    calls.dispatcher.expire(waiting[1])
    assert not calls.dispatcher.stalled
    calls.dispatcher.expire(waiting[2])
    assert calls.dispatcher.status()["verdict"] == "hung"


@pytest.mark.parametrize("due", [False, True])
def test_jobs_that_wait_for_their_next_look_are_no_stall(due):
    calls = Caller()

    def look():
        return None

    look.every = 5.0
    jobs = [calls.submit(name, lambda: look, writes=False) for name in "ab"]
    calls.host.run()
    for _ in range(3 * len(jobs)):
        calls.later()
        calls.host.run()
    calls.clock.advance(3.0)
    while due and calls.laters:
        # The thread is told, and has no time to come.
        calls.later()
    for one in jobs:
        calls.dispatcher.expire(one)
    assert calls.dispatcher.status()["verdict"] == "healthy"


@pytest.mark.parametrize(("pause", "verdict"), [(0.1, "busy"), (2.0, "hung")])
def test_jobs_that_take_steps_are_no_stall_while_these_end(pause, verdict):
    calls = Caller()
    found = []

    def walk():
        for step in range(4):
            calls.clock.advance(0.1)
            if step == 3 and not found:
                calls.clock.advance(pause)
                for one in jobs:
                    calls.dispatcher.expire(one)
                found.append(calls.dispatcher.status()["verdict"])
            yield step

    jobs = [calls.submit(name, walk, writes=False) for name in "ab"]
    calls.host.run()
    assert found == [verdict]
    assert calls.dispatcher.status()["verdict"] == "healthy"


def test_the_one_that_has_the_thread_and_one_that_waits_for_it_are_a_stall():
    calls = Caller(budget=1.0)
    stalled = []

    def long():
        for one in (calls.dispatcher.find("id-long"), calls.submit("waits")):
            calls.dispatcher.expire(one)
            stalled.append(calls.dispatcher.stalled)

    calls.submit("before", lambda: calls.clock.advance(0.1), writes=False)
    calls.submit("long", long)
    calls.host.run()
    assert calls.told["long"] == ["timeout_running"]
    assert stalled == [False, True]
    assert not calls.dispatcher.stalled


# -- the host is not available ----------------------------------------------------------------


def test_a_modal_dialog_refuses_writing_and_lets_reading_through():
    calls = Caller()
    calls.host.modal = "Save changes?"
    calls.submit("write")
    calls.submit("read", writes=False)
    calls.host.run()
    assert calls.told["write"] == ["host_modal"]
    assert calls.effects == ["read"]
    assert calls.dispatcher.status()["modal"] == "Save changes?"
    calls.host.modal = None
    calls.submit("again")
    calls.host.run()
    assert calls.effects == ["read", "again"]


def test_a_blocking_call_from_the_thread_it_needs_raises_at_once():
    calls = Caller()
    calls.host.main = True
    with pytest.raises(errors.WouldDeadlock):
        calls.dispatcher.call(calls.job("a"), 60.0)


def test_calls_that_arrive_while_the_main_thread_waits_for_another_server_are_refused():
    calls = Caller()
    with calls.dispatcher.hold("127.0.0.1:9"):
        with pytest.raises(errors.HostBusy):
            calls.submit("a")
        assert calls.dispatcher.status()["verdict"] == "busy"
    calls.submit("b")
    calls.host.run()
    assert calls.effects == ["b"]


def test_shutdown_settles_everybody_and_refuses_the_next():
    calls = Caller(budget=0.0)

    def steps():
        try:
            yield
            calls.effects.append("never")
        finally:
            calls.effects.append("closed")

    calls.submit("running", steps)
    calls.submit("queued")
    calls.host.turn()
    calls.host.main = True
    calls.dispatcher.shutdown("closing")
    calls.host.main = False
    assert calls.told == {
        "running": ["host_shutting_down"],
        "queued": ["host_shutting_down"],
    }
    with pytest.raises(errors.HostShuttingDown):
        calls.submit("late")
    calls.host.run()
    assert calls.effects == ["closed"]
    assert calls.dispatcher.status()["verdict"] == "shutting_down"


def test_generators_are_closed_on_the_hosts_thread_when_another_one_shuts_down():
    calls = Caller(budget=0.0)
    closed_on_main = []

    def steps():
        try:
            yield
        finally:
            closed_on_main.append(calls.host.main)

    calls.submit("long", steps)
    calls.host.turn()
    calls.dispatcher.shutdown("closing")
    assert closed_on_main == []
    calls.host.run()
    assert closed_on_main == [True]


def test_the_holder_is_known_with_its_age_and_after_a_while_its_stack():
    calls = Caller()
    seen = []

    def holding():
        seen.append(calls.dispatcher.holder())
        calls.clock.advance(holder.STACK_AFTER)
        seen.append(calls.dispatcher.holder())
        seen.append(calls.dispatcher.status()["verdict"])

    calls.submit("bake", holding, client="claude 1.0")
    calls.host.run()
    assert (seen[0].tool, seen[0].client, seen[0].age) == ("bake", "claude 1.0", 0.0)
    assert seen[0].stack is None
    assert seen[1].age == holder.STACK_AFTER
    assert any("in holding" in line for line in seen[1].stack)
    assert seen[2] == "busy"
    assert calls.dispatcher.holder() is None


# -- interleavings ----------------------------------------------------------------------------


class SteppedLock:
    """A lock that lets a test do something just before its n-th acquisition."""

    def __init__(self):
        self.count = 0
        self.actions = {}
        self._lock = threading.Lock()

    def __enter__(self):
        self.count += 1
        action = self.actions.pop(self.count, None)
        if action is not None:
            action()
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


ACTIONS = ("expire", "cancel", "shutdown")


def _run_with(places, steps):
    """Run one job; before the n-th acquisition of the lock after its submission do an action."""
    lock = SteppedLock()
    calls = Caller(lock=lock)
    effects = []

    def plain():
        effects.append("run")
        return "value"

    def generator():
        effects.append("run")
        yield
        return "value"

    one = calls.submit("a", generator if steps else plain, undo_label="MCP: a")
    act = {
        "expire": lambda: calls.dispatcher.expire(one),
        "cancel": lambda: _ignoring_unknown(calls.dispatcher, one),
        "shutdown": lambda: calls.dispatcher.shutdown("closing"),
    }
    start = lock.count
    lock.actions = {start + place: act[name] for place, name in places}
    calls.host.run()
    acquired = lock.count - start
    left, lock.actions = sorted(lock.actions.items()), {}
    for _, action in left:
        action()
    calls.host.run()
    return calls, effects, acquired


def _ignoring_unknown(dispatcher, one):
    try:
        dispatcher.cancel(one.job_id)
    except errors.NotFound:
        # Its result was delivered and it is forgotten: nothing is left to cancel.
        assert one.state in (job.DONE, job.CANCELLED, job.ABANDONED, job.DROPPED)


@pytest.mark.parametrize("steps", [False, True], ids=["plain", "generator"])
@pytest.mark.parametrize(
    "names", list(itertools.permutations(ACTIONS, 2)) + [(n,) for n in ACTIONS]
)
def test_whatever_happens_at_whatever_moment_the_caller_is_told_once_and_the_truth(names, steps):
    _, _, longest = _run_with([], steps)
    tried = 0
    for places in itertools.combinations(range(1, longest + 8), len(names)):
        calls, effects, _ = _run_with(list(zip(places, names)), steps)
        told = calls.told.get("a", [])
        assert len(told) == 1, (places, names, told)
        error = calls.errors["a"]
        if error is not None and error.state == "not_started":
            assert effects == [], (places, names)
        elif error is None or error.state == "running":
            assert effects == ["run"], (places, names)
        opened = [event for event in calls.host.events if event.startswith("open")]
        assert len(calls.host.events) == 2 * len(opened), "an undo step was left open"
        tried += 1
    assert tried >= longest


# -- coming to an end -------------------------------------------------------------------------


class Finishing:
    """A dispatcher that was told to finish, and how often it said that it rests."""

    def __init__(self, *names):
        self.calls = Caller()
        self.jobs = [self.calls.submit(name) for name in names]
        self.rested = 0
        self.calls.dispatcher.finish("It ends.", self._rested)

    def _rested(self):
        self.rested += 1
        assert self.calls.dispatcher.resting


def test_what_was_accepted_is_run_what_comes_is_refused_and_then_it_rests():
    one = Finishing("a", "b")
    with pytest.raises(errors.HostShuttingDown) as caught:
        one.calls.submit("c")
    assert caught.value.state == "not_started"
    assert (one.rested, one.calls.dispatcher.resting) == (0, False)
    one.calls.host.run()
    assert one.calls.effects == ["a", "b"]
    assert one.rested == 1


@pytest.mark.parametrize("way", ["cancel", "expire"])
def test_it_rests_too_when_the_last_one_never_runs(way):
    one = Finishing("a")
    if way == "cancel":
        one.calls.dispatcher.cancel("id-a")
    else:
        one.calls.dispatcher.expire(one.jobs[0])
    assert one.rested == 1
    one.calls.host.run()
    assert one.calls.effects == []


def test_it_does_not_rest_between_two_steps():
    one = Finishing()

    def steps():
        yield
        seen.append(one.calls.dispatcher.resting)
        yield

    seen = []
    calls = Caller()
    one.calls = calls
    calls.submit("a", steps)
    calls.dispatcher.finish("It ends.", one._rested)
    while calls.host.turn():
        pass
    assert seen == [False]
    assert one.rested == 1


def test_one_that_has_time_and_is_being_answered_does_not_rest_yet():
    one = Finishing()
    calls = one.calls = Caller()
    job_a = calls.job("a")
    seen = []
    settled = job_a.settled

    def watched(*arguments):
        seen.append(calls.dispatcher.resting)
        settled(*arguments)

    job_a.settled = watched
    calls.dispatcher.submit(job_a)
    calls.dispatcher.finish("It ends.", one._rested)
    calls.host.run()
    assert seen == [False]
    assert calls.dispatcher.resting


def test_the_last_job_is_taken_whatever_else_is_refused():
    calls = Caller(limit=1)
    calls.submit("a")
    calls.dispatcher.finish("It ends.", lambda: None)
    with calls.dispatcher.hold("a peer"):
        calls.dispatcher.submit_last(calls.job("last"))
    calls.host.run()
    assert calls.effects == ["a", "last"]
    calls.dispatcher.shutdown("It is over.")
    with pytest.raises(errors.HostShuttingDown):
        calls.dispatcher.submit_last(calls.job("more"))
