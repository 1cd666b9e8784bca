"""The server's row in a real registry directory, from start() to the end of the process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed import embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.host.identity import Instance
from dcc_mcp_embed.registry import store
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.registry.status import ServiceStatus
from dcc_mcp_embed.server import registration
from dcc_mcp_embed.server import server as server_module
from dcc_mcp_embed.server.readiness import READY, State
from dcc_mcp_embed.server.row import About
from dcc_mcp_embed.server.safe_stop import Pass
from dcc_mcp_embed.server.server import Server
from dcc_mcp_embed.transport_errors import RegistryFile
from fakes.live import DEADLINE, starting, tries
from fakes.served import environment
from fakes.stall import Stall

pytestmark = [pytest.mark.edges, pytest.mark.skipif(os.name == "nt", reason="holds locks by flock")]


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch) as one_more:
        yield one_more


def registry(directory):
    return open_registry(str(directory), {}, SystemClock(), lambda level, text: None)


def rows(directory):
    return registry(directory).entries()


def row(live, check=lambda found: True):
    """Return the server's row once it is there and as wanted."""
    found = None
    for _ in tries():
        found = registry(live.registry_dir).get(live.server.dcc_type, live.server.instance_id)
        if found is not None and check(found):
            return found
    raise AssertionError(found)


def is_ready(found):
    return found.metadata["dispatch_status"] == "ready"


# -- its life ---------------------------------------------------------------------------------


def test_a_server_has_a_row_as_long_as_it_runs(start):
    live = start()
    found = row(live, is_ready)
    assert found.instance_id == live.server.instance_id
    assert (found.host, found.port, found.pid) == ("127.0.0.1", live.port, os.getpid())
    assert (found.dcc_type, found.version) == ("standalone", "1.0")
    assert found.adapter_version == dcc_mcp_embed.__version__
    assert found.status is ServiceStatus.AVAILABLE
    metadata = found.metadata
    assert metadata["mcp_url"] == live.server.plain_url
    assert metadata["install_root"] == os.path.dirname(os.path.abspath(dcc_mcp_embed.__file__))
    untrue = {"host_rpc_uri", "gateway_runtime_mode", "launch_command", "restart_command"}
    assert not untrue & set(metadata)
    assert os.path.exists(found.sentinel_path)
    live.close()
    assert rows(live.registry_dir) == []
    assert not os.path.exists(found.sentinel_path)


def test_each_run_has_an_id_and_a_pass_of_its_own(start):
    first = start()
    before = row(first)
    first.close()
    second = start()
    after = row(second)
    for name in ("owner", "session"):
        assert before.metadata[name] != after.metadata[name]
        assert len(after.metadata[name]) == 32
    assert before.instance_id != after.instance_id


def test_the_row_stops_the_server(start):
    live = start()
    found = row(live)
    body = {"instance_id": found.instance_id, "dcc_type": found.dcc_type}
    body.update((name, found.metadata[name]) for name in ("owner", "session"))
    assert found.metadata["safe_stop_url"] == "http://127.0.0.1:{}/safe-stop".format(live.port)
    with live.connect() as wire:
        answer = wire.request(
            found.metadata["safe_stop_method"],
            "/safe-stop",
            {"Authorization": None},
            json.dumps(body).encode("ascii"),
        )
    assert answer.status == 200
    for _ in tries():
        if not rows(live.registry_dir):
            return
    raise AssertionError("it is still there")


def test_the_open_file_is_in_the_row(start):
    @dcc_mcp_embed.tool
    def save_as(ctx, path: str) -> str:
        """Pretend to save."""
        ctx.host.scene.file = path
        return "saved"

    live = start(tools=[SimpleNamespace(save_as=save_as)])
    assert row(live).scene is None
    with live.connect() as wire:
        wire.tool("save_as", {"path": "/shots/a.scene"})
        found = row(live, lambda found: found.scene is not None)
        assert (found.scene, found.documents) == ("/shots/a.scene", ["/shots/a.scene"])
        wire.tool("save_as", {"path": ""})
        found = row(live, lambda found: found.scene is None)
        assert found.documents == []


