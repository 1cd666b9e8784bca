"""Houdini with its user interface: how its main thread is woken, asked in, and left."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from dcc_mcp_embed.errors import HostShuttingDown, StartError, Unsupported
from dcc_mcp_embed.host.adapter import Question
from fakes import qtloop
from fakes.hosted import Hosted, data, error

pytestmark = pytest.mark.qt

DEADLINE = 20.0


@pytest.fixture
def stage():
    from fakes.houdini_host import HoudiniStage

    with HoudiniStage() as made:
        yield made


class Woken:
    """A pump that counts, and tells on which thread it ran."""

    def __init__(self):
        self.threads = []
        self.ran = threading.Event()

    def __call__(self):
        self.threads.append(threading.get_ident())
        self.ran.set()

    def wait(self):
        assert self.ran.wait(DEADLINE)
        self.ran.clear()


def test_qt_wakes_it_and_no_callback_of_the_event_loop(stage):
    pump = Woken()

    def body():
        for _ in range(20):
            stage.adapter.wake(pump)
            pump.wait()
        return stage.host.loop.called

    assert stage.run(body) == 0
    assert set(pump.threads) == {threading.get_ident()}
    assert stage.host.loop.callbacks == [] and stage.host.deferring.waiting == 0


def test_many_wakes_are_one_run(stage):
    pump = Woken()
    for _ in range(1000):
        stage.adapter.wake(pump)
    stage.run(pump.wait)
    assert len(pump.threads) == 1


@pytest.fixture(params=["DeferredWake", "IdleWake"])
def fallback(request, stage):
    from dcc_mcp_embed.adapters.houdini.hom import Hom
    from dcc_mcp_embed.adapters.houdini.waking import DeferredWake, IdleWake

    made = DeferredWake() if request.param == "DeferredWake" else IdleWake(Hom())
    yield made
    made.close()


def test_a_fallback_wakes_it_and_is_gone_when_idle(stage, fallback):
    pump = Woken()

    def body():
        for _ in range(5):
            fallback.wake(pump)
            pump.wait()

    stage.run(body)
    assert set(pump.threads) == {threading.get_ident()} and len(pump.threads) == 5
    loop = stage.host.loop
    # hdefereval takes its own callback away with the next look at its queue.
    loop.tick()
    assert loop.callbacks == []
    called = loop.called
    for _ in range(10):
        loop.tick()
    assert loop.called == called


def test_many_wakes_by_a_fallback_are_one_run(stage, fallback):
    pump = Woken()
    threads = [threading.Thread(target=fallback.wake, args=(pump,)) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    for _ in range(5):
        stage.host.loop.tick()
    assert len(pump.threads) == 1


def test_a_wake_during_the_pump_is_not_lost(stage, fallback):
    ran = []

    def pump():
        ran.append(len(ran))
        if len(ran) < 3:
            fallback.wake(pump)

    fallback.wake(pump)
    for _ in range(10):
        stage.host.loop.tick()
    assert ran == [0, 1, 2]


def test_a_pump_that_raises_does_not_end_the_fallback(stage, fallback, capsys):
    def broken():
        raise SystemExit("from a tool")

    fallback.wake(broken)
    for _ in range(3):
        stage.host.loop.tick()
    pump = Woken()
    fallback.wake(pump)
    for _ in range(3):
        stage.host.loop.tick()
    assert len(pump.threads) == 1
    assert "from a tool" in capsys.readouterr().err


@pytest.mark.parametrize("woken_before", [True, False])
def test_a_closed_fallback_runs_nothing(stage, fallback, woken_before):
    pump = Woken()
    if woken_before:
        fallback.wake(pump)
    fallback.close()
    fallback.close()
    fallback.wake(pump)
    for _ in range(5):
        stage.host.loop.tick()
    assert pump.threads == []


def test_a_fallback_that_is_closed_after_the_end_touches_nothing(stage):
    from dcc_mcp_embed.adapters.houdini.hom import Hom
    from dcc_mcp_embed.adapters.houdini.waking import IdleWake

    hom = Hom()
    made = IdleWake(hom)
    hom.end()
    calls = len(stage.host.ledger.calls)
    made.close()
    assert len(stage.host.ledger.calls) == calls


def test_a_wake_that_failed_is_tried_again(stage, monkeypatch):
    from dcc_mcp_embed.adapters.houdini.hom import Hom
    from dcc_mcp_embed.adapters.houdini.waking import IdleWake

    made = IdleWake(Hom())
    hou = stage.host.hou
    pump = Woken()
    with monkeypatch.context() as patch:
        patch.setattr(hou, "ui", None)
        with pytest.raises(AttributeError):
            made.wake(pump)
    made.wake(pump)
    stage.host.loop.tick()
    assert len(pump.threads) == 1
    made.close()


@pytest.mark.parametrize("with_hdefereval", [True, False])
def test_without_qt_the_adapter_falls_back(stage, monkeypatch, with_hdefereval):
    """A Houdini whose PySide cannot be loaded: only the binding that has been loaded counts."""
    from dcc_mcp_embed.adapters import qt
    from dcc_mcp_embed.adapters.houdini import create

    monkeypatch.setattr(qt, "application", lambda: None)
    if not with_hdefereval:
        monkeypatch.setitem(sys.modules, "hdefereval", None)
    adapter = create()
    pump = Woken()

    def body():
        adapter.wake(pump)
        pump.wait()
        return stage.host.loop.called

    assert stage.run(body) >= 1
    assert pump.threads == [threading.get_ident()]
    assert adapter.modal_state() is None
    with pytest.raises(Unsupported):
        adapter.ask(Question("May it?", "run", [("once", "Once")], lambda choice: None))
    adapter.on_exit(lambda: None)
    adapter.close()


def test_it_is_made_on_the_thread_of_the_windows_only(stage):
    from dcc_mcp_embed.adapters.houdini import create

    def body():
        with pytest.raises(StartError, match="main thread"):
            create()

    stage.run(body)


def test_its_loop_is_its_own(stage):
    assert stage.adapter.is_interactive() is True
    with pytest.raises(Unsupported):
        stage.adapter.serve_forever()


def test_the_open_dialog_is_told_by_its_title(stage):
    titles = []

    def body():
        titles.append(qtloop.on_main(stage.adapter.modal_state))
        stage.open_modal("Save first?")
        titles.append(qtloop.on_main(stage.adapter.modal_state))
        stage.close_modal()
        titles.append(qtloop.on_main(stage.adapter.modal_state))

    stage.run(body)
    assert titles == [None, "Save first?", None]


def test_nothing_is_written_while_a_file_is_loaded(stage, tmp_path):
    """Houdini draws its progress in a loop of its own, in which our pump runs."""
    states = []
    path = str(tmp_path / "shot.hip")
    stage.host.hou.hipFile.save(path)
    stage.adapter.wake(lambda: states.append(stage.adapter.modal_state()))
    stage.host.hou.hipFile.load(path)
    assert states == ["Loading a hip file"]
    assert stage.adapter.modal_state() is None


def test_a_question_stays_above_the_main_window_and_blocks_nothing(stage):
    choices = []
    answered = threading.Event()

    def answer(choice):
        choices.append(choice)
        answered.set()

    def body():
        question = Question("May it?", "run code", [("once", "Once"), ("never", "No")], answer)
        qtloop.on_main(lambda: stage.adapter.ask(question))
        parents = qtloop.on_main(lambda: [box.parent() for box in qtloop.open_questions()])
        assert qtloop.on_main(stage.adapter.modal_state) is None
        stage.answer("never")
        assert answered.wait(DEADLINE)
        return parents

    assert stage.run(body) == [stage.host.loop.window]
    assert choices == ["never"]


def test_it_is_told_that_houdini_quits_and_touches_nothing_afterwards(stage):
    told = []
    ran = []
    scene = stage.adapter.scene_backend()
    left = threading.Event()

    def leaving():
        told.append(stage.adapter.version())
        left.set()

    def body():
        stage.quit()
        assert left.wait(DEADLINE)

    stage.adapter.on_exit(leaving)
    stage.run(body)
    assert told == ["21.0.512"]
    stage.adapter.wake(lambda: ran.append(1))
    stage.run(lambda: None)
    assert ran == []
    with pytest.raises(HostShuttingDown):
        scene.info([])


def test_a_scene_that_is_cleared_while_houdini_exits_is_its_end(stage):
    told = []
    hip_file = stage.host.hou.hipFile
    stage.adapter.on_exit(lambda: told.append("left"))
    stage.adapter.on_scene_change(lambda: told.append("changed"))
    hip_file._tell("BeforeClear")
    hip_file._tell("AfterClear")
    assert told == ["changed"]
    hip_file._leaving = True
    # The user is asked whether to save, and may yet stay.
    hip_file._tell("AfterSave")
    assert told == ["changed", "changed"]
    hip_file._tell("BeforeClear")
    hip_file._tell("AfterClear")
    assert told == ["changed", "changed", "left"]
    # Nothing of ours is called any more, so that nothing needs to be taken back.
    with pytest.raises(HostShuttingDown):
        stage.adapter.version()
    for one in hip_file.eventCallbacks():
        hip_file.removeEventCallback(one)


def test_asyncio_of_houdini_is_left_alone(stage, tmp_path, monkeypatch):
    policy = asyncio.get_event_loop_policy()
    loops = []
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: loops.append(1))
    hosted = Hosted(stage, str(tmp_path), monkeypatch)
    try:
        stage.run(lambda: data(hosted.call("create_object", {"kind": "cube"})))
    finally:
        hosted.close()
    assert asyncio.get_event_loop_policy() is policy
    assert loops == []


def test_houdinis_own_tools_are_one_undo_step_each(stage, tmp_path, monkeypatch):
    hosted = Hosted(stage, str(tmp_path), monkeypatch, exec_mode="off")

    def body():
        cube = data(hosted.call("create_object", {"kind": "cube"}))["path"]
        made = {"path": cube + "/cube1", "values": {"size": [1, 2, 3], "type": "poly"}}
        assert data(hosted.call("set_parms", made))["after"] == made["values"]
        read = data(hosted.call("get_parms", {"path": cube + "/cube1", "names": ["size"]}))
        assert read["values"] == {"size": [1, 2, 3]}
        assert data(hosted.call("check_node", {"path": cube + "/cube1"}))["cooked"] is True
        steps = qtloop.on_main(lambda: len(stage.host.hou.undos.undoLabels()))
        assert data(hosted.call("undo"))["steps"] == 1
        read = data(hosted.call("get_parms", {"path": cube + "/cube1", "names": ["size"]}))
        assert read["values"] == {"size": [1, 1, 1]}
        refused = error(hosted.call("execute_hscript", {"command": "echo no"}))
        stage.open_modal("Save first?")
        blocked = error(hosted.call("set_parms", made))
        stage.close_modal()
        return steps, refused["code"], blocked["code"]

    try:
        # Making, setting and cooking: the last changed nothing.
        assert stage.run(body) == (2, "exec_disabled", "host_modal")
    finally:
        hosted.close()


def test_closing_takes_everything_back_and_twice_is_fine(stage):
    adapter = stage.adapter
    adapter.on_scene_change(lambda: None)
    adapter.on_exit(lambda: None)
    adapter.close()
    adapter.close()
    assert stage.host.hou.hipFile.eventCallbacks() == ()
    assert stage.host.hou.ui.eventLoopCallbacks() == ()
