"""Several hosts on one machine, strangers in one host, and two copies of us in one process."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import types

import pytest
from dcc_mcp_embed.adapters.standalone import create
from dcc_mcp_embed.installers import payload

import dcc_mcp_embed
from dcc_mcp_embed import embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.embed import copies
from dcc_mcp_embed.errors import StartError
from dcc_mcp_embed.registry.file_registry import open_registry
from fakes.live import starting
from fakes.served import Served, run

pytestmark = pytest.mark.edges

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__)))
DEADLINE = 60.0


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as start:
        yield start


# Several hosts on one machine.


def test_several_hosts_share_a_machine(tmp_path):
    home = str(tmp_path)
    kinds = ("first", "second", "third")
    with Served(home) as first, Served(home) as second, Served(home) as third:
        hosts = dict(zip(kinds, (first, second, third)))
        assert len({one.facts["port"] for one in hosts.values()}) == 3
        assert len({one.facts["instance_id"] for one in hosts.values()}) == 3
        for name, one in hosts.items():
            chosen = ("--instance", one.facts["instance_id"])
            made = json.dumps({"kind": "cube", "name": name})
            done = run(home, "call", "create_object", *chosen, "--args", made)
            assert done.returncode == 0, done.stderr
        for name, one in hosts.items():
            done = run(home, "call", "list_objects", "--instance", one.facts["instance_id"])
            found = json.loads(done.stdout)["data"]["items"]
            assert [item["name"] for item in found] == [name]
        done = run(home, "doctor", "--in-host")
        assert done.returncode == 2
        assert "choose one with --instance" in done.stderr
        done = run(home, "doctor", "--in-host", "--instance", second.facts["instance_id"])
        assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(run(home, "instances", "--json").stdout)
    assert rows == []


# Another dcc-mcp plug-in in the same host.


@pytest.fixture
def neighbour(tmp_path, monkeypatch):
    """Another dcc-mcp plug-in in this process: its modules, its port, its row."""
    modules = {name: types.ModuleType(name) for name in ("dcc_mcp_core", "dcc_mcp_standalone")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    directory = os.path.join(str(tmp_path), "registry")
    registry = open_registry(directory, {}, SystemClock())
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        row = registry.register("standalone", "127.0.0.1", sock.getsockname()[1])
        yield types.SimpleNamespace(modules=modules, registry=registry, row=row, sock=sock)
        registry.close()


def test_another_plug_in_of_the_family_is_left_alone(neighbour, start):
    live = start()
    told = live.server.wait_registered()
    assert told
    assert live.server.port != neighbour.row.port
    rows = neighbour.registry.entries("standalone")
    assert {row.instance_id for row in rows} == {
        neighbour.row.instance_id,
        live.server.instance_id,
    }
    said = [line.text for line in live.server.logbook.read(100, "info")]
    assert "dcc_mcp_core, dcc_mcp_standalone is loaded in this host, too; it serves for itself" in (
        said
    )
    live.close()
    left = neighbour.registry.entries("standalone")
    assert [row.instance_id for row in left] == [neighbour.row.instance_id]
    assert all(sys.modules[name] is one for name, one in neighbour.modules.items())


def test_the_doctor_asks_us_and_not_the_neighbour(neighbour, start, tmp_path):
    start()
    done = run(str(tmp_path), "doctor", "--in-host", "--dcc", "standalone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "also loaded: dcc_mcp_core, dcc_mcp_standalone" in done.stdout


# A second copy of us in one process.


def test_who_serves_is_told_as_long_as_it_does(start):
    assert copies.KEY not in sys.modules
    live = start()
    told = sys.modules[copies.KEY]
    names = {name for name in vars(told) if not name.startswith("__")}
    # Copies of other versions rely on this: what is added is of no use to them.
    assert names == {"version", "pid", "url", "path"}
    assert told.version == dcc_mcp_embed.__version__
    assert told.pid == os.getpid()
    assert told.url == live.server.plain_url
    assert live.server.token not in told.url
    assert os.path.samefile(told.path, os.path.dirname(dcc_mcp_embed.__file__))
    live.close()
    assert copies.KEY not in sys.modules


def _planted(monkeypatch, **facts):
    other = types.ModuleType(copies.KEY)
    vars(other).update(facts)
    monkeypatch.setitem(sys.modules, copies.KEY, other)
    return other


def test_a_start_beside_another_copy_is_refused_with_the_reason(monkeypatch, tmp_path):
    url = "http://127.0.0.1:4711/mcp"
    other = _planted(monkeypatch, version="9.9", pid=os.getpid(), url=url, path="/there")
    made = []
    monkeypatch.setattr(embed, "load_adapter", lambda name: made.append(name))
    with pytest.raises(StartError) as refused:
        embed.start(port=0)
    for part in ("version 9.9", "/there", url, "stop-instance " + url):
        assert part in str(refused.value)
    assert made == []
    assert sys.modules[copies.KEY] is other


def test_what_cannot_be_understood_is_taken_for_a_copy(monkeypatch):
    _planted(monkeypatch, of_a_later_contract=True)
    with pytest.raises(StartError, match=r"version \(not told\)"):
        embed.start(port=0)


def test_what_was_inherited_from_another_process_is_no_copy(monkeypatch, start):
    _planted(monkeypatch, version="1", pid=os.getpid() + 1, url="", path="")
    live = start()
    assert sys.modules[copies.KEY].url == live.server.plain_url


def test_a_start_that_fails_leaves_no_claim(tmp_path, monkeypatch):
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(tmp_path))
    monkeypatch.setattr(embed.EmbeddedServer, "_run", lambda self, undo: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        embed.start(adapter=create(), port=0, registry_dir=str(tmp_path / "registry"))
    assert copies.KEY not in sys.modules


#: Run in a process of its own: it loads the package twice.
TWICE = """
    import json, os, sys, threading
    sys.path.insert(0, sys.argv[1])
    import dcc_mcp_embed
    from dcc_mcp_embed.adapters.standalone import create
    adapter = create()
    first = dcc_mcp_embed.start(adapter=adapter, port=0)

    loaded = {"os": os, "sys": sys}
    exec(sys.argv[3], loaded)
    copy = loaded["copy"]
    assert copy is not dcc_mcp_embed and copy.start is not dcc_mcp_embed.start
    found = {}
    threads = threading.active_count()
    try:
        copy.start(adapter="standalone", port=0)
    except Exception as error:
        found["refused"] = [type(error).__name__, str(error)]
    found["threads"] = threading.active_count() - threads
    found["url"] = first.plain_url

    def ask():
        found["served"] = first.call("get_status")["verdict"]
        adapter.close()

    asking = threading.Thread(target=ask)
    asking.start()
    first.serve_forever()
    asking.join()
    first.stop()
    second = copy.start(adapter="standalone", port=0)
    found["after"] = second is not first and second.plain_url
    second.stop()
    print(json.dumps(found))
