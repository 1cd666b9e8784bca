"""MayaAdapter over the fake Maya: which Maya it is in, its wakes, its end. No Qt here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types

import pytest
from dcc_mcp_embed.adapters import maya as adapter_module
from dcc_mcp_embed.adapters.maya.adapter import MayaAdapter

from dcc_mcp_embed.errors import HostError, StartError, Unsupported
from dcc_mcp_embed.host.adapter import Question
from dcc_mcp_embed.host.detecting import load_adapter
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install
from helpers import ROOT

pytestmark = pytest.mark.qt

DEADLINE = 20.0


@pytest.fixture
def mayapy():
    host = MayaHost(batch=True, version="2023")
    with install(host):
        yield host
    host.check()


@pytest.fixture
def adapter(mayapy):
    adapter = MayaAdapter()
    yield adapter
    adapter.close()


@pytest.fixture
def no_maya(monkeypatch):
    for name in [one for one in sys.modules if one.split(".")[0] == "maya"]:
        monkeypatch.delitem(sys.modules, name)


# -- which Maya -----------------------------------------------------------------------------------


def test_a_real_maya_is_told_from_none(mayapy):
    assert adapter_module.detect() is True


def test_without_maya_there_is_none(no_maya):
    assert adapter_module.detect() is False
    assert "maya" not in sys.modules, "looking for it must not load anything called so"


@pytest.mark.parametrize(
    "commands",
    [{}, {"about": lambda **_: None}, {"about": lambda **_: types.SimpleNamespace()}],
    ids=["not initialised", "stubs", "mock"],
)
def test_a_package_of_that_name_is_no_maya(no_maya, monkeypatch, commands):
    package, cmds = types.ModuleType("maya"), types.ModuleType("maya.cmds")
    package.__path__ = []
    package.cmds = cmds
    vars(cmds).update(commands)
    monkeypatch.setitem(sys.modules, "maya", package)
    monkeypatch.setitem(sys.modules, "maya.cmds", cmds)
    assert adapter_module.detect() is False


def test_a_mayapy_that_has_not_begun_is_found_and_says_what_to_do(no_maya, monkeypatch):
    """Not taken for no host at all: that would start a server that has no Maya."""
    package = types.ModuleType("maya")
    package.__path__ = []
    for name in ("cmds", "standalone"):
        module = types.ModuleType("maya." + name)
        setattr(package, name, module)
        monkeypatch.setitem(sys.modules, "maya." + name, module)
    monkeypatch.setitem(sys.modules, "maya", package)
    assert adapter_module.detect() is True
    with pytest.raises(StartError, match=r"maya\.standalone\.initialize\(\)"):
        adapter_module.create()


def test_asked_for_by_name_in_another_interpreter_it_says_so(no_maya):
    with pytest.raises(StartError, match="not Maya's"):
        adapter_module.create()


def test_a_package_without_commands_is_no_maya(no_maya, monkeypatch):
    package = types.ModuleType("maya")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "maya", package)
    assert adapter_module.detect() is False


def test_off_the_main_thread_maya_is_found_and_refused(mayapy):
    """Not taken for no host at all: that would start a server that has no Maya."""
    box = []

    def elsewhere():
        box.append(adapter_module.detect())
        try:
            adapter_module.create()
        except HostError as error:
            box.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert box[0] is True and "main thread" in str(box[1])


def test_a_mayapy_that_has_imported_nothing_of_maya_is_told_what_lacks(monkeypatch):
    """Not taken for no host at all; its first script need not have imported anything yet."""
    package, commands = types.ModuleType("maya"), types.ModuleType("maya.cmds")
    package.cmds = commands
    monkeypatch.setattr(sys, "executable", "C:\\Autodesk\\Maya2025\\bin\\mayapy.exe")
    monkeypatch.setitem(sys.modules, "maya", package)
    monkeypatch.setitem(sys.modules, "maya.cmds", commands)
    with pytest.raises(StartError) as caught:
        load_adapter(None)
    assert "maya.standalone.initialize()" in str(caught.value)


def test_importing_the_adapter_loads_neither_maya_nor_qt():
    code = (
        "import sys\n"
        "from dcc_mcp_embed.adapters.maya import adapter, tools\n"
        "no = 'maya PySide2 PySide6 shiboken2 shiboken6 dataclasses asyncio'.split()\n"
        "bad = [name for name in sys.modules if name.split('.')[0] in no]\n"
        "sys.exit(repr(bad) if bad else 0)\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()


# -- mayapy ---------------------------------------------------------------------------------------


def test_what_it_says_of_itself(adapter):
    assert adapter.dcc_type == "maya"
    assert adapter.version() == "2023"
    assert adapter.is_interactive() is False
    assert adapter.modal_state() is None
    assert adapter.is_main_thread() is True
    assert adapter.scene_path() == ""


def test_mayapy_serves_on_its_main_thread(mayapy, adapter):
    ran, ended = [], []
    adapter.on_exit(lambda: ended.append(threading.current_thread()))

    def pump():
        ran.append(threading.current_thread())
        adapter.close()

    thread = threading.Thread(target=lambda: adapter.wake(pump))
    thread.start()
    adapter.serve_forever()
    thread.join()
    assert ran == [threading.main_thread()] == ended
    assert mayapy.idle.pending() == [], "nothing that is deferred ever runs there"


def test_only_the_main_thread_serves(adapter):
    raised = []

    def serve():
        try:
            adapter.serve_forever()
        except HostError as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(DEADLINE)
    assert raised and adapter.is_main_thread()


def test_nobody_is_asked_without_a_window(adapter):
    with pytest.raises(Unsupported):
        adapter.ask(Question("May it?", "It wants to.", (("once", "Yes"),), print))


def test_the_exit_is_told_once(adapter):
    told = []
    adapter.on_exit(lambda: told.append(1))
    adapter.close()
    adapter.serve_forever()
    assert told == [1]
    adapter.close()
    adapter.serve_forever()
    assert told == [1]


def test_a_script_that_ends_without_serving_tells_the_exit_too(tmp_path):
    code = (
        "import sys\n"
        "sys.path.insert(0, {tests!r})\n"
        "from fakes.maya_host.host import MayaHost\n"
        "from fakes.maya_host.install import modules\n"
        "sys.modules.update(modules(MayaHost(batch=True), lambda: 0))\n"
        "from dcc_mcp_embed.adapters.maya import create\n"
        "create().on_exit(lambda: print('told'))\n"
    ).format(tests=os.path.join(str(ROOT), "tests"))
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, timeout=DEADLINE
    )
    assert done.stdout.split() == [b"told"]


def test_scene_changes_are_told_and_taken_back(mayapy, adapter, tmp_path):
    import maya.cmds as cmds

    file = str(tmp_path / "shot.ma").replace(os.sep, "/")
    seen = []
    adapter.on_scene_change(lambda: seen.append(adapter.scene_path()))
    cmds.file(rename=file)
    cmds.file(save=True, type="mayaAscii")
    cmds.file(new=True, force=True)
    cmds.file(file, open=True, force=True)
    assert seen == [file, "", file]
    adapter.close()
    cmds.file(new=True, force=True)
    assert len(seen) == 3 and mayapy.messages.ids() == []


def test_a_listener_that_raises_is_told_and_stops_nothing(adapter, monkeypatch):
    import maya.cmds as cmds

    told = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: told.append(error))
    adapter.on_scene_change(lambda: 1 / 0)
    cmds.file(new=True, force=True)
    assert [type(error) for error in told] == [ZeroDivisionError]


def test_closing_off_the_main_thread_touches_nothing_of_maya(mayapy, adapter):
    adapter.on_scene_change(lambda: None)
    thread = threading.Thread(target=adapter.close)
    thread.start()
    thread.join()
    assert mayapy.messages.ids(), "only the main thread may take callbacks back"
    adapter.close()
    assert mayapy.messages.ids() == []
    adapter.close()


def test_its_python_tool_has_mayas_modules(adapter):
    names = adapter.scene_backend().namespace()
    assert set(names) == {"maya", "cmds", "mel", "om"}
    assert names["cmds"].about(version=True) == "2023"
