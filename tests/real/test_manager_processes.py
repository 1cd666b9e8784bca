"""One manager and a second process: every call answered once, by the right answer, and no other."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading

import pytest

from dcc_mcp_embed import (
    ConnectionClosed,
    IpcConnectionFailed,
    PoolConfig,
    ServiceNotFound,
    ServiceStatus,
    TransportConfig,
    TransportManager,
)
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import UnknownOutcome
from dcc_mcp_embed.secret import open_secret
from fakes.served import Served, environment
from fakes.waiting import until
from real.processes import Process

HERE = os.path.dirname(os.path.abspath(__file__))
THREADS, CALLS, CONNECTIONS = 64, 1000, 10
#: Seconds for all of them; the slowest Python on a busy machine needs a tenth.
PATIENCE = 600.0

pytestmark = pytest.mark.heavy

kinds = pytest.mark.parametrize(
    "kind",
    [
        "tcp",
        pytest.param(
            "unix",
            marks=pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here"),
        ),
    ],
)


@pytest.fixture
def registry(tmp_path):
    return str(tmp_path / "registry")


def echo(registry, kind):
    return Process(
        [sys.executable, "-W", "error", os.path.join(HERE, "manager_echo.py"), registry, kind],
        env=environment(os.path.dirname(registry)),
        name="echo",
    )


def manager_of(registry, **named):
    config = TransportConfig(PoolConfig(CONNECTIONS, acquire_timeout=PATIENCE))
    return TransportManager(registry, config=config, heartbeat=False, **named)


def from_all_threads(call):
    """Run ``call(thread, turn)`` from every thread as often; return each thread's seconds."""
    clock = SystemClock()
    spent, failures = [], []
    gate = threading.Barrier(THREADS)

    def work(number):
        try:
            gate.wait(PATIENCE)
            begun = clock.monotonic()
            for turn in range(CALLS):
                call(number, turn)
            spent.append(clock.monotonic() - begun)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []
    assert len(spent) == THREADS
    return spent


@kinds
def test_every_call_of_64_threads_is_answered_once(registry, kind):
    with echo(registry, kind) as process, manager_of(registry) as manager:
        instance = process.json_line()["instance"]

        def call(number, turn):
            sent = "{}/{}".format(number, turn).encode()
            with manager.connection("maya", instance) as channel:
                assert channel.call("echo", sent)["payload"] == sent

        spent = from_all_threads(call)
        counts = json.loads(manager.call("maya", "counts", instance_id=instance)["payload"])
        assert counts == {"count": THREADS * CALLS, "doubled": 0}
        (session,) = manager.list_sessions()
        assert session["request_count"] == THREADS * CALLS + 1
        assert session["error_count"] == 0
        assert 0 < manager.pool_size() <= CONNECTIONS
        assert max(spent) <= 3 * min(spent), "somebody was kept waiting by the others"
        print(
            "{}: {:.0f} calls/s, p50 {:.2f} ms, p99 {:.2f} ms".format(
                kind,
                THREADS * CALLS / max(spent),
                session["latency_p50_ms"],
                session["latency_p99_ms"],
            )
        )


@kinds
def test_peer_killed_during_calls_ends_them_at_once_and_its_row_goes(registry, kind):
    with echo(registry, kind) as process, manager_of(registry) as manager:
        instance = process.json_line()["instance"]
        failures = []

        def hang():
            try:
                manager.call("maya", "hang", timeout_ms=int(PATIENCE * 1000))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=hang) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        until(lambda: manager.pool_size() == CONNECTIONS, deadline=PATIENCE)
        clock = SystemClock()
        killed = clock.monotonic()
        process.end(signal.SIGKILL)
        for thread in threads:
            thread.join(PATIENCE)
        assert clock.monotonic() - killed < 5.0
        assert {type(error) for error in failures} == {ConnectionClosed}
        assert len(failures) == CONNECTIONS
        assert manager.pool_size() == 0
        assert manager.list_sessions()[0]["error_count"] == CONNECTIONS
        with pytest.raises(IpcConnectionFailed):
            manager.acquire_connection("maya", instance)
        assert manager.prune_dead_pids() == 1
        assert manager.list_all_services() == []


def test_a_server_of_ours_answers_every_call_once(tmp_path):
    home = str(tmp_path)
    with Served(home) as served:
        secret = open_secret(home, SystemClock())
        with manager_of(os.path.join(home, "registry"), secret=secret) as manager:
            instance = ours(manager, served.port)
            listed = manager.call("standalone", "tools/list", instance_id=instance)
            names = [tool["name"] for tool in json.loads(listed["payload"])["tools"]]
            assert "get_status" in names

            def call(number, turn):
                with manager.connection("standalone", instance) as channel:
                    assert channel.call("ping")["payload"] == b"{}"

            spent = from_all_threads(call)
            assert max(spent) <= 3 * min(spent)
            session = manager.list_sessions()[0]
            assert session["request_count"] == THREADS * CALLS + 1
            assert session["error_count"] == 0
            print("server: {:.0f} calls/s".format(THREADS * CALLS / max(spent)))


def ours(manager, port):
    """Return the id of the instance at ``port``, once it is in the registry."""
    clock = SystemClock()
    deadline = clock.monotonic() + 30.0
    while True:
        found = [row for row in manager.list_instances("standalone") if row.port == port]
        if found:
            return found[0].instance_id
        assert clock.monotonic() < deadline
        threading.Event().wait(0.01)


HOLD = '''
import threading
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="worker")
def hold() -> str:
    """Never return."""
    threading.Event().wait()
'''


def available(manager, instance=None):
    """Return whether a host, or this one, can be picked for a call."""
    rows = manager.list_instances("standalone")
    return any(
        row.status == ServiceStatus.AVAILABLE and instance in (None, row.instance_id)
        for row in rows
    )


def test_a_killed_host_ends_its_calls_at_once_and_the_next_one_serves(tmp_path):
    home, clock = str(tmp_path), SystemClock()
    (tmp_path / "hold.py").write_text(HOLD)
    secret = open_secret(home, clock)
    with TransportManager(str(tmp_path / "registry"), heartbeat=False, secret=secret) as manager:
        with Served(home, "--tools", "hold.py") as host:
            caught = []

            def call():
                try:
                    hold = {"name": "hold", "arguments": {}}
                    manager.call("standalone", "tools/call", hold, timeout_ms=60_000)
                except UnknownOutcome as error:
                    caught.append(error)

            until(lambda: available(manager))
            caller = threading.Thread(target=call, daemon=True)
            caller.start()
            until(lambda: manager.outbound.list_pending())
            host.process.kill()
            killed = clock.monotonic()
            caller.join(PATIENCE)
            assert [type(one) for one in caught] == [UnknownOutcome]
            # By its row, whose owner is provably gone; not by the call's own minute.
            assert clock.monotonic() - killed < 5.0
            # Nor does it keep others from finding out.
            with pytest.raises(ServiceNotFound):
                manager.call("standalone", "ping")
        with Served(home, "--tools", "hold.py") as host:
            until(lambda: available(manager, host.facts["instance_id"]))
            assert manager.call("standalone", "ping")["success"]
