"""The manager beyond the seed's page: what came later, what is better, and what is never sent."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from dcc_mcp_embed import (
    AcquireTimeout,
    CallFailed,
    ConfigError,
    ConnectionFailed,
    IpcConnectionFailed,
    PoolConfig,
    RoutingStrategy,
    ServiceNotFound,
    ServiceStatus,
    Shutdown,
    TransportAddress,
    TransportConfig,
    TransportManager,
    WouldDeadlock,
)
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.host import guard
from dcc_mcp_embed.registry.heartbeat import Heartbeat
from dcc_mcp_embed.secret import open_secret, rotate_secret
from dcc_mcp_embed.transport import pool, services, sessions
from fakes.clock import FakeClock
from fakes.framed_peer import DEADLINE, FramedPeer
from fakes.registry import Opened, raw_row
from fakes.served import environment

NO_SUCH = "00000000-0000-4000-8000-000000000000"
ID = "10000000-0000-4000-8000-000000000000"
WIRE = {"dcc_mcp_embed_wire": "1"}
BUSY = ServiceStatus.BUSY


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def manager(tmp_path, clock):
    with TransportManager(str(tmp_path / "registry"), clock=clock, heartbeat=False) as one:
        yield one


@pytest.fixture
def peer():
    with FramedPeer() as one:
        yield one


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's data directory, in which nothing is yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("DCC_MCP_EMBED_HOME", str(path))
    return path


def register(manager, peer=None, clock=None, **facts):
    if clock is not None:
        clock.advance(1)  # which one registered first is then no question
    return manager.register_service("maya", "127.0.0.1", peer.port if peer else 18812, **facts)


def write_rows(manager, *rows):
    with open(os.path.join(manager.registry.directory, "services.json"), "w") as file:
        json.dump(rows, file)


# Services.


def test_register_service_takes_what_came_later_by_keyword(manager):
    address = TransportAddress.unix_socket("/tmp/x.sock")
    instance = manager.register_service(
        "maya",
        "127.0.0.1",
        0,
        transport_address=address,
        documents=["a.ma", "b.ma"],
        pid=4321,
        display_name="Maya (eva)",
        extras={"capabilities": [1, 2]},
        adapter_version="1.2",
    )
    entry = manager.get_service("maya", instance)
    assert entry.transport_address == address
    assert entry.is_ipc
    assert entry.documents == ["a.ma", "b.ma"]
    assert (entry.pid, entry.display_name) == (4321, "Maya (eva)")
    assert (entry.extras, entry.adapter_version) == ({"capabilities": [1, 2]}, "1.2")
    with pytest.raises(TypeError):
        manager.register_service("maya", "127.0.0.1", 0, None, None, None, address)
    with pytest.raises(TypeError, match="unexpected keyword"):
        manager.register_service("maya", "127.0.0.1", 0, sentinel_path="/x")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("maya", "127.0.0.1", 65536), OverflowError),
        (("maya", "127.0.0.1", -1), OverflowError),
        (("maya", "127.0.0.1", "1"), TypeError),
        ((b"maya", "127.0.0.1", 1), TypeError),
        (("maya", "127.0.0.1", 1, 2025), TypeError),
        (("maya", "127.0.0.1", 1, None, None, {"port": 1}), TypeError),
    ],
)
def test_register_service_refuses_what_fits_into_no_row(manager, arguments, error):
    with pytest.raises(error):
        manager.register_service(*arguments)
    assert manager.list_all_services() == []


def test_lists_and_get_service_agree(manager):
    instance = register(manager)
    assert manager.list_all_instances() == manager.list_all_services()
    assert manager.get_service("maya", instance.upper()) == manager.list_instances("maya")[0]
    assert manager.get_service("houdini", instance) is None
    assert manager.get_service("maya", NO_SUCH) is None


@pytest.mark.parametrize("bad", ["", "x", "1234", NO_SUCH + "0"])
def test_what_is_no_uuid_is_a_value_error(manager, bad):
    for attempt in (
        lambda: manager.get_service("maya", bad),
        lambda: manager.heartbeat("maya", bad),
        lambda: manager.deregister_service("maya", bad),
        lambda: manager.update_service_status("maya", bad, BUSY),
        lambda: manager.get_or_create_session("maya", bad),
        lambda: manager.acquire_connection("maya", bad),
        lambda: manager.release_connection("maya", bad),
        lambda: manager.get_session(bad),
        lambda: manager.record_success(bad, 1),
        lambda: manager.record_error(bad, 1, "x"),
        lambda: manager.begin_reconnect(bad),
        lambda: manager.reconnect_success(bad),
        lambda: manager.close_session(bad),
    ):
        with pytest.raises(ValueError, match="invalid UUID"):
            attempt()


def test_ids_are_taken_in_every_form_and_given_in_one(manager):
    instance = register(manager)
    session = manager.get_or_create_session("maya", "{" + instance.upper() + "}")
    assert manager.get_session(session)["instance_id"] == instance
    manager.record_success(session.replace("-", ""), 5)
    manager.record_error("urn:uuid:" + session, 5, "x")
    assert manager.get_session(session.upper())["request_count"] == 2
    assert manager.close_session(session.upper()) is True


def test_status_must_be_one(manager):
    instance = register(manager)
    with pytest.raises(TypeError):
        manager.update_service_status("maya", instance, "busy")
    assert manager.update_service_status("maya", NO_SUCH, BUSY) is False


def test_update_scene_keeps_changes_and_clears(manager, clock):
    instance = register(manager, scene="a.ma", version="2025")
    clock.advance(2)
    assert manager.update_scene("maya", instance, scene="b.ma") is True
    entry = manager.get_service("maya", instance)
    assert (entry.scene, entry.version) == ("b.ma", "2025")
    assert entry.last_heartbeat_ms == int(clock.wall() * 1000), "whoever works is alive"
    assert manager.update_scene("maya", instance, version="2026") is True
    assert manager.update_scene("maya", instance, scene="") is True
    entry = manager.get_service("maya", instance)
    assert (entry.scene, entry.version) == (None, "2026")
    assert manager.update_scene("maya", NO_SUCH, "a.ma") is False


def test_update_documents_replaces_the_list(manager, clock):
    instance = register(manager, scene="a.ma", display_name="Maya", documents=["a.ma"])
    clock.advance(2)
    assert manager.update_documents("maya", instance, "b.ma", ["a.ma", "b.ma"], "Eva's") is True
    entry = manager.get_service("maya", instance)
    assert (entry.scene, entry.documents) == ("b.ma", ["a.ma", "b.ma"])
    assert entry.display_name == "Eva's"
    assert entry.last_heartbeat_ms == int(clock.wall() * 1000)
    assert manager.update_documents("maya", instance, display_name="") is True
    entry = manager.get_service("maya", instance)
    assert (entry.scene, entry.documents, entry.display_name) == ("b.ma", [], None)
    with pytest.raises(TypeError):
        manager.update_documents("maya", instance, documents="a.ma")


@pytest.mark.parametrize("way", ["call", "acquire"])
def test_a_dead_instance_that_was_picked_is_passed_over_and_removed(manager, peer, way):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(DEADLINE)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    write_rows(manager, raw_row(instance_id=NO_SUCH, port=closed, pid=ended.pid))
    with pytest.raises(IpcConnectionFailed):
        manager.call("maya", "echo", b"x", NO_SUCH)
    assert manager.get_service("maya", NO_SUCH) is not None, "it was named"
    with pytest.raises(ServiceNotFound):
        manager.call("maya", "echo", b"x")
    write_rows(manager, raw_row(instance_id=NO_SUCH, port=closed, pid=ended.pid))
    instance = register(manager, peer)
    if way == "call":
        assert manager.call("maya", "echo", b"x")["payload"] == b"x"
    else:
        manager.acquire_connection("maya")
    assert [row.instance_id for row in manager.list_all_services()] == [instance]


def test_a_live_instance_that_cannot_be_connected_to_is_not_passed_over(manager, peer):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
    write_rows(manager, raw_row(instance_id=NO_SUCH, port=closed, pid=os.getpid()))
    register(manager, peer)
    with pytest.raises(IpcConnectionFailed):
        manager.call("maya", "echo", b"x")
    assert len(manager.list_all_services()) == 2


def test_prune_dead_pids_removes_the_provably_dead_only(manager):
    write_rows(
        manager,
        raw_row(instance_id=NO_SUCH, pid=2**31 - 3),
        raw_row(instance_id=ID),
        raw_row(dcc_type="houdini", pid=os.getpid()),
    )
    assert manager.prune_dead_pids() == 1
    assert [entry.dcc_type for entry in manager.list_all_services()] == ["maya", "houdini"]
    assert manager.prune_dead_pids() == 0


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_clock_that_is_wrong_kills_no_row(manager, clock, hours):
    moment = {"secs_since_epoch": int(clock.wall() + hours * 3600), "nanos_since_epoch": 0}
    write_rows(manager, raw_row(pid=os.getpid(), last_heartbeat=moment))
    assert manager.cleanup()[0] == 0
    assert len(manager.list_all_services()) == 1


def test_rank_is_near_first_and_find_best_takes_turns(manager, clock):
    far = manager.register_service("maya", "render7", 1)
    first, second = register(manager, clock=clock), register(manager, clock=clock)
    busy = register(manager)
    manager.update_service_status("maya", busy, BUSY)
    manager.update_service_status("maya", register(manager), ServiceStatus.UNREACHABLE)
    ranked = [entry.instance_id for entry in manager.rank_services("maya")]
    assert ranked == [first, second, busy, far]
    assert [manager.find_best_service("maya").instance_id for _ in range(3)] == [
        first,
        second,
        first,
    ]


def test_rank_of_nothing_says_why(manager):
    for attempt in (manager.rank_services, manager.find_best_service):
        with pytest.raises(ServiceNotFound, match="instance_id=any"):
            attempt("maya")
    manager.update_service_status("maya", register(manager), ServiceStatus.SHUTTING_DOWN)
    for attempt in (manager.rank_services, manager.find_best_service):
        with pytest.raises(ServiceNotFound, match="all instances are unreachable or shutting"):
            attempt("maya")


def test_bind_and_register_is_reached_by_another_manager(tmp_path, manager):
    first, listener = manager.bind_and_register("maya", "2025", {"user": "eva"})
    second, other = manager.bind_and_register("maya")
    with listener, other:
        entry = manager.get_service("maya", first)
        assert entry.transport_address == listener.local_address()
        assert (entry.host, entry.version, entry.metadata) == ("127.0.0.1", "2025", {"user": "eva"})
        if hasattr(socket, "AF_UNIX"):
            assert (entry.port, entry.is_ipc) == (0, True)
        assert listener.local_address() != other.local_address()
        thread = threading.Thread(target=answer_one, args=(listener,))
        thread.start()
        with TransportManager(str(tmp_path / "registry"), heartbeat=False) as client:
            assert client.call("maya", "echo", b"x", first)["payload"] == b"x"
        thread.join(DEADLINE)


def answer_one(listener):
    with listener.accept(int(DEADLINE * 1000)) as channel:
        request = channel.recv(int(DEADLINE * 1000))
        channel.send_response(request["id"], True, request["params"])


# Sessions.


def test_routed_session_goes_by_the_strategy(manager, clock):
    first = register(manager, clock=clock, scene="/a/sh010.ma")
    second = register(manager, clock=clock, scene="/a/sh020.ma")

    def picked(*arguments):
        session = manager.get_or_create_session_routed("maya", *arguments)
        return manager.get_session(session)["instance_id"]

    assert picked() == first
    turns = [picked(RoutingStrategy.ROUND_ROBIN) for _ in range(3)]
    assert turns == [first, second, first]
    assert picked(RoutingStrategy.FIRST_AVAILABLE) == first
    assert picked(RoutingStrategy.ROUND_ROBIN) == second, "only its own callers take turns"
    assert picked(RoutingStrategy.SPECIFIC, second[:8]) == second
    assert picked(RoutingStrategy.SCENE_MATCH, "SH020") == second
    assert picked(RoutingStrategy.RANDOM) == second, "chance is one half"
    with pytest.raises(ServiceNotFound) as failed:
        picked(RoutingStrategy.SCENE_MATCH, "sh030")
    assert str(failed.value) == (
        'service not found: dcc_type=maya, instance_id=strategy=scene_match, hint=Some("sh030")'
    )
    with pytest.raises(TypeError, match="expected a RoutingStrategy"):
        picked("round_robin")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "strategy=first_available, hint=None"),
        ((RoutingStrategy.ROUND_ROBIN,), "strategy=round_robin, hint=None"),
        ((RoutingStrategy.SPECIFIC, 'a"b'), 'strategy=specific, hint=Some("a\\"b")'),
    ],
)
def test_routing_to_nobody_tells_what_was_looked_for(manager, arguments, told):
    for _ in range(2):
        with pytest.raises(ServiceNotFound) as failed:
            manager.get_or_create_session_routed("maya", *arguments)
        assert str(failed.value) == "service not found: dcc_type=maya, instance_id=" + told
        instance = register(manager)
        manager.update_service_status("maya", instance, ServiceStatus.UNREACHABLE)


def test_least_busy_goes_by_the_callers_of_this_moment(manager, clock, peer):
    with FramedPeer() as other:
        first = register(manager, peer, clock)
        second = register(manager, other, clock)
        least = RoutingStrategy.LEAST_BUSY
        with manager.connection("maya", strategy=least):
            assert manager.list_sessions()[-1]["instance_id"] == first
            with manager.connection("maya", strategy=least):
                assert manager.list_sessions()[-1]["instance_id"] == second
        session = manager.get_or_create_session_routed("maya", least)
        assert manager.get_session(session)["instance_id"] == first
        manager.shutdown()


def test_sessions_and_connections_are_counted_by_type(manager, peer):
    register(manager, peer)
    manager.register_service("houdini", "127.0.0.1", peer.port)
    sessions = [manager.get_or_create_session(kind) for kind in ("maya", "houdini")]
    assert [facts["id"] for facts in manager.list_sessions_for_dcc("houdini")] == sessions[1:]
    assert manager.list_sessions_for_dcc("Maya") == []
    manager.acquire_connection("maya")
    assert manager.pool_count_for_dcc("maya") == 1
    assert manager.pool_count_for_dcc("houdini") == 0


def test_closed_session_is_replaced(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    for _ in range(3):
        manager.begin_reconnect(session)
    with pytest.raises(RuntimeError):
        manager.begin_reconnect(session)
    fresh = manager.get_or_create_session("maya")
    assert fresh != session
    assert manager.session_count() == 1


def test_what_went_wrong_is_text_and_a_latency_is_one(manager):
    register(manager)
    session = manager.get_or_create_session("maya")
    with pytest.raises(TypeError, match="error: expected text"):
        manager.record_error(session, 1, ValueError("x"))
    for bad in (-1, 2**64):
        with pytest.raises(OverflowError):
            manager.record_success(session, bad)
    with pytest.raises(TypeError):
        manager.record_success(session, "1")
    assert manager.get_session(session)["request_count"] == 0


# Connections.


def test_connection_can_be_used_and_its_calls_are_counted(manager, peer):
    instance = register(manager, peer)
    with manager.connection("maya") as channel:
        assert channel.call("echo", b"x")["payload"] == b"x"
        assert channel.call("echo", {"a": 1})["payload"] == b'{"a":1}'
    with manager.connection("maya", instance) as again:
        assert again.is_running
        assert not channel.is_running, "what was given back is another's"
    (session,) = manager.list_sessions()
    assert (session["request_count"], session["error_count"]) == (2, 0)
    assert session["instance_id"] == instance
    assert peer.connections == 1


def test_failed_call_is_counted_with_its_error(manager):
    def refuse(method, params):
        raise ValueError("no such node")

    with FramedPeer(answer=refuse) as peer:
        register(manager, peer)
        with pytest.raises(CallFailed), manager.connection("maya") as channel:
            channel.call("select")
        (session,) = manager.list_sessions()
        assert (session["request_count"], session["error_count"]) == (1, 1)
        assert session["last_error"] == "call 'select' failed: no such node"
        manager.shutdown()


def test_call_is_a_connection_for_one_call(manager, peer):
    register(manager, peer)
    assert manager.call("maya", "echo", b"x")["payload"] == b"x"
    assert manager.pool_size() == 1
    assert manager.list_sessions()[0]["request_count"] == 1


def test_connection_needs_a_service_and_an_open_manager(manager):
    with pytest.raises(ServiceNotFound), manager.connection("maya"):
        pass
    manager.shutdown()
    with pytest.raises(Shutdown), manager.connection("maya"):
        pass


def test_many_threads_share_few_connections(tmp_path, peer):
    config = TransportConfig(PoolConfig(2))
    with TransportManager(str(tmp_path / "r"), config=config, heartbeat=False) as manager:
        register(manager, peer)
        wrong = []

        def work(number):
            for turn in range(20):
                sent = "{}-{}".format(number, turn).encode()
                try:
                    if manager.call("maya", "echo", sent)["payload"] != sent:
                        wrong.append(sent)
                except Exception as error:
                    wrong.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert wrong == []
        assert sorted(peer.requests) == sorted(
            ("echo", "{}-{}".format(number, turn).encode())
            for number in range(8)
            for turn in range(20)
        )
        assert peer.connections <= 2
        assert manager.list_sessions()[0]["request_count"] == 160


@pytest.mark.edges
def test_no_call_leaves_anything_to_collect(tmp_path):
    """A host's idle main thread never collects, so what is left in a circle stays for ever."""

    def refuse(method, params):
        if method == "fail":
            raise ValueError("no such node")
        return params

    def attempt(failure, function, *arguments, **named):
        try:
            function(*arguments, **named)
        except failure:
            pass

    config = TransportConfig(PoolConfig(1, acquire_timeout=0.001))
    with FramedPeer(answer=refuse) as peer, TransportManager(
        str(tmp_path), config=config, heartbeat=False
    ) as manager:
        instance = register(manager, peer)

        def everything():
            manager.call("maya", "echo", b"x")
            attempt(CallFailed, manager.call, "maya", "fail")
            attempt(ServiceNotFound, manager.call, "houdini", "x")
            manager.acquire_connection("maya")
            attempt(AcquireTimeout, manager.call, "maya", "echo")
            manager.release_connection("maya", instance)
            manager.list_sessions()
            manager.cleanup()

        everything()
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                everything()
            assert gc.collect() == 0
        finally:
            gc.enable()


