"""What of ours runs when Maya is idle, and what is kept out until then. No Qt here."""

from __future__ import annotations

import sys
import threading

import pytest
from dcc_mcp_embed.adapters import maya as adapter_module
from dcc_mcp_embed.adapters.maya.idle import DeferredWake, Gate, on_idle

from dcc_mcp_embed.errors import HostError
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install

pytestmark = pytest.mark.qt


@pytest.fixture
def host():
    host = MayaHost(batch=False)
    with install(host):
        yield host
    host.check()


def idle(host):
    """Have Maya be idle until nothing waits."""
    while host.idle.turn():
        pass


def on_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_start_when_idle_waits_for_the_end_of_initialisation(host):
    started = []
    host.idle.gated = True
    adapter_module.start_when_idle(lambda **options: started.append(options), port=0)
    host.idle.turn()
    assert started == []
    host.idle.gated = False
    idle(host)
    assert started == [{"port": 0}]


def test_start_when_idle_comes_after_what_else_waits(host):
    import maya.cmds
    import maya.utils

    order = []
    adapter_module.start_when_idle(lambda: order.append("server"))
    maya.cmds.evalDeferred(lambda: order.append("interface"), lowPriority=True)
    maya.utils.executeDeferred(lambda: order.append("plug-in"))
    idle(host)
    assert order == ["plug-in", "interface", "server"]


def test_a_start_that_fails_is_told_and_stops_nothing(host, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: told.append(error))
    ran = []
    adapter_module.start_when_idle(lambda: 1 / 0)
    adapter_module.start_when_idle(lambda: ran.append(1))
    idle(host)
    assert ran == [1] and isinstance(told[0], ZeroDivisionError)


def test_start_when_idle_is_for_the_main_thread(host):
    raised = []

    def elsewhere():
        try:
            adapter_module.start_when_idle(lambda: None)
        except HostError as error:
            raised.append(error)

    on_a_thread(elsewhere)
    assert raised and host.idle.pending() == []


def test_without_a_window_it_starts_at_once():
    host = MayaHost(batch=True)
    started = []
    with install(host):
        adapter_module.start_when_idle(lambda **options: started.append(options), port=1)
        assert started == [{"port": 1}]
        with pytest.raises(ZeroDivisionError):
            adapter_module.start_when_idle(lambda: 1 / 0)
    host.check()


def test_the_gate_keeps_what_came_and_passes_it_on_once():
    woken = []
    gate = Gate(woken.append)
    gate.wake(len)
    gate.wake(len)
    assert woken == []
    gate.open()
    assert woken == [len]
    gate.wake(len)
    assert woken == [len, len]


def test_a_gate_that_nobody_knocked_at_wakes_nobody():
    woken = []
    gate = Gate(woken.append)
    gate.open()
    assert woken == []


def test_a_gate_that_is_closed_before_it_opens_stays_shut():
    woken = []
    gate = Gate(woken.append)
    gate.wake(len)
    gate.close()
    gate.open()
    assert woken == []


def test_a_gate_loses_no_wake_that_races_with_its_opening():
    """Each order of the two threads' steps: the wake is passed on at least once."""

    class Opened(Gate):
        """Opens in the middle of a wake, where another thread might."""

        moment = ""

        def __setattr__(self, name, value):
            if name == self.moment == "_kept" and value is not None:
                object.__setattr__(self, "moment", "")
                self.open()
            object.__setattr__(self, name, value)

    for moment in ("", "_kept"):
        woken = []
        gate = Opened(woken.append)
        gate.moment = moment
        gate.wake(len)
        if not moment:
            gate.open()
        assert woken == [len], moment


def test_the_idle_queue_wakes_once_however_often_it_is_asked(host):
    ran = []
    wake = DeferredWake()

    def pump():
        ran.append(threading.current_thread())

    on_a_thread(lambda: [wake.wake(pump) for _ in range(50)])
    assert ran == [] and len(host.idle.pending()) == 1
    idle(host)
    assert ran == [threading.main_thread()]
    wake.wake(pump)
    idle(host)
    assert len(ran) == 2


def test_a_wake_from_within_the_pump_is_another_run(host):
    ran = []
    wake = DeferredWake()

    def pump():
        ran.append(len(ran))
        if len(ran) < 3:
            wake.wake(pump)

    wake.wake(pump)
    idle(host)
    assert ran == [0, 1, 2]


def test_a_wake_that_failed_is_tried_again(host, monkeypatch):
    ran = []
    wake = DeferredWake()

    def refuse(function):
        raise RuntimeError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(wake, "_defer", refuse)
        with pytest.raises(RuntimeError):
            wake.wake(lambda: ran.append(1))
    wake.wake(lambda: ran.append(2))
    idle(host)
    assert ran == [2]


def test_what_is_queued_runs_nothing_after_the_end(host):
    ran = []
    wake = DeferredWake()
    wake.wake(lambda: ran.append(1))
    wake.close()
    wake.wake(lambda: ran.append(2))
    idle(host)
    assert ran == []


def test_on_idle_runs_once_on_the_main_thread(host):
    ran = []
    on_idle(lambda: ran.append(threading.current_thread()))
    idle(host)
    idle(host)
    assert ran == [threading.main_thread()]
