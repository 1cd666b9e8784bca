"""As a guest: importing us, and starting and stopping a server, changes nothing of the host's.

Each scenario runs in a fresh interpreter of the version that runs this test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any, Dict

import pytest

import dcc_mcp_embed
from helpers import TESTS

#: Of the standard library, but too slow to import in a host's start-up.
HEAVY = {
    "asyncio",
    "dataclasses",
    "email",
    "http",
    "inspect",
    "logging.config",
    "ssl",
    "urllib.request",
}
#: What a server does without until somebody wants what needs it. OpenSSL, which ``hashlib`` loads,
#: is 4 MB of the 15 that the design allows.
NEEDLESS = {
    "_hashlib",
    "argparse",
    "bz2",
    "concurrent.futures",
    "encodings.idna",
    "hashlib",
    "hmac",
    "lzma",
    "multiprocessing",
    "pathlib",
    "platform",
    "random",
    "shutil",
    "subprocess",
    "tempfile",
    "urllib",
    "uuid",
    "dcc_mcp_embed.bridge",
    "dcc_mcp_embed.cli",
    "dcc_mcp_embed.installers.clients",
    "dcc_mcp_embed.ipc",
    "dcc_mcp_embed.mcp",
    "dcc_mcp_embed.server.qtserver",
    "dcc_mcp_embed.wire.http1.responses",
}
#: Scenario -> what it must not load.
UNWANTED = {
    "serve": HEAVY | NEEDLESS,
    # 3.8's argparse loads shutil, and that the compressions.
    "command": HEAVY | NEEDLESS - {"argparse", "bz2", "dcc_mcp_embed.cli", "lzma", "shutil"},
    # Its records are dataclasses, and those load inspect.
    "client": HEAVY - {"dataclasses", "inspect"},
}
#: Seconds of a bare import over the interpreter: the budget of the design.
IMPORT_BUDGET = 0.005

SCENARIOS = {
    "import": "import dcc_mcp_embed",
    "public names": "import dcc_mcp_embed\ndcc_mcp_embed.ToolError, dcc_mcp_embed.Annotated",
}
if find_spec("dcc_mcp_embed.embed"):
    SCENARIOS["serve"] = (
        "import dcc_mcp_embed, threading\n"
        "server = dcc_mcp_embed.start('standalone', port=0)\n"
        "serving.extend(t.name for t in threading.enumerate())\n"
        "assert server.wait_registered(30)\n"
        "dcc_mcp_embed.stop()\n"
    )
    SCENARIOS["command"] = "import dcc_mcp_embed.cli.main, dcc_mcp_embed.cli.serve"
    SCENARIOS["client"] = (
        "import dcc_mcp_embed, sys, threading\n"
        "from dcc_mcp_embed.mcp import MCPClientFacade, MCPPluginConfig\n"
        "server = dcc_mcp_embed.start('standalone', port=0)\n"
        "facade = MCPClientFacade()\n"
        "assert facade.register_sync(MCPPluginConfig('me', 'http', server.url))\n"
        "assert facade.call_tool_sync('me', 'http', 'get_status')\n"
        "program = {'plugin_type': 'stdio', 'command': sys.executable, 'args': ['-S', '-c', '']}\n"
        "assert not facade.register_sync(MCPPluginConfig('me', 'stdio', **program))\n"
        "serving.extend(t.name for t in threading.enumerate())\n"
        "facade.cleanup_sync()\n"
        "assert server.wait_registered(30)\n"
        "dcc_mcp_embed.stop()\n"
    )

#: Everything of the host's that ``helpers.host_state`` leaves out because pytest changes it itself.
GUEST = r"""
import sys
tests, scenario = sys.argv[1:]
sys.path.insert(0, tests)
import json, threading, os, warnings, atexit, helpers
sys.path.remove(tests)

def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask

def more():
    return {
        "warnings.filters": list(warnings.filters),
        "recursion limit": sys.getrecursionlimit(),
        "streams": (sys.stdin, sys.stdout, sys.stderr, sys.displayhook),
        "unraisable hook": getattr(sys, "unraisablehook", None),
        "thread hook": getattr(threading, "excepthook", None),
        "trace": (sys.gettrace(), sys.getprofile()),
        "umask": umask(),
        "bytecode": sys.dont_write_bytecode,
    }

stdlib = os.path.dirname(os.__file__)
def foreign(name):
    module = sys.modules.get(name)
    top = name.split(".")[0]
    if top == "dcc_mcp_embed" or top in sys.builtin_module_names:
        return False
    path = getattr(module, "__file__", None) or ""
    return not path.startswith(stdlib) or "site-packages" in path