# Who is one of us.


def wire_key(home):
    return open_secret(str(home), SystemClock()).wire_key()


def test_one_of_us_is_greeted(tmp_path, home):
    with FramedPeer(key=wire_key(home), instance_id=ID) as peer, TransportManager(
        str(tmp_path / "r"), heartbeat=False
    ) as manager:
        register(manager, peer, instance_id=ID, metadata=WIRE)
        with manager.connection("maya") as channel:
            assert channel.hello.instance_id == ID
            assert channel.call("echo", b"x")["payload"] == b"x"


def test_a_given_secret_is_used(tmp_path, home):
    secret = open_secret(str(tmp_path / "other"), SystemClock())
    with FramedPeer(key=secret.wire_key(), instance_id=ID) as peer, TransportManager(
        str(tmp_path / "r"), heartbeat=False, secret=secret
    ) as manager:
        register(manager, peer, instance_id=ID, metadata=WIRE)
        assert manager.call("maya", "echo", b"x")["payload"] == b"x"
    assert not home.exists()


def test_another_instance_at_the_address_is_refused(tmp_path, home):
    with FramedPeer(key=wire_key(home), instance_id=NO_SUCH) as peer, TransportManager(
        str(tmp_path / "r"), heartbeat=False
    ) as manager:
        register(manager, peer, instance_id=ID, metadata=WIRE)
        with pytest.raises(ConnectionFailed, match="another instance answers"):
            manager.acquire_connection("maya")
        assert manager.pool_size() == 0


