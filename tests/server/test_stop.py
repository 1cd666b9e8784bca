"""The end of a server: everybody is told, the port is free, and it can start again at once."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from dcc_mcp_embed import embed
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import starting, tries
from fakes.stage import declared_among

DEADLINE = 10.0
#: A tool that gives up waiting makes a test fail for a reason that says nothing; what every thread
#: was at in the moment before says more.
pytestmark = pytest.mark.limit(DEADLINE - 1.0)


class Tools:
    """Tools that are under way for as long as the test wants."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.ended = []
        entered, leave, ended = self.entered, self.leave, self.ended

        @dcc_mcp_embed.tool
        def block() -> str:
            """Keep the main thread."""
            entered.release()
            assert leave.wait(DEADLINE)
            return "over"

        @dcc_mcp_embed.tool(thread="worker")
        def block_worker() -> str:
            """Keep the worker thread."""
            entered.release()
            assert leave.wait(DEADLINE)
            return "over"

        @dcc_mcp_embed.tool
        def act() -> str:
            """Note that it ran."""
            ended.append("act")
            return "acted"

        @dcc_mcp_embed.tool(thread="worker")
        def never() -> None:
            """Be asked for ever."""
            entered.release()
            return lambda: None

        @dcc_mcp_embed.tool
        def steps():
            """Never come to an end."""
            try:
                entered.release()
                while True:
                    yield Progress(1)
            finally:
                ended.append("closed on " + threading.current_thread().name)

        @dcc_mcp_embed.tool
        def stop_here() -> str:
            """Stop the server from its own main thread."""
            begun = time.monotonic()
            embed.stop()
            ended.append(time.monotonic() - begun)
            return "stopped"

        self.module = declared_among(locals())


@pytest.fixture
def tools():
    one = Tools()
    yield one
    one.leave.set()


@pytest.fixture
def start(tmp_path, monkeypatch, tools):
    with starting(str(tmp_path), monkeypatch, tools=[tools.module]) as one_more:
        yield one_more
        tools.leave.set()


class Caller(threading.Thread):
    """Calls one tool and keeps what came."""

    def __init__(self, live, tool, arguments=None):
        super().__init__(name="caller", daemon=True)
        self.wire = live.connect()
        self.tool = tool
        self.arguments = arguments
        self.result = None
        self.start()

    def run(self):
        with self.wire:
            try:
                self.result = self.wire.tool(self.tool, self.arguments)
                self.closed = self.wire.at_end()
            except Exception as error:
                # Whatever it is: told() shows it.
                self.result = error

    def told(self):
        self.join(DEADLINE)
        assert isinstance(self.result, dict), self.result
        assert self.closed, "a server that has stopped keeps no connection"
        return self.result["structuredContent"]["error"]


def nobody_listens(port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), DEADLINE).close()


def until_queued(live, count):
    with live.connect() as wire:
        for _ in tries():
            if wire.tool("get_status")["structuredContent"]["data"]["queue_depth"] == count:
                return
    raise AssertionError("they never queued")


def test_everybody_who_waits_is_told_and_every_connection_is_closed(start, tools):
    live = start()
    port = live.port
    idle = live.connect()
    assert idle.rpc("ping").status == 200
    half = live.connect()
    half.send(b"POST /mcp HT")
    running = Caller(live, "block")
    working = Caller(live, "never")
    for _ in range(2):
        assert tools.entered.acquire(timeout=DEADLINE)
    waiting = [Caller(live, "act") for _ in range(3)]
    until_queued(live, 3)
    begun = time.monotonic()
    live.server.stop()
    assert time.monotonic() - begun < DEADLINE / 2
    for caller in waiting:
        found = caller.told()
        assert (found["code"], found["state"]) == ("host_shutting_down", "not_started")
    for caller in (running, working):
        found = caller.told()
        assert (found["code"], found["state"]) == ("host_shutting_down", "running")
    for wire in (idle, half):
        assert wire.at_end()
        wire.close()
    nobody_listens(port)
    tools.leave.set()
    live.close()
    assert tools.ended == [], "what was refused never ran"


