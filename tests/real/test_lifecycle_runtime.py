"""The real sidecar (``dcc-mcp-server``, PyPI) as an installer sees it: queried, planned, stopped.

Beside it a bridge of the test's own, since the sidecar calls a host that listens; what it says of
itself in its row is read as it stands there.
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import urllib.request

import pytest

import helpers
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.install_lifecycle import (
    launch_sidecar,
    plan_runtime_updates,
    query_runtime_state,
    stop_runtime_entries,
)
from dcc_mcp_embed.registry.file_registry import open_registry
from fakes.served import Served
from real.processes import DEADLINE, Process
from real.test_registry_gateway import wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX"),
]

SIDECAR = "per-dcc-sidecar"
VERSION = "0.20.49"
#: A host as far as a sidecar can tell: a process.
HOST = "import sys; print(1, flush=True); sys.stdin.read()"


class Bridge(socketserver.ThreadingTCPServer):
    """``qtserver://``: lines of JSON; every call is answered with its own arguments."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.url = "qtserver://127.0.0.1:{}".format(self.server_address[1])
        self.calls = []
        self.open = set()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def __exit__(self, *details):
        self.shutdown()
        self.thread.join()
        for connection in list(self.open):
            connection.shutdown(2)
        super().__exit__(*details)
        wait_until(lambda: not self.open, "nobody talks to the bridge any more")


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.open.add(self.connection)
        try:
            for line in self.rfile:
                asked = json.loads(line)
                self.server.calls.append(asked)
                text = json.dumps(asked["params"]["args"])
                result = {"content": [{"type": "text", "text": text}], "isError": False}
                answer = {"id": asked["id"], "result": result}
                self.wfile.write(json.dumps(answer).encode() + b"\n")
        except OSError:
            pass
        finally:
            self.server.open.discard(self.connection)


class World:
    """A bridge, a host process, a registry, and sidecars that are gone at the end."""

    def __init__(self, home):
        self.home = home
        self.directory = os.path.join(home, "registry")
        os.mkdir(self.directory, 0o700)
        venv = helpers.peer_venv("gateway", ["dcc-mcp-server==" + VERSION])
        self.binary = os.path.join(os.path.dirname(venv), "dcc-mcp-server")
        self.bridge = Bridge()
        self.host = Process([sys.executable, "-S", "-c", HOST], name="host")
        assert self.host.line() == "1"

    def launch(self, **options):
        """Launch a sidecar through us; return its process's number."""
        found = launch_sidecar(
            **dict(
                {
                    "dcc_type": "maya",
                    "host_rpc": self.bridge.url,
                    "watch_pid": self.host.pid,
                    "registry_dir": self.directory,
                    "server_bin": self.binary,
                    "no_ensure_gateway": True,
                    "adapter_version": "1.2.3",
                    "env": {"HOME": self.home, "RUST_LOG": "warn"},
                },
                **options,
            )
        )
        assert found["success"], found
        return found["pid"]

    def query(self, **options):
        return query_runtime_state(self.directory, role=SIDECAR, **options)

    def ready(self):
        """Return the only sidecar's entry, once it is ready."""

        def entry():
            found = self.query()["entries"]
            return found[0] if len(found) == 1 and found[0]["dispatch_ready"] else None

        wait_until(entry, "the sidecar is ready")
        return entry()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.close()
        self.bridge.__exit__(None, None, None)
        # They end with their host.
        wait_until(lambda: not self.query(include_dead=False)["entries"], "no sidecar is left")


@pytest.fixture
def world(tmp_path):
    with World(str(tmp_path)) as one:
        yield one


