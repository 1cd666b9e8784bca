"""Stopping, with real processes: the right one, politely where it can be, and told truthfully."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dcc_mcp_embed.install_lifecycle import (
    processes,
    query_runtime_state,
    safe_stop,
    stop_runtime_entries,
    stopping,
)
from dcc_mcp_embed.registry.locking import Sentinel
from fakes.answering import Answering
from fakes.registry import raw_row

pytestmark = [pytest.mark.edges, pytest.mark.skipif(os.name == "nt", reason="POSIX")]

IDS = ["{:08x}-0000-4000-8000-000000000000".format(number) for number in range(4)]
DEAF = "import signal, sys; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
DEAF += "sys.stdin.read()"


class Child:
    """A process that stands for a sidecar or a host, and a row for it."""

    def __init__(self, number, code="import sys; print(1, flush=True); sys.stdin.read()"):
        self.ident = IDS[number]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline() == b"1\n"
        self.pid = self.process.pid

    def row(self, age=0.0, role="per-dcc-sidecar", sidecar=True, **changes):
        metadata = {"dcc_mcp_role": role}
        if sidecar:
            metadata["sidecar_pid"] = str(self.pid)
        metadata.update(changes.pop("metadata", {}))
        moment = time.time() - age
        return raw_row(
            instance_id=self.ident,
            pid=self.pid,
            registered_at=moment,
            last_heartbeat=moment,
            metadata=metadata,
            **changes,
        )

    def running(self):
        return self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def world(tmp_path):
    """Make children and write rows: ``child(number, code)``, ``write(rows)``, ``directory``."""

    class World:
        directory = str(tmp_path / "registry")
        children = []

        def child(self, *arguments):
            self.children.append(Child(*arguments))
            return self.children[-1]

        def write(self, *rows):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            with open(os.path.join(self.directory, "services.json"), "w") as file:
                json.dump(list(rows), file)

        def stop(self, **options):
            return stop_runtime_entries(self.directory, **dict({"timeout_secs": 30.0}, **options))

    found = World()
    found.children = []
    yield found
    for child in found.children:
        child.close()


def test_a_sidecar_is_stopped_and_no_zombie_counts_as_running(world):
    """The reference's own: it calls a child that ended ``still_running``."""
    child = world.child(0)
    world.write(child.row())
    answer = world.stop()
    assert answer["success"]
    assert answer["total"] == 1
    assert answer["registry_dir"] == world.directory
    assert answer["results"] == [
        {
            "instance_id": child.ident,
            "dcc_type": "maya",
            "pid": child.pid,
            "target": "sidecar",
            "status": "stopped",
            "stopped_by": "signal",
        }
    ]
    # Ours to wait for here, since the package did not launch it.
    assert child.process.wait() == -signal.SIGTERM
    answer = world.stop()
    assert answer["results"][0]["status"] == "already_stopped"
    assert answer["success"]


def test_what_we_launched_is_gone_when_it_has_stopped(world):
    child = world.child(0)
    processes.adopt(child.process)
    world.write(child.row())
    assert world.stop()["success"]
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert query_runtime_state(world.directory)["dead_count"] == 1


def test_nothing_to_stop_is_a_success(world):
    assert world.stop() == {
        "success": True,
        "registry_dir": world.directory,
        "total": 0,
        "remarks": [],
        "results": [],
    }


def test_a_hosts_process_is_ended_only_when_asked_for(world):
    host = world.child(0)
    world.write(host.row(role="runtime", sidecar=False))
    assert world.stop()["total"] == 0, "the default is sidecars"
    answer = world.stop(role=None)
    assert not answer["success"]
    assert answer["results"][0]["status"] == "unsupported"
    assert "sidecar_pid" in answer["results"][0]["message"]
    assert host.running()
    answer = world.stop(role=None, include_host_processes=True)
    assert (answer["results"][0]["status"], answer["results"][0]["target"]) == ("stopped", "host")
    assert not host.running()


