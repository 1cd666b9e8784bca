"""The application of a real host is made in C++, before any binding of Qt is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fakes.served import environment

pytestmark = [
    pytest.mark.qt,
    pytest.mark.skipif(sys.platform != "linux", reason="the library's name is Linux's"),
]

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

BEGIN = """
import os, sys
sys.path.insert(1, {!r})
from fakes import native_application as native
def leave():
    # Nobody destroys the application, so nothing may be destroyed after it.
    print("all is well", flush=True)
    os._exit(0)
""".format(TESTS)

GENERIC = """
native.known_to_core_only()
from dcc_mcp_embed.adapters.qt import QtAdapter, application
assert application() is None, "nobody has loaded the widgets"
adapter = QtAdapter()
assert application() is not None
assert adapter.is_interactive()
widgets = adapter._qt.QtWidgets
dialog = widgets.QDialog()
dialog.setWindowTitle("Save changes?")
dialog.setModal(True)
dialog.show()
assert adapter.modal_state() == "Save changes?"
dialog.hide()
assert adapter.modal_state() is None
adapter.close()
leave()
"""
WITHOUT_WIDGETS = """
name = native.known_to_core_only()
sys.modules[name + ".QtWidgets"] = None
from dcc_mcp_embed.adapters.qt import binding, modal_title
qt = binding()
window = qt.QtGui.QWindow()
window.setTitle("Save changes?")
window.setModality(qt.QtCore.Qt.ApplicationModal)
window.show()
assert modal_title(qt) == "Save changes?"
leave()
"""
MAX = """
native.known_to_core_only()
from dcc_mcp_embed.adapters.max import when_ready
from dcc_mcp_embed.adapters.qt import binding
ran = []
assert when_ready(lambda: ran.append(True)), "a 3ds Max with a window serves"
while not ran:
    binding().QtCore.QCoreApplication.processEvents()
leave()
"""
MAYA = """
native.make()
from fakes.maya_host.host import MayaHost
from fakes.maya_host.install import install
host = MayaHost(batch=False)
host.idle.gated = True
with install(host):
    from dcc_mcp_embed.adapters.maya import create
    from dcc_mcp_embed.adapters.qt import binding
    from dcc_mcp_embed.host.adapter import Question
    adapter = create()
    core, widgets = binding().QtCore, binding().QtWidgets
    ran = []
    adapter._gate.open()
    # While Maya plays back it is never idle, but its loop turns.
    adapter.wake(lambda: ran.append(True))
    core.QCoreApplication.processEvents()
    assert ran
    dialog = widgets.QDialog()
    dialog.setWindowTitle("Save changes?")
    dialog.setModal(True)
    dialog.show()
    assert adapter.modal_state() == "Save changes?"
    dialog.hide()
    adapter.close()
leave()
"""


@pytest.mark.parametrize(
    "script",
    [GENERIC, WITHOUT_WIDGETS, MAX, MAYA],
    ids=["any host", "without widgets", "3ds Max", "Maya that has loaded no binding"],
)
def test_it_is_found_whatever_python_knows_of_it(script, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", BEGIN + script],
        env=environment(str(tmp_path), QT_QPA_PLATFORM="offscreen"),
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        text=True,
    )
    assert (done.returncode, "all is well" in done.stdout) == (0, True), done.stdout
