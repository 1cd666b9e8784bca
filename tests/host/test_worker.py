"""The worker's thread outlives whatever is raised on it."""

from __future__ import annotations

import threading

import pytest

from dcc_mcp_embed.host.worker import Worker

DEADLINE = 10.0


@pytest.fixture
def logged():
    return []


@pytest.fixture
def worker(logged):
    one = Worker(log=lambda level, text: logged.append((level, text)))
    yield one
    assert one.stop(DEADLINE)


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_it_goes_on_after_whatever_was_raised_and_says_so(worker, logged, kind):
    threads = []
    raised, ran = threading.Event(), threading.Event()

    def leaving():
        threads.append(threading.current_thread())
        raised.set()
        raise kind("out")

    def pump():
        threads.append(threading.current_thread())
        ran.set()

    worker.wake(leaving)
    assert raised.wait(DEADLINE)
    worker.wake(pump)
    assert ran.wait(DEADLINE)
    assert threads[0] is threads[1]
    assert [level for level, _ in logged] == ["error"]
    assert kind.__name__ in logged[0][1]


def test_it_goes_on_after_a_collection_that_could_not_be_arranged(logged, monkeypatch):
    from dcc_mcp_embed import collector

    monkeypatch.setattr(collector, "due", lambda: True)
    ran = threading.Semaphore(0)

    def litter():
        raise SystemExit("out")

    worker = Worker(litter, log=lambda level, text: logged.append(text))
    for _ in range(2):
        worker.wake(ran.release)
        assert ran.acquire(timeout=DEADLINE)
    assert worker.stop(DEADLINE)
    assert logged


def test_what_was_wanted_before_the_end_still_runs():
    worker, entered, go_on, ran = Worker(), threading.Event(), threading.Event(), []

    def hold():
        entered.set()
        assert go_on.wait(DEADLINE)

    worker.wake(hold)
    assert entered.wait(DEADLINE)
    # The thread has no time to begin it before it is told to end.
    worker.wake(lambda: ran.append(1))
    assert not worker.stop(0.0)
    go_on.set()
    assert worker.stop(DEADLINE)
    assert ran == [1]
    worker.wake(lambda: ran.append(2))
    assert worker.stop(DEADLINE)
    assert ran == [1]