def test_the_host_beside_a_sidecar_is_left_alone_whatever_is_asked(world):
    host, sidecar = world.child(0), world.child(1)
    row = sidecar.row()
    row["host_pid"] = host.pid
    world.write(row)
    assert world.stop(include_host_processes=True)["success"]
    assert host.running()
    assert not sidecar.running()


def test_what_does_not_hear_runs_on_unless_it_may_be_killed(world, monkeypatch):
    monkeypatch.setattr(stopping, "_KILL_TIME", 30.0)  # of a busy machine
    deaf = world.child(0, DEAF)
    world.write(deaf.row())
    begun = time.monotonic()
    answer = world.stop(timeout_secs=0.2)
    assert time.monotonic() - begun >= 0.2
    assert not answer["success"]
    assert (answer["results"][0]["status"], answer["results"][0]["reason"]) == (
        "still_running",
        "timeout",
    )
    assert deaf.running()
    answer = world.stop(timeout_secs=0.2, kill=True)
    assert (answer["results"][0]["status"], answer["results"][0]["stopped_by"]) == (
        "stopped",
        "kill",
    )
    assert deaf.process.wait() == -signal.SIGKILL


class Time:
    """A clock that goes on while somebody sleeps, up to a moment; from then on those wait truly."""

    def __init__(self, stands_at=float("inf")):
        self.moment = 0.0
        self.stands_at = stands_at
        self.patience = time.monotonic() + 30.0

    def now(self):
        return self.moment

    def sleep(self, seconds):
        if self.moment < self.stands_at:
            self.moment += seconds
        else:
            assert time.monotonic() < self.patience, "what was to end goes on"
            threading.Event().wait(0.002)


def stop_by(clock, world, timeout):
    state = query_runtime_state(world.directory)
    return stopping.stop(state["entries"], timeout, False, False, clock.now, clock.sleep)


def test_many_are_stopped_in_the_time_of_one(world):
    deaf = [world.child(number, DEAF) for number in range(3)]
    world.write(*[child.row() for child in deaf])
    clock = Time()
    results = stop_by(clock, world, 5.0)
    assert [one["status"] for one in results] == ["still_running"] * 3
    assert 5.0 <= clock.moment < 5.1


def test_the_number_of_another_process_is_not_signalled(world):
    """The row was last renewed an hour before this process began."""
    other = world.child(0)
    world.write(other.row(age=3600.0))
    answer = world.stop()
    result = answer["results"][0]
    assert (result["status"], result["reason"]) == ("already_stopped", "pid_reused")
    assert answer["success"]
    assert other.running()


def test_what_nothing_proves_is_not_signalled(world):
    """The row is from tomorrow: by today's clock every process is old enough."""
    other = world.child(0)
    world.write(other.row(age=-86400.0))
    answer = world.stop()
    result = answer["results"][0]
    assert (result["status"], result["reason"]) == ("failed", "identity_unknown")
    assert not answer["success"]
    assert other.running()


def test_a_row_without_times_proves_nothing_however_new_its_file_is(world):
    """Each heartbeat of any other host's row writes the file again, this row with it."""
    stranger = world.child(0)
    row = stranger.row()
    del row["registered_at"], row["last_heartbeat"]
    world.write(row)
    result = world.stop()["results"][0]
    assert (result["status"], result["reason"]) == ("failed", "identity_unknown")
    assert stranger.running()


@pytest.mark.parametrize("target", ["sidecar", "host"])
def test_a_sentinel_proves_nobody_but_who_registered(world, target):
    """The registrar lives, holds its sentinel and renews its row; whom the row names is gone."""
    stranger = world.child(0)
    row = stranger.row(sidecar=target == "sidecar", sentinel_path="x.lock")
    row.update(pid=os.getpid(), registered_at=time.time() - 3600.0)
    if target == "host":
        row["host_pid"] = stranger.pid
    world.write(row)
    os.mkdir(os.path.join(world.directory, "locks"))
    sentinel = Sentinel.hold(os.path.join(world.directory, "locks", "x.lock"), 0o600)
    try:
        assert query_runtime_state(world.directory)["entries"][0]["sentinel_held"] is True
        result = world.stop(include_host_processes=True)["results"][0]
    finally:
        sentinel.release()
    assert (result["target"], result["pid"]) == (target, stranger.pid)
    assert (result["status"], result["reason"]) == ("failed", "identity_unknown")
    assert stranger.running()


