"""Houdini's adapter: its loop or ours, its file, its end, and what it must never do."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
import types

import pytest

from dcc_mcp_embed.errors import HostError, HostShuttingDown, StartError, Unsupported
from dcc_mcp_embed.host.adapter import Question
from helpers import ROOT

pytestmark = pytest.mark.qt

DEADLINE = 20.0


@pytest.fixture
def hython():
    from fakes.houdini_host import install

    with install(interactive=False) as host:
        yield host


@pytest.fixture
def adapter(hython):
    from dcc_mcp_embed.adapters.houdini import create

    made = create()
    yield made
    made.close()


def on_thread(function):
    """Call it on another thread; return what it returned, or the exception."""
    box = []

    def work():
        try:
            box.append(function())
        except Exception as error:
            box.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(DEADLINE)
    return box[0]


# -- what it is --------------------------------------------------------------------------------


def test_only_the_real_module_counts(hython, monkeypatch):
    from dcc_mcp_embed.adapters.houdini import detect

    assert detect()
    # Stubs run as a module, a double that raises, one that knows nothing.
    stub = types.ModuleType("hou")
    stub.applicationVersionString = lambda: None
    stub.hipFile = stub.undos = object()
    for stand_in in (types.ModuleType("hou"), stub, None):
        monkeypatch.setitem(sys.modules, "hou", stand_in)
        assert not detect()
    monkeypatch.delitem(sys.modules, "hou")
    assert not detect()


def test_nothing_of_houdini_or_asyncio_is_imported_with_the_adapter():
    code = (
        "import sys, pkgutil, importlib\n"
        "import dcc_mcp_embed.adapters.houdini as h\n"
        "for one in pkgutil.iter_modules(h.__path__):\n"
        "    importlib.import_module(h.__name__ + '.' + one.name)\n"
        "bad = {'hou', 'hdefereval', 'haio', 'asyncio', 'PySide2', 'PySide6'} & set(sys.modules)\n"
        "print(sorted(bad))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.stdout.decode().strip() == "[]"


def test_the_call_that_hangs_houdini_is_in_no_code_of_ours():
    """It waits for ever on the main thread, and two callers may get each other's results."""
    folder = os.path.join(ROOT, "adapters", "houdini")
    names = set()
    for file in os.listdir(folder):
        if file.endswith(".py"):
            with open(os.path.join(folder, file), encoding="utf-8") as source:
                for node in ast.walk(ast.parse(source.read())):
                    names.update((getattr(node, "attr", None), getattr(node, "id", None)))
    assert "executeDeferred" in names
    assert not names & {"executeInMainThreadWithResult", "execute_in_main_thread_with_result"}


def test_it_says_what_it_is(adapter):
    assert adapter.dcc_type == "houdini"
    assert adapter.version() == "21.0.512"
    assert adapter.is_interactive() is False
    assert adapter.modal_state() is None


def test_it_is_made_on_the_main_thread_of_a_houdini_only(hython, monkeypatch):
    from dcc_mcp_embed.adapters.houdini import create

    error = on_thread(create)
    assert isinstance(error, StartError) and "main thread" in str(error)
    monkeypatch.setitem(sys.modules, "hou", None)
    with pytest.raises(StartError, match="hython"):
        create()


def test_it_refuses_houdini_off_its_main_thread(adapter):
    scene = adapter.scene_backend()
    calls = (
        adapter.version,
        adapter.modal_state,
        adapter.scene_path,
        adapter.undo_chunk("never").__enter__,
        lambda: scene.info([]),
        lambda: list(scene.rows()),
        lambda: scene.create("cube", None, None, {}),
        lambda: next(scene.errors()),
        lambda: scene.namespace(),
        lambda: scene.undo(),
    )
    for call in calls:
        error = on_thread(call)
        assert isinstance(error, HostError) and error.state == "not_started", error
    assert on_thread(adapter.is_main_thread) is False
    assert adapter.is_main_thread() is True


# -- without a user interface ------------------------------------------------------------------


def test_hython_serves_on_its_own_thread(adapter):
    threads = []

    def pump():
        threads.append(threading.get_ident())
        if len(threads) == 2:
            adapter.close()
        else:
            threading.Thread(target=adapter.wake, args=(pump,)).start()

    threading.Thread(target=adapter.wake, args=(pump,)).start()
    adapter.serve_forever()
    assert threads == [threading.get_ident()] * 2


def test_hom_does_not_move_to_another_thread(adapter):
    assert isinstance(on_thread(adapter.serve_forever), Unsupported)