def test_secret_that_was_renewed_is_read_again(tmp_path, home):
    old = wire_key(home)
    with TransportManager(str(tmp_path / "r"), heartbeat=False) as manager:
        with FramedPeer(key=old, instance_id=ID) as peer:
            register(manager, peer, instance_id=ID, metadata=WIRE)
            manager.call("maya", "echo", b"x")
            manager.deregister_service("maya", ID)
        rotate_secret(str(home), SystemClock())
        with FramedPeer(key=wire_key(home), instance_id=ID) as peer:
            register(manager, peer, instance_id=ID, metadata=WIRE)
            assert manager.call("maya", "echo", b"y")["payload"] == b"y"
            assert peer.connections == 2, "one of them with the old secret"
            manager.deregister_service("maya", ID)
            register(manager, peer, instance_id=ID, metadata=WIRE)
            manager.call("maya", "echo", b"z")
            assert peer.connections == 3, "the new one is kept in mind"
            manager.deregister_service("maya", ID)
        with FramedPeer(key=old, instance_id=ID) as stranger:
            register(manager, stranger, instance_id=ID, metadata=WIRE)
            with pytest.raises(ConnectionFailed, match="does not know this user's secret"):
                manager.call("maya", "echo", b"x")
            assert stranger.connections == 1, "nothing new to say"


