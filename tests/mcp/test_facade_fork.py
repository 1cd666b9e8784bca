"""A process that uses a facade is forked: the child begins anew, its parent goes on untouched."""

from __future__ import annotations

import os

import pytest

from fakes.served import Served
from server.forking import run

pytestmark = [pytest.mark.edges, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]

#: ``child()`` is what the forked process does; it ends as any process does, by sys.exit.
PROCESS = """
import faulthandler, os, sys, threading, traceback
from dcc_mcp_embed.mcp import MCPClientFacade, MCPPluginConfig
faulthandler.enable()
URL = {url!r}
facade = MCPClientFacade()
config = MCPPluginConfig("me", "host", URL)
events = []
facade.register_status_callback(lambda event: events.append(event["new_status"]))

def status():
    return facade.call_tool_sync("me", "host", "get_status")

def sockets():
    found = []
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        try:
            found.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            continue
    return [one for one in found if one.startswith(("socket:", "anon_inode:"))]

plain = sockets()
assert facade.register_sync(config)
facade.get_tools_sync("me", "host")
assert status()
# In use by other threads, at the very moment.
over = threading.Event()
def use():
    while not over.is_set():
        facade.get_tools_sync("me", "host")
        facade.get_tools_sync("me", "host", use_cache=False)
        facade.get_metrics()
        facade.format_tools_for_openai([{{"name": "x"}}], "host")
users = [threading.Thread(target=use, daemon=True) for _ in range(2)]
for user in users:
    user.start()

{child}

for _ in range(3):
    sys.stdout.flush()
    for lock in (facade._lock, facade._events._lock):
        lock.acquire()
    ident = os.fork()
    if ident:
        for lock in (facade._lock, facade._events._lock):
            lock.release()
    else:
        faulthandler.dump_traceback_later(20, exit=True)
        try:
            child()
        except BaseException:
            traceback.print_exc()
            sys.exit(1)
        sys.exit(7)
    ended = os.waitpid(ident, 0)[1]
    assert os.WIFEXITED(ended) and os.WEXITSTATUS(ended) == 7, ended
    assert status()
over.set()
for user in users:
    user.join()
assert events == ["active"]
assert facade.is_registered("me", "host")
facade.cleanup_sync()
assert events == ["active", "inactive"]
print("done")
"""

SCENES = {
    "it just ends": "def child(): pass",
    "nothing is registered there": """
def child():
    assert not facade.is_registered("me", "host")
    assert facade.get_session_stats()["total_sessions"] == 0
    assert facade.get_cache_stats()["total_entries"] == 0
    assert len(sockets()) == len(plain), sockets()
    try:
        status()
    except ValueError:
        pass
    else:
        raise AssertionError("it goes on with its parent's conversation")
    facade.cleanup_sync()
""",
    "another is connecting just now": """
from dcc_mcp_embed.net import dialing, tasks
connect, silent, connecting = dialing._connect, ("127.0.0.1", 1), threading.Event()
async def wait(loop, sock, name):
    if name != silent:
        return await connect(loop, sock, name)
    connecting.set()
    await tasks.Wait()
dialing._connect = wait
other = MCPClientFacade()
nowhere = MCPPluginConfig("me", "nowhere", "http://{}:{}/mcp".format(*silent))
threading.Thread(target=other.register_sync, args=(nowhere,), daemon=True).start()
assert connecting.wait(20)

def child():
    assert len(sockets()) == len(plain), sockets()
""",
    "a socket of another is being made just now": """
from types import SimpleNamespace
from dcc_mcp_embed.net import dialing
made, forking = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)
class Slow(dialing.socket.socket):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        if not facade._engine.is_current():
            made.set()
            assert forking.wait(20)
dialing.socket = SimpleNamespace(**dict(vars(dialing.socket), socket=Slow))
other = MCPClientFacade()
nowhere = MCPPluginConfig("me", "nowhere", "http://127.0.0.1:1/mcp")
threading.Thread(target=other.register_sync, args=(nowhere,), daemon=True).start()
assert made.wait(20)

def child():
    assert len(sockets()) == len(plain), sockets()
""",
    "it registers for itself": """
def child():
    events.clear()
    assert facade.register_sync(config)
    assert status()
    assert facade.format_tools_for_openai([{"name": "y"}], "host")
    facade.cleanup_sync()
    assert events == ["active", "inactive"], events
    assert not [one for one in threading.enumerate() if "mcp client" in one.name]
""",
    "it cleans up what it thinks is its own": """
def child():
    facade.cleanup_sync()
    facade.cleanup_sync()
""",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with Served(str(tmp_path_factory.mktemp("served"))) as server:
        yield server.facts["url"]


@pytest.mark.parametrize("scene", list(SCENES))
def test_a_fork_while_a_facade_is_in_use(scene, url, tmp_path):
    done = run(PROCESS.format(url=url, child=SCENES[scene]), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    assert done.stderr == ""
