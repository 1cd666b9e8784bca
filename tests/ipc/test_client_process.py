"""Processes that end, or fork, with a client that nobody has disconnected."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from dcc_mcp_embed.ipc import SocketServer
from fakes.ipc_raw import until
from fakes.served import environment
from ipc.stages import same

pytestmark = pytest.mark.edges

DEADLINE = 30.0

PRELUDE = """
import asyncio, atexit, faulthandler, os, signal, sys, threading
faulthandler.dump_traceback_later(20, exit=True)
from dcc_mcp_embed.ipc import SocketClient, SocketServer
from dcc_mcp_embed.ipc.answers import NotConnected
client = SocketClient(sys.argv[1], "client", secret="test", reconnect_interval=0.02)

def wait_for(condition):
    moment = threading.Event()
    for _ in range(5000):
        if condition():
            return
        moment.wait(0.002)
    raise AssertionError("it never came to that")
"""

#: Name -> what the process does.
ENDS = {
    "connected": """
assert client.connect_sync()
assert client.request_sync("echo", 1) == 1
""",
    "while its heart beats": """
client = SocketClient(sys.argv[1], "client", secret="test", heartbeat_interval=0.005)
assert client.connect_sync()
beats = lambda: client.get_stats()["heartbeats"]
wait_for(lambda: beats() > 10)
# The end of the interpreter takes a while, and it beats all the time.
atexit.register(lambda before=beats(): wait_for(lambda: beats() > before + 10))
""",
    "connected with await": """
async def main():
    @client.on_push("news")
    async def news(push_type, data):
        await asyncio.Event().wait()
    assert await client.connect()
    assert await client.request("push") == 1
    assert await client.request("echo", 1) == 1
asyncio.run(main())
""",
    "its asyncio loop is gone and pushes come": """
async def main():
    client.on_push("news")(lambda push_type, data: None)
    assert await client.connect()
asyncio.run(main())
for _ in range(100):
    assert client.request_sync("push") == 1
assert client.get_stats()["callbacks_dropped"] == 100
""",
    "with a handler that never returns": """
entered = threading.Event()
@client.on_push("news")
def news(push_type, data):
    entered.set()
    threading.Event().wait()
assert client.connect_sync()
client.request_sync("push")
assert entered.wait(10)
""",
    "with a handler that is busy": """
@client.on_push("news")
def news(push_type, data):
    while True:
        client.request_sync("push")
assert client.connect_sync()
client.request_sync("push")
wait_for(lambda: client.get_stats()["pushes"] > 20)
""",
    "with requests under way": """
assert client.connect_sync()
for _ in range(8):
    threading.Thread(target=client.request_sync, args=("hold",), daemon=True).start()
wait_for(lambda: client.get_stats()["in_flight"] == 8)
""",
    "while it reconnects": """
own = sys.argv[1] + "-own"
server = SocketServer(own, secret="test")
server.start_background_sync()
client = SocketClient(own, "client", secret="test", reconnect_interval=0.001)
down = threading.Event()
client.set_connect_callback(lambda: None)
client.set_disconnect_callback(down.set)
assert client.connect_sync()
server.stop_sync()
assert down.wait(10)
threading.Thread(target=client.request_sync, args=("echo", 1, 1000.0), daemon=True).start()
wait_for(lambda: client.get_stats()["held"] == 1)
attempts = client._core.session._attempts
def more_attempts():
    before = attempts.number
    wait_for(lambda: attempts.number > before + 10)
more_attempts()
# The end of the interpreter takes a while, and there are attempts all the time.
atexit.register(more_attempts)
""",
    "while it connects": """
client = SocketClient(sys.argv[1] + "-none", "client", secret="test", reconnect_interval=0.001)
threading.Thread(target=client.connect_sync, args=(10 ** 9,), daemon=True).start()
wait_for(lambda: client.last_error)
""",
    "used at exit": """
assert client.connect_sync()
def bye():
    assert client.request_sync("echo", "bye") == "bye"
    client.disconnect_sync()
    print("bye")
atexit.register(bye)
""",
    "connected at exit": """
