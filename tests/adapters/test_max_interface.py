"""3ds Max with its window: Qt's loop, dialogs, questions, the Listener. Over the fake."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from dcc_mcp_embed.errors import HostError, StartError, Unsupported
from dcc_mcp_embed.host.adapter import Question
from fakes.max_host.install import install
from fakes.max_host.stage import MaxStage

pytestmark = pytest.mark.qt

WAIT_S = 20.0


@pytest.fixture
def stage():
    with MaxStage() as made:
        yield made


def test_the_pump_runs_in_quiet_mode_on_the_main_thread(stage):
    adapter = stage.adapter
    seen = []
    ran = threading.Event()

    def pump():
        seen.append((adapter.is_main_thread(), stage.host.contexts["quiet"]))
        ran.set()

    def body():
        assert adapter.is_main_thread() is False
        adapter.wake(pump)
        assert ran.wait(WAIT_S)

    stage.run(body)
    assert seen == [(True, 1)]
    assert stage.host.contexts["quiet"] == 0
    assert adapter.is_interactive()


def test_its_loop_is_its_own(stage):
    with pytest.raises(Unsupported):
        stage.adapter.serve_forever()


def test_a_thread_cannot_start_it(stage):
    from dcc_mcp_embed.adapters.max import interface

    caught = []

    def work():
        try:
            interface.Interface(stage.adapter._runtime)
        except StartError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(WAIT_S)
    assert len(caught) == 1


def asked_on_main(stage, look):
    """Have the adapter's pump look at something on the main thread; return what it saw."""
    box = []
    ran = threading.Event()

    def pump():
        box.append(look())
        ran.set()

    stage.adapter.wake(pump)
    assert ran.wait(WAIT_S)
    return box[0]


def test_a_modal_dialog_is_told_by_its_title(stage):
    def body():
        before = asked_on_main(stage, stage.adapter.modal_state)
        stage.open_modal("Render Setup")
        during = asked_on_main(stage, stage.adapter.modal_state)
        stage.close_modal()
        return before, during, asked_on_main(stage, stage.adapter.modal_state)

    assert stage.run(body) == (None, "Render Setup", None)


def test_a_drag_that_is_not_finished_is_told(stage):
    import pymxs

    hold = pymxs.runtime.theHold
    hold.Begin()
    assert "by hand" in stage.adapter.modal_state()
    hold.Accept("Move")
    assert stage.adapter.modal_state() is None


def test_a_dialog_of_windows_own_is_told(stage):
    class Disabled:
        def IsWindow(self, window):
            return 1

        def IsWindowEnabled(self, window):
            return 0

    stage.host.window_id = 7
    stage.adapter._interface._user32 = Disabled()
    assert stage.adapter.modal_state() == "A dialog of 3ds Max"


def test_the_viewports_are_drawn_anew_once_after_a_change_and_only_then(stage):
    import pymxs

    with stage.adapter.undo_chunk("Look"):
        list(pymxs.runtime.objects)
    assert stage.host.redraws == 0
    with stage.adapter.undo_chunk("Make"):
        pymxs.runtime.Box()
        pymxs.runtime.Box()
        assert stage.host.redraws == 0
    assert stage.host.redraws == 1


def test_undo_is_told_by_3ds_max_and_walks_through_no_scene(stage, monkeypatch):
    from dcc_mcp_embed.adapters.max import nodes

    scene = stage.adapter.scene_backend()
    with stage.adapter.undo_chunk("Make"):
        scene.create("cube", None, None, {})
    monkeypatch.setattr(nodes, "walk", lambda rt: pytest.fail("the scene was walked through"))
    assert [scene.undo(), scene.undo(), scene.redo(), scene.redo()] == [True, False, True, False]


def test_a_question_is_asked_above_the_main_window_and_answered(stage):
    answers = []
    answered = threading.Event()

    def answer(choice):
        answers.append(choice)
        answered.set()

    choices = (("once", "This time"), ("never", "Never"))

    def body():
        asked_on_main(stage, lambda: stage.adapter.ask(Question("t", "may it?", choices, answer)))
        parents = asked_on_main(stage, lambda: len(stage.host.main_window.children()))
        stage.answer("once")
        assert answered.wait(WAIT_S)
        return parents

    before = len(stage.host.main_window.children())
    assert stage.run(body) == before + 1
    assert answers == ["once"]


