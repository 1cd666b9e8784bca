"""Coroutines on the loop: what runs when, deadlines in each other, being cut short, no circles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.net.tasks import (
    Cut,
    Ended,
    Group,
    Inbox,
    Lock,
    Task,
    TimedOut,
    Wait,
    gather,
    sleep,
    within,
)
from fakes.clock import FakeClock
from fakes.driving import Driver, left_behind


@pytest.fixture
def it():
    one = Driver(FakeClock())
    yield one
    one.close()


def ended(ends):
    """Return the value, or the kind of error, that one end is."""
    assert len(ends) == 1
    value, error = ends[0]
    return value if error is None else type(error)


# -- steps ----------------------------------------------------------------------------------------


def test_tasks_take_their_steps_in_the_order_in_which_they_can(it):
    log, first, second = [], Wait(), Wait()

    async def story(name, wait):
        log.append(name + " begins")
        log.append(await wait)
        return name

    _, one = it.begin(story("one", first))
    _, two = it.begin(story("two", second))
    assert log == [], "nothing runs before the next turn"
    it.turn()
    second.settle("second")
    first.settle("first")
    assert log == ["one begins", "two begins"]
    it.turn()
    assert log[2:] == ["second", "first"]
    assert (ended(one), ended(two)) == ("one", "two")


def test_a_wait_is_settled_once(it):
    wait, failing = Wait(), Wait()
    wait.settle(1)
    wait.settle(2)
    wait.fail(ValueError())
    failing.fail(KeyError("k"))
    failing.settle(3)

    async def both():
        assert await wait == 1
        with pytest.raises(KeyError):
            await failing

    assert it.run(both()) is None


def test_what_a_coroutine_raises_is_its_end(it):
    async def fail():
        await sleep(it.loop, 0)
        raise ZeroDivisionError()

    _, ends = it.begin(fail())
    it.turn(3)
    assert ended(ends) is ZeroDivisionError


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_so_is_what_ends_a_program(it, kind):
    async def leave():
        raise kind()

    _, ends = it.begin(leave())
    it.turn()
    assert ended(ends) is kind


# -- being cut short ------------------------------------------------------------------------------


def test_a_task_is_cut_where_it_waits_and_lets_go_of_what_it_holds(it):
    log = []

    async def hold():
        try:
            await Wait()
        finally:
            log.append("let go")

    task, ends = it.begin(hold())
    it.turn()
    task.cancel()
    assert not task.over, "that is for the next turn"
    it.turn()
    assert task.over and ended(ends) is Cut and log == ["let go"]
    task.cancel()
    task.throw(Cut())
    it.turn(2)
    assert len(ends) == 1


def test_a_task_that_is_cut_before_its_first_step_is_cut_at_its_first_wait(it):
    log = []

    async def begin(waits):
        log.append("begun")
        if waits:
            await Wait()
        return "over"

    waiting, ends = it.begin(begin(True))
    waiting.cancel()
    quick, quick_ends = it.begin(begin(False))
    quick.cancel()
    it.turn(2)
    assert (ended(ends), ended(quick_ends), log) == (Cut, "over", ["begun", "begun"])


def test_an_error_that_is_thrown_before_the_first_step_is_its_end(it):
    async def never():
        raise AssertionError("it began")

    task, ends = it.begin(never())
    task.throw(KeyError())
    it.turn(2)
    assert ended(ends) is KeyError


@pytest.mark.parametrize("settled_first", [False, True])
def test_a_cut_just_as_what_is_waited_for_comes(it, settled_first):
    wait, log = Wait(), []

    async def story():
        log.append(await wait)
        await Wait()

    task, ends = it.begin(story())
    it.turn()
    if settled_first:
        wait.settle("come")
        task.cancel()
    else:
        task.cancel()
        wait.settle("come")
    it.turn(2)
    assert ended(ends) is Cut
    assert log == (["come"] if settled_first else [])


def test_what_is_late_for_a_task_that_was_led_elsewhere_disturbs_nothing(it):
    wait, other, log = Wait(), Wait(), []

    async def story():
        try:
            await wait
        except KeyError:
            log.append("elsewhere")
        log.append(await other)

    task, ends = it.begin(story())
    it.turn()
    wait.settle("late")
    task.throw(KeyError())
    it.turn(3)
    assert (ends, log) == ([], ["elsewhere"])
    other.settle("now")
    it.turn()
    assert log == ["elsewhere", "now"] and ended(ends) is None


# -- deadlines ------------------------------------------------------------------------------------


async def timed(it, seconds, wait, log=None):
    try:
        with within(it.loop, seconds):
            return await wait
    except TimedOut:
        return "timed out"


def test_a_deadline_leaves_what_is_done_in_time_alone(it):
    wait = Wait()
    _, ends = it.begin(timed(it, 2.0, wait))
    it.turn()
    assert it.timers() == [2.0]
    it.clock.advance(1.9)
    wait.settle("done")
    it.turn()
    assert ended(ends) == "done" and it.timers() == []


def test_a_deadline_ends_what_takes_too_long(it):
    _, ends = it.begin(timed(it, 2.0, Wait()))
    it.turn()
    it.clock.advance(2.0)
    it.turn()
    assert ended(ends) == "timed out"


def test_no_deadline_is_none_and_no_time_is_no_wait(it):
    task, ends = it.begin(timed(it, None, Wait()))
    it.turn()
    assert it.timers() == []
    task.cancel()
    _, short = it.begin(timed(it, -1.0, Wait()))
    it.turn(3)
    assert (ended(ends), ended(short)) == (Cut, "timed out")


@pytest.mark.parametrize("turns_before", [0, 1])
def test_a_deadline_that_ends_just_as_the_thing_is_done_is_the_one_or_the_other(it, turns_before):
    wait, other = Wait(), Wait()

    async def story():
        found = await timed(it, 1.0, wait)
        return found, await other

    _, ends = it.begin(story())
    it.turn()
    wait.settle("done")
    it.turn(turns_before)
    it.clock.advance(1.0)
    it.turn(2)
    assert ends == [], "what comes too late wakes nobody"
    other.settle("then")
    it.turn()
    assert ended(ends) == (("done" if turns_before else "timed out"), "then")


@pytest.mark.parametrize("cut_first", [False, True])
def test_being_cut_and_out_of_time_in_one_turn_is_being_cut(it, cut_first):
    log = []

    async def story():
        log.append(await timed(it, 1.0, Wait()))
        await Wait()

    task, ends = it.begin(story())
    it.turn()
    if cut_first:
        task.cancel()
        it.turn()
        it.clock.advance(1.0)
    else:
        it.clock.advance(1.0)
        task.cancel()
    it.turn(2)
    assert ended(ends) is Cut
    assert log == ([] if cut_first else ["timed out"])


def test_an_error_that_the_end_of_the_time_leads_to_is_not_hidden(it):
    async def story():
        with within(it.loop, 1.0):
            try:
                await Wait()
            finally:
                raise KeyError("on the way out")

    _, ends = it.begin(story())
    it.turn()
    it.clock.advance(1.0)
    it.turn()
    assert ended(ends) is KeyError


def test_time_that_is_over_ends_once(it):
    """What is done after a deadline has passed inside another is not cut short by the first."""

    async def story():
        with within(it.loop, 10.0):
            first = await timed(it, 1.0, Wait())
            second = await timed(it, 1.0, Wait())
        return first, second

    _, ends = it.begin(story())
    for _ in range(2):
        it.turn()
        it.clock.advance(1.0)
    it.turn(2)
    assert ended(ends) == ("timed out", "timed out")


@given(st.lists(st.none() | st.integers(0, 5), max_size=5), st.integers(0, 6))
def test_of_deadlines_in_each_other_the_shortest_counts(deadlines, duration):
    it = Driver(FakeClock())

    async def nest(level):
        if level == len(deadlines):
            await sleep(it.loop, duration)
            return "done"
        try:
            with within(it.loop, deadlines[level]):
                return await nest(level + 1)
        except TimedOut:
            return level

    try:
        _, ends = it.begin(nest(0))
        it.turn(2)
        for _ in range(7):
            it.clock.advance(1.0)
            it.turn(2)
        short = [
            (seconds, level)
            for level, seconds in enumerate(deadlines)
            if seconds is not None and seconds <= duration
        ]
        assert ended(ends) == (min(short)[1] if short else "done")
    finally:
        it.close()


def test_a_deadline_is_that_of_the_task_it_stands_in(it):
    """Also where one task makes another take a step in the middle of its own."""
    inner_wait, log = Wait(), []

    async def inner():
        try:
            await Wait()
        except KeyError:
            log.append(await timed(it, 5.0, inner_wait))

    async def outer(task):
        task.throw(KeyError())
        log.append(await timed(it, 1.0, Wait()))

    task, inner_ends = it.begin(inner())
    it.turn()
    _, outer_ends = it.begin(outer(task))
    it.turn()
    it.clock.advance(1.0)
    it.turn()
    assert log == ["timed out"] and ended(outer_ends) is None
    inner_wait.settle("inner")
    it.turn(2)
    assert log == ["timed out", "inner"] and ended(inner_ends) is None


def test_sleep_takes_its_time(it):
    _, ends = it.begin(sleep(it.loop, 3.0))
    it.turn()
    it.clock.advance(2.9)
    it.turn()
    assert ends == []
    it.clock.advance(0.2)
    it.turn(2)
    assert ended(ends) is None


# -- inboxes --------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["put", "get", "cut", "end", "turn"]), max_size=30))
def test_an_inbox_gives_everything_once_and_in_order(steps):
    it = Driver(FakeClock())
    inbox, got, put, over = Inbox(), [], [], False
    task = None

    async def take():
        got.append(await inbox.get())

    def look(value, error):
        assert error is None or isinstance(error, (Cut, Ended))
        if isinstance(error, Ended):
            assert over and len(got) == len(put)

    try:
        for step in steps:
            if step == "put":
                inbox.put(len(put))
                if not over:
                    put.append(len(put))
            elif step == "end":
                inbox.end()
                over = True
            elif step == "get" and (task is None or task.over):
                task = Task(it.loop, take(), look)
            elif step == "cut" and task is not None:
                task.cancel()
            elif step == "turn":
                it.turn(2)
        it.turn(3)
        assert got == put[: len(got)], "nothing is lost, also by those that are cut"
        assert len(inbox) == len(put) - len(got)
        waiting = task is not None and not task.over
        assert not (waiting and (len(inbox) or over)), "whoever waits is woken"
        if waiting:
            task.cancel()
    finally:
        it.close()


def test_the_end_of_an_inbox_says_why_once(it):
    inbox = Inbox()
    inbox.put(1)
    inbox.end(KeyError("why"))
    inbox.end(ValueError("too late"))
    inbox.put(2)

    async def take():
        assert await inbox.get() == 1
        with pytest.raises(KeyError):
            await inbox.get()
        for _ in range(2):
            with pytest.raises(Ended):
                await inbox.get()

    it.run(take())


# -- locks ----------------------------------------------------------------------------------------


class Body:
    """The body of a lock, as one task goes through it."""

    def __init__(self, number, lock, log):
        self.number, self.leave = number, Wait()
        self._lock, self._log = lock, log

    async def go(self):
        async with self._lock:
            self._log.append(("in", self.number))
            try:
                await self.leave
            finally:
                self._log.append(("out", self.number))


@given(
    st.lists(
        st.sampled_from(["come", "turn"])
        | st.tuples(st.sampled_from(["leave", "cut", "fail"]), st.integers(0, 7)),
        max_size=40,
    )
)
def test_a_lock_lets_one_at_a_time_in_by_the_order_of_their_coming(steps):
    it = Driver(FakeClock())
    lock, log, bodies, tasks = Lock(), [], [], []
    try:
        for step in steps:
            if step == "come":
                bodies.append(Body(len(bodies), lock, log))
                tasks.append(it.begin(bodies[-1].go())[0])
            elif step == "turn":
                it.turn()
            elif step[1] < len(bodies):
                if step[0] == "leave":
                    bodies[step[1]].leave.settle()
                elif step[0] == "fail":
                    bodies[step[1]].leave.fail(KeyError())
                else:
                    tasks[step[1]].cancel()
        for body in bodies:
            body.leave.settle()
        it.turn(3 * len(bodies) + 3)
        assert all(task.over for task in tasks), "nobody is left standing"
        entered = [number for what, number in log if what == "in"]
        assert entered == sorted(entered), "nobody overtakes"
        assert log == [(what, number) for number in entered for what in ("in", "out")]
        newcomer = Body(0, lock, log)
        newcomer.leave.settle()
        it.run(newcomer.go())
    finally:
        it.close()


@pytest.mark.parametrize("when", ["waiting", "its turn has come"])
def test_who_is_cut_in_the_line_of_a_lock_leaves_it_to_the_next(it, when):
    lock, log = Lock(), []
    bodies = [Body(number, lock, log) for number in range(3)]
    tasks = [it.begin(body.go())[0] for body in bodies]
    it.turn()
    if when == "waiting":
        tasks[1].cancel()
        it.turn()
        bodies[0].leave.settle()
    else:
        # The first goes, which wakes the second; and that is cut before it moves.
        bodies[0].leave.settle()
        it.turn()
        tasks[1].throw(Cut())
        it.turn()
    it.turn(2)
    assert log == [("in", 0), ("out", 0), ("in", 2)]
    bodies[2].leave.settle()
    it.turn(2)
    assert all(task.over for task in tasks)


# -- many at once ---------------------------------------------------------------------------------


def test_gather_runs_all_at_once_and_raises_what_failed_first(it):
    log = []

    async def one(seconds, error=None):
        log.append("begun")
        await sleep(it.loop, seconds)
        log.append(seconds)
        if error is not None:
            raise error

    jobs = [one(3), one(1, KeyError("first")), one(2, ValueError("second"))]
    _, ends = it.begin(gather(it.loop, (job for job in jobs)))
    it.turn(2)
    assert log == ["begun"] * 3
    for _ in range(3):
        assert ends == [], "one that fails ends nothing"
        it.clock.advance(1.0)
        it.turn(2)
    assert log[3:] == [1, 2, 3]
    assert isinstance(ends[0][1], KeyError)


def test_gather_of_nothing_is_over(it):
    assert it.run(gather(it.loop, [])) is None


def test_gather_that_is_cut_short_cuts_all_of_its_own(it):
    log = []

    async def one():
        try:
            await Wait()
        finally:
            log.append("out")

    task, ends = it.begin(gather(it.loop, [one(), one()]))
    it.turn(2)
    task.cancel()
    it.turn(3)
    assert ended(ends) is Cut and log == ["out", "out"]


def test_a_group_ends_with_what_it_belongs_to(it):
    failed, log = [], []
    group = Group(it.loop, failed.append)

    async def one(error=None):
        try:
            if error is not None:
                raise error
            await Wait()
        finally:
            log.append("out")

    group.spawn(one(KeyError("told")))
    tasks = [group.spawn(one()), group.spawn(one())]
    it.turn()
    assert [type(error) for error in failed] == [KeyError]
    assert len(group._tasks) == 2
    group.cancel()
    it.turn(2)
    assert all(task.over for task in tasks)
    assert len(failed) == 1 and log == ["out"] * 3 and not group._tasks
    late = one()
    assert group.spawn(late) is None
    assert late.cr_frame is None, "and it is not left unawaited, which would be told"


# -- circles --------------------------------------------------------------------------------------


async def raising():
    raise KeyError("in a frame of its own")


def circle_cases(loop):
    async def done_in_time():
        with within(loop, 5.0):
            await sleep(loop, 0)

    async def out_of_time():
        for _ in range(2):
            try:
                with within(loop, 5.0):
                    with within(loop, 0.0):
                        await Wait()
            except TimedOut:
                continue

    async def out_of_time_untold():
        with within(loop, 0.0):
            await Wait()

    async def waits():
        await Wait()

    async def fails_elsewhere():
        wait = Wait()
        try:
            await raising()
        except KeyError as error:
            wait.fail(error)
        await wait

    async def gathers():
        await gather(loop, [raising(), sleep(loop, 0), raising()])

    async def ends():
        inbox = Inbox()
        inbox.end(KeyError())
        await inbox.get()

    async def locks():
        lock = Lock()
        async with lock:
            async with lock:
                pass

    return {
        one.__name__: one
        for one in (done_in_time, out_of_time, out_of_time_untold, waits)
        + (fails_elsewhere, gathers, ends, locks, raising)
    }


@pytest.mark.edges
@pytest.mark.parametrize("name", sorted(circle_cases(None)))
@pytest.mark.parametrize("way", ["cancel", "throw"])
def test_no_circle_is_left_for_the_collector(it, name, way):
    make = circle_cases(it.loop)[name]
    kept = []

    def round_trip():
        task = Task(it.loop, make(), lambda value, error: kept.append(error))
        it.turn(6)
        if way == "cancel":
            task.cancel()
        else:
            task.throw(Cut())
        it.turn(2)
        assert task.over
        # The end of whoever has waited for it.
        kept.clear()

    assert left_behind(round_trip) == 0


def test_a_group_that_is_cancelled_leaves_no_circle(it):
    def round_trip():
        group = Group(it.loop, lambda error: None)
        for _ in range(3):
            group.spawn(sleep(it.loop, 9.0))
        group.spawn(raising())
        it.turn(2)
        group.cancel()
        it.turn(2)

    assert left_behind(round_trip) == 0