def test_a_main_thread_that_stands_still_is_told_and_so_is_its_return(start):
    stall = Stall()
    live = start(tools=stall.tools)
    row(live, is_ready)
    with stall.hold(live):
        stall.another()
        found = row(live, lambda found: found.metadata["dispatch_status"] == "unavailable")
        assert found.metadata["failure_stage"] == "main-thread"
        assert "block" in found.metadata["failure_reason"]
        assert found.status is ServiceStatus.UNREACHABLE
    found = row(live, is_ready)
    assert "failure_stage" not in found.metadata
    assert found.status is ServiceStatus.AVAILABLE


def test_a_worker_that_is_busy_for_many_heartbeats_leaves_the_row_fresh(start, monkeypatch):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    entered, leave = threading.Event(), threading.Event()

    @dcc_mcp_embed.tool(thread="worker")
    def block() -> str:
        """Keep the worker thread."""
        entered.set()
        assert leave.wait(DEADLINE)
        return "over"

    live = start(tools=[SimpleNamespace(block=block)])

    def call():
        with live.connect() as wire:
            wire.tool("block")

    caller = threading.Thread(target=call, name="caller")
    caller.start()
    try:
        assert entered.wait(DEADLINE)
        seen = {row(live).last_heartbeat_ms}
        for _ in tries():
            seen.add(row(live).last_heartbeat_ms)
            if len(seen) > 5:
                break
        assert len(seen) > 5
        assert row(live, is_ready).status is ServiceStatus.AVAILABLE
    finally:
        leave.set()
        caller.join(DEADLINE)


def test_a_row_that_somebody_took_away_comes_back(start, monkeypatch):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    live = start()
    before = row(live, is_ready)
    assert registry(live.registry_dir).deregister(before.dcc_type, before.instance_id)
    assert row(live, is_ready).metadata == before.metadata


def test_the_row_comes_back_when_a_cleaner_has_removed_the_whole_directory(start, monkeypatch):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    live = start()
    before = row(live, is_ready)
    for _ in tries():
        try:
            shutil.rmtree(live.registry_dir)
        except OSError:
            # A heartbeat came in between.
            continue
        break
    assert row(live, is_ready).metadata == before.metadata
    assert live.server.wait_registered()


# -- what nobody waits for --------------------------------------------------------------------


