"""MayaAdapter in a Maya with its window, over a real Qt loop: wakes, gate, dialogs, questions."""

from __future__ import annotations

import threading

import pytest

from dcc_mcp_embed.errors import HostError, Unsupported
from dcc_mcp_embed.host.adapter import Question

pytestmark = [pytest.mark.qt, pytest.mark.limit(60)]

DEADLINE = 20.0
CHOICES = (("once", "This once"), ("never", "Never"))


@pytest.fixture
def loop():
    from fakes import qtloop

    return qtloop


@pytest.fixture
def stage():
    from fakes.maya_host.stage import MayaStage

    with MayaStage() as entered:
        yield entered


class Pump:
    """Counts its runs, and on which thread."""

    def __init__(self):
        self.threads = []
        self.ran = threading.Event()

    def __call__(self):
        self.threads.append(threading.current_thread())
        self.ran.set()


def test_what_it_says_of_itself(stage):
    assert stage.adapter.is_interactive() is True
    assert stage.adapter.version() == "2025"
    with pytest.raises(Unsupported):
        stage.adapter.serve_forever()


def test_a_wake_runs_the_pump_on_the_main_thread(stage):
    pump = Pump()

    def body():
        stage.adapter.wake(pump)
        assert pump.ran.wait(DEADLINE)

    stage.run(body)
    assert pump.threads == [threading.main_thread()]


def test_wakes_go_through_qt_not_through_the_idle_queue(stage):
    """While Maya plays back it is never idle, and still answers."""
    pump = Pump()

    def body():
        stage.wait_idle()
        stage.host.idle.starved = True
        turns = stage.host.idle.turns
        stage.adapter.wake(pump)
        assert pump.ran.wait(DEADLINE)
        assert stage.host.idle.turns == turns and stage.host.idle.pending() == []
        stage.host.idle.starved = False

    stage.run(body)


def test_nothing_runs_while_maya_initialises_and_then_it_does(loop):
    from fakes.maya_host.stage import MayaStage

    pump = Pump()
    with MayaStage(gated=True) as stage:

        def body():
            stage.adapter.wake(pump)
            # A splash screen turns the loop; so does whoever waits in initializePlugin.
            for _ in range(20):
                stage.on_main(stage.spin)
            assert not pump.threads, "marshalled into a Maya that is initialising"
            stage.open_gate()
            assert pump.ran.wait(DEADLINE)

        stage.run(body)
    assert pump.threads == [threading.main_thread()]


def test_a_standing_idle_callback_of_others_keeps_the_gate_for_a_moment_only(loop):
    from fakes.maya_host.stage import MayaStage

    pump = Pump()
    with MayaStage(gated=True) as stage:
        stage.host.idle.standing = True

        def body():
            stage.adapter.wake(pump)
            stage.open_gate()
            assert pump.ran.wait(DEADLINE)

        stage.run(body)


def test_an_adapter_that_is_closed_before_maya_is_idle_stays_silent(loop):
    from fakes.maya_host.stage import MayaStage

    pump = Pump()
    with MayaStage(gated=True) as stage:

        def body():
            stage.adapter.wake(pump)
            stage.on_main(stage.adapter.close)
            stage.open_gate()
            stage.wait_idle()

        stage.run(body)
    assert pump.threads == []


def test_the_modal_dialog_is_told_by_its_title(stage):
    told = []

    def body():
        stage.open_modal("Save changes?")
        told.append(stage.on_main(stage.adapter.modal_state))
        stage.close_modal()
        told.append(stage.on_main(stage.adapter.modal_state))

    stage.run(body)
    assert told == ["Save changes?", None]


def test_a_question_stands_above_the_main_window_and_blocks_nothing(stage, loop):
    answered, seen = [], []
    over = threading.Event()

    def answer(choice):
        answered.append(choice)
        over.set()

    def look():
        box = loop.open_questions()[0]
        seen.append((box.parent().objectName(), stage.adapter.modal_state()))

    def body():
        question = Question("May it?", "It wants to.", CHOICES, answer)
        stage.on_main(lambda: stage.adapter.ask(question))
        stage.on_main(look)
        pump = Pump()
        stage.adapter.wake(pump)
        assert pump.ran.wait(DEADLINE)
        stage.answer("once")
        assert over.wait(DEADLINE)

    stage.run(body)
    assert answered == ["once"] and seen == [("MayaWindow", None)]


def test_the_exit_is_told_once_while_maya_still_lives(stage):
    told = []

    def leave():
        told.append((threading.current_thread(), stage.adapter.version()))
        stage.adapter.close()

    stage.adapter.on_exit(leave)
    stage.run(stage.quit)
    assert told == [(threading.main_thread(), "2025")]


def test_what_cannot_be_taken_back_keeps_nothing_else(stage, monkeypatch):
    closed = []
    adapter, whole = stage.adapter, stage.adapter._messages.close

    def refuse():
        whole()
        raise RuntimeError("there is no such callback")

    with monkeypatch.context() as patch:
        patch.setattr(adapter._messages, "close", refuse)
        patch.setattr(adapter._gate, "close", lambda: closed.append("gate"))
        with pytest.raises(RuntimeError):
            adapter.close()
    assert closed == ["gate"]
    with pytest.raises(HostError):
        adapter._waker.wake(len)


def test_an_exit_is_not_told_after_the_close(stage):
    told = []
    stage.adapter.on_exit(lambda: told.append(1))
    stage.adapter.close()
    stage.host.messages.send(("scene", "kMayaExiting"))
    assert told == []


def test_an_idle_maya_is_left_alone(stage, loop):
    """Nothing of ours runs when nobody calls."""

    def body():
        stage.wait_idle()
        turns = stage.host.idle.turns
        for _ in range(50):
            stage.on_main(lambda: None)
        assert stage.host.idle.turns == turns
        assert stage.host.idle.pending() == [] and stage.host.script_jobs == {}

    stage.run(body)
