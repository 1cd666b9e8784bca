"""The adapter for 3ds Max without a window: 3dsmaxbatch. Over the fake."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest
from dcc_mcp_embed.adapters import max as folder
from dcc_mcp_embed.adapters.max import maxscript
from dcc_mcp_embed.adapters.max.dialogs import is_disabled

from dcc_mcp_embed.errors import HostError, InvalidArgument, StartError, Unsupported
from dcc_mcp_embed.host.adapter import Question
from fakes.max_host.install import install
from fakes.max_host.stage import MaxbatchStage


@pytest.fixture
def stage():
    with MaxbatchStage() as made:
        yield made


def test_it_is_told_from_a_stub(monkeypatch):
    assert folder.detect() is False
    stubs = (
        SimpleNamespace(),
        SimpleNamespace(runtime=SimpleNamespace(maxVersion=print)),
        SimpleNamespace(runtime=SimpleNamespace(), run_undo=print),
        SimpleNamespace(runtime=SimpleNamespace(maxVersion=None), run_undo=print),
    )
    for stub in stubs:
        monkeypatch.setitem(sys.modules, "pymxs", stub)
        assert folder.detect() is False
    monkeypatch.delitem(sys.modules, "pymxs")
    with install(batch=True):
        assert folder.detect() is True


@pytest.mark.parametrize("year", [2019, 2021, 2025])
def test_the_version_is_the_year(year):
    with MaxbatchStage(year) as stage:
        assert stage.adapter.version() == str(year)


def test_what_3ds_max_calls_itself_counts_more_than_its_number(stage, monkeypatch):
    from fakes.max_host.runtime import Runtime
    from fakes.max_host.values import Array

    told = [27000, 68, 0, 27, 0, 0, 0, 2030, ""]
    monkeypatch.setattr(Runtime, "_fn_maxversion", lambda rt: Array(rt._host, told))
    assert stage.adapter.version() == "2030"


def test_batch_is_known_by_its_program_its_mode_and_its_missing_window(monkeypatch):
    from dcc_mcp_embed.adapters.max.headless import is_headless

    def rt(batch, window):
        return SimpleNamespace(
            maxOps=SimpleNamespace(isInNonInteractiveMode=lambda: batch),
            windows=SimpleNamespace(getMAXHWND=lambda: window),
        )

    monkeypatch.setattr(sys, "executable", "C:\\Max\\3dsmax.exe")
    assert not is_headless(rt(False, 1234))
    assert is_headless(rt(True, 1234))
    assert is_headless(rt(False, 0))
    monkeypatch.setattr(sys, "executable", "C:\\Max\\3dsMaxBatch.exe")
    assert is_headless(rt(False, 1234))


def test_batch_has_nobody_and_no_dialogs(stage):
    adapter = stage.adapter
    assert (adapter.dcc_type, adapter.is_interactive()) == ("3dsmax", False)
    assert adapter.modal_state() is None
    with pytest.raises(Unsupported) as caught:
        adapter.ask(Question("t", "text", (("once", "Once"),), print))
    assert caught.value.state == "not_started"


def test_batch_leaves_the_streams_alone():
    with MaxbatchStage() as stage:
        assert sys.stdout is stage.listener


def test_the_pump_runs_in_quiet_mode_on_the_serving_thread(stage):
    adapter = stage.adapter
    seen = []
    ran = threading.Event()

    def pump():
        seen.append((adapter.is_main_thread(), stage.host.contexts["quiet"]))
        ran.set()

    def body():
        adapter.wake(pump)
        assert ran.wait(20)
        assert adapter.is_main_thread() is False

    stage.run(body)
    assert seen == [(True, 1)]
    assert stage.host.contexts["quiet"] == 0


def test_another_thread_cannot_serve(stage):
    caught = []

    def work():
        try:
            stage.adapter.serve_forever()
        except StartError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert len(caught) == 1


def test_ctrl_c_in_a_job_ends_the_serving(stage):
    ran = threading.Event()

    def pump():
        ran.set()
        return KeyboardInterrupt()

    def body():
        stage.adapter.wake(pump)
        assert ran.wait(20)

    with pytest.raises(KeyboardInterrupt):
        stage.run(body)


def test_the_end_is_told_once_by_whoever_tells_first(stage):
    ended = []
    stage.adapter.on_exit(lambda: ended.append("a"))
    stage.adapter.on_exit(lambda: ended.append("b"))
    stage.host.quit()
    assert ended == ["a", "b"]
    stage.run(lambda: None)
    assert ended == ["a", "b"]


def test_an_exit_that_fails_spares_the_others(stage, monkeypatch):
    ended, shown = [], []
    monkeypatch.setattr(sys, "excepthook", lambda *error: shown.append(error[0]))
    stage.adapter.on_exit(lambda: {}["missing"])
    stage.adapter.on_exit(lambda: ended.append("b"))
    stage.host.quit()
    assert (ended, shown) == (["b"], [KeyError])


def test_the_end_of_serving_is_the_end(stage):
    ended = []
    stage.adapter.on_exit(lambda: ended.append("a"))
    stage.run(lambda: None)
    assert ended == ["a"]


def test_scenes_that_come_and_go_are_told_until_it_is_closed(stage, tmp_path):
    import pymxs

    rt = pymxs.runtime
    path = str(tmp_path / "shot.max")
    told = []
    stage.adapter.on_scene_change(lambda: told.append(stage.adapter.scene_path()))
    assert stage.adapter.scene_path() == ""
    rt.saveMaxFile(path, quiet=True)
    rt.resetMaxFile(rt.Name("noPrompt"))
    rt.loadMaxFile(path, quiet=True)
    assert told == [path, "", path]
    stage.adapter.close()
    stage.adapter.close()
    rt.resetMaxFile(rt.Name("noPrompt"))
    assert len(told) == 3
    assert stage.host.events.left == []


def test_what_a_callback_raises_does_not_reach_3ds_max(stage, monkeypatch):
    import pymxs

    told = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: told.append(error[0]))

    def broken():
        raise ValueError

    stage.adapter.on_scene_change(broken)
    pymxs.runtime.resetMaxFile(pymxs.runtime.Name("noPrompt"))
    assert told == [ValueError]


def test_callbacks_of_others_stay(stage):
    import pymxs

    rt = pymxs.runtime
    told = []
    rt.callbacks.addScript(rt.Name("filePostSave"), lambda: told.append(1), id=rt.Name("others"))
    stage.adapter.on_scene_change(lambda: None)
    stage.adapter.close()
    stage.host.events.fire("filePostSave")
    assert told == [1]
    rt.callbacks.removeScripts(id=rt.Name("others"))


def test_maxscript_runs_and_its_value_comes_back(stage):
    ctx = SimpleNamespace(scene=stage.adapter.scene_backend())
    assert stage.adapter.tool_modules() == [maxscript]
    assert maxscript.execute_maxscript(ctx, "1 + 2")["result"] == 3
    assert maxscript.execute_maxscript(ctx, "'text'")["result"] == "text"
    long_ = "x" * 1000
    assert maxscript.execute_maxscript(ctx, repr(long_))["result"] == long_
    with pytest.raises(HostError, match="exception"):
        maxscript.execute_maxscript(ctx, "no such thing")
    with pytest.raises(InvalidArgument):
        maxscript.execute_maxscript(ctx, "  ")


def test_a_result_that_is_too_large_is_shown_in_part_and_said(stage, monkeypatch):
    monkeypatch.setattr(maxscript, "MAX_RESULT", 100)
    warned = []
    ctx = SimpleNamespace(scene=stage.adapter.scene_backend(), warn=warned.append)
    shown = maxscript.execute_maxscript(ctx, repr("x" * 200))["result"]
    assert "left out" in shown
    assert len(warned) == 1


class User32:
    """Windows' library, where a window has the number 7."""

    def __init__(self, enabled):
        self._enabled = enabled

    def IsWindow(self, window):
        return int(window.value == 7)

    def IsWindowEnabled(self, window):
        return int(window.value == 7 and self._enabled)


@pytest.mark.parametrize(
    ("handle", "library", "disabled"),
    [
        (7, User32(True), False),
        (7, User32(False), True),
        (8, User32(False), False),
        (0, User32(False), False),
        (7, None, False),
    ],
)
def test_a_window_that_takes_no_input_has_a_dialog(handle, library, disabled):
    assert is_disabled(handle, library) is disabled