@contextmanager
def held(directory):
    """Be another program that has the lock of the registry."""
    directory.mkdir(mode=0o700, exist_ok=True)
    with open(str(directory / "services.lock"), "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_neither_the_start_nor_the_host_waits_for_the_lock_of_others(start, tmp_path):
    with held(tmp_path / "registry"):
        begun = time.monotonic()
        live = start(registered=False)
        assert time.monotonic() - begun < 1.9, "it gives up after two seconds"
        with live.connect() as wire:
            assert wire.tool("get_scene_info")["structuredContent"]["ok"]
        assert rows(live.registry_dir) == []
        assert not live.server.wait_registered(0.05)
    row(live, is_ready)
    assert live.server.wait_registered()


def test_who_waits_for_the_row_of_a_server_that_was_stopped_before_is_told_at_once():
    stopped, ended = threading.Event(), threading.Event()
    registrar = SimpleNamespace(
        registry=SimpleNamespace(get=lambda *_: None), shutdown=ended.set, heart=None
    )

    def manage(_):
        assert stopped.wait(DEADLINE)
        return registrar

    entered = registration.Registration(
        manage,
        SimpleNamespace(dcc_type="standalone", instance_id="1"),
        None,
        lambda: None,
        lambda: None,
        lambda *_: None,
    )
    entered.enter()
    entered.leave()
    stopped.set()
    assert ended.wait(DEADLINE)
    begun = time.monotonic()
    assert not entered.wait(DEADLINE)
    assert time.monotonic() - begun < DEADLINE / 2


def test_a_registry_that_is_locked_for_longer_is_entered_when_it_is_free(
    start, tmp_path, monkeypatch
):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    monkeypatch.setenv("DCC_MCP_REGISTRY_LOCK_TIMEOUT_MS", "20")
    with held(tmp_path / "registry"):
        live = start()
        log = " ".join(line.text for line in live.server.logbook.read(level="warning"))
        assert "not registered yet" in log
        assert rows(live.registry_dir) == []
    row(live, is_ready)


def test_a_change_that_came_while_the_lock_was_held_is_written_when_it_is_free(
    start, tmp_path, monkeypatch
):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    monkeypatch.setenv("DCC_MCP_REGISTRY_LOCK_TIMEOUT_MS", "20")
    live = start()
    row(live, is_ready)
    with held(tmp_path / "registry"):
        live.adapter.scene.file = "later.scene"
        with live.connect() as wire:
            wire.tool("get_scene_info")
        for _ in tries():
            log = " ".join(line.text for line in live.server.logbook.read(level="warning"))
            if "the registry row was not written" in log:
                break
    row(live, lambda found: found.scene == "later.scene")


def test_each_time_that_the_row_is_not_written_is_told_of_once():
    postponed, logged, broken, written = [], [], [False], []

    def update(*key, scene, **others):
        if broken[0]:
            raise RegistryFile("another has the lock")
        written.append(scene)

    def again():
        postponed.pop()()

    one = Instance("00112233-4455-6677-8899-aabbccddeeff", "maya", "2025", 1)
    heart = SimpleNamespace(defer=lambda function: function(), postpone=postponed.append)
    registrar = registration.Registrar(
        SimpleNamespace(update=update), heart, lambda *facts, **more: "", lambda: None
    )
    entered = registration.Registration(
        lambda interval: registrar,
        one,
        About(1, "1", "/here", Pass("o", "s")),
        lambda: State(READY),
        lambda: None,
        lambda level, text: logged.append(text),
    )
    entered.enter()
    assert entered.registrar is registrar

    def change(scene):
        one.scene = scene
        entered.changed()

    change("/a")
    broken[0] = True
    change("/b")
    again()
    again()
    assert (len(logged), len(postponed), written) == (1, 1, ["/a"])
    broken[0] = False
    again()
    assert (postponed, written) == ([], ["/a", "/b"])
    broken[0] = True
    change("/c")
    assert len(logged) == 2
    # What is to be written is what stands there already: that is over too.
    change("/b")
    again()
    change("/d")
    assert len(logged) == 3
    entered.leave()


def test_the_end_waits_a_moment_for_the_lock_and_then_the_sentinel_is_free(start, tmp_path):
    live = start()
    found = row(live)
    with held(tmp_path / "registry"):
        begun = time.monotonic()
        live.server.stop()
        assert time.monotonic() - begun < 1.9, "it gives up after two seconds"
        assert len(rows(live.registry_dir)) == 1
    log = " ".join(line.text for line in live.server.logbook.read(level="warning"))
    assert "not told of our end" in log
    removed = registry(live.registry_dir).sweep()
    assert [one.instance_id for one in removed] == [found.instance_id]


# -- registries that cannot be used -----------------------------------------------------------

GOOD = {
    "dcc_type": "maya",
    "instance_id": "00112233-4455-6677-8899-aabbccddeeff",
    "host": "127.0.0.1",
    "port": 18812,
    "version": None,
    "scene": None,
    "metadata": {},
    "registered_at": {"secs_since_epoch": 1, "nanos_since_epoch": 0},
    "last_heartbeat": {"secs_since_epoch": 1, "nanos_since_epoch": 0},
    "status": "available",
    "pid": os.getpid(),
}


@pytest.mark.parametrize(
    "content",
    [b"", b"   \n", b"[", b"\xef\xbb\xbf[]", b"\0" * 100, b"[1, null, {}]", b"\xff\xfe"],
    ids=["empty", "blank", "cut off", "BOM", "NULs", "no rows", "no text"],
)
def test_a_damaged_file_does_not_keep_the_server_from_its_row(start, tmp_path, content):
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "services.json").write_bytes(content)
    live = start()
    row(live, is_ready)
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200


def test_the_good_rows_of_a_damaged_file_stay(start, tmp_path):
    folder = tmp_path / "registry"
    folder.mkdir()
    text = json.dumps([GOOD, GOOD])[:-30]
    (folder / "services.json").write_text(text)
    live = start()
    row(live)
    assert GOOD["instance_id"] in [one.instance_id for one in rows(folder)]