client.set_connect_callback(lambda: None)
def late():
    try:
        print("connected", client.connect_sync(0))
    except RuntimeError as error:
        assert "shutdown" in str(error), error
atexit.register(late)
""",
    "by an exception": """
assert client.connect_sync()
sys.exit(0)
""",
}


@pytest.fixture
def server(path):
    with SocketServer(path, "server", secret="test") as server:
        server.register_handler("echo", same)
        server.register_handler("push", lambda data: server.push_sync("news", data))
        server.register_handler("hold", lambda data: hold(server))
        yield server


def hold(server):
    until(lambda: not server.get_stats()["connections"])


def execute(script, path, *options, prelude=PRELUDE):
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [sys.executable, *options, "-c", prelude + script, path],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
        )


@pytest.mark.parametrize("name", sorted(ENDS))
def test_a_process_ends_without_a_word(server, path, name):
    done = execute(ENDS[name], path, "-W", "error")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if name == "used at exit":
        assert done.stdout == "bye\n"


FORK = """
assert client.connect_sync()
assert client.request_sync("echo", 0) == 0
stop = threading.Event()
failures = []

def ask():
    number = 0
    while not stop.is_set():
        number += 1
        try:
            assert client.request_sync("echo", number) == number
        except BaseException as error:
            failures.append(error)

threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
children = []
for round_ in range(10):
    ident = os.fork()
    if not ident:
        signal.alarm(20)
        if os.path.isdir("/proc/self/fd"):
            names = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
            targets = [os.readlink(name) for name in names if os.path.lexists(name)]
            assert not [one for one in targets if one.startswith("socket:")], targets
        try:
            client.request_sync("echo", 1)
        except NotConnected:
            pass
        else:
            os._exit(3)
        if round_ % 2:
            assert client.connect_sync(), client.last_error
            for number in range(20):
                assert client.request_sync("echo", number) == number
            client.disconnect_sync()
        os._exit(7)
    children.append(ident)
for ident in children:
    assert os.WEXITSTATUS(os.waitpid(ident, 0)[1]) == 7
stop.set()
for thread in threads:
    thread.join()
assert failures == [], failures
assert client.request_sync("echo", "on") == "on"
assert client.get_stats()["reconnects"] == 0
client.disconnect_sync()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_no_connection_and_makes_one_of_its_own(server, path):
    # A child of a process whose stacks are to be shown later would wait for them.
    prelude = PRELUDE.replace("faulthandler.dump_traceback_later(20, exit=True)", "")
    done = execute(FORK, path, "-W", "ignore::DeprecationWarning", prelude=prelude)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


FORK_LATER = """
told = []
client.set_connect_callback(lambda: told.append("up"))
assert client.connect_sync(), client.last_error
client.disconnect_sync()
# Its thread for callbacks still lingers here, and there only here.
ident = os.fork()
if not ident:
    signal.alarm(20)
    del told[:]
    assert client.get_stats()["last_error"] is None
    assert client.connect_sync(), client.last_error
    assert told == ["up"]
    client.disconnect_sync()
    os._exit(7)
assert os.WEXITSTATUS(os.waitpid(ident, 0)[1]) == 7
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_uses_a_client_that_was_disconnected_before(server, path):
    prelude = PRELUDE.replace("faulthandler.dump_traceback_later(20, exit=True)", "")
    done = execute(FORK_LATER, path, "-W", "ignore::DeprecationWarning", prelude=prelude)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


INERT = """
import dcc_mcp_embed.ipc.socket_client
assert threading.active_count() == 1
SocketClient("/tmp/none", "client")
assert threading.active_count() == 1
"""


def test_importing_and_making_one_starts_nothing(path):
    done = execute(INERT, path, "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")


WITHOUT = """
assert client.connect_sync()
assert client.request_sync("echo", 1) == 1
client.disconnect_sync()
assert "asyncio" not in sys.modules
"""


def test_without_await_asyncio_is_not_imported(server, path):
    done = execute(WITHOUT, path, "-W", "error", prelude=PRELUDE.replace("asyncio, ", ""))
    assert (done.returncode, done.stderr) == (0, "")