def test_secret_that_was_given_is_the_only_one(tmp_path, home):
    secret = open_secret(str(tmp_path / "given"), SystemClock())
    with FramedPeer(key=b"k" * 32, instance_id=ID) as stranger, TransportManager(
        str(tmp_path / "r"), heartbeat=False, secret=secret
    ) as manager:
        register(manager, stranger, instance_id=ID, metadata=WIRE)
        with pytest.raises(ConnectionFailed, match="does not know this user's secret"):
            manager.call("maya", "echo", b"x")
    assert not home.exists()


def test_squatter_at_the_address_is_refused_and_learns_nothing(tmp_path, home):
    key = wire_key(home)
    # It answers everything with what it was sent: the best guess without the secret.
    with FramedPeer() as squatter, TransportManager(
        str(tmp_path / "r"), heartbeat=False
    ) as manager:
        register(manager, squatter, instance_id=ID, metadata=WIRE)
        with pytest.raises(ConnectionFailed):
            manager.acquire_connection("maya")
        squatter.wait(lambda: squatter.connections == 1 and squatter.open == 0)
        heard = bytes(squatter.received[0])
    assert b'"nonce"' in heard
    assert b'"proof"' not in heard
    assert key not in heard
    assert key.hex().encode() not in heard


def test_anybody_else_is_sent_what_the_caller_says_and_nothing_more(manager, peer, home):
    register(manager, peer)
    manager.acquire_connection("maya")
    with manager.connection("maya") as channel:
        channel.call("echo", b"x")
    manager.shutdown()
    peer.wait(lambda: peer.connections == 2 and peer.open == 0)
    silent, spoken = sorted(map(bytes, peer.received), key=len)
    assert silent == b""
    assert b"hello" not in spoken
    assert not home.exists(), "the secret was not so much as looked for"