@pytest.mark.parametrize("newer", [[dict(GOOD, schema_version=2)], {}], ids=["row", "object"])
def test_a_file_of_a_newer_version_is_left_alone_and_that_is_said(
    start, tmp_path, monkeypatch, newer
):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    folder = tmp_path / "registry"
    folder.mkdir()
    content = json.dumps(newer).encode("ascii")
    (folder / "services.json").write_bytes(content)
    live = start()
    for _ in tries():
        log = " ".join(line.text for line in live.server.logbook.read(level="warning"))
        if "left alone" in log:
            break
    assert "left alone" in log
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200
    live.close()
    assert (folder / "services.json").read_bytes() == content


@pytest.fixture
def denied(monkeypatch):
    """Have the system refuse every look into a registry file, as it refuses all but root."""
    real = store.open_plain

    def refuse(path, *arguments):
        if path.endswith("services.json"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, *arguments)

    monkeypatch.setattr(store, "open_plain", refuse)


def test_a_file_that_cannot_be_read_is_a_warning_that_names_the_reason(start, denied):
    live = start()
    for _ in range(3):
        assert live.server.wait_registered(DEADLINE) is False
    lines = [line.text for line in live.server.logbook.read(level="warning")]
    found = [line for line in lines if "cannot be found by others" in line]
    assert len(found) == 1, lines
    assert "ermission denied" in found[0]
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200


def test_a_system_without_another_thread_is_a_warning(start, monkeypatch):
    real = threading.Thread.start

    def refuse(thread):
        if thread.name == "dcc-mcp-embed-registry-start":
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    live = start()
    assert not live.server.wait_registered(DEADLINE)
    assert live.server.transport is None
    log = " ".join(line.text for line in live.server.logbook.read(level="error"))
    assert "can't start new thread" in log
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200


def test_a_place_that_cannot_be_a_directory_is_a_warning(start, tmp_path):
    (tmp_path / "registry").write_text("a file")
    live = start()
    assert not live.server.wait_registered(DEADLINE)
    log = live.server.logbook.read(level="warning")
    assert any("cannot be found by others" in line.text for line in log), log
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200
    assert live.server.transport is None
    from fakes.framed import FramedWire, wire_key

    with FramedWire(live.port, wire_key()) as wire:
        assert wire.greet().instance_id == live.server.instance_id, "it speaks all the same"


# -- its manager ------------------------------------------------------------------------------


def test_code_in_the_host_sees_itself_and_others_through_the_servers_own_manager(start):
    live = start()
    row(live, is_ready)
    manager = live.server.transport
    assert manager is live.server.transport
    (found,) = manager.list_all_services()
    assert found.instance_id == live.server.instance_id
    # From another thread than the host's main one it can even call itself.
    answer = manager.call("standalone", "status", instance_id=found.instance_id)
    assert json.loads(bytes(answer["payload"]).decode("utf-8"))["verdict"] == "healthy"
    other = manager.register_service("maya", "127.0.0.1", 18812)
    assert {one.instance_id for one in rows(live.registry_dir)} == {found.instance_id, other}
    live.close()
    assert rows(live.registry_dir) == []
    assert manager.is_shutdown()
    assert live.server.transport is None


def test_the_server_stays_when_code_in_the_host_ends_its_manager(start, monkeypatch):
    monkeypatch.setattr(registration, "HEARTBEAT", 0.02)
    live = start()
    before = row(live, is_ready)
    with live.server.transport as manager:
        other = manager.register_service("maya", "127.0.0.1", 18812)
        third = manager.register_service("maya", "127.0.0.1", 18813)
        assert manager.deregister_service("maya", third)
    assert manager.is_shutdown()
    (left,) = rows(live.registry_dir)
    assert left.instance_id == before.instance_id
    assert os.path.exists(left.sentinel_path)
    # It goes on beating, and so does what is registered by the next manager.
    fresh = live.server.transport
    assert fresh is not manager
    assert fresh is live.server.transport
    another = fresh.register_service("maya", "127.0.0.1", 18812)
    assert another != other
    for ident in (before.instance_id, another):
        seen = set()
        for _ in tries():
            moments = {one.instance_id: one.last_heartbeat_ms for one in rows(live.registry_dir)}
            seen.add(moments[ident])
            if len(seen) > 2:
                break
        assert len(seen) > 2
    assert live.server.wait_registered()
    live.close()
    assert rows(live.registry_dir) == []
    assert fresh.is_shutdown()