def test_a_row_whose_owner_is_gone_signals_nobody(world):
    """Its sentinel is free, and whoever has the number now is left alone."""
    other = world.child(0)
    path = os.path.join(world.directory, "locks", "x.lock")
    os.makedirs(os.path.dirname(path))
    with open(path, "w"):
        pass
    world.write(other.row(sentinel_path=path))
    result = world.stop()["results"][0]
    assert (result["status"], result["reason"]) == ("already_stopped", "owner_gone")
    assert other.running()
    # Held, it proves the process even where the clock says nothing good of it.
    world.write(other.row(sentinel_path=path, age=-86400.0))
    sentinel = Sentinel.hold(path, 0o600)
    try:
        assert world.stop()["results"][0]["status"] == "stopped"
    finally:
        sentinel.release()


@pytest.mark.parametrize("changes", [{"host": "10.0.0.5"}, {"pid": 1}], ids=str)
def test_a_process_of_another_machine_is_not_looked_for_on_this_one(world, monkeypatch, changes):
    """The registry may lie in a folder that machines share, or containers."""
    row = raw_row(pid=os.getppid(), registered_at=time.time())
    row.update(changes)
    world.write(row)
    entries = query_runtime_state(world.directory)["entries"]

    def refuse(pid):
        raise AssertionError("somebody was looked for")

    monkeypatch.setattr(processes, "open_process", refuse)
    (result,) = stopping.stop(entries, 5.0, True, False)
    assert (result["status"], result["reason"]) == ("failed", "identity_unknown")
    assert "another machine" in result["message"]


def test_the_gateway_is_no_host(world):
    gateway = world.child(0)
    world.write(gateway.row(role="gateway-sentinel", sidecar=False, dcc_type="__gateway__"))
    answer = world.stop(role=None, include_host_processes=True)
    assert answer["results"][0]["status"] == "unsupported"
    assert "gateway" in answer["results"][0]["message"]
    assert gateway.running()


def test_this_process_does_not_end_itself(world):
    row = raw_row(pid=os.getpid(), metadata={"dcc_mcp_role": "runtime"})
    world.write(row)
    answer = world.stop(role=None, include_host_processes=True)
    assert answer["results"][0]["reason"] == "own_process"
    assert not answer["success"]


