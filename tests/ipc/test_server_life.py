"""SocketServer: its two faces, its start, its stop and its process's end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future

import pytest

from dcc_mcp_embed import ipc
from dcc_mcp_embed.errors import StartError
from dcc_mcp_embed.ipc import SocketServer, caller, serving, socket_server_v2
from dcc_mcp_embed.ipc.pushes import Push
from dcc_mcp_embed.net.sockets import connect_address
from dcc_mcp_embed.transport_errors import TransportError
from fakes.ipc_raw import CLOCK, DEADLINE, SECRET, Raw, on_asyncio, target, until
from fakes.waiting import becomes
from helpers import ROOT
from ipc.stages import Gate, beside, posix, same, server

pytestmark = pytest.mark.edges


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    """Clients of these tests do not go by themselves when the server ends the connection."""
    monkeypatch.setattr(caller, "LINGER", 0.1)


def ask(one, data):
    with Raw(one) as raw:
        return raw.call("echo", data)


async def ask_beside(one, data):
    """As :func:`ask`, from a coroutine, whose loop goes on."""
    return await asyncio.get_event_loop().run_in_executor(None, ask, one, data)


# Names.


def test_the_modules_have_the_names_that_they_have_elsewhere():
    assert socket_server_v2.SocketServer is ipc.SocketServer is SocketServer
    assert socket_server_v2.request is ipc.request
    assert set(ipc.__all__) <= set(dir(ipc))
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = ipc.colour


BARE = """
import sys
from dcc_mcp_embed.ipc import MessageBody
assert "dcc_mcp_embed.ipc.socket_server" not in sys.modules
from dcc_mcp_embed.ipc import SocketServer
one = SocketServer(port=0, secret="x")
one.start_background_sync()
one.stop_sync()
print([name for name in ("asyncio", "ssl", "http") if name in sys.modules])
"""


def test_without_await_asyncio_is_not_even_loaded():
    done = subprocess.run(
        [sys.executable, "-c", BARE], cwd=ROOT, stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert done.stdout.split(b"\n")[0].strip() == b"[]"


# Start and stop.


def test_start_serves_until_stop():
    one = server(echo=same)

    async def main():
        serving = asyncio.ensure_future(one.start())
        await becomes(lambda: one.running)
        assert await ask_beside(one, 5) == 5
        await one.stop()
        await one.stop()
        await serving

    asyncio.run(main())
    assert not one.running


def test_start_that_is_cancelled_stops_the_server_first():
    one = server()

    async def main():
        serving = asyncio.ensure_future(one.start())
        await becomes(lambda: one.running)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not one.running

    asyncio.run(main())
    with pytest.raises(OSError):
        socket.create_connection((one.address.host, one.address.port), 1.0).close()


def test_start_sync_serves_until_stop_sync():
    one = server(echo=same)
    started = beside(one.start_sync)
    until(lambda: one.running)
    assert ask(one, 5) == 5
    one.stop_sync()
    started()
    one.stop_sync()


def test_both_faces_work_as_blocks_and_a_server_may_be_started_again(path):
    one = server({"socket_path": path}, echo=same)
    for _ in range(2):
        with one:
            assert ask(one, 5) == 5
        assert not os.path.exists(path)

    async def main():
        for _ in range(2):
            async with one:
                assert os.path.exists(path)
                assert await ask_beside(one, 6) == 6
            assert not os.path.exists(path)

    asyncio.run(main())


def test_what_runs_is_not_started_again():
    with server(echo=same) as one:
        with pytest.raises(StartError, match="runs already"):
            one.start_background_sync()
        with pytest.raises(StartError, match="runs already"):
            asyncio.run(one.start())
        assert ask(one, 5) == 5


def test_a_stop_before_the_start_is_fine():
    one = server()
    one.stop_sync()
    asyncio.run(one.stop())


def test_many_threads_may_stop_it_at_once():
    one = server()
    one.start_background_sync()
    for stopped in [beside(one.stop_sync) for _ in range(8)]:
        stopped()
    assert not one.running


@pytest.mark.parametrize(
    ("whose", "name", "error", "text"),
    [
        (threading.Thread, "start", RuntimeError, "can't start new thread"),
        (socket, "socketpair", OSError, "too many open files"),
    ],
    ids=["thread", "loop"],
)
def test_a_start_that_fails_leaves_nothing_behind(path, monkeypatch, whose, name, error, text):
    def refuse(*arguments):
        raise error(text)

    one = server({"socket_path": path}, echo=same)
    with monkeypatch.context() as patch:
        patch.setattr(whose, name, refuse)
        with pytest.raises(StartError, match="no thread could be started: " + text):
            one.start_background_sync()
    assert not one.running
    assert not os.path.exists(path)
    with one:
        assert ask(one, 5) == 5


def test_whoever_is_connected_is_told_of_the_stop():
    with server() as one, Raw(one) as raw, Raw(one, hello=False) as stranger:
        stranger.send(b"\0")
        until(lambda: any(each._heard for each in one._run.serving.door._strangers))
        one.stop_sync()
        assert raw.until_end().reason == "the server has been stopped"
        assert "stopped" in str(stranger.until_end())
        # It has done nothing wrong.
        assert one.get_stats()["refused"] == 0


def test_a_client_that_does_not_go_does_not_hold_up_the_stop():
    with server() as one, Raw(one, "deaf"):
        while one.push_sync("news", "x" * 500_000):
            pass
        one.stop_sync()
        assert not one.running


# Requests that are under way at the stop.


def test_what_ends_soon_is_answered():
    gate = Gate()
    with server(echo=same, wait=gate) as one, Raw(one) as raw:
        ident = raw.ask("wait", 5)
        gate.demand()
        stopped = beside(one.stop_sync)
        until(lambda: one._run.serving._closing)
        told = raw.failure("echo", 1)
        assert (told["code"], told["state"]) == ("host_shutting_down", "not_started")
        gate.let.set()
        assert json.loads(raw.answer(ident).payload.decode()) == 5
        raw.until_end()
        stopped()


def test_what_does_not_end_is_told_so_and_what_waits_never_runs(monkeypatch):
    monkeypatch.setattr(serving, "_STOPPING", 0.1)
    monkeypatch.setattr(ipc.handling, "_MOST_THREADS", 1)
    gate, waiting = Gate(), Gate()
    waiting.let.set()
    with server(wait=gate, next=waiting) as one, Raw(one) as raw:
        running = raw.ask("wait")
        gate.demand()
        following = raw.ask("next")
        until(lambda: one.get_stats()["in_flight"] == 2)
        one.stop_sync()
        told = raw.failed(running)
        assert (told["code"], told["state"]) == ("host_shutting_down", "running")
        told = raw.failed(following)
        assert (told["code"], told["state"]) == ("host_shutting_down", "not_started")
    gate.let.set()
    assert (gate.times, waiting.times) == (1, 0)


def test_what_was_told_that_it_never_runs_never_does(monkeypatch):
    monkeypatch.setattr(ipc.handling, "_MOST_THREADS", 1)
    gate, waiting = Gate(), Gate()
    waiting.let.set()
    with server(wait=gate, next=waiting) as one, Raw(one) as raw:
        running = raw.ask("wait", 5)
        gate.demand()
        following = raw.ask("next")
        until(lambda: one.get_stats()["in_flight"] == 2)
        stopped = beside(one.stop_sync)
        assert raw.failed(following)["state"] == "not_started"
        # Its thread is free before the server has stopped.
        gate.let.set()
        assert raw.answer(running).success
        stopped()
    assert waiting.times == 0


def test_what_ends_after_it_was_told_so_is_answered_once(monkeypatch, caplog):
    monkeypatch.setattr(serving, "_STOPPING", 0.05)
    monkeypatch.setattr(caller, "LINGER", 1.0)
    gate = Gate()
    with server(wait=gate) as one, Raw(one) as raw, Raw(one, resume=False) as other:
        asked = [raw.ask("wait"), other.ask("wait")]
        until(lambda: gate.times == 2)
        stopped = beside(one.stop_sync)
        assert raw.failed(asked[0])["state"] == other.failed(asked[1])["state"] == "running"
        done = one._run.serving.calls._done
        gate.let.set()
        until(lambda: not (one._run.serving.calls._scheduled or done))
        raw.until_end()
        other.until_end()
        raw.close()
        other.close()
        stopped()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_coroutines_that_do_not_end_are_cancelled(monkeypatch):
    monkeypatch.setattr(serving, "_STOPPING", 0.1)
    cancelled, entered = threading.Event(), threading.Event()

    async def never(data):
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with on_asyncio(server(never=never)) as one, Raw(one) as raw:
        ident = raw.ask("never")
        assert entered.wait(DEADLINE)
        one.stop_sync()
        assert raw.failed(ident)["state"] == "running"
        assert cancelled.wait(DEADLINE)


@pytest.mark.parametrize("awaits", [False, True])
def test_a_handler_may_stop_its_server(awaits, monkeypatch):
    monkeypatch.setattr(serving, "_STOPPING", 0.1)
    one = server()

    async def astop(data):
        await one.stop()

    one.register_handler("stop", astop if awaits else lambda data: one.stop_sync())
    with on_asyncio(one), Raw(one) as raw:
        assert raw.failure("stop")["code"] == "host_shutting_down"
        until(lambda: not one.running)


def test_a_push_that_comes_too_late_for_the_loop_is_answered():
    one = server()
    one.start_background_sync()
    one.stop_sync()
    answer = Future()
    one._run.serving.pushes.send(Push("news", 1, None), answer)
    assert answer.result(DEADLINE) == 0


def test_a_push_that_comes_as_the_loop_ends_is_answered(monkeypatch):
    one = server()
    one.start_background_sync()
    running, answer = one._run.serving, Future()
    stop = running.loop.stop

    def stop_and_push():
        stop()
        running.pushes.send(Push("news", 1, None), answer)

    monkeypatch.setattr(running.loop, "stop", stop_and_push)
    one.stop_sync()
    assert answer.result(DEADLINE) == 0


def test_pushes_while_it_stops_hang_nobody():
    one = server()
    one.start_background_sync()
    results = []

    def push():
        while one.running:
            results.append(one.push_sync("news"))

    pushers = [beside(push) for _ in range(4)]
    until(lambda: len(results) > 100)
    one.stop_sync()
    for ended in pushers:
        ended()


def test_a_handler_of_a_stopped_server_changes_nothing_in_the_next_run(monkeypatch):
    monkeypatch.setattr(serving, "_STOPPING", 0.05)
    gate = Gate()
    with server(echo=same, wait=gate) as one, Raw(one) as raw:
        raw.ask("wait")
        gate.demand()
    with one:
        gate.let.set()
        assert ask(one, 5) == 5
        assert one.get_stats()["responses"] == 1


# The end of the process.

SCRIPT = """
import asyncio, os, signal, sys, threading
from dcc_mcp_embed.ipc import SocketServer, caller, serving
# Clients here do not go by themselves, and handlers do not return.
caller.LINGER = serving._STOPPING = 0.1
path, how = sys.argv[1:]
if how.endswith(" by file"):
    from dcc_mcp_embed.ipc import places
    places.has_unix_sockets = lambda: False
    how = how[:-len(" by file")]