modules = set(sys.modules)
before = more()
traces = helpers.Traces()
serving = []
exec(scenario, {"serving": serving})
changed = traces.new()
now = more()
changed += ["%s changed to %r" % (k, now[k]) for k in before if now[k] != before[k]]
fresh = sorted(set(sys.modules) - modules)
print(json.dumps({
    "changed": changed,
    "foreign": [name for name in fresh if foreign(name)],
    "serving": serving,
}))
"""

#: Without our helpers, which import half the standard library themselves.
BARE = r"""
import sys, time
serving = []
before = set(sys.modules)
began = time.perf_counter()
exec(sys.argv[1])
took = time.perf_counter() - began
import json
print(json.dumps({"took": took, "fresh": sorted(set(sys.modules) - before - {"json"})}))
"""


def run(script: str, *arguments: str, home: str) -> Dict[str, Any]:
    package = os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__))
    environ = dict(os.environ, PYTHONPATH=os.path.dirname(package), DCC_MCP_EMBED_HOME=home)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert done.stderr == b""
    answer: Dict[str, Any] = json.loads(done.stdout.decode("utf-8"))
    return answer


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_nothing_of_the_host_is_changed(name: str, tmp_path) -> None:
    answer = run(GUEST, TESTS, SCENARIOS[name], home=str(tmp_path))
    assert answer["changed"] == []
    assert answer["foreign"] == []
    runs = {"serve": "dcc-mcp-embed", "client": "dcc-mcp-embed mcp client"}.get(name)
    if runs is not None:
        assert runs in answer["serving"], "it never ran, so nothing was proven"


@pytest.mark.parametrize(
    ("crime", "told"),
    [
        ("import sys; sys.path.append('x')", "sys.path"),
        ("import sys; sys.meta_path.append(None)", "sys.meta_path"),
        ("import sys; sys.path_hooks.append(len)", "sys.path_hooks"),
        ("import logging; logging.basicConfig()", "root logger"),
        ("import logging; logging.getLogger().setLevel(1)", "root logger"),
        ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)", "signal handlers"),
        ("import socket; socket.setdefaulttimeout(3)", "socket default timeout"),
        ("import os; os.chdir('/')", "working directory"),
        ("import os; os.environ['X'] = '1'", "environment"),
        ("import os; os.umask(0o77)", "umask"),
        ("import gc; gc.disable()", "garbage collector"),
        ("import gc; gc.callbacks.append(lambda *a: None)", "gc callbacks"),
        ("import warnings; warnings.simplefilter('ignore')", "warnings.filters"),
        ("import sys; sys.setrecursionlimit(3000)", "recursion limit"),
        ("import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()", "thread"),
        ("import socket; kept.append(socket.socket())", "descriptor"),
        ("import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')", "locale"),
    ],
)
def test_check_sees_what_a_bad_guest_does(crime: str, told: str, tmp_path) -> None:
    # Two locales are needed to see one change.
    prelude = "import locale; locale.setlocale(locale.LC_ALL, 'C')\n" if "locale" in crime else ""
    script = prelude + GUEST.replace("traces.new()", "traces.new(grace=0.05)")
    scenario = "kept = serving\n" + crime
    if told == "descriptor":
        script = script.replace('"serving": serving,\n}', '"serving": [],\n}')
        script += "\nfor one in serving: one.close()"
    (line,) = run(script, TESTS, scenario, home=str(tmp_path))["changed"]
    assert told in line


def test_check_sees_a_foreign_module(tmp_path) -> None:
    (tmp_path / "stranger.py").write_text("", encoding="utf-8")
    scenario = "import sys; sys.path.insert(0, '.'); import stranger; del sys.path[0]"
    answer = run(GUEST, TESTS, scenario, home=str(tmp_path))
    assert answer["foreign"] == ["stranger"]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_no_heavy_module_is_loaded(name: str, tmp_path) -> None:
    if name == "public names" and sys.version_info < (3, 9):
        scenario = SCENARIOS["import"]  # the vendored typing_extensions imports inspect itself
    else:
        scenario = SCENARIOS[name]
    fresh = set(run(BARE, scenario, home=str(tmp_path))["fresh"])
    assert {n for n in fresh if n == "dcc_mcp_embed"} == {"dcc_mcp_embed"}
    assert fresh & UNWANTED.get(name, HEAVY) == set()


def test_bare_import_loads_almost_nothing(tmp_path) -> None:
    fresh = set(run(BARE, SCENARIOS["import"], home=str(tmp_path))["fresh"])
    ours = {name for name in fresh if name.split(".")[0] == "dcc_mcp_embed"}
    siblings = {"dcc_mcp_embed." + name for name in ("_vendor", "adapters", "installers")}
    assert ours - siblings == {"dcc_mcp_embed", "dcc_mcp_embed._layout"}
    assert "typing" not in fresh


def test_bare_import_keeps_its_budget(tmp_path) -> None:
    # The best of several: the others measure what else the machine does.
    times = [run(BARE, SCENARIOS["import"], home=str(tmp_path))["took"] for _ in range(7)]
    assert min(times) < IMPORT_BUDGET