def test_what_may_not_be_signalled_has_failed(world, monkeypatch):
    child = world.child(0)
    world.write(child.row())

    def refuse(self, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(processes.PosixProcess, "_signal", refuse)
    result = world.stop()["results"][0]
    assert (result["status"], result["reason"]) == ("failed", "signal_failed")
    assert "not permitted" in result["message"]


@pytest.mark.parametrize("timeout", ["soon", None, float("nan"), float("inf"), []])
def test_a_timeout_that_is_none_is_refused(world, timeout):
    answer = world.stop(timeout_secs=timeout)
    assert (answer["status"], answer["reason"]) == ("failed", "invalid_timeout_secs")


def test_of_a_damaged_registry_what_is_whole_is_stopped_and_the_damage_told(world):
    child = world.child(0)
    world.write(child.row())
    path = os.path.join(world.directory, "services.json")
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.truncate()
    answer = world.stop()
    assert answer["results"][0]["status"] == "stopped"
    assert not answer["success"]
    assert answer["reason"] == "registry_damaged"


# The safe stop.


class Server:
    """An HTTP server that notes what it is asked, answers ``status``, and ends ``child``."""

    def __init__(self, status=200, child=None):
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(status)
                self.end_headers()
                if child is not None:
                    child.process.stdin.close()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def metadata(self, **changes):
        found = {
            "safe_stop_url": "http://127.0.0.1:{}/safe-stop".format(self.port),
            "mcp_url": "http://127.0.0.1:{}/mcp".format(self.port),
            "owner": "me",
            "session": "now",
        }
        found.update(changes)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_a_safe_stop_is_used_where_it_is_published(world):
    child = world.child(0, DEAF)
    with Server(child=child) as server:
        world.write(child.row(metadata=server.metadata()))
        answer = world.stop(timeout_secs=20.0)
    assert (answer["results"][0]["status"], answer["results"][0]["stopped_by"]) == (
        "stopped",
        "safe_stop",
    )
    assert child.process.wait() == 0
    (path, headers, body), *more = server.asked
    assert not more
    assert path == "/safe-stop"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == "127.0.0.1:{}".format(server.port)
    assert body == {
        "instance_id": child.ident,
        "dcc_type": "maya",
        "owner": "me",
        "session": "now",
    }


@pytest.mark.parametrize("timeout", [1e7, 1e300])
def test_a_time_without_end_is_a_long_one(world, timeout):
    """No socket can be given one."""
    child = world.child(0, DEAF)
    with Server(child=child) as server:
        world.write(child.row(metadata=server.metadata()))
        result = world.stop(timeout_secs=timeout)["results"][0]
    assert (result["status"], result["stopped_by"]) == ("stopped", "safe_stop")


def test_where_the_safe_stop_is_refused_the_system_ends_it(world):
    child = world.child(0)
    with Server(status=403) as server:
        world.write(child.row(metadata=server.metadata()))
        result = world.stop(timeout_secs=20.0)["results"][0]
    assert (result["status"], result["stopped_by"]) == ("stopped", "signal")
    assert "403" in result["message"]
    assert len(server.asked) == 1


def test_what_agreed_and_did_not_end_is_ended_after_half_of_the_time(world):
    child = world.child(0)
    with Server() as server:
        world.write(child.row(metadata=server.metadata()))
        clock = Time(stands_at=20.0)
        (result,) = stop_by(clock, world, 40.0)
    assert (result["status"], result["stopped_by"]) == ("stopped", "signal")
    assert 20.0 <= clock.moment < 20.1
    assert len(server.asked) == 1


@pytest.mark.parametrize("target", ["host", "sidecar"])
@pytest.mark.parametrize("asks", [True, False], ids=["POSIX", "Windows"])
@pytest.mark.parametrize("kill", [False, True])
def test_who_has_agreed_is_not_cut_off(world, monkeypatch, target, asks, kill):
    """A host that finishes its export first, and a system whose signal is the end (Windows)."""
    child = world.child(0, DEAF)
    signals = []
    for way in ("terminate", "kill"):
        monkeypatch.setattr(
            processes.PosixProcess, way, lambda self, way=way: signals.append((self.pid, way))
        )
    monkeypatch.setattr(processes.PosixProcess, "asks", asks, raising=False)
    with Server() as server:
        world.write(child.row(sidecar=target == "sidecar", metadata=server.metadata()))
        entries = query_runtime_state(world.directory)["entries"]
        clock = Time()
        (result,) = stopping.stop(entries, 5.0, True, kill, clock.now, clock.sleep)
    assert (result["target"], result["status"]) == (target, "still_running")
    told = ["terminate"] if kill or (target == "sidecar" and asks) else []
    told += ["kill"] if kill else []
    assert signals == [(child.pid, way) for way in told]
    assert ("agreed" in result["message"]) is (not told)
    assert clock.moment >= 5.0


def published(child, port):
    """Return a child's row with a safe stop at a port."""
    url = "http://127.0.0.1:{}/".format(port)
    return child.row(metadata={"safe_stop_url": url + "stop", "mcp_url": url + "mcp"})


@pytest.mark.parametrize("drip", [b"", b"X"], ids=["hangs", "drips"])
def test_one_that_does_not_answer_takes_no_time_from_the_others(world, monkeypatch, drip):
    """Neither from one that has nothing to be asked at, nor from one that is asked after it."""
    hung, plain, polite = world.child(0), world.child(1), world.child(2, DEAF)
    happened = []
    terminate, ask = processes.PosixProcess.terminate, safe_stop.ask

    def noted_signal(self):
        happened.append(self.pid)
        terminate(self)

    def noted_question(*arguments):
        happened.append("asked")
        return ask(*arguments)

    pause = threading.Event()

    def answer_nothing(peer):
        # Until the one that is asked after it has agreed and has ended.
        while polite.running():
            peer.sendall(drip)
            pause.wait(0.01)

    monkeypatch.setattr(processes.PosixProcess, "terminate", noted_signal)
    monkeypatch.setattr(safe_stop, "ask", noted_question)
    with Answering(answer_nothing) as silent, Server(child=polite) as server:
        world.write(
            published(hung, silent.port), plain.row(), polite.row(metadata=server.metadata())
        )
        results = world.stop(timeout_secs=60.0)["results"]
    assert [one["status"] for one in results] == ["stopped"] * 3
    assert [one["stopped_by"] for one in results] == ["signal", "signal", "safe_stop"]
    assert happened == [plain.pid, "asked", hung.pid]


def test_many_that_never_answer_take_the_time_of_one(world):
    over = threading.Event()

    def drip(peer):
        while not over.wait(0.01):
            peer.sendall(b"X")

    with Answering(drip) as silent:
        try:
            row = {"metadata": {}, "instance_id": IDS[0], "dcc_type": "maya"}
            questions = [(row, ("127.0.0.1", silent.port, "/stop"))] * 5
            begun = time.monotonic()
            answers = safe_stop.ask(questions, begun + 0.2, time.monotonic)
            took = time.monotonic() - begun
        finally:
            over.set()
    assert answers == ["it did not answer in time"] * 5
    assert 0.2 <= took < 10.0


@pytest.mark.parametrize(
    ("reply", "refusal"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"HTTP/1.0 200\n", None),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP status 403"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "HTTP status 302"),
        (b"HTTP/1.1 2\r\n", "it answers something else than HTTP"),
        (b"SSH-2.0-x\r\n", "it answers something else than HTTP"),
        (b"X" * 9000, "it answers something else than HTTP"),
    ],
)
def test_what_an_answer_means(reply, refusal):
    row = {"metadata": {}, "instance_id": IDS[0], "dcc_type": "maya"}
    with Answering(reply) as server:
        address = ("127.0.0.1", server.port, "/stop")
        answers = safe_stop.ask([(row, address)], time.monotonic() + 30.0, time.monotonic)
    assert answers == [refusal]
    assert json.loads(server.heard[0].partition(b"\r\n\r\n")[2].decode()) == {
        "instance_id": IDS[0],
        "dcc_type": "maya",
        "owner": None,
        "session": None,
    }