def test_ctrl_c_ends_the_serving(adapter):
    adapter.wake(lambda: KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        adapter.serve_forever()


def test_nobody_is_asked_in_hython(adapter):
    question = Question("May it?", "run code", [("once", "Once")], lambda choice: None)
    with pytest.raises(Unsupported):
        adapter.ask(question)


def test_the_end_of_serving_is_the_end_of_the_host(adapter):
    told = []
    adapter.on_exit(lambda: told.append("first"))
    adapter.on_exit(lambda: told.append("second"))
    adapter.wake(adapter.close)
    adapter.serve_forever()
    assert told == ["second", "first"]


# -- the open file -----------------------------------------------------------------------------


def test_the_file_that_was_never_saved_is_none(hython, adapter, tmp_path):
    assert adapter.scene_path() == ""
    path = str(tmp_path / "shot.hip")
    hython.hou.hipFile.save(path)
    assert adapter.scene_path() == path
    adapter.scene_backend().new_scene()
    assert adapter.scene_path() == ""


def test_it_tells_when_the_file_changes(hython, adapter, tmp_path):
    told = []
    adapter.on_scene_change(lambda: told.append(adapter.scene_path()))
    adapter.on_scene_change(lambda: told.append("second"))
    assert len(hython.hou.hipFile.eventCallbacks()) == 1
    path = str(tmp_path / "shot.hip")
    hython.hou.hipFile.save(path)
    assert told == [path, "second"]
    adapter.scene_backend().new_scene()
    assert told[2:] == ["", "second"]
    del told[:]
    adapter.scene_backend().open_scene(path)
    assert told[-2:] == [path, "second"]
    adapter.close()
    adapter.close()
    del told[:]
    hython.hou.hipFile.save(path)
    assert told == [] and hython.hou.hipFile.eventCallbacks() == ()


def test_a_callback_that_fails_spares_houdini_and_the_others(
    hython, adapter, tmp_path, monkeypatch
):
    told, shown = [], []
    monkeypatch.setattr(sys, "excepthook", lambda *error: shown.append(error[0]))
    adapter.on_scene_change(lambda: {}["missing"])
    adapter.on_scene_change(lambda: told.append("second"))
    hython.hou.hipFile.save(str(tmp_path / "shot.hip"))
    assert (told, shown) == (["second"], [KeyError])


def test_somebody_else_may_have_cleared_the_callbacks(hython, adapter):
    adapter.on_scene_change(lambda: None)
    for one in hython.hou.hipFile.eventCallbacks():
        hython.hou.hipFile.removeEventCallback(one)
    adapter.close()


# -- the end -----------------------------------------------------------------------------------


def test_after_the_end_no_pump_reaches_houdini(hython, adapter, monkeypatch):
    ran = []

    def pump():
        ran.append(adapter.version())

    scene = adapter.scene_backend()
    monkeypatch.setitem(sys.modules, "hou", None)
    adapter.wake(pump)
    threading.Timer(0.01, adapter.close).start()
    adapter.serve_forever()
    assert ran == []
    with pytest.raises(HostShuttingDown):
        scene.info([])


AT_EXIT = """
import sys
sys.path[:0] = [{tests!r}]
from fakes.houdini_host.install import Houdini
from dcc_mcp_embed.adapters.houdini import create

host = Houdini(interactive=False)
sys.modules.update(host.modules)
adapter = create()
adapter.on_scene_change(lambda: None)

def leaving():
    # What a server does on its way out.
    adapter.wake(lambda: adapter.version())
    adapter.close()
    try:
        adapter.version()
    except Exception as error:
        print("told", type(error).__name__)

adapter.on_exit(leaving)
host.ledger.tear_down()
"""


def test_at_exit_it_is_told_and_touches_nothing():
    """Python ends after HOM's teardown, which crashes whoever still uses it."""
    from fakes.houdini_host.stubs import stubs

    stubs()  # or else skip this
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT.format(tests=os.path.join(ROOT, "tests"))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert done.stdout.decode().strip() == "told HostShuttingDown", done.stderr.decode()
    assert "MISUSED" not in done.stderr.decode()


def test_one_broken_exit_callback_does_not_cost_the_others_theirs(adapter, capsys):
    told = []
    adapter.on_exit(lambda: told.append("reached"))

    def broken():
        raise ValueError("on the way out")

    adapter.on_exit(broken)
    adapter.wake(adapter.close)
    adapter.serve_forever()
    assert told == ["reached"]
    assert "on the way out" in capsys.readouterr().err
