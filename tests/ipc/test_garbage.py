"""What handlers leave in circles is collected, whoever started them, and however idle others are.

Each in its own process: other tests make theirs a host's for good (see ``collector``).
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from fakes.ipc_raw import DEADLINE
from helpers import ROOT

pytestmark = pytest.mark.edges

COMMON = r"""
import asyncio, collections, gc, sys, threading, types
if sys.argv[3] == "host":
    sys.modules["PySide6"] = types.ModuleType("PySide6")
from dcc_mcp_embed import collector
from dcc_mcp_embed.ipc import SocketClient, SocketServer

#: How many were collected on a thread of ours, and on others.
ours = collections.Counter()

class Circle:
    alive = 0

    def __init__(self):
        Circle.alive += 1
        self.itself = self

    def __del__(self):
        Circle.alive -= 1
        ours[threading.current_thread().name.startswith("dcc-mcp-embed")] += 1

def litter(data):
    for _ in range(50):
        Circle()
    return Circle.alive

# Not the interpreter's own, which differ: a collection of what is young at a hundred objects.
gc.collect()
gc.freeze()
gc.set_threshold(100, 10, 10)
assert collector.held() is (sys.argv[3] == "host")
server = SocketServer(sys.argv[1], secret=b"s" * 32)
"""

#: A process of its own, so that no thread of the server's process allocates for it. It asks until
#: there have been fewer three times, however late whoever collects gets to it on a busy machine.
CLIENT = r"""
import sys
from dcc_mcp_embed.ipc import SocketClient
client = SocketClient(sys.argv[1], "one", reconnect_interval=0.05, secret=b"s" * 32)
assert client.connect_sync(100), client.last_error
fewer = before = 0
for _ in range(4000):
    alive = client.request_sync("litter")
    fewer += alive < before
    before = alive
    if fewer == 3:
        break
print(fewer)
client.disconnect_sync()
"""

REQUESTS = r"""
import subprocess
server.register_handler("litter", litter)
fewer = []

def ask():
    command = [sys.executable, "-c", sys.argv[4], sys.argv[1]]
    fewer.append(int(subprocess.check_output(command)))

async def serve(start):
    task = asyncio.get_event_loop().create_task(start())
    await asyncio.get_event_loop().run_in_executor(None, ask)
    await server.stop()
    await task

way = sys.argv[2]
asking = threading.Thread(target=ask)
if way == "start_sync":
    asking.start()
    threading.Thread(target=lambda: asking.join() or server.stop_sync()).start()
    server.start_sync()
elif way == "start_background_sync":
    server.start_background_sync()
    asking.start()
    asking.join()
    server.stop_sync()
else:
    asyncio.run(serve(getattr(server, way)))
print(fewer[0], ours)
assert fewer == [3]
if sys.argv[3] == "host":
    # What is made in the moment that ``collector`` names may be: that of one request.
    assert ours[True] <= 50 < ours[False]
"""

PUSHES = r"""
most, over = [0], threading.Event()
client = SocketClient(sys.argv[1], "one", secret=b"s" * 32)

@client.on_push("litter")
def received(topic, number):
    most.append(max(most.pop(), litter(None)))
    if number == 199:
        over.set()

server.start_background_sync()
assert client.connect_sync(), client.last_error
for number in range(200):
    assert server.push_sync("litter", number) == 1
assert over.wait(50)
client.disconnect_sync()
server.stop_sync()
assert most[0] < 5000, most
"""


def process(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", COMMON + code, *arguments],
        cwd=ROOT,
        timeout=DEADLINE * 2,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize(
    "way",
    [
        "start",
        pytest.param("start_background", marks=pytest.mark.heavy),
        pytest.param("start_sync", marks=pytest.mark.heavy),
        "start_background_sync",
    ],
)
def test_a_plain_handlers_is_collected(path, way):
    process(REQUESTS, path, way, "script", CLIENT)


@pytest.mark.parametrize("way", ["start", "start_sync"])
def test_in_a_host_it_is_collected_on_the_users_thread(path, way):
    process(REQUESTS, path, way, "host", CLIENT)


def test_a_push_handlers_is_collected(path):
    process(PUSHES, path, "", "script")