def test_who_has_no_time_asks_nobody():
    assert safe_stop.ask([({}, ("127.0.0.1", 1, "/stop"))], 5.0, lambda: 5.0) == [
        "it did not answer in time"
    ]
    assert safe_stop.ask([], 5.0, lambda: 5.0) == []


def test_nobody_behind_the_url_is_no_obstacle(world):
    child = world.child(0)
    with Server() as server:
        metadata = server.metadata()
    world.write(child.row(metadata=metadata))
    result = world.stop(timeout_secs=20.0)["results"][0]
    assert result["status"] == "stopped"
    assert "safe stop" in result["message"]


def entry(host="127.0.0.1", **metadata):
    return {"metadata": metadata, "host": host, "port": 5, "mcp_url": metadata.get("mcp_url")}


@pytest.mark.parametrize(
    ("found", "address"),
    [
        ({"safe_stop_url": "http://127.0.0.1:5/safe-stop"}, ("127.0.0.1", 5, "/safe-stop")),
        ({"safe_stop_url": "http://localhost:5/stop"}, ("localhost", 5, "/stop")),
        ({"safe_stop_url": "http://[::1]:5/stop"}, ("::1", 5, "/stop")),
        (
            {"safe_stop_url": "http://127.0.0.1:7/stop", "mcp_url": "http://127.0.0.1:7/mcp"},
            ("127.0.0.1", 7, "/stop"),
        ),
        ({"safe_stop_url": "http://127.0.0.1:7/stop", "mcp_url": "http://host:7/mcp"}, None),
        ({"safe_stop_url": "http://127.0.0.1:6/safe-stop"}, None),
        # The port is one of that machine, not of this one.
        ({"safe_stop_url": "http://127.0.0.1:5/safe-stop", "host": "10.0.0.5"}, None),
        ({"safe_stop_url": "http://10.0.0.1:5/safe-stop"}, None),
        ({"safe_stop_url": "https://127.0.0.1:5/safe-stop"}, None),
        ({"safe_stop_url": "http://127.0.0.1:5/delete-all"}, None),
        ({"safe_stop_url": "http://127.0.0.1:5/stop?x=1"}, None),
        ({"safe_stop_url": "http://u@127.0.0.1:5/stop"}, None),
        ({"safe_stop_url": "http://127.0.0.1:99999/stop"}, None),
        ({"safe_stop_url": "http://[::1/stop"}, None),
        ({"safe_stop_url": 7}, None),
        ({}, None),
        ({"safe_stop_url": "http://127.0.0.1:5/stop", "safe_stop_method": "GET"}, None),
        (
            {"safe_stop_url": "http://127.0.0.1:5/stop", "safe_stop_method": "post"},
            ("127.0.0.1", 5, "/stop"),
        ),
    ],
)
def test_a_safe_stop_is_asked_of_the_rows_own_server_only(found, address):
    assert safe_stop.address_of(entry(**found)) == address


