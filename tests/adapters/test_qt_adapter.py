"""The generic adapter, in whatever application it is made."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.errors import HostError, Unsupported
from fakes.hosted import Hosted, data, error
from fakes.served import environment

pytestmark = pytest.mark.qt


@pytest.fixture
def stage():
    from fakes.qt_host.stage import BareQtStage

    with BareQtStage() as entered:
        yield entered


@pytest.fixture
def start(stage, tmp_path, monkeypatch):
    running = []

    def one(**options):
        running.append(Hosted(stage, str(tmp_path), monkeypatch, **options))
        return running[-1]

    yield one
    for hosted in running:
        hosted.close()


def test_it_knows_its_thread_and_its_person(stage) -> None:
    adapter = stage.adapter
    seen = []
    thread = threading.Thread(target=lambda: seen.append(adapter.is_main_thread()))
    thread.start()
    thread.join()
    assert (adapter.is_main_thread(), seen) == (True, [False])
    assert adapter.is_interactive()
    assert adapter.dcc_type == "qt"


def test_the_version_is_the_applications_or_that_of_qt(stage) -> None:
    from fakes import qtloop

    application, core = qtloop.the_application(), qtloop.qt().QtCore
    assert stage.adapter.version() == core.qVersion()
    application.setApplicationVersion("7.1")
    try:
        assert stage.adapter.version() == "7.1"
    finally:
        application.setApplicationVersion("")


def test_its_event_loop_is_the_applications(stage) -> None:
    with pytest.raises(Unsupported):
        stage.adapter.serve_forever()


def test_closed_on_its_own_thread_it_is_closed_twice_is_fine(stage) -> None:
    adapter, ran, told = stage.adapter, threading.Semaphore(0), []
    adapter.on_exit(lambda: told.append(1))
    thread = threading.Thread(target=adapter.close)
    thread.start()
    thread.join()
    # It has touched nothing, which is the main thread's to do.
    adapter.wake(ran.release)
    stage.run(lambda: ran.acquire(timeout=10))
    adapter.close()
    adapter.close()
    with pytest.raises(HostError):
        adapter.wake(ran.release)
    stage.run(stage.quit)
    assert told == []


def test_without_a_scene_scene_tools_say_so_and_code_runs(start, stage) -> None:
    hosted = start(exec_mode="on")

    def body() -> None:
        refused = error(hosted.call("get_scene_info"))
        assert refused["code"] == "unsupported"
        assert "no scene" in refused["message"]
        for name in ("list_objects", "undo"):
            assert error(hosted.call(name))["code"] == "unsupported"
        answer = data(hosted.call("execute_python", {"code": "result = 6 * 7"}))
        assert "42" in str(answer)

    stage.run(body)


@pytest.mark.parametrize("choice", ["once", "never"])
def test_code_runs_if_the_person_says_so(start, stage, choice) -> None:
    hosted = start()

    def body() -> None:
        call = hosted.later("execute_python", {"code": "result = 6 * 7"})
        stage.answer(choice)
        answer = call.get()
        assert answer["isError"] is (choice == "never"), answer

    stage.run(body)


def test_an_unanswered_question_is_refused_in_time(start, stage) -> None:
    hosted = start(limits=Limits(ask_timeout=0.2))
    stage.run(lambda: error(hosted.call("execute_python", {"code": "1"})))


def test_after_the_application_has_quit_a_server_starts_again(start, stage) -> None:
    from dcc_mcp_embed.adapters.qt.adapter import QtAdapter

    first = start()
    first.server.wait_registered(10)
    stage.run(stage.quit)
    with pytest.raises(OSError, match="refused"):
        first.connect()
    stage.adapter.close()
    stage.adapter = QtAdapter()
    second = start()
    assert second.server is not first.server
    assert data(stage.run(lambda: second.call("get_status")))


def test_two_adapters_of_one_process_run_each_its_own(stage) -> None:
    from dcc_mcp_embed.adapters.qt.adapter import QtAdapter

    other = QtAdapter()
    ran = threading.Semaphore(0)

    def body() -> None:
        for adapter in (stage.adapter, other):
            adapter.wake(ran.release)
            assert ran.acquire(timeout=10)

    try:
        stage.run(body)
    finally:
        other.close()


# Each of these is about an application of another make than the one of this process.

BEGIN = """
import os, sys, threading, time
from dcc_mcp_embed.errors import StartError, Unsupported
from dcc_mcp_embed.host.adapter import Question
def raises(kind, word, call, *arguments):
    try:
        call(*arguments)
    except kind as error:
        assert word in str(error), error
        return
    raise AssertionError("it went well")