def test_a_question_is_asked_also_where_the_main_window_is_not_told(stage, monkeypatch):
    monkeypatch.setitem(sys.modules, "qtmax", None)
    answers = []
    answered = threading.Event()

    def answer(choice):
        answers.append(choice)
        answered.set()

    def body():
        question = Question("t", "may it?", (("once", "This time"),), answer)
        asked_on_main(stage, lambda: stage.adapter.ask(question))
        stage.answer("once")
        assert answered.wait(WAIT_S)

    stage.run(body)
    monkeypatch.undo()
    assert answers == ["once"]


# The stages of these are made in the test: pytest changes the streams after its fixtures.


def test_what_a_thread_prints_reaches_the_listener_on_the_main_thread():
    with MaxStage() as stage:

        def body():
            print("from a thread")
            asked_on_main(stage, lambda: print("from the main thread"))

        stage.run(body)
        stage.adapter.close()
        text = stage.listener.text
        assert sorted(text.splitlines()) == ["from a thread", "from the main thread"]
        assert stage.listener.lost == []
        assert sys.stdout is stage.listener


def test_what_a_thread_prints_wakes_the_main_thread():
    with MaxStage() as stage:
        arrived = threading.Event()
        write = stage.listener.write

        def told(text):
            arrived.set()
            return write(text)

        stage.listener.write = told

        def body():
            print("hello")
            assert arrived.wait(WAIT_S)

        stage.run(body)
        stage.adapter.close()
        assert stage.listener.text == "hello\n"


@pytest.mark.parametrize("by", ["3ds Max", "Qt"])
def test_the_end_is_told_once_on_the_main_thread(stage, by):
    from fakes import qtloop

    ended = []
    told = threading.Event()

    def callback():
        ended.append(stage.adapter.is_main_thread())
        told.set()

    stage.adapter.on_exit(callback)

    def body():
        (stage.quit if by == "3ds Max" else qtloop.quit_application)()
        assert told.wait(WAIT_S)

    stage.run(body)
    assert ended == [True]


def test_nothing_is_left_when_it_is_closed():
    with MaxStage() as stage:
        stage.adapter.on_exit(lambda: None)
        stage.adapter.on_scene_change(lambda: None)
        window = stage.host.main_window
        before = len(window.children())
        stage.adapter.ask(Question("t", "text", (("once", "Once"),), print))
        assert len(window.children()) == before + 1
        stage.adapter.close()
        stage.adapter.close()
        assert stage.host.events.left == []
        assert len(window.children()) == before
        assert sys.stdout is stage.listener
        with pytest.raises(HostError, match="wake"):
            stage.adapter.wake(print)
        gc.collect()


def test_its_receivers_are_deleted_and_qt_s_end_tells_nobody(stage):
    from dcc_mcp_embed.adapters.qt import wake

    from fakes import qtloop

    ended = []
    stage.adapter.on_exit(lambda: ended.append(1))
    before = len(wake._held)
    stage.adapter.close()
    # That of the pump and that of the prints.
    assert len(wake._held) == before - 2
    stage.run(qtloop.quit_application)
    assert ended == []


def test_closing_from_a_thread_touches_nothing():
    with MaxStage() as stage:
        stage.adapter.on_scene_change(lambda: None)
        thread = threading.Thread(target=stage.adapter.close)
        thread.start()
        thread.join(WAIT_S)
        assert stage.host.events.left
        assert sys.stdout is not stage.listener


def test_without_an_application_it_says_so(monkeypatch):
    from dcc_mcp_embed.adapters.max import interface
    from dcc_mcp_embed.adapters.max.runtime import Runtime

    with install():
        runtime = Runtime()
        monkeypatch.setattr(interface, "binding", lambda: None)
        before = sys.stdout
        with pytest.raises(StartError, match="PySide"):
            interface.Interface(runtime)
        assert sys.stdout is before