# Whose process it is, as a table.

NOW = 10_000.0


@pytest.mark.parametrize(
    ("started", "registered", "last_heartbeat", "held", "verdict"),
    [
        (100.0, 101.0, 500.0, None, stopping.SAME),
        (100.0, 101.0, None, None, stopping.SAME),
        (101.5, 101.0, None, None, stopping.SAME),  # two readings of one clock
        (600.0, 101.0, 500.0, None, stopping.ANOTHER),
        (600.0, 101.0, None, None, stopping.ANOTHER),
        (600.0, 101.0, 500.0, True, stopping.UNKNOWN),
        (300.0, 101.0, 500.0, None, stopping.UNKNOWN),  # somebody renews a row older than itself
        (300.0, 101.0, 500.0, True, stopping.SAME),  # the clock was set forward
        (100.0, 20_000.0, 20_000.0, None, stopping.UNKNOWN),  # the clock was set back
        (100.0, 20_000.0, 20_000.0, True, stopping.SAME),
        (None, 101.0, 500.0, None, stopping.UNKNOWN),
        (None, 101.0, 500.0, True, stopping.UNKNOWN),
        (100.0, None, 500.0, None, stopping.UNKNOWN),
        (100.0, None, None, True, stopping.UNKNOWN),
        (100.0, 600.0, 500.0, None, stopping.SAME),
        (600.0, 601.0, 500.0, None, stopping.SAME),
    ],
)
def test_whether_it_is_the_one_that_registered(started, registered, last_heartbeat, held, verdict):
    assert stopping.judge(started, registered, last_heartbeat, True, held, NOW) == verdict


@pytest.mark.parametrize("last_heartbeat", [None, 100.0, 500.0])
@pytest.mark.parametrize("held", [True, None])
@pytest.mark.parametrize(
    ("started", "registered", "verdict"),
    [
        (100.0, 101.0, stopping.SAME),
        (300.0, 101.0, stopping.UNKNOWN),
        (600.0, 101.0, stopping.UNKNOWN),
        (100.0, 20_000.0, stopping.UNKNOWN),
        (None, 101.0, stopping.UNKNOWN),
        (100.0, None, stopping.UNKNOWN),
    ],
)
def test_whether_it_is_one_that_the_row_only_names(
    started, registered, verdict, last_heartbeat, held
):
    assert stopping.judge(started, registered, last_heartbeat, False, held, NOW) == verdict