one = SocketServer(path, secret={secret!r})
one.register_handler("echo", lambda data: data)
one.register_handler("never", lambda data: threading.Event().wait())

async def main():
    await one.start_background()
    print("listening", flush=True)
    await asyncio.Event().wait()

def look_for_signals():
    # Before 3.11 asyncio does not notice one that comes just as it begins to wait.
    asyncio.get_event_loop().call_later(0.1, look_for_signals)

async def until_cancelled():
    asyncio.get_event_loop().call_later(0.01, lambda: print("listening", flush=True))
    look_for_signals()
    await one.start()

def say_when_it_runs():
    while not one.running:
        threading.Event().wait(0.001)
    print("listening", flush=True)

if how == "exit":
    one.start_background_sync()
    print("listening", flush=True)
    sys.stdin.readline()
elif how == "start_sync":
    threading.Thread(target=say_when_it_runs, daemon=True).start()
    try:
        one.start_sync()
    except KeyboardInterrupt:
        assert not one.running
        print("stopped", flush=True)
elif how == "start":
    try:
        asyncio.run(until_cancelled())
    except KeyboardInterrupt:
        assert not one.running
        print("stopped", flush=True)
elif how == "fork":
    def sockets():
        places = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
        return sum(os.path.islink("/proc/self/fd/" + fd) and
            os.readlink("/proc/self/fd/" + fd).startswith("socket:") for fd in places)
    before = sockets()
    one.start_background_sync()
    ident = os.fork()
    if not ident:
        assert not one.running
        assert sockets() == before, (sockets(), before)
        one.stop_sync()
        assert one.push_sync("x") == 0
        assert one.get_stats()["running"] is False
        sys.exit(7)
    assert os.WEXITSTATUS(os.waitpid(ident, 0)[1]) == 7
    assert one.running
    print("listening", flush=True)
    sys.stdin.readline()
    one.stop_sync()