def test_secret_that_cannot_be_read_is_told(tmp_path, home):
    home.write_text("in the way")
    with FramedPeer() as peer, TransportManager(str(tmp_path / "r"), heartbeat=False) as manager:
        register(manager, peer, instance_id=ID, metadata=WIRE)
        with pytest.raises(ConfigError, match="DCC_MCP_EMBED_HOME"):
            manager.acquire_connection("maya")
        assert peer.connections == 0


# Life.


def test_after_shutdown_as_the_reference(manager):
    instance = register(manager)
    manager.shutdown()
    for attempt in (
        lambda: manager.register_service("maya", "127.0.0.1", 1),
        lambda: manager.deregister_service("maya", instance),
        lambda: manager.update_service_status("maya", instance, BUSY),
        lambda: manager.update_scene("maya", instance, "a"),
        lambda: manager.update_documents("maya", instance),
        lambda: manager.get_or_create_session("maya"),
        lambda: manager.get_or_create_session_routed("maya"),
        lambda: manager.acquire_connection("maya"),
        lambda: manager.bind_and_register("maya"),
        lambda: manager.call("maya", "x"),
    ):
        with pytest.raises(Shutdown, match="transport is shut down"):
            attempt()
    write_rows(manager, raw_row(instance_id=ID))
    assert len(manager.list_all_services()) == len(manager.list_instances("maya")) == 1
    assert manager.get_service("maya", ID) is not None
    assert manager.heartbeat("maya", ID) is True
    assert manager.rank_services("maya")
    assert manager.find_best_service("maya")
    assert manager.get_session(NO_SUCH) is None
    assert manager.list_sessions() == manager.list_sessions_for_dcc("maya") == []
    assert manager.close_session(NO_SUCH) is False
    manager.record_success(NO_SUCH, 1)
    manager.release_connection("maya", ID)
    assert manager.cleanup() == (0, 0, 0)
    assert (manager.session_count(), manager.pool_size(), len(manager)) == (0, 0, 0)
    assert repr(manager) == "TransportManager(services=1, sessions=0, pool=0)"


