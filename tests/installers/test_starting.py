"""What a start of a host costs, and that nothing in a damaged installation disturbs it."""

from __future__ import annotations

import io
import json
import os
import runpy
import subprocess
import sys

import pytest
from dcc_mcp_embed.installers import api, boot, bootstraps, hosts, payload
from dcc_mcp_embed.installers.acting import Installation

import helpers

pytestmark = pytest.mark.edges

HERE = os.path.join(helpers.TESTS, "installers")
#: ms of the host's main thread, and how many starts are tried: the machine does other things, too.
LIMIT, TRIES = 30.0, 7
#: What is to be loaded by a thread, and with it all that they load.
LOADED = ("dcc_mcp_embed.embed.server", "dcc_mcp_embed.adapters.standalone.adapter")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "registry"))
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def installed(tmp_path):
    """Return an installation whose host is the one without an application."""
    ours = Installation(hosts.find("blender"), str(tmp_path / "user"))
    api.install("blender", target=ours.user)
    return ours


def run(*words):
    """Return the JSON that such a Python prints last."""
    command = [sys.executable, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=900)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return json.loads(done.stdout.decode("utf-8").splitlines()[-1])


def harmed(ours, files, harms, host="standalone"):
    """Return what each start said whose file was damaged, each in each way."""
    entry = os.path.join(ours.user, "entry.py")
    text = bootstraps.text("blender_startup").decode("utf-8").replace("'blender'", repr(host))
    # Two folders up, as Blender's own; here beside our root.
    text = text.replace("os.pardir, os.pardir, ", "")
    with open(entry, "w", encoding="utf-8") as stream:
        stream.write(text)
    found = run("-B", os.path.join(HERE, "starting_damaged.py"), entry, json.dumps(files), harms)
    whole = found.pop("whole")
    assert whole["raised"] == "" and len(whole["said"]) == 1, whole
    assert " serves standalone at http://" in whole["said"][0], "it was put right again"
    for name, start in found.items():
        assert start["raised"] == "", name + start["raised"]
        assert len(start["said"]) <= 1, (name, start["said"])
        assert all(line.startswith("dcc_mcp_embed ") for line in start["said"]), (name, start)
    return found


def version_files(ours):
    """Return every Python file of the version, but those of other hosts and of no start."""
    found = []
    for folder, _, names in os.walk(ours.root.folder_of(ours.root.current())):
        found += [os.path.join(folder, name) for name in names if name.endswith(".py")]
    return sorted(found)


@pytest.mark.heavy
def test_a_damaged_root_is_one_line(installed):
    root = installed.root
    files = [
        os.path.join(root.path, "boot.py"),
        root.current_file,
        os.path.join(root.folder_of(root.current()), "payload.json"),
        os.path.join(root.folder_of(root.current()), "dcc_mcp_embed", "__init__.py"),
        os.path.join(root.folder_of(root.current()), "dcc_mcp_embed", "installers", "startup.py"),
        os.path.join(
            root.folder_of(root.current()), "dcc_mcp_embed", "adapters", "standalone", "adapter.py"
        ),
        os.path.join(root.folder_of(root.current()), "dcc_mcp_embed", "embed", "server.py"),
    ]
    found = harmed(installed, files, "gone,empty,cut,garbage,raises,exits")
    silent = [name for name, start in found.items() if not start["said"]]
    # Without boot.py the file that the host finds ends quietly: there is nothing of ours any more.
    assert silent == [files[0] + " gone"]


@pytest.mark.parametrize("stride", [97, pytest.param(11, marks=pytest.mark.heavy)])
def test_a_damaged_version_is_one_line_at_most(installed, stride):
    harmed(installed, version_files(installed)[::stride], "gone,garbage")


@pytest.mark.parametrize("stream", ["none", "closed"])
@pytest.mark.parametrize("name", ["maya_user_setup", "houdini_start", "max_start"])
def test_what_a_host_finds_raises_nothing_where_there_is_no_stream(
    tmp_path, monkeypatch, name, stream
):
    script = tmp_path / "dcc_mcp_embed" / "module" / "scripts" / "found.py"
    script.parent.mkdir(parents=True)
    script.write_bytes(bootstraps.text(name))
    for place in (script.parent, script.parent.parent.parent):
        (place / "boot.py").write_text("raise RuntimeError('spoilt')\n")
    shown = io.StringIO()
    shown.close()
    monkeypatch.setattr(sys, "stderr", None if stream == "none" else shown)
    runpy.run_path(str(script))


