"""Every line of the seed's tables, in its order: what it promises is there and does that.

The page is dcc-mcp-core's transport documentation (0.12); a script for it runs after
``import dcc_mcp_embed as dcc_mcp_core``.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import socket

import pytest

import dcc_mcp_embed as dcc_mcp_core
from fakes.channels import until
from fakes.clock import FakeClock
from fakes.framed_peer import FramedPeer
from fakes.registry import raw_row

NO_SUCH = "00000000-0000-4000-8000-000000000000"
#: Of no process: Linux counts to 2**22, Windows in fours.
NO_PID = 2**31 - 3
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"


needs_unix_sockets = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="no unix sockets here"
)


class Bench:
    """Managers on one registry under one fake clock; rows beat only when a test says so."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.clock = FakeClock()
        self.made = []

    def manager(self, *arguments, **named):
        given = dict({"clock": self.clock, "heartbeat": False}, **named)
        made = dcc_mcp_core.TransportManager(self.directory, *arguments, **given)
        self.made.append(made)
        return made

    def close(self):
        for manager in self.made:
            manager.shutdown()


@pytest.fixture
def bench(tmp_path):
    one = Bench(tmp_path)
    yield one
    one.close()


@pytest.fixture
def manager(bench):
    return bench.manager()


@pytest.fixture
def peer():
    with FramedPeer() as one:
        yield one


def register(manager, peer=None, **facts):
    return manager.register_service("maya", "127.0.0.1", peer.port if peer else 18812, **facts)


def same(text):
    return pytest.raises(dcc_mcp_core.TransportError, match=text)


# 构造函数: the constructor.


def test_constructor_has_the_documented_parameters_and_defaults():
    documented = {
        "max_connections_per_dcc": 10,
        "idle_timeout": 300,
        "heartbeat_interval": 5,
        "connect_timeout": 10,
        "reconnect_max_retries": 3,
    }
    parameters = inspect.signature(dcc_mcp_core.TransportManager).parameters
    assert list(parameters)[:6] == ["registry_dir", *documented]
    for name, default in documented.items():
        assert parameters[name].default == default
        assert repr(parameters[name].default) == str(default)
        assert parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


def test_constructor_takes_them_by_position(bench):
    config = bench.manager(2, 3, 4, 5, 6).config
    assert config.pool.max_connections_per_type == 2
    assert config.session.idle_timeout == 3
    assert config.heartbeat_interval == 4
    assert config.connect_timeout == 5
    assert config.session.reconnect_max_retries == 6


def test_registry_dir_is_where_the_services_are_and_is_made(tmp_path):
    directory = tmp_path / "a" / "b"
    for given in (str(directory), directory):
        with dcc_mcp_core.TransportManager(given, heartbeat=False) as manager:
            register(manager)
            assert (directory / "services.json").exists()


def test_registry_dir_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match="registry file error: failed to create registry dir"):
        dcc_mcp_core.TransportManager(str(tmp_path / "file"))


def exhausts_at(manager, count):
    for _ in range(count):
        manager.acquire_connection("maya")
    with pytest.raises(dcc_mcp_core.PoolExhausted, match=r"\(max: {}\)".format(count)):
        manager.acquire_connection("maya")


NO_WAIT = dcc_mcp_core.TransportConfig(pool=dcc_mcp_core.PoolConfig(acquire_timeout=0))


@pytest.mark.parametrize("count", [1, 3])
def test_max_connections_per_dcc_limits_the_connections(bench, peer, count):
    manager = bench.manager(max_connections_per_dcc=count, config=NO_WAIT)
    register(manager, peer)
    exhausts_at(manager, count)


def becomes_idle_after(bench, manager, seconds):
    register(manager)
    session = manager.get_or_create_session("maya")
    bench.clock.advance(seconds)
    assert manager.cleanup()[1] == 0
    bench.clock.advance(0.001)
    assert manager.cleanup()[1] == 1
    assert manager.get_session(session)["state"] == "idle"


@pytest.mark.parametrize("seconds", [300, 7])
def test_idle_timeout_makes_sessions_idle(bench, seconds):
    becomes_idle_after(bench, bench.manager(idle_timeout=seconds), seconds)


def beats(directory, **given):
    """Return what the registry's file says about a row, now and once it was refreshed."""
    with dcc_mcp_core.TransportManager(str(directory), **given) as manager:
        instance = register(manager)
        first = manager.get_service("maya", instance).last_heartbeat_ms
        until(lambda: manager.get_service("maya", instance).last_heartbeat_ms != first)


def test_heartbeat_interval_refreshes_what_was_registered(tmp_path):
    beats(tmp_path, heartbeat_interval=0.05)