def test_end_of_a_with_block_is_a_shutdown(tmp_path):
    with pytest.raises(LookupError), TransportManager(str(tmp_path), heartbeat=False) as manager:
        raise LookupError
    assert manager.is_shutdown()


def test_rows_may_stay(tmp_path):
    with TransportManager(str(tmp_path), deregister_on_shutdown=False, heartbeat=False) as manager:
        instance = register(manager)
    (left,) = manager.list_all_services()
    assert left.instance_id == instance
    assert manager.cleanup()[0] == 0, "its process is alive"


def test_a_registry_that_was_given_stays_open_with_the_rows_of_others(tmp_path):
    with Opened(tmp_path / "r") as opened:
        registry = opened.registry
        others = registry.register("houdini", "127.0.0.1", 1)
        for deregister, left in ((True, 1), (False, 2)):
            with TransportManager(
                registry=registry, heartbeat=False, deregister_on_shutdown=deregister
            ) as manager:
                register(manager)
            assert registry.own() == [("houdini", others.instance_id)]
            assert len(opened.rows()) == left
        assert registry.register("maya", "127.0.0.1", 2)


@pytest.mark.parametrize("moment", ["row", "hook"])
def test_what_is_registered_while_the_manager_ends_does_not_stay(tmp_path, monkeypatch, moment):
    hooks = []
    with Opened(tmp_path / "registry") as opened:
        manager = TransportManager(registry=opened.registry, heartbeat=False)
        register = opened.registry.register

        def row(*arguments, **named):
            entry = register(*arguments, **named)
            if moment == "row":
                manager.shutdown()
            return entry

        def hook(function):
            if moment == "hook":
                manager.shutdown()
            hooks.append(function)

        monkeypatch.setattr(opened.registry, "register", row)
        monkeypatch.setattr(services.atexit, "register", hook)
        monkeypatch.setattr(services.atexit, "unregister", lambda one: drop(hooks, one))
        with pytest.raises(Shutdown):
            manager.register_service("maya", "127.0.0.1", 1)
        assert opened.rows() == []
        assert manager.shutdown not in hooks, "which would keep it"