""".format(secret=SECRET)


class Script:
    def __init__(self, path, how):
        self.child = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, path, how],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.child.stdout.readline() == b"listening\n"
        self.target = ipc.places.locate(path, None, None, None, SECRET, CLOCK)()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.child.kill()
        self.child.communicate()

    def wait(self):
        return self.child.wait(DEADLINE)


@posix
@pytest.mark.parametrize("how", ["exit", "fork", "exit by file", "fork by file"])
def test_the_end_of_a_process_leaves_no_file_behind(how, path, monkeypatch):
    if how.endswith(" by file"):
        monkeypatch.setattr(ipc.places, "has_unix_sockets", lambda: False)
    with Script(path, how) as script, Raw(script.target) as raw:
        assert raw.call("echo", 5) == 5
        # Not even if a handler never returns.
        raw.ask("never")
        assert raw.call("echo", 6) == 6
        script.child.stdin.write(b"\n")
        script.child.stdin.flush()
        assert script.wait() == 0
        assert raw.until_end()
    assert os.listdir(os.path.dirname(path)) == []


@posix
@pytest.mark.parametrize("how", ["start", "start_sync"])
def test_ctrl_c_stops_it(how, path):
    with Script(path, how) as script, Raw(script.target) as raw:
        assert raw.call("echo", 5) == 5
        script.child.send_signal(signal.SIGINT)
        assert raw.until_end().reason == "the server has been stopped"
        assert script.wait() == 0
        assert script.child.stdout.readline() == b"stopped\n"
    assert not os.path.exists(path)


def test_a_server_of_a_killed_process_is_replaced(path):
    with Script(path, "exit") as script:
        script.child.kill()
        script.wait()
        with server({"socket_path": path}, echo=same) as one:
            assert ask(one, 5) == 5


def test_a_connection_that_comes_at_the_stop_hangs_nobody():
    for _ in range(20):
        one = server()
        one.start_background_sync()
        found = target(one)
        stopped = beside(one.stop_sync)
        try:
            connect_address(found.address, DEADLINE, CLOCK).close()
        except TransportError:
            pass  # it was too late
        stopped()
