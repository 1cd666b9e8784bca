"""Qt's main thread is woken by one event, from any thread, for as long as there is a receiver."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from dcc_mcp_embed.errors import HostError

pytestmark = pytest.mark.qt

DEADLINE = 10.0


@pytest.fixture
def loop():
    from fakes import qtloop

    yield qtloop
    qtloop.tidy()


@pytest.fixture
def make(loop):
    from dcc_mcp_embed.adapters.qt import Wake

    made = []

    def one():
        made.append(Wake(loop.qt()))
        return made[-1]

    yield one
    for wake in made:
        wake.close()


class Pump:
    """Counts its runs and notes their threads."""

    def __init__(self, inside=lambda: None):
        self.threads = []
        self.inside = inside
        self._ran = threading.Semaphore(0)

    def __call__(self):
        self.threads.append(threading.current_thread())
        self.inside()
        self._ran.release()

    def wait(self):
        assert self._ran.acquire(timeout=DEADLINE)


def test_the_pump_runs_on_the_main_thread_each_time_that_it_is_woken(make, loop) -> None:
    wake, pump = make(), Pump()

    def body() -> None:
        for _ in range(3):
            wake.wake(pump)
            pump.wait()

    loop.run(body)
    assert pump.threads == [threading.main_thread()] * 3


def test_woken_a_thousand_times_before_it_ran_it_runs_once(make, loop) -> None:
    wake, pump = make(), Pump()

    def body() -> None:
        def busy() -> None:
            threads = [threading.Thread(target=often) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(DEADLINE)

        def often() -> None:
            for _ in range(250):
                wake.wake(pump)

        loop.on_main(busy)
        pump.wait()
        # Whatever else was posted before has been delivered after this.
        loop.on_main(lambda: None)

    loop.run(body)
    assert len(pump.threads) == 1


def test_woken_while_it_runs_it_runs_again(make, loop) -> None:
    wake = make()
    pump = Pump(lambda: wake.wake(pump) if len(pump.threads) < 5 else None)

    def body() -> None:
        wake.wake(pump)
        for _ in range(5):
            pump.wait()

    loop.run(body)
    assert len(pump.threads) == 5


def test_the_hosts_own_events_have_their_turn_between_two_runs(make, loop) -> None:
    """A pump with more to do than it may spend wakes itself; the loop is not its alone."""
    wake = make()
    order = []

    def more() -> None:
        order.append("pump")
        if order.count("pump") == 1:
            loop.post(lambda: order.append("host"))
        if order.count("pump") < 4:
            wake.wake(pump)

    pump = Pump(more)

    def body() -> None:
        wake.wake(pump)
        for _ in range(4):
            pump.wait()

    loop.run(body)
    assert order.index("host") < 3, order


def test_what_became_ready_during_a_run_does_not_wait_for_a_second_one(make, loop) -> None:
    """A frame of the host is late by one run at most, however many follow each other."""
    wake = make()
    order = []

    def more() -> None:
        order.append("pump")
        if len(order) == 1:
            loop.qt().QtCore.QTimer.singleShot(10, lambda: order.append("timer"))
            wake.wake(pump)
        # Longer than the timer takes.
        end = time.monotonic() + 0.03
        while time.monotonic() < end:
            pass

    pump = Pump(more)

    def body() -> None:
        wake.wake(pump)
        pump.wait()
        pump.wait()

    loop.run(body)
    assert order == ["pump", "timer", "pump"]


def test_a_pump_runs_in_a_nested_loop_too(make, loop) -> None:
    wake, pump = make(), Pump()

    def body() -> None:
        loop.open_modal("Wait")
        wake.wake(pump)
        pump.wait()
        loop.close_modal()

    loop.run(body)
    assert len(pump.threads) == 1


def test_closed_with_a_wake_under_way_the_pump_does_not_run(make, loop) -> None:
    wake, pump = make(), Pump()
    wake.wake(pump)
    wake.close()
    wake.close()
    loop.run(lambda: None)
    assert pump.threads == []


def test_closed_it_says_that_it_cannot_be_woken(make) -> None:
    wake = make()
    wake.close()
    for _ in range(2):
        with pytest.raises(HostError):
            wake.wake(lambda: None)


def test_closed_from_within_the_pump_the_receiver_goes_when_the_loop_has_the_thread(
    make, loop
) -> None:
    from dcc_mcp_embed.adapters.qt import wake as module

    wake = make()
    receiver = wake._receiver
    there = []

    def close() -> None:
        # One more is on its way by then.
        wake.wake(pump)
        wake.close()
        there.append(loop.qt().shiboken.isValid(receiver))

    pump = Pump(close)

    def body() -> None:
        wake.wake(pump)
        pump.wait()

    loop.run(body)
    assert there == [True]
    assert len(pump.threads) == 1
    loop.tidy()
    assert not loop.qt().shiboken.isValid(receiver)
    make()
    assert receiver not in module._held


def test_a_receiver_that_nobody_closed_is_not_collected_anywhere(make, loop) -> None:
    from dcc_mcp_embed.adapters.qt import Wake
    from dcc_mcp_embed.adapters.qt import wake as module

    forgotten = [Wake(loop.qt())]
    receiver = loop.qt().shiboken.getCppPointer(forgotten[0]._receiver)

    def drop() -> None:
        forgotten.clear()
        gc.collect()

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join(DEADLINE)
    (left,) = [one for one in module._held if loop.qt().shiboken.getCppPointer(one) == receiver]
    assert loop.qt().shiboken.isValid(left)
    module._held.discard(left)


def test_closing_leaves_nothing_in_the_application(make, loop) -> None:
    from dcc_mcp_embed.adapters.qt import wake as module

    before = set(module._held)
    wake = make()
    receiver = wake._receiver
    wake.close()
    assert not loop.qt().shiboken.isValid(receiver)
    assert set(module._held) <= before


def test_two_of_one_process_do_not_know_each_other(make, loop) -> None:
    first, second = make(), make()
    pumps = Pump(), Pump()

    def body() -> None:
        first.wake(pumps[0])
        pumps[0].wait()
        second.wake(pumps[1])
        pumps[1].wait()
        loop.on_main(first.close)
        second.wake(pumps[1])
        pumps[1].wait()

    loop.run(body)
    assert [len(pump.threads) for pump in pumps] == [1, 2]


def test_it_may_be_closed_while_others_wake_it(make, loop) -> None:
    current = [make()]
    over = threading.Event()

    def often() -> None:
        while not over.is_set():
            try:
                current[0].wake(lambda: None)
            except HostError:
                continue

    def change() -> None:
        for _ in range(300):
            old, current[0] = current[0], make()
            old.close()

    def body() -> None:
        threads = [threading.Thread(target=often) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            loop.on_main(change)
        finally:
            over.set()
            for thread in threads:
                thread.join(DEADLINE)

    loop.run(body)


def test_an_event_that_is_not_ours_runs_nothing(make, loop) -> None:
    wake, pump = make(), Pump()
    core = loop.qt().QtCore

    def body() -> None:
        wake.wake(pump)
        pump.wait()
        event = core.QEvent(core.QEvent.Type(core.QEvent.User))
        core.QCoreApplication.postEvent(wake._receiver, event)
        loop.on_main(lambda: None)

    loop.run(body)
    assert len(pump.threads) == 1
