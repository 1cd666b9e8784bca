"""Deadlines in order, cancelled ones never, memory in bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.net.timers import Timers


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=200))
def test_timers_fire_in_order_of_time_and_the_cancelled_never(plan):
    timers = Timers()
    made = [(when, number, cancel) for number, (when, cancel) in enumerate(plan)]
    handles = [timers.add(float(when), print, number) for when, number, _ in made]
    for handle, (_, _, cancel) in zip(handles, made):
        if cancel:
            handle.cancel()
    wanted = sorted((when, number) for when, number, cancel in made if not cancel)
    fired = []
    for now in range(51):
        expected = min([when for when, _ in wanted[len(fired) :]] or [None], key=lambda x: x or 0)
        timeout = timers.timeout(float(now))
        assert timeout == (None if expected is None else max(0.0, expected - now))
        fired += [(int(timer.when), timer.args[0]) for timer in timers.due(float(now))]
    assert fired == wanted


def test_cancelled_timers_do_not_pile_up():
    timers = Timers()
    for number in range(10_000):
        timers.add(1e9, print, number).cancel()
    assert len(timers._heap) <= 128