def test_a_stepwise_tool_is_ended_on_its_own_thread(start, tools):
    live = start()
    caller = Caller(live, "steps")
    assert tools.entered.acquire(timeout=DEADLINE)
    live.close()
    assert caller.told()["code"] == "host_shutting_down"
    assert tools.ended == ["closed on test host main"]


def test_stopped_from_the_main_thread_by_a_tool_while_others_wait(start, tools):
    live = start()
    blocked = Caller(live, "block")
    assert tools.entered.acquire(timeout=DEADLINE)
    stopper = Caller(live, "stop_here")
    until_queued(live, 1)
    waiting = [Caller(live, "act") for _ in range(3)]
    until_queued(live, 4)
    tools.leave.set()
    assert stopper.told()["state"] == "running"
    for caller in waiting:
        assert caller.told()["state"] == "not_started"
    blocked.join(DEADLINE)
    assert blocked.result["content"][0]["text"] == "over"
    live.close()
    assert len(tools.ended) == 1
    assert tools.ended[0] < 3.0, "the main thread was kept waiting"


def test_a_worker_that_does_not_end_does_not_keep_the_host_waiting(start, tools):
    live = start()
    caller = Caller(live, "block_worker")
    assert tools.entered.acquire(timeout=DEADLINE)
    begun = time.monotonic()
    live.close()
    assert time.monotonic() - begun < DEADLINE / 2
    assert caller.told()["state"] == "running"


def test_a_loop_that_comes_to_its_end_late_leaves_nobody_connected(start):
    live = start()
    client, go = live.connect(), threading.Event()
    assert client.rpc("ping").status == 200
    live.server._loop.call_soon(go.wait, DEADLINE)
    thread = live.server._thread._thread
    live.close()
    assert thread.is_alive()
    go.set()
    thread.join(DEADLINE)
    with client:
        assert client.at_end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", live.port), DEADLINE)


def test_who_waits_for_the_users_consent_is_told(start):
    asked = threading.Event()

    class Attended(StandaloneAdapter):
        def is_interactive(self):
            return True

        def ask(self, question):
            asked.set()

    live = start(adapter=Attended)
    caller = Caller(live, "execute_python", {"code": "1"})
    assert asked.wait(DEADLINE)
    live.close()
    found = caller.told()
    assert (found["code"], found["state"]) == ("host_shutting_down", "finished")


def test_the_same_port_serves_again_at_once_with_a_client_still_connected(start):
    live = start()
    port, token = live.port, live.server.token
    client = live.connect()
    assert client.rpc("ping").status == 200
    for _ in range(5):
        live.close()
        assert client.at_end()
        client.close()
        live = start(port=port)
        assert (live.port, live.server.token) == (port, token)
        client = live.connect()
        assert client.rpc("ping").status == 200
    client.close()


def test_stopping_twice_and_from_two_threads_is_once(start):
    live = start()
    threads = [threading.Thread(target=live.server.stop, name="stopper") for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    live.server.stop()
    nobody_listens(live.port)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_keeps_neither_the_port_nor_a_connection_alive(start):
    live = start()
    port = live.port
    client = live.connect()
    assert client.rpc("ping").status == 200
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        # Only what is safe in the child of a process with threads; ends when the pipe does.
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        assert client.rpc("ping").status == 200, "the parent goes on"
        with live.connect() as other:
            assert other.rpc("ping").status == 200
        live.close()
        assert client.at_end(), "the child holds the connection open"
        client.close()
        nobody_listens(port)
        live = start(port=port)
        with live.connect() as other:
            assert other.rpc("ping").status == 200
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def test_a_step_that_fails_keeps_none_of_the_others_from_being_taken(start, monkeypatch):
    live = start()
    server = live.server
    assert server.wait_registered(DEADLINE)
    (row,) = server.transport.list_all_services()
    registry = server.transport.registry

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(server.transport, "shutdown", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.stop()
    nobody_listens(live.port)
    assert registry.get(row.dcc_type, row.instance_id) is None
    assert not live.serving or live.close() is None