def test_the_server_is_registered_by_a_manager_of_its_own(start):
    live = start()
    row(live, is_ready)
    registrar = live.server._registration.registrar
    own = registrar.register.__self__
    assert own.shutdown == registrar.shutdown
    assert live.server.transport is not own, "whoever asks for one may end it"
    assert live.server.transport.registry is own.registry
    assert live.server.transport.heart is own.heart
    threads = [one for one in threading.enumerate() if one.name == "dcc-mcp-embed-registry"]
    live.server.transport.register_service("maya", "127.0.0.1", 18812)
    assert len(threads) == 1, "one heartbeat for all"
    live.close()
    assert own.is_shutdown()


def test_a_stop_while_the_manager_is_being_made_leaves_nothing(start, monkeypatch):
    entered, go = threading.Event(), threading.Event()
    manage = embed.EmbeddedServer._manage

    def slow(server, interval):
        entered.set()
        assert go.wait(DEADLINE)
        return manage(server, interval)

    monkeypatch.setattr(embed.EmbeddedServer, "_manage", slow)
    live = start(registered=False)
    assert entered.wait(DEADLINE)
    opener = live.server._registration._opener
    live.close()
    go.set()
    opener.join(DEADLINE)
    assert rows(live.registry_dir) == []
    assert live.server.transport is None


def test_a_stop_while_the_framed_protocol_is_being_loaded_keeps_no_thread_waiting(
    start, monkeypatch
):
    go, load = threading.Event(), Server.load_framed
    monkeypatch.setattr(Server, "load_framed", lambda server: go.wait(DEADLINE) and load(server))
    monkeypatch.setattr(server_module, "_SPOKEN", 2 * DEADLINE)
    live = start(registered=False)
    opener = live.server._registration._opener
    live.close()
    go.set()
    opener.join(DEADLINE)
    assert not opener.is_alive()
    assert rows(live.registry_dir) == []


def test_with_a_directory_given_the_row_is_there(start, tmp_path):
    live = start(registry_dir=str(tmp_path / "elsewhere"))
    live.registry_dir = str(tmp_path / "elsewhere")
    row(live, is_ready)
    assert not (tmp_path / "registry").exists()


# -- the end of a process ---------------------------------------------------------------------

PROCESS = """
import os, sys, time
import dcc_mcp_embed
from dcc_mcp_embed.registry import store
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.clock import SystemClock
server = dcc_mcp_embed.start("standalone", port=0)
registry = open_registry(None, os.environ, SystemClock(), lambda level, text: None)
server.wait_registered(20.0)
print(server.instance_id, flush=True)
{}
"""
ENDS = {
    "by itself": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_row_goes_with_the_process(tmp_path, end):
    code, status = ENDS[end]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROCESS.format(code)],
        env=environment(str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert done.stderr == b""
    assert done.returncode == status
    assert rows(tmp_path / "registry") == []
    assert os.listdir(str(tmp_path / "registry" / "locks")) == []


def test_the_row_of_a_killed_process_goes_with_the_next_sweep_also_if_a_child_lives_on(tmp_path):
    # The child says so itself: what it inherited is closed before fork() returns there.
    code = (
        "if not os.fork():\n    os.write(1, b'forked\\n')\n    sys.stdin.read()\n    os._exit(0)\n"
    )
    code += "sys.stdin.read()\n"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROCESS.format(code)],
        env=environment(str(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        ident = process.stdout.readline().decode().strip()
        assert process.stdout.readline() == b"forked\n"
        assert registry(tmp_path / "registry").sweep() == []
        process.kill()
        process.wait(DEADLINE)
        removed = registry(tmp_path / "registry").sweep()
        assert [one.instance_id for one in removed] == [ident]
    finally:
        process.kill()
        process.communicate()