def gone(pid):
    """Return whether there is no process with this number, not even a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def call(url, arguments):
    body = {
        "jsonrpc": "2.0",
        "id": "1",
        "method": "tools/call",
        "params": {"name": "scene", "arguments": arguments},
    }
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Accept": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return json.loads(answer.read().decode())["result"]


def test_it_is_queried_planned_and_stopped_and_leaves_no_zombie(world):
    pid = world.launch()
    entry = world.ready()
    assert (entry["sidecar_pid"], entry["runtime_pid"]) == (pid, pid)
    assert entry["parent_pid"] == world.host.pid, "the host's own, not the sidecar's"
    assert entry["sentinel_held"] is True
    assert entry["runtime_alive"] is True
    assert entry["dispatch"]["host_rpc_uri"] == world.bridge.url
    assert entry["dispatch"]["host_rpc_scheme"] == "qtserver"
    assert entry["versions"]["server"] == VERSION
    assert entry["versions"]["adapter"] == "1.2.3"
    answer = call(entry["mcp_url"], {"x": 1})
    assert json.loads(answer["content"][0]["text"]) == {"x": 1}
    # Our registry's own code sees the same.
    registry = open_registry(world.directory, {}, SystemClock(), make=False)
    (theirs,) = registry.entries()
    assert (theirs.instance_id, theirs.pid) == (entry["instance_id"], pid)
    assert not registry.is_gone("maya", entry["instance_id"])
    # Old code in it, and which.
    plan = plan_runtime_updates(
        world.query(), target_versions={"server": "0.21.0", "adapter": "1.2.3"}
    )["plans"][0]
    assert (plan["action"], plan["stale_components"]) == ("restart_sidecar", ["server"])
    plan = plan_runtime_updates(world.query(), target_versions={"server": VERSION})["plans"][0]
    assert plan["action"] == "keep"
    # And it ends.
    answer = stop_runtime_entries(world.directory, dcc_type="maya", timeout_secs=DEADLINE)
    assert answer["success"], answer
    (result,) = answer["results"]
    assert (result["pid"], result["target"], result["status"]) == (pid, "sidecar", "stopped")
    wait_until(lambda: gone(pid), "it was waited for")
    assert world.query()["total"] == 0, "it has taken its row along"
    assert not gone(world.host.pid), "the host goes on"
    answer = stop_runtime_entries(world.directory, dcc_type="maya")
    assert (answer["success"], answer["total"]) == (True, 0)


def test_one_that_was_killed_is_told_dead_and_nobody_is_signalled_for_it(world):
    pid = world.launch()
    world.ready()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid), "it was waited for")
    answer = world.query()
    assert (answer["total"], answer["dead_count"], answer["alive_count"]) == (1, 1, 0)
    assert answer["entries"][0]["dispatch_ready"] is False
    assert world.query(include_dead=False)["total"] == 0
    answer = stop_runtime_entries(world.directory)
    assert answer["success"]
    assert answer["results"][0]["status"] == "already_stopped"


def test_it_is_gone_once_its_host_was_killed(world):
    pid = world.launch()
    world.ready()
    os.kill(world.host.pid, signal.SIGKILL)
    world.host.wait()
    wait_until(lambda: gone(pid), "the sidecar has ended, and was waited for")
    wait_until(lambda: world.query()["total"] == 0, "its row is gone")


def test_another_programs_is_stopped_as_well(world):
    """One whose parent is not this process: what an uninstaller finds."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from dcc_mcp_embed.install_lifecycle import launch_sidecar\n"
        "print(json.dumps(launch_sidecar(**json.loads(sys.argv[2]))))"
    )
    options = {
        "dcc_type": "maya",
        "host_rpc": world.bridge.url,
        "watch_pid": world.host.pid,
        "registry_dir": world.directory,
        "server_bin": world.binary,
        "no_ensure_gateway": True,
        "env": {"HOME": world.home},
    }
    done = subprocess.run(
        [sys.executable, "-c", code, helpers.ROOT, json.dumps(options)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=DEADLINE,
    )
    pid = json.loads(done.stdout.decode())["pid"]
    world.ready()
    answer = stop_runtime_entries(world.directory, timeout_secs=DEADLINE)
    assert [one["status"] for one in answer["results"]] == ["stopped"]
    wait_until(lambda: gone(pid), "it is gone")


def test_our_own_server_stands_beside_it_and_is_stopped_politely(world):
    """The row of our server: component ``embed``, a host's process, a safe stop of its own."""
    with Served(world.home) as served:
        registry = open_registry(world.directory, {}, SystemClock(), make=False)
        wait_until(lambda: registry.entries("standalone"), "our server is registered")
        world.launch()
        world.ready()
        state = query_runtime_state(world.directory, dcc_type="standalone")
        (entry,) = state["entries"]
        assert entry["runtime_alive"] is True
        assert entry["parent_pid"] == served.process.pid
        version = entry["versions"]["embed"]
        plan = plan_runtime_updates(
            query_runtime_state(world.directory),
            target_versions={"server": VERSION, "embed": "9999", "core": None},
        )
        actions = {one["dcc_type"]: one["action"] for one in plan["plans"]}
        assert actions == {"standalone": "restart_via_command", "maya": "keep"}
        plan = plan_runtime_updates(state, target_versions={"embed": version, "core": "1"})
        assert plan["plans"][0]["action"] == "keep"
        # By default nobody touches it; asked for, it is asked.
        assert stop_runtime_entries(world.directory, dcc_type="standalone")["total"] == 0
        answer = stop_runtime_entries(
            world.directory,
            dcc_type="standalone",
            role=None,
            include_host_processes=True,
            timeout_secs=DEADLINE,
        )
        (result,) = answer["results"]
        assert (result["status"], result["stopped_by"]) == ("stopped", "safe_stop"), result
        assert served.end(None) == 0