def write_row_of_the_dead(bench):
    """Put in the row of a host that crashed right now, as another program does."""
    moment = {"secs_since_epoch": int(bench.clock.wall()), "nanos_since_epoch": 0}
    row = raw_row(pid=NO_PID, registered_at=moment, last_heartbeat=moment)
    with open(os.path.join(bench.directory, "services.json"), "w", encoding="utf-8") as file:
        json.dump([row], file)


def stale_after(bench, manager, seconds):
    write_row_of_the_dead(bench)
    bench.clock.advance(seconds)
    assert manager.cleanup()[0] == 0
    bench.clock.advance(0.001)
    assert manager.cleanup()[0] == 1
    assert manager.list_all_services() == []


@pytest.mark.parametrize("seconds", [5, 2])
def test_three_heartbeat_intervals_make_a_dead_service_stale(bench, seconds):
    stale_after(bench, bench.manager(heartbeat_interval=seconds), 3 * seconds)


def times_out_connecting(tmp_path, manager, milliseconds):
    """Connect to a unix socket whose queue is full: nobody ever accepts."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as deaf, socket.socket(socket.AF_UNIX) as first:
        deaf.bind(path)
        deaf.listen(0)
        first.connect(path)
        address = dcc_mcp_core.TransportAddress.unix_socket(path)
        manager.register_service("maya", "127.0.0.1", 0, transport_address=address)
        with same("connection timed out after {}ms".format(milliseconds)):
            manager.acquire_connection("maya")


@needs_unix_sockets
@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_connect_timeout_ends_connecting(tmp_path, seconds):
    with dcc_mcp_core.TransportManager(
        str(tmp_path), connect_timeout=seconds, heartbeat=False
    ) as manager:
        times_out_connecting(tmp_path, manager, int(1000 * seconds))


def reconnects(manager, times):
    register(manager)
    session = manager.get_or_create_session("maya")
    for _ in range(times):
        manager.begin_reconnect(session)
    with same("after {} retries: max retries exceeded".format(times)):
        manager.begin_reconnect(session)


@pytest.mark.parametrize("times", [3, 1, 0])
def test_reconnect_max_retries_ends_reconnecting(bench, times):
    reconnects(bench.manager(reconnect_max_retries=times), times)


# 服务发现: service discovery.


def test_register_service_returns_an_instance_id(manager):
    first = manager.register_service("maya", "127.0.0.1", 18812, "2025", "a.ma", {"user": "eva"})
    second = manager.register_service("maya", "127.0.0.1", 18812)
    assert re.match(UUID, first)
    assert first != second
    entry = manager.get_service("maya", first)
    assert (entry.dcc_type, entry.host, entry.port) == ("maya", "127.0.0.1", 18812)
    assert (entry.version, entry.scene, entry.metadata) == ("2025", "a.ma", {"user": "eva"})
    assert (entry.pid, entry.status) == (os.getpid(), dcc_mcp_core.ServiceStatus.AVAILABLE)
    assert manager.get_service("maya", second).version is None


def test_deregister_service_tells_whether_it_was_there(manager, peer):
    instance = register(manager, peer)
    session = manager.get_or_create_session("maya", instance)
    manager.acquire_connection("maya", instance)
    assert manager.deregister_service("maya", instance) is True
    assert manager.list_all_services() == []
    assert manager.get_session(session) is None, "its session goes with it"
    assert manager.pool_size() == 0, "and so do its connections"
    assert manager.deregister_service("maya", instance) is False


def test_list_instances_is_by_exact_type(manager):
    ids = [register(manager), register(manager)]
    manager.register_service("houdini", "127.0.0.1", 1)
    assert [entry["instance_id"] for entry in manager.list_instances("maya")] == ids
    assert manager.list_instances("Maya") == []


def test_list_all_services_is_a_list_of_dictionaries(manager):
    instance = register(manager, version="2025")
    manager.register_service("houdini", "127.0.0.1", 1)
    found = manager.list_all_services()
    assert [entry["dcc_type"] for entry in found] == ["maya", "houdini"]
    assert isinstance(found[0], dict)
    assert json.loads(json.dumps(found[0])) == {
        "dcc_type": "maya",
        "instance_id": instance,
        "host": "127.0.0.1",
        "port": 18812,
        "version": "2025",
        "scene": None,
        "metadata": {},
        "status": "available",
    }


def test_heartbeat_updates_the_time_of_the_heartbeat(bench, manager):
    instance = register(manager)
    before = manager.get_service("maya", instance).last_heartbeat_ms
    bench.clock.advance(3)
    assert manager.heartbeat("maya", instance) is True
    assert manager.get_service("maya", instance).last_heartbeat_ms == before + 3000
    assert manager.heartbeat("maya", NO_SUCH) is False
    assert manager.heartbeat("houdini", instance) is False


# 会话管理: sessions.


def test_get_or_create_session_is_one_per_instance(bench, manager):
    first = register(manager)
    bench.clock.advance(1)
    second = register(manager)
    session = manager.get_or_create_session("maya")
    assert re.match(UUID, session)
    assert manager.get_or_create_session("maya", first) == session
    assert manager.get_or_create_session("maya", second) != session


def test_get_or_create_session_needs_a_service(manager):
    with same("service not found: dcc_type=maya, instance_id=any"):
        manager.get_or_create_session("maya")
    with same("service not found: dcc_type=maya, instance_id=" + NO_SUCH):
        manager.get_or_create_session("maya", NO_SUCH)
    instance = register(manager)
    manager.update_service_status("maya", instance, dcc_mcp_core.ServiceStatus.BUSY)
    with same("service not found: .* instance_id=strategy=first_available, hint=None"):
        manager.get_or_create_session("maya")


def test_get_session_is_a_dictionary_or_none(manager):
    instance = register(manager)
    session = manager.get_session(manager.get_or_create_session("maya"))
    assert isinstance(session, dict)
    assert (session["instance_id"], session["state"]) == (instance, "connected")
    assert session["transport_address"] == "tcp://127.0.0.1:18812"
    assert json.loads(json.dumps(session)) == session
    assert manager.get_session(NO_SUCH) is None


def test_record_success_counts_a_request(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    assert manager.record_success(session, 10) is None
    assert manager.record_success(session, 20) is None
    facts = manager.get_session(session)
    assert (facts["request_count"], facts["error_count"]) == (2, 0)
    assert facts["avg_latency_ms"] == 15.0
    assert manager.record_success(NO_SUCH, 1) is None


def test_record_error_counts_a_failed_request(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    assert manager.record_error(session, 30, "timed out") is None
    manager.record_success(session, 10)
    facts = manager.get_session(session)
    assert (facts["request_count"], facts["error_count"], facts["error_rate"]) == (2, 1, 0.5)
    assert facts["last_error"] == "timed out"
    assert manager.record_error(NO_SUCH, 1, "x") is None


def test_begin_reconnect_returns_the_milliseconds_to_wait(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    assert [manager.begin_reconnect(session) for _ in range(3)] == [1000, 2000, 4000]
    assert manager.get_session(session)["state"] == "reconnecting"


def test_reconnect_success_marks_the_session_connected(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    manager.begin_reconnect(session)
    assert manager.reconnect_success(session) is None
    assert manager.get_session(session)["state"] == "connected"
    assert manager.get_session(session)["reconnect_attempts"] == 0


def test_close_session_tells_whether_it_was_there(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    assert manager.close_session(session) is True
    assert manager.get_session(session) is None
    assert manager.close_session(session) is False


def test_list_sessions_is_a_list_of_dictionaries(manager):
    sessions = [manager.get_or_create_session("maya", register(manager)) for _ in range(2)]
    assert [session["id"] for session in manager.list_sessions()] == sessions


def test_session_count_counts(manager):
    assert manager.session_count() == 0
    register(manager)
    manager.get_or_create_session("maya")
    assert manager.session_count() == 1


# 连接池: the pool.


def test_acquire_connection_makes_a_real_connection_and_returns_its_id(manager, peer):
    instance = register(manager, peer)
    connection = manager.acquire_connection("maya")
    assert re.match(UUID, connection)
    peer.wait(lambda: peer.open == 1)
    assert manager.acquire_connection("maya", instance) != connection
    peer.wait(lambda: peer.open == 2)


def test_acquire_connection_needs_a_service_that_listens(manager):
    with same("service not found"):
        manager.acquire_connection("maya")
    with FramedPeer() as gone:
        register(manager, gone)
    with same("IPC connection failed to tcp://127.0.0.1:{}".format(gone.port)):
        manager.acquire_connection("maya")


def test_release_connection_gives_it_back(manager, peer):
    instance = register(manager, peer)
    connection = manager.acquire_connection("maya")
    assert manager.release_connection("maya", instance) is None
    assert manager.acquire_connection("maya") == connection
    assert manager.release_connection("maya", NO_SUCH) is None


def test_pool_size_counts_all_connections(manager, peer):
    instance = register(manager, peer)
    assert manager.pool_size() == 0
    manager.acquire_connection("maya")
    manager.acquire_connection("maya")
    manager.release_connection("maya", instance)
    assert manager.pool_size() == 2


# 生命周期: life cycle.


def test_cleanup_returns_services_sessions_connections(bench, manager, peer):
    assert manager.cleanup() == (0, 0, 0)
    instance = register(manager, peer)
    manager.get_or_create_session("maya")
    manager.acquire_connection("maya")
    manager.release_connection("maya", instance)
    bench.clock.advance(301)
    assert manager.cleanup() == (0, 1, 1), "an old row of a live process is no stale one"
    assert manager.pool_size() == 0


def test_shutdown_ends_everything(manager, peer):
    register(manager, peer)
    manager.get_or_create_session("maya")
    manager.acquire_connection("maya")
    assert manager.shutdown() is None
    assert (manager.session_count(), manager.pool_size()) == (0, 0)
    assert manager.list_all_services() == []
    peer.wait(lambda: peer.connections == 1 and peer.open == 0)
    manager.shutdown()


def test_is_shutdown_tells(manager):
    assert manager.is_shutdown() is False
    manager.shutdown()
    assert manager.is_shutdown() is True


# Dunder 方法.


def test_repr_has_the_three_counts(manager, peer):
    assert repr(manager) == "TransportManager(services=0, sessions=0, pool=0)"
    register(manager, peer)
    register(manager, peer)
    manager.get_or_create_session("maya")
    manager.acquire_connection("maya")
    assert repr(manager) == "TransportManager(services=2, sessions=1, pool=1)"


def test_len_is_the_session_count(manager):
    assert len(manager) == 0
    register(manager)
    manager.get_or_create_session("maya")
    assert len(manager) == manager.session_count() == 1


# TransportConfig, PoolConfig, SessionConfig: each field does something.


def configured(bench, kind, **fields):
    config = {
        "pool": lambda: dcc_mcp_core.TransportConfig(pool=dcc_mcp_core.PoolConfig(**fields)),
        "session": lambda: dcc_mcp_core.TransportConfig(
            session=dcc_mcp_core.SessionConfig(**fields)
        ),
        "transport": lambda: dcc_mcp_core.TransportConfig(**fields),
    }[kind]()
    return bench.manager(config=config)


@needs_unix_sockets
def test_connect_timeout_of_the_config(tmp_path):
    config = dcc_mcp_core.TransportConfig(connect_timeout=0.05)
    with dcc_mcp_core.TransportManager(str(tmp_path), config=config, heartbeat=False) as manager:
        times_out_connecting(tmp_path, manager, 50)


def test_heartbeat_interval_of_the_config_is_the_registrys(bench, tmp_path):
    beats(tmp_path / "b", config=dcc_mcp_core.TransportConfig(heartbeat_interval=0.05))
    stale_after(bench, configured(bench, "transport", heartbeat_interval=4), 12)


def test_max_connections_per_type_of_the_pool(bench, peer):
    manager = configured(bench, "pool", max_connections_per_type=2, acquire_timeout=0)
    register(manager, peer)
    exhausts_at(manager, 2)


def used_and_given_back(manager, peer):
    if not manager.list_instances("maya"):
        register(manager, peer)
    instance = manager.list_instances("maya")[0].instance_id
    manager.acquire_connection("maya")
    manager.release_connection("maya", instance)


@pytest.mark.parametrize("field", ["max_idle_time", "max_lifetime"])
def test_times_of_the_pool_evict(bench, peer, field):
    manager = configured(bench, "pool", **{field: 20})
    used_and_given_back(manager, peer)
    bench.clock.advance(20)
    assert manager.cleanup()[2] == 0
    bench.clock.advance(0.001)
    assert manager.cleanup()[2] == 1


def test_max_lifetime_of_the_pool_counts_from_the_beginning(bench, peer):
    manager = configured(bench, "pool", max_lifetime=20)
    used_and_given_back(manager, peer)
    bench.clock.advance(15)
    used_and_given_back(manager, peer)
    bench.clock.advance(6)
    assert manager.cleanup()[2] == 1


def test_acquire_timeout_of_the_pool(bench, peer):
    manager = configured(bench, "pool", max_connections_per_type=1, acquire_timeout=0.03)
    register(manager, peer)
    manager.acquire_connection("maya")
    with same("acquire timeout after 30ms for DCC type 'maya'"):
        manager.acquire_connection("maya")


def test_idle_timeout_of_the_session(bench):
    becomes_idle_after(bench, configured(bench, "session", idle_timeout=11), 11)


def test_reconnect_max_retries_of_the_session(bench):
    reconnects(configured(bench, "session", reconnect_max_retries=2), 2)


def test_reconnect_backoff_base_of_the_session(bench):
    manager = configured(bench, "session", reconnect_backoff_base=0.25)
    register(manager)
    session = manager.get_or_create_session("maya")
    assert [manager.begin_reconnect(session) for _ in range(3)] == [250, 500, 1000]


def test_max_session_lifetime_of_the_session(bench):
    manager = configured(bench, "session", max_session_lifetime=50)
    register(manager)
    session = manager.get_or_create_session("maya")
    bench.clock.advance(50)
    assert manager.cleanup()[1] == 0
    bench.clock.advance(0.001)
    assert manager.cleanup()[1] == 1
    assert manager.get_session(session) is None


@pytest.mark.parametrize("seconds", [5, 2])
def test_heartbeat_interval_of_the_session_finds_dead_idle_connections(bench, peer, seconds):
    manager = configured(bench, "session", heartbeat_interval=seconds)
    used_and_given_back(manager, peer)
    peer.wait(lambda: peer.open == 1)
    peer.cut()
    peer.wait(lambda: peer.open == 0)
    bench.clock.advance(seconds)
    assert manager.cleanup()[2] == 0, "not looked at yet"
    bench.clock.advance(0.001)
    assert manager.cleanup()[2] == 1


# TransportError: every variant is a class of its own, and a RuntimeError as it always was.

VARIANTS = (
    "ConnectionFailed ConnectionTimeout PoolExhausted AcquireTimeout ServiceNotFound"
    " ServiceAlreadyRegistered Serialization Io RegistryFile Shutdown SessionNotFound"
    " InvalidSessionState ReconnectionFailed Internal"
).split()


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_of_transport_error_is_a_class(name):
    variant = getattr(dcc_mcp_core, name)
    assert issubclass(variant, dcc_mcp_core.TransportError)
    assert issubclass(variant, RuntimeError)


def test_service_already_registered_where_an_id_is_given_twice(manager):
    register(manager, instance_id=NO_SUCH)
    with pytest.raises(dcc_mcp_core.ServiceAlreadyRegistered, match=NO_SUCH):
        register(manager, instance_id=NO_SUCH)


def test_session_not_found_and_invalid_state(manager):
    register(manager)
    for attempt in (manager.begin_reconnect, manager.reconnect_success):
        with pytest.raises(dcc_mcp_core.SessionNotFound, match=NO_SUCH):
            attempt(NO_SUCH)
    session = manager.get_or_create_session("maya")
    for _ in range(3):
        manager.begin_reconnect(session)
    with pytest.raises(dcc_mcp_core.ReconnectionFailed):
        manager.begin_reconnect(session)
    with pytest.raises(dcc_mcp_core.InvalidSessionState):
        manager.reconnect_success(session)


def test_registry_file_that_cannot_be_written(bench, manager):
    os.mkdir(os.path.join(bench.directory, "services.lock"))
    with pytest.raises(dcc_mcp_core.RegistryFile, match="registry file error"):
        register(manager)


# ServiceStatus, SessionState.


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("AVAILABLE", "available"),
        ("BUSY", "busy"),
        ("UNREACHABLE", "unreachable"),
        ("SHUTTING_DOWN", "shutting_down"),
    ],
)
def test_service_status_is_kept_and_shown(manager, name, shown):
    instance = register(manager)
    status = getattr(dcc_mcp_core.ServiceStatus, name)
    assert manager.update_service_status("maya", instance, status) is True
    entry = manager.get_service("maya", instance)
    assert (entry.status, entry["status"], entry.to_dict()["status"]) == (status, shown, name)


def test_only_an_available_service_accepts_connections_unasked(manager):
    instance = register(manager)
    assert manager.get_or_create_session("maya")
    for status in list(dcc_mcp_core.ServiceStatus)[1:]:
        manager.update_service_status("maya", instance, status)
        with same("service not found"):
            manager.get_or_create_session("maya")


def test_session_goes_through_its_states(bench, manager):
    register(manager)
    session = manager.get_or_create_session("maya")

    def state():
        return dcc_mcp_core.SessionState(manager.get_session(session)["state"])

    assert state() is dcc_mcp_core.SessionState.CONNECTED
    bench.clock.advance(301)
    manager.cleanup()
    assert state() is dcc_mcp_core.SessionState.IDLE
    manager.begin_reconnect(session)
    assert state() is dcc_mcp_core.SessionState.RECONNECTING
    for _ in range(2):
        manager.begin_reconnect(session)
    with pytest.raises(RuntimeError):
        manager.begin_reconnect(session)
    assert state() is dcc_mcp_core.SessionState.CLOSED