def drop(items, item):
    items[:] = [one for one in items if one != item]


def test_a_heartbeat_that_was_given_goes_on(tmp_path):
    with Opened(tmp_path / "r", SystemClock()) as opened:
        heart = Heartbeat(opened.registry, 60.0, SystemClock(), lambda level, text: None)
        with TransportManager(registry=opened.registry, heartbeat=heart) as manager:
            assert manager.heart is heart
            register(manager)
            assert len(registry_threads()) == 1
        assert len(registry_threads()) == 1
        assert heart.stop(DEADLINE)


def registry_threads():
    return [one for one in threading.enumerate() if one.name == "dcc-mcp-embed-registry"]


def test_rows_are_kept_alive_from_the_first_one_to_the_end(tmp_path):
    with TransportManager(str(tmp_path)) as manager:
        assert registry_threads() == []
        register(manager)
        register(manager)
        assert len(registry_threads()) == 1
    assert registry_threads() == []


def test_nobody_beats_where_that_is_switched_off(tmp_path):
    with TransportManager(str(tmp_path), heartbeat=False) as manager:
        register(manager)
        assert registry_threads() == []


def test_nobody_beats_every_zero_seconds(tmp_path):
    with TransportManager(str(tmp_path), 10, 300, 0, 0) as manager:
        register(manager)
        assert manager.heart is None
        assert registry_threads() == []
        assert manager.config.connect_timeout == 10.0
        assert manager.cleanup() == (0, 0, 0)


def test_directory_may_begin_with_the_users_and_empty_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", str(tmp_path / "usual"))
    for given, found in (("~/mine", "mine"), ("", "usual"), (None, "usual")):
        with TransportManager(given, heartbeat=False) as manager:
            assert manager.registry.directory == str(tmp_path / found)


