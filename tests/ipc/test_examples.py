"""What people begin with: whole scripts, each in a process of its own, warnings being errors."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys

import pytest

from fakes.live import tries
from fakes.served import environment
from real.processes import Process

pytestmark = pytest.mark.edges

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "examples")
DEADLINE = 30.0
#: Lines of a traceback that ends with Ctrl-C.
_TRACEBACK = (
    r"Traceback |  |$|KeyboardInterrupt|(asyncio\.exceptions|concurrent\.futures\._base)"
    r"\.CancelledError|During handling of the above|The above exception"
)


def command(script, *arguments):
    return [sys.executable, "-W", "error", os.path.join(EXAMPLES, script), *arguments]


def run(folder, script, *arguments):
    """Run a script to its end and return what it printed."""
    done = subprocess.run(
        command(script, *arguments),
        env=dict(environment(folder), PYTHONUNBUFFERED="1"),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr.decode("utf-8")) == (0, "")
    return done.stdout.decode("utf-8").splitlines()


@pytest.mark.parametrize(
    ("server", "client"),
    [
        ("server.py", "client.py"),
        ("server_v1.py", "client_v1.py"),
        ("server_sync.py", "client_sync.py"),
        # The two ends know nothing of each other's kind.
        ("server.py", "client_sync.py"),
        ("server_sync.py", "client.py"),
    ],
)
def test_server_and_client(folder, server, client):
    path = os.path.join(folder, "test.sock")
    with Process(command(server, path), environment(folder), folder, server) as process:
        for _ in tries():
            if os.path.exists(path):
                break
        lines = run(folder, client, path)
        assert lines[:4] == [
            "Connected!",
            "Echo response: {'echo': {'message': 'hello'}}",
            "Add response: {'result': 30}",
            "Health check: True",
        ]
        title, _, stats = lines[4].partition(": ")
        assert title == "Client stats"
        stats = ast.literal_eval(stats)
        assert stats["connected"] is True
        assert stats["account_id"] == "test_account"
        assert (stats["requests"], stats["errors"]) == (2, 0)
        assert lines[5:] == ["Disconnected!"]
        # The next one is served as well.
        assert run(folder, client, path)[0] == "Connected!"
        process.end(signal.SIGINT, DEADLINE)
        for reader in process._readers:
            reader.join(DEADLINE)
        # What Ctrl-C makes asyncio say of a script that does not expect it, and nothing else.
        odd = [line for line in process.said if not re.match(_TRACEBACK, line)]
        assert odd == []
        assert not os.path.exists(path), "the socket is still there"


@pytest.mark.parametrize("client", ["client.py", "client_v1.py", "client_sync.py"])
def test_client_without_a_server_says_so(folder, client, monkeypatch):
    source = os.path.join(EXAMPLES, client)
    with open(source, encoding="utf-8") as stream:
        text = stream.read()
    # At once: the script's own patience is seconds.
    text = text.replace("connect(max_retries=5)", "connect(max_retries=0)")
    text = text.replace("connect()", "connect(max_retries=0)")
    script = os.path.join(folder, client)
    with open(script, "w", encoding="utf-8") as stream:
        stream.write(text.replace("connect_sync(max_retries=5)", "connect_sync(max_retries=0)"))
    done = subprocess.run(
        [sys.executable, "-W", "error", script, os.path.join(folder, "nobody.sock")],
        env=environment(folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("utf-8").splitlines() == ["Failed to connect"]
    # A warning of logging says why, and where.
    assert b"nobody.sock" in done.stderr
    assert b"Traceback" not in done.stderr


def test_backoff(folder):
    assert run(folder, "backoff.py") == ["0.5 0.75 15.0", "0.5"]


def test_health(folder):
    assert run(folder, "health.py") == ["True", "False"]


def test_registry(folder):
    assert run(folder, "registry.py") == ["{'echo': {'message': 'hello'}}", "None"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("socket_server", "SocketServer"),
        ("socket_server_v2", "SocketServer"),
        ("socket_client", "SocketClient"),
        ("socket_client_v2", "SocketClient"),
        ("protocol", "MessageBody"),
        ("utils", "BackoffStrategy"),
    ],
)
def test_names_of_old_resolve(folder, module, name):
    code = (
        "from dcc_mcp_embed.ipc.{0} import {1} as one\n"
        "from dcc_mcp_embed.ipc import {1} as other\n"
        "assert one is other\n"
    ).format(module, name)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment(folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr.decode("utf-8")) == (0, "")
