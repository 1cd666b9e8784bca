"""Workers: threads that functions may keep for ever."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from dcc_mcp_embed import collector
from dcc_mcp_embed.ipc import workers as module
from dcc_mcp_embed.ipc.workers import Workers
from fakes.ipc_raw import DEADLINE
from fakes.waiting import until
from helpers import ROOT
from ipc.stages import Gate


@contextmanager
def crew(most, **options):
    workers = Workers(most, **options)
    try:
        yield workers
    finally:
        workers.stop()


def do(workers, function, *args):
    """Run a function on a worker and wait for it."""
    done, found = threading.Event(), []

    def call():
        found.append(function(*args))
        done.set()

    assert workers.run(call)
    assert done.wait(DEADLINE)
    return found[0]


def test_functions_run_on_daemon_threads_of_their_own():
    with crew(4) as workers:
        thread = do(workers, threading.current_thread)
        assert thread is not threading.current_thread()
        assert thread.daemon


def test_what_never_returns_costs_its_thread_only():
    gates = [Gate() for _ in range(3)]
    with crew(4) as workers:
        for gate in gates:
            assert workers.run(gate)
            gate.demand()
        assert do(workers, lambda: 7) == 7
        for gate in gates:
            gate.let.set()


def test_those_beyond_the_most_wait_in_line_and_come_in_order():
    gates = [Gate(), Gate()]
    came = []
    with crew(2) as workers:
        for gate in gates:
            workers.run(gate)
            gate.demand()
        for number in range(5):
            workers.run(came.append, number)
        assert came == []
        gates[0].let.set()
        do(workers, int)
        assert came == list(range(5))
        gates[1].let.set()


def test_beyond_the_line_nothing_is_taken():
    gate = Gate()
    with crew(1, line=2) as workers:
        workers.run(gate)
        gate.demand()
        assert workers.run(int) and workers.run(int)
        assert not workers.run(int)
        gate.let.set()


def test_with_one_thread_functions_run_in_order():
    came = []
    with crew(1) as workers:
        for number in range(200):
            assert workers.run(came.append, number)
        do(workers, int)
    assert came == list(range(200))


def test_what_is_raised_ends_nothing():
    raised = []

    def fail(error):
        raise error

    with crew(1, on_error=lambda function, error: raised.append((function, error))) as workers:
        for error in (ValueError("no"), SystemExit(3), KeyboardInterrupt()):
            workers.run(fail, error)
        thread = do(workers, threading.current_thread)
        assert [error for _, error in raised][1].code == 3
        assert len(raised) == 3
        assert raised[0][0] is fail
        assert do(workers, threading.current_thread) is thread


def test_who_is_told_of_that_may_fail_as_well():
    def fail(function, error):
        raise BrokenPipeError("nobody reads the log")

    with crew(1, on_error=fail) as workers:
        thread = do(workers, threading.current_thread)
        assert workers.run(int, "no number")
        assert do(workers, threading.current_thread) is thread


def test_once_started_nobody_starts_a_thread_to_have_something_run(monkeypatch):
    makers = []

    class Thread(collector.Thread):
        def start(self):
            makers.append(threading.get_ident())
            super().start()

    monkeypatch.setattr(module.collector, "Thread", Thread)
    gates = [Gate() for _ in range(3)]
    with crew(4) as workers:
        workers.start()
        workers.start()
        del makers[:]
        for gate in gates:
            workers.run(gate)
        for gate in gates:
            gate.demand()
            gate.let.set()
    assert makers
    assert threading.get_ident() not in makers


def test_where_no_thread_can_be_made_those_that_there_are_do_the_work(monkeypatch):
    with crew(4) as workers:
        workers.start()

        def refuse(self):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        with monkeypatch.context() as patch:
            patch.setattr(module.threading.Thread, "start", refuse)
            assert [do(workers, lambda: 5) for _ in range(3)] == [5, 5, 5]
        # And more of them again as soon as that works.
        gate = Gate()
        workers.run(gate)
        gate.demand()
        assert do(workers, lambda: 6) == 6
        gate.let.set()


def test_idle_threads_end_and_one_stays():
    gates = [Gate() for _ in range(4)]
    before = set(threading.enumerate())

    def ours():
        return [one for one in threading.enumerate() if one not in before]

    with crew(8, patience=0.02) as workers:
        for gate in gates:
            workers.run(gate)
        for gate in gates:
            gate.demand()
        assert len(ours()) >= 4
        for gate in gates:
            gate.let.set()
        until(lambda: len(ours()) == 1)
        # For good.
        assert not threading.Event().wait(0.1)
        assert len(ours()) == 1
        assert do(workers, lambda: 5) == 5


def test_after_a_stop_nothing_runs_and_the_threads_end():
    gate, came = Gate(), []
    workers = Workers(1)
    workers.run(gate)
    gate.demand()
    workers.run(came.append, 1)
    workers.stop()
    workers.stop()
    assert not workers.run(came.append, 2)
    gate.let.set()
    # Threads that stay are a failure by themselves (conftest).
    for thread in threading.enumerate():
        if thread.name == "dcc-mcp-embed ipc":
            thread.join(DEADLINE)
    assert came == []


def test_a_stop_before_the_start_is_fine():
    workers = Workers(2)
    workers.stop()
    assert not workers.run(int)


# The collector (see ``collector``): a cyclic object of a host with Qt dies on the main thread only.


@pytest.fixture
def host(monkeypatch):
    """A process with objects of a host's."""
    monkeypatch.setattr(collector, "_held", True)


@pytest.fixture
def script(monkeypatch):
    """A process without, although other tests may have left a host's modules."""
    monkeypatch.setattr(collector, "_held", False)
    monkeypatch.setattr(collector, "_NAMES", ())


def test_in_a_plain_script_the_collector_stays_on(script):
    with crew(4) as workers:
        assert do(workers, gc.isenabled)


def test_no_collection_while_a_function_runs(host):
    with crew(4) as workers:
        assert gc.isenabled()
        assert not do(workers, gc.isenabled)


def test_a_function_that_never_returns_does_not_keep_the_collector_off(host):
    gate = Gate()
    with crew(4, patience=0.02) as workers:
        workers.run(gate)
        gate.demand()
        # Before it would return by itself.
        until(gc.isenabled, deadline=DEADLINE / 4)
        gate.let.set()


def test_nor_do_they_when_all_threads_are_kept(host):
    gates = [Gate() for _ in range(2)]
    with crew(2, patience=3600.0) as workers:
        for gate in gates:
            workers.run(gate)
            gate.demand()
        assert gc.isenabled()
        for gate in gates:
            gate.let.set()


def test_garbage_of_a_function_on_a_worker_is_reported(host):
    reported = threading.Event()

    def litter():
        rings = [[] for _ in range(gc.get_threshold()[0] * 2)]
        for ring in rings:
            ring.append(ring)

    with crew(4, litter=reported.set) as workers:
        workers.run(litter)
        assert reported.wait(DEADLINE)
    gc.collect()


PROCESS = """
import sys, threading
from dcc_mcp_embed.ipc.workers import Workers
workers = Workers(2)
entered = threading.Event()
def never():
    entered.set()
    threading.Event().wait()
workers.run(never)
assert entered.wait(20)
"""


def test_a_function_that_never_returns_does_not_keep_the_process():
    subprocess.run([sys.executable, "-c", PROCESS], cwd=ROOT, timeout=DEADLINE, check=True)