"""
#: How a second copy comes into a process.
LOADS = {
    # An upgraded payload: what was loaded is dropped, and loaded from another place.
    "from another place": """
        for name in [n for n in sys.modules if n.split(".")[0] == "dcc_mcp_embed"]:
            del sys.modules[name]
        sys.path[0] = sys.argv[2]
        import dcc_mcp_embed as copy
    """,
    # Another plug-in that brings us along within its own package.
    "within another package": """
        sys.path.append(os.path.join(sys.argv[2], "beside"))
        import other._vendor.dcc_mcp_embed as copy
    """,
}


@pytest.mark.parametrize("load", LOADS, ids=str)
def test_a_second_copy_in_one_process_starts_nothing(load, tmp_path):
    there = tmp_path / "there"
    for root in (there, there / "beside" / "other" / "_vendor"):
        # Whole below its name, wherever the parts of this one lie.
        for path, source in payload.own_files().items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, str(root / path))
    scripts = [textwrap.dedent(one) for one in (TWICE, LOADS[load])]
    environ = dict(os.environ, DCC_MCP_EMBED_HOME=str(tmp_path))
    environ["DCC_MCP_REGISTRY_DIR"] = str(tmp_path / "registry")
    done = subprocess.run(
        [sys.executable, "-c", scripts[0], ROOT, str(there), scripts[1]],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    kind, text = found["refused"]
    assert kind == "StartError"
    assert found["url"] in text and os.path.join(ROOT, "dcc_mcp_embed") in text
    assert found["threads"] == 0
    assert found["served"] == "healthy"
    assert found["after"] and found["after"] != found["url"]


def test_the_same_copy_gives_the_running_server(start):
    live = start()
    assert importlib.import_module("dcc_mcp_embed").start() is live.server