"""
INERT = """
import dcc_mcp_embed.adapters.qt as qt, dcc_mcp_embed.adapters.qt.adapter
assert qt.application() is None
assert not [name for name in sys.modules if name.startswith(("PySide", "shiboken"))]
"""
NO_APPLICATION = """
from dcc_mcp_embed.adapters.qt import QtAdapter, application
raises(StartError, "no Qt application yet", QtAdapter)
assert application() is None
"""
CORE_ONLY = """
from dcc_mcp_embed.adapters.qt import QtAdapter, application, binding, modal_title
qt = binding()
made = qt.QtCore.QCoreApplication([])
adapter = QtAdapter()
assert application() is None
assert not adapter.is_interactive() and adapter.modal_state() is None
raises(Unsupported, "Nobody", adapter.ask, Question("Run?", "It.", (), print))
ran = []
adapter.wake(lambda: (ran.append(threading.current_thread()), made.quit()))
(getattr(made, "exec", None) or made.exec_)()
assert ran == [threading.main_thread()]
adapter.close()
"""
OTHER_THREAD = """
from dcc_mcp_embed.adapters.qt import QtAdapter, binding
made = binding().QtWidgets.QApplication([])
box = []
def elsewhere():
    try:
        raises(StartError, "on the thread of the Qt application", QtAdapter)
    except BaseException as error:
        box.append(error)
threads = lambda: os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else []
before = len(threads())
thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
assert not box, box
# What Qt keeps of a thread ends with it, a moment after Python is done with it, and takes the
# process down if the interpreter ends in that moment.
while len(threads()) > before:
    time.sleep(0.001)
batch = QtAdapter(interactive=False)
assert not batch.is_interactive()
raises(Unsupported, "Nobody", batch.ask, Question("Run?", "It.", (), print))
batch.close()
"""
ENDS_AND_STARTS_AGAIN = """
from dcc_mcp_embed.adapters.qt import QtAdapter, binding
qt = binding()
for _ in range(3):
    made = qt.QtWidgets.QApplication([])
    adapter = QtAdapter()
    ran, told = [], []
    adapter.on_exit(lambda: (told.append(1), adapter.close()))
    adapter.ask(Question("Run?", "It.", (("once", "Once"),), print))
    adapter.wake(lambda: (ran.append(1), made.quit()))
    (getattr(made, "exec", None) or made.exec_)()
    assert (ran, told) == ([1], [1])
    assert not made.topLevelWidgets()
    adapter.close()
    made.shutdown()
    made = None
"""
NEVER_CLOSED = """
from dcc_mcp_embed.adapters.qt import QtAdapter, binding
qt = binding()
made = qt.QtWidgets.QApplication([])
adapter = QtAdapter()
adapter.on_exit(lambda: None)
adapter.ask(Question("Run?", "It.", (("once", "Once"),), print))
adapter.wake(lambda: None)
qt.QtCore.QTimer.singleShot(0, made.quit)
(getattr(made, "exec", None) or made.exec_)()
adapter.wake(lambda: None)
"""
SERVED = """
import dcc_mcp_embed
from dcc_mcp_embed.adapters.qt import QtAdapter, binding
made = binding().QtWidgets.QApplication([])
server = dcc_mcp_embed.start(adapter="qt", port=0)
assert server.dcc_type == "qt"
server.wait_registered(10)
binding().QtCore.QTimer.singleShot(0, made.quit)
(getattr(made, "exec", None) or made.exec_)()
assert "stopped" in repr(server)
"""
LOADED = """
import types
other = {"PySide6": "PySide2", "PySide2": "PySide6"}
from dcc_mcp_embed.adapters.qt import application, binding
name = binding().name
# Another one that is loaded, too, without an application.
core = types.ModuleType(other[name] + ".QtCore")
core.QCoreApplication = types.SimpleNamespace(instance=lambda: None)
sys.modules[other[name]] = types.ModuleType(other[name])
sys.modules[core.__name__] = core
made = binding().QtWidgets.QApplication([]) if binding().name == name else None
if made is None:
    sys.modules.pop(core.__name__)
    made = binding().QtWidgets.QApplication([])
    sys.modules[core.__name__] = core
assert binding().name == name
assert application() is made
"""
FOREIGN = """
import types
sys.modules["PyQt5"] = types.ModuleType("PyQt5")
sys.modules["PyQt5.QtCore"] = types.ModuleType("PyQt5.QtCore")
from dcc_mcp_embed.adapters.qt import QtAdapter, binding
assert binding() is None
raises(StartError, "PySide", QtAdapter)
assert not [name for name in sys.modules if name.startswith(("PySide", "shiboken"))]
"""
NO_WIDGETS = """
from dcc_mcp_embed.adapters.qt import QtAdapter, binding, modal_title
for name in ("PySide6", "PySide2"):
    sys.modules[name + ".QtWidgets"] = None
qt = binding()
assert qt.QtWidgets is None
made = qt.QtGui.QGuiApplication([])
adapter = QtAdapter()
assert not adapter.is_interactive()
assert adapter.modal_state() is None
adapter.close()
"""


@pytest.mark.parametrize(
    "script",
    [
        INERT,
        NO_APPLICATION,
        CORE_ONLY,
        OTHER_THREAD,
        ENDS_AND_STARTS_AGAIN,
        NEVER_CLOSED,
        SERVED,
        LOADED,
        FOREIGN,
        NO_WIDGETS,
    ],
    ids=[
        "loads no binding",
        "no application yet",
        "no widgets in it",
        "another thread",
        "ends and starts again",
        "never closed",
        "served by name",
        "two bindings loaded",
        "foreign binding",
        "no widgets at all",
    ],
)
def test_in_an_application_of_its_own(script, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", BEGIN + script],
        env=environment(str(tmp_path), QT_QPA_PLATFORM="offscreen"),
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