def test_shutdown_gets_through_whatever_fails_and_whoever_is_in_the_middle(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "_PATIENCE", 0.01)
    monkeypatch.setattr(pool, "_PATIENCE", 0.01)
    manager = TransportManager(str(tmp_path), heartbeat=False)
    register(manager)
    manager.get_or_create_session("maya")
    held, go = threading.Event(), threading.Event()

    def hold():
        with manager._sessions._lock, manager._connections._table._lock:
            held.set()
            go.wait(DEADLINE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(DEADLINE)
    manager.shutdown()
    go.set()
    holder.join(DEADLINE)
    assert manager.list_all_services() == []
    with pytest.raises(Shutdown):
        manager.acquire_connection("maya", ID)


def test_shutdown_in_the_middle_of_a_call_of_the_same_thread(tmp_path, clock):
    """As by a signal handler."""
    manager = TransportManager(str(tmp_path), heartbeat=False, clock=clock)
    register(manager)
    new_id = clock.uuid

    def interrupted():
        manager.shutdown()
        return new_id()

    manager._sessions._new_id = interrupted
    manager.get_or_create_session("maya")
    assert manager.list_all_services() == []


def run(code, tmp_path, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "r"), *arguments],
        env=environment(str(tmp_path / "home")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output


LEAVE_BEHIND = """
import sys
from dcc_mcp_embed import TransportManager
TransportManager(sys.argv[1], deregister_on_shutdown=sys.argv[2] == "yes").register_service(
    "maya", "127.0.0.1", 1)
"""


@pytest.mark.parametrize(("deregister", "left"), [("yes", 0), ("no", 1)])
def test_end_of_the_program_is_a_shutdown_too(tmp_path, deregister, left):
    assert run(LEAVE_BEHIND, tmp_path, deregister) == ""
    with open(str(tmp_path / "r" / "services.json"), encoding="utf-8") as file:
        assert len(json.load(file)) == left


FORK = """
import os, sys
from dcc_mcp_embed import TransportManager
manager = TransportManager(sys.argv[1], heartbeat=False)
instance = manager.register_service("maya", "127.0.0.1", int(sys.argv[2]))
manager.call("maya", "echo", b"before")
manager.acquire_connection("maya")
child = os.fork()
if not child:
    assert (manager.pool_size(), manager.session_count()) == (0, 0)
    assert manager.call("maya", "echo", b"child")["payload"] == b"child"
    manager.shutdown()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert len(manager.list_all_services()) == 1, "the child has taken our row"
manager.release_connection("maya", instance)
with manager.connection("maya") as channel:
    assert channel.call("echo", b"after")["payload"] == b"after"
assert manager.pool_size() == 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_begins_anew_and_takes_nothing(tmp_path, peer):
    run(FORK, tmp_path, str(peer.port))
    assert [params for _, params in peer.requests] == [b"before", b"child", b"after"]
    assert peer.connections == 2, "before and after were one connection"


class MainThread:
    """Stands for a host: this test's thread is its main thread."""

    def __init__(self):
        self._thread = threading.get_ident()
        self.held = []

    def is_main_thread(self):
        return threading.get_ident() == self._thread

    def hold(self, peer):
        self.held.append(peer)
        return threading.Lock()


def test_host_that_waits_for_a_connection_holds_its_main_thread(tmp_path, peer):
    host = MainThread()
    config = TransportConfig(PoolConfig(1))
    with TransportManager(str(tmp_path), config=config, heartbeat=False) as manager:
        register(manager, peer)
        manager.acquire_connection("maya")
        guard.publish(("127.0.0.1", 1), host, host)
        try:
            with pytest.raises(RuntimeError, match="acquire timeout"):
                with manager.connection("maya", timeout=0.01):
                    pass
            assert host.held == ["127.0.0.1:{}".format(peer.port)]
            guard.publish(("127.0.0.1", peer.port), host, host)
            with pytest.raises(WouldDeadlock), manager.connection("maya", timeout=0.01):
                pass
        finally:
            guard.withdraw(("127.0.0.1", 1))
            guard.withdraw(("127.0.0.1", peer.port))