def test_what_a_stream_cannot_show_is_escaped(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", shown)
    boot.say("is not installed in \u65e5\u672c any more")
    monkeypatch.undo()
    assert shown.buffer.getvalue() == (
        b"dcc_mcp_embed is not installed in \\u65e5\\u672c any more\n"
    )


MEASURE = """
import json, sys, time
# What every host has loaded by the time that it runs start-up scripts (or loads for its own).
import ctypes, encodings.idna, http.client, importlib.util, inspect, json, logging, random, runpy
import shutil, socket, subprocess, tempfile, threading, typing, urllib.parse, uuid, zipfile
root, host = sys.argv[1:]
scope = {"__name__": "dcc_mcp_embed_boot", "__file__": root + "/boot.py"}
class Quiet:
    def write(self, text): pass
    def flush(self): pass
out, sys.stdout = sys.stdout, Quiet()
began = time.thread_time()
with open(root + "/boot.py", "rb") as stream:
    exec(compile(stream.read(), root + "/boot.py", "exec"), scope)
package = scope["load"](root)
startup = __import__("dcc_mcp_embed.installers.startup", fromlist=["startup"])
adapter = __import__("dcc_mcp_embed.adapters." + host, fromlist=["adapter"])
waiting = []
adapter.when_ready = lambda start: waiting.append(start) or True
assert scope["boot"](host, root) and waiting
hook = time.thread_time() - began
# A host goes on starting meanwhile.
for thread in threading.enumerate():
    if thread.name == "dcc-mcp-embed loading":
        thread.join()
loaded = {name for name in sys.modules if name.startswith("dcc_mcp_embed.")}
waiting[0]()
whole = time.thread_time() - began
sys.stdout = out
running = sys.modules["dcc_mcp_embed.embed.place"].PLACE.server is not None
found = {"hook": hook * 1000, "whole": whole * 1000, "running": running, "loaded": sorted(loaded)}
print(json.dumps(found), flush=True)
package.stop()
"""


def test_a_start_takes_little_of_the_hosts_main_thread(installed, capsys):
    """Measure the hook and ``start()`` of an adapter without an application, compiled before.

    Four fifths of it are loading, which a thread has done by the time that a host is ready.
    """
    taken = [run("-c", MEASURE, installed.root.path, "standalone") for _ in range(TRIES)]
    assert all(one["running"] for one in taken)
    hook, whole = (min(one[key] for one in taken[1:]) for key in ("hook", "whole"))
    with capsys.disabled():
        print("\nstart-up hook: {:.1f} ms, with start(): {:.1f} ms of CPU".format(hook, whole))
    assert whole <= LIMIT
    for one in taken:
        assert {*LOADED} <= {*one["loaded"]}, "the host's main thread had to load it"


def test_the_first_start_after_an_upgrade_takes_no_more_of_it(installed):
    run("-c", MEASURE, installed.root.path, "blender")
    files = payload.own_files()
    taken = []
    for number in range(TRIES):
        old = payload.describe(files, "0.0.{}".format(number)).name
        payload.write(files, installed.root.folder_of(old), "0.0.{}".format(number))
        taken.append(run("-c", MEASURE, installed.root.path, "blender")["hook"])
        assert len(installed.root.installed()) == 1, "it was not swept by the time of the start"
    assert min(taken) <= LIMIT


DEFERRED = """
import json, sys, threading
root, name = sys.argv[1:]
scope = {"__name__": "dcc_mcp_embed_boot", "__file__": root + "/boot.py"}
with open(root + "/boot.py", "rb") as stream:
    exec(compile(stream.read(), root + "/boot.py", "exec"), scope)
said, raised, waiting = [], [], []
scope["say"] = said.append
threading.excepthook = raised.append
package = scope["load"](root)
import dcc_mcp_embed.adapters.standalone as adapter
adapter.when_ready = lambda start: waiting.append(start) or True
with open(package.__path__[0] + "/" + name, "w") as stream:
    stream.write("raise RuntimeError('spoilt')")
assert scope["boot"]("standalone", root) and not said
waiting[0]()
print(json.dumps({"said": said, "raised": list(map(repr, raised))}), flush=True)
"""


@pytest.mark.parametrize("name", ["embed/server.py", "adapters/standalone/adapter.py"])
def test_what_cannot_be_loaded_ahead_is_told_once_by_the_start(installed, name):
    found = run("-B", "-c", DEFERRED, installed.root.path, name)
    (line,) = found["said"]
    assert line.startswith("did not start: RuntimeError: spoilt")
    assert found["raised"] == []
