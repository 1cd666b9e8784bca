"""A process that serves is forked: the child is no server, and its parent's goes on untouched."""

from __future__ import annotations

import os
import signal

import pytest

from fakes.served import Served
from server.forking import run

pytestmark = [pytest.mark.edges, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]

#: ``child()`` is what the forked process does; it ends as any process does, by sys.exit.
PROCESS = """
import faulthandler, gc, json, os, socket, sys, threading
import dcc_mcp_embed
from dcc_mcp_embed import embed
# Before the fork: what fails in the child's first moments, before its first line, shows too.
faulthandler.enable()
# The first thread of a process that ends has the C library load how to unwind, where Python is
# older than 3.9.6. Forked in the middle of that, a process is aborted by the first of its own that
# ends, whatever they do (bpo-44434 has the like): one in 700 on 3.7, and none if it was loaded.
threading.Thread(target=int).start()
while os.path.isdir("/proc/self/task") and len(os.listdir("/proc/self/task")) > 1:
    threading.Event().wait(0.001)
server = dcc_mcp_embed.start("standalone", port=0)
assert server.wait_registered(10)
{before}

def facts():
    with open(os.path.join(os.environ["DCC_MCP_REGISTRY_DIR"], "services.json")) as file:
        rows = json.load(file)
    return {{row["pid"]: (row["instance_id"], row["port"], row["scene"]) for row in rows}}

def answers(one):
    found = []
    def ask():
        try:
            found.append(one.call("get_scene_info") is not None)
        except BaseException as error:
            found.append(type(error).__name__)
        one.adapter.close()
    asking = threading.Thread(target=ask)
    asking.start()
    one.serve_forever()
    asking.join()
    return found

{child}

before = facts()
sys.stdout.flush()
ident = os.fork()
if not ident:
    faulthandler.dump_traceback_later(20, exit=True)
    child()
    sys.exit(7)
status = os.waitpid(ident, 0)[1]
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 7, "waitpid says {{}}".format(status)
assert list(before) == [os.getpid()]
assert facts() == before, (before, facts())
assert dcc_mcp_embed.start() is server
with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
    sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    assert sock.recv(5) == b"HTTP/"
server.stop()
assert facts() == {{}}
print("done")
"""

#: Name -> (what happens before the fork, what the child does).
SCENES = {
    "it just ends": ("", "def child(): pass"),
    "it stops what it thinks is its server": ("", "def child(): server.stop(); embed.stop()"),
    "it starts one of its own": (
        "",
        """
def child():
    own = dcc_mcp_embed.start("standalone", port=0)
    assert own is not server and own.port != server.port
    assert own.instance_id != server.instance_id
    assert own.wait_registered(10)
    assert set(facts()) == {os.getpid(), os.getppid()}
    assert answers(own) == [True]
    own.stop()
    assert set(facts()) == {os.getppid()}
""",
    ),
    "its scene changes": (
        "",
        """
def child():
    server._instance.scene = "/child"
    server._registration.changed()
    assert not server.wait_registered(0)
    assert "dcc-mcp-embed-registry" not in [one.name for one in threading.enumerate()]
""",
    ),
    "it asks what is left of the server": (
        "",
        """
def child():
    assert server.transport is None
    assert "stopped" in repr(server)
    assert answers(server) == ["HostShuttingDown"]
""",
    ),
    "other threads are in the middle of everything": (
        """
from dcc_mcp_embed import collector
locks = [server._sharing._lock, embed.PLACE.lock, server._lanes["main"]._lane.lock]
locks += [server._registration._tried._cond, server._registration._opened._cond, collector._lock]
held, leave = threading.Event(), threading.Event()
def hold():
    collector.guard()
    collector.pause()
    for lock in locks:
        lock.acquire()
    held.set()
    leave.wait()
    for lock in locks[::-1]:
        lock.release()
    collector.resume()
    collector.unguard()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
fork = os.fork
def fork_and_let_go():
    ident = fork()
    if ident:
        # Before it can be asked anything.
        leave.set()
        holder.join()
    return ident
os.fork = fork_and_let_go
""",
        """
def child():
    assert gc.isenabled() and not gc.callbacks
    assert server.transport is None
    assert not server.wait_registered(0.1)
    assert answers(server) == ["HostShuttingDown"]
    own = dcc_mcp_embed.start("standalone", port=0)
    assert own is not server
""",
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_forked_child_is_no_server_and_its_parents_goes_on(tmp_path, scene):
    before, child = SCENES[scene]
    done = run(PROCESS.format(before=before, child=child), str(tmp_path))
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "done\n")


FORKING = """
import os, signal
import dcc_mcp_embed

@dcc_mcp_embed.tool
def fork_and_end_it(number: int) -> int:
    'Fork a child that waits, and send it a signal.'
    ident = os.fork()
    if not ident:
        try:
            # Whatever else it may do then, it does not wait for ever.
            signal.alarm(10)
            os.write(writes, b"x")
            while True:
                signal.pause()
        finally:
            os._exit(9)
    os.read(reads, 1)
    os.kill(ident, number)
    return os.waitpid(ident, 0)[1]

reads, writes = os.pipe()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_to_a_forked_child_ends_the_child_only(tmp_path, number):
    with open(str(tmp_path / "forking.py"), "w") as file:
        file.write("import warnings\nwarnings.simplefilter('ignore')\n" + FORKING)
    with Served(str(tmp_path), "--tools", "forking.py") as served, served.connect() as wire:
        result = wire.tool("fork_and_end_it", {"number": int(number)})
        # By the signal itself, or by the KeyboardInterrupt that it is in Python.
        ended = int(number) if number == signal.SIGTERM else 9 << 8
        assert result["structuredContent"]["data"]["value"] == ended
        for _ in range(20):
            with served.connect() as other:
                assert other.tool("get_scene_info")["structuredContent"]["ok"]
        assert served.process.poll() is None
