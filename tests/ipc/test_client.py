"""SocketClient and a real server in one process: both faces, functions, errors, settings."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import math
import os
import pickle
import signal
import socket
import threading
import weakref

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import ConfigError, UnknownOutcome, WouldDeadlock
from dcc_mcp_embed.ipc import (
    InvalidMessage,
    NotConnected,
    NotSent,
    RequestFailed,
    SocketClient,
    calls,
    client_core,
    engine,
    errands,
    places,
    socket_client,
)
from dcc_mcp_embed.ipc.actions import Pushed
from dcc_mcp_embed.net import promises
from dcc_mcp_embed.rpc.hello import ClientHello, place
from dcc_mcp_embed.rpc.peer import Peer
from dcc_mcp_embed.transport_errors import (
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    FrameTooLarge,
)
from fakes.clock import FakeClock
from fakes.interrupt import Interrupt
from fakes.ipc_raw import DEADLINE, SECRET, until
from fakes.waiting import becomes
from ipc.stages import Entries, Places, Stage, beside, run, same, server

KEYS = """
    connected state account_id address uptime_seconds requests responses errors timeouts
    unknown_outcomes in_flight held resent joined pushes pushes_unhandled callback_errors
    callbacks_dropped heartbeats reconnects last_error last_latency_ms
""".split()


class Bench(Stage):
    """A stage at a path."""

    def __init__(self, path):
        super().__init__({"socket_path": path})
        self.path = path


@pytest.fixture
def bench(path):
    with Bench(path) as bench:
        yield bench


# Both faces.


def test_a_conversation_without_asyncio(bench):
    client = bench.client()
    told = []
    client.set_connect_callback(lambda: told.append("up"))
    client.set_disconnect_callback(lambda: told.append("down"))
    assert not client.connected
    assert client.connect_sync() is True
    assert client.connected and told == ["up"]
    assert client.connect_sync() is True
    assert client.request_sync("echo", {"a": [1, "\u00fc", None]}) == {"a": [1, "\u00fc", None]}
    assert client.request_sync("echo") is None
    assert client.health_check_sync() is True
    client.disconnect_sync()
    assert told == ["up", "down"] and not client.connected
    client.disconnect_sync()
    assert told == ["up", "down"]
    assert client.health_check_sync() is False


def test_a_conversation_with_await(bench):
    async def main():
        client = bench.client()
        told = []
        client.set_connect_callback(lambda: told.append("up"))

        async def down():
            told.append("down")

        client.set_disconnect_callback(down)
        assert await client.connect() is True
        assert told == ["up"]
        assert await client.connect() is True
        answers = await asyncio.gather(*[client.request("echo", n) for n in range(100)])
        assert answers == list(range(100))
        assert await client.health_check() is True
        await client.disconnect()
        assert told == ["up", "down"]
        await client.disconnect()
        assert told == ["up", "down"]

    run(main())


def test_both_faces_at_once_and_many_threads(bench):
    client = bench.connected()
    answers = []

    def ask(first):
        for number in range(first, first + 50):
            answers.append(client.request_sync("echo", number) == number)

    asking = [beside(ask, n * 50) for n in range(8)]

    async def main():
        return await asyncio.gather(*[client.request("echo", -n) for n in range(50)])

    assert run(main()) == [-n for n in range(50)]
    for asked in asking:
        asked()
    assert answers == [True] * 400
    assert sorted(bench.ran) == list(range(-49, 1)) + list(range(400))


def test_context_managers(bench):
    with bench.client() as client:
        assert client.request_sync("echo", 1) == 1
    assert not client.connected

    async def main():
        async with bench.client() as client:
            assert await client.request("echo", 2) == 2
        assert not client.connected

    run(main())
    with pytest.raises(NotConnected, match="No such file"):
        with bench.client(socket_path=bench.path + "-other"):
            pytest.fail("there is nobody")


def test_a_client_on_one_asyncio_loop_after_the_other(bench):
    client = bench.client()
    threads = []

    @client.on_push("news")
    async def news(push_type, data):
        threads.append((data, asyncio.get_event_loop()))

    async def main(number):
        assert await client.connect()
        bench.server.push_sync("news", number)
        await becomes(lambda: len(threads) == number)
        return asyncio.get_event_loop()

    loops = [run(main(1)), run(main(2))]
    assert threads == [(1, loops[0]), (2, loops[1])]


def test_stats_have_the_documented_keys(bench):
    client = bench.client()
    stats = client.get_stats()
    assert list(stats) == KEYS
    documented = SocketClient.get_stats.__doc__
    assert [key for key in KEYS if "``{}``".format(key) not in documented] == []
    assert (stats["connected"], stats["state"], stats["address"]) == (False, "disconnected", None)
    client.connect_sync()
    client.request_sync("echo", 1)
    with pytest.raises(CallFailed):
        client.request_sync("fail", 1)
    with pytest.raises(CallTimeout):
        client.request_sync("hold", 1, timeout=0.01)
    client.health_check_sync()
    stats = client.get_stats()
    assert list(stats) == KEYS
    assert stats["uptime_seconds"] > 0 and stats["last_latency_ms"] > 0
    assert stats["address"] == "unix://" + bench.path
    counts = {key: stats[key] for key in ("requests", "responses", "errors", "timeouts")}
    assert counts == {"requests": 3, "responses": 1, "errors": 1, "timeouts": 1}
    assert (stats["state"], stats["account_id"]) == ("connected", "client")
    assert bench.server.get_stats()["clients"] == {"client": 1}
    assert repr(client) == "<SocketClient client connected>"


def test_both_ends_on_one_asyncio_loop(path):
    async def main():
        loop = asyncio.get_event_loop()
        got = asyncio.Event()

        async def relay(data):
            assert asyncio.get_event_loop() is loop
            assert await one.push("news", data, to="client") == 1
            return await client.request("echo", data)

        one = server({"socket_path": path}, relay=relay, echo=same)
        async with one:
            async with SocketClient(path, "client", secret=SECRET) as client:
                client.on_push("news")(lambda push_type, data: got.set())
                assert await client.request("relay", 5) == 5
                await got.wait()

    run(main())


# Errors of requests.


def test_what_the_server_says_against_a_request(bench):
    client = bench.connected()
    with pytest.raises(
        RequestFailed, match="no request .nothing. here; there are: echo, hold, fail"
    ) as failed:
        client.request_sync("nothing")
    assert (failed.value.code, failed.value.method) == ("not_found", "nothing")
    with pytest.raises(RequestFailed, match="KeyError: 'x'") as failed:
        client.request_sync("fail", "x")
    assert failed.value.code == "host_error"
    assert client.request_sync("echo", 1) == 1


def test_what_cannot_be_sent_is_refused_here(bench):
    client = bench.connected()
    loop = []
    loop.append(loop)
    for data in (object(), {1, 2}, math.nan, loop, b"bytes", Entries(a=1), Places([1])):
        with pytest.raises(InvalidMessage, match="cannot be sent as JSON"):
            client.request_sync("echo", data)
    for name in ("", None, 3):
        with pytest.raises(InvalidMessage, match="name"):
            client.request_sync(name)
    with pytest.raises(InvalidMessage, match="another name"):
        client.request_sync("resume")
    with pytest.raises(InvalidMessage, match="JSON"):
        client.request_sync("\ud800")
    with pytest.raises(FrameTooLarge, match="max: "):
        client.request_sync("echo", "x" * (16 * 1024 * 1024))
    assert client.request_sync("echo", "x" * (15 * 1024 * 1024)) == "x" * (15 * 1024 * 1024)
    assert client.get_stats()["reconnects"] == 0


def test_much_in_both_directions_at_once(bench):
    """Two ends that stop reading while they cannot write would wait for each other."""
    client = bench.connected(request_timeout=DEADLINE)
    data = "x" * (3 * 1024 * 1024)

    async def main():
        answers = await asyncio.gather(*[client.request("echo", [n, data]) for n in range(16)])
        assert [answer[0] for answer in answers] == list(range(16))
        assert all(answer[1] == data for answer in answers)

    run(main())
    assert client.get_stats()["reconnects"] == 0


def test_more_than_the_server_takes_at_once_waits_for_its_turn(bench, monkeypatch):
    for module in (calls, errands):
        monkeypatch.setattr(module, "MAX_UNDER_WAY", 250_000)
    client = bench.connected()
    data = ["x" * 100_000 + str(number) for number in range(20)]

    async def all_at_once():
        return await asyncio.gather(*[client.request("echo", one) for one in data])

    assert run(all_at_once()) == data


def test_time_is_over_and_the_answer_comes_late(bench):
    client = bench.connected(request_timeout=0.05)
    with pytest.raises(CallTimeout, match="'hold' timed out after 50ms"):
        client.request_sync("hold", 1)
    bench.leave.set()
    assert client.request_sync("hold", 2, timeout=math.inf) == 2
    for timeout in (1e306, 10**400, 1e9 + 1):
        assert client.request_sync("echo", 3, timeout=timeout) == 3
        assert client.health_check_sync(timeout)
    for timeout in (0, -1, math.nan, "5"):
        with pytest.raises(ConfigError, match="timeout must be seconds"):
            client.request_sync("echo", timeout=timeout)


def test_a_request_that_is_cancelled_is_not_waited_for(bench):
    async def main():
        client = bench.client()
        assert await client.connect()
        task = asyncio.ensure_future(client.request("hold", 1, timeout=1000.0))
        await becomes(lambda: bench.entered.acquire(blocking=False))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await becomes(lambda: not client.get_stats()["in_flight"])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.request("hold", 2), 0.01)
        bench.leave.set()
        assert await client.request("echo", 3) == 3
        await client.disconnect()

    run(main())


# What was just made when it came is left to the collector.
@pytest.mark.edges
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ctrl_c_at_any_line_leaves_a_client_that_can_be_used_and_ended(bench):
    # A client of another test that were collected in the middle would be who is interrupted.
    gc.collect()
    for number in itertools.count():
        client = bench.client()
        interrupt = Interrupt(number, [client_core, engine, promises, socket_client])
        try:
            with interrupt:
                client.connect_sync()
                client.request_sync("echo", 1)
                client.disconnect_sync()
        except KeyboardInterrupt:
            pass
        if interrupt.left >= 0:
            break
        assert client.connect_sync(), client.last_error
        assert client.request_sync("echo", number) == number
        client.disconnect_sync()
    assert number > 50
    until(lambda: not [one for one in threading.enumerate() if "ipc client" in one.name])


def test_ctrl_c_ends_the_wait_for_a_request(bench):
    client = bench.connected()

    def interrupt():
        bench.demand()
        os.kill(os.getpid(), signal.SIGINT)

    # Where the tests run in the background it is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupted = beside(interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.request_sync("hold", timeout=1000.0)
        interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    until(lambda: client.get_stats()["in_flight"] == 0)
    bench.leave.set()
    assert client.request_sync("echo", 1) == 1


def test_errors_can_be_copied_and_are_what_their_users_catch():
    for error in (
        NotConnected("why"),
        NotSent("name", 5, "why"),
        RequestFailed("name", "why", "code", None, True, "running"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))
    assert issubclass(NotConnected, ConnectionClosed)
    assert issubclass(NotSent, CallTimeout)
    assert issubclass(RequestFailed, CallFailed)


def test_requests_without_a_connection_say_why(bench):
    client = bench.client()
    with pytest.raises(NotConnected, match=r"it never was\): call connect\(\) first"):
        client.request_sync("echo")
    client.connect_sync()
    client.disconnect_sync()
    with pytest.raises(NotConnected, match=r"disconnect\(\) was called"):
        client.request_sync("echo")
    with pytest.raises(InvalidMessage):
        client.request_sync("echo", object())
    assert (client.get_stats()["requests"], client.get_stats()["errors"]) == (2, 2)


def test_disconnecting_ends_what_is_under_way(bench):
    client = bench.connected()
    asked = beside(client.request_sync, "hold")
    bench.demand()
    client.disconnect_sync()
    with pytest.raises(UnknownOutcome, match=r"disconnect\(\) was called"):
        asked()


# Connecting.


def test_nobody_there(path, caplog):
    client = SocketClient(path, "client", reconnect_interval=0.01, secret=SECRET)
    begun = threading.active_count()
    with caplog.at_level(logging.WARNING, "dcc_mcp_embed.ipc"):
        assert client.connect_sync(max_retries=2) is False
    assert "No such file" in client.last_error and path in client.last_error
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "No such file" in caplog.text
    assert client.get_stats()["state"] == "disconnected"
    until(lambda: threading.active_count() == begun)


def test_nobody_there_and_a_log_that_fails(path, broken_log):
    client = SocketClient(path, "client", reconnect_interval=0.01, secret=SECRET)
    assert client.connect_sync(max_retries=0) is False
    assert "No such file" in broken_log[0]


def test_a_path_that_cannot_be_is_not_tried_again(path):
    client = SocketClient(path + "x" * 120, "client", secret=SECRET, reconnect_interval=0.01)
    found, find = [], client._core._find

    def count():
        found.append(find())
        return found[-1]

    client._core._find = count
    assert client.connect_sync(max_retries=5) is False
    assert "too long" in client.last_error
    assert len(found) == 1


def test_a_wrong_secret_is_not_tried_again(bench):
    async def main():
        client = bench.client(secret="another", reconnect_interval=1000.0)
        assert await client.connect() is False
        assert "does not know the secret (the `secret=` that was given" in client.last_error
        with pytest.raises(NotConnected, match="secret"):
            await client.request("echo")

    run(main())
    assert bench.connected().request_sync("echo", 1) == 1


def test_a_connect_that_is_cancelled_leaves_nothing(path):
    async def main():
        client = SocketClient(path, "client", secret=SECRET, reconnect_interval=1000.0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.connect(10**6), 0.05)
        await becomes(lambda: client.get_stats()["state"] == "disconnected")

    run(main())


def test_a_socket_that_is_connected_too_late_is_closed(bench):
    client = bench.client()
    gate, dialing = threading.Event(), []
    find = client._core._find

    def slow():
        dialing.append(threading.current_thread())
        assert gate.wait(DEADLINE)
        return find()

    client._core._find = slow
    connected = beside(client.connect_sync)
    until(lambda: dialing)
    client.disconnect_sync()
    assert connected() is False
    gate.set()
    dialing[0].join(DEADLINE)
    assert not client.connected
    until(lambda: bench.server.get_stats()["connections"] == 0)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_a_client_that_leaves_as_its_hello_ends_is_forgotten(bench):
    clock = SystemClock()
    key = places.locate(bench.path, None, None, None, SECRET, clock)().key
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(bench.path)
        peer = Peer(clock, hello=ClientHello(key, place(sock.getpeername()), clock, client="gone"))
        sock.sendall(peer.data_to_send())
        peer.receive_data(sock.recv(65536))
        # The server reads the end of the hello when nobody is there any more.
        held, gate = threading.Event(), threading.Event()
        bench.server._run.serving.loop.call_soon(lambda: (held.set(), gate.wait(DEADLINE)))
        assert held.wait(DEADLINE)
        sock.sendall(peer.data_to_send())
    gate.set()
    assert bench.connected().request_sync("echo", 1) == 1
    assert bench.server.get_stats()["clients"] == {"client": 1}


def test_connecting_and_disconnecting_at_once(bench):
    """Whoever comes while the thread is about to end gets an answer all the same."""
    client = bench.client()
    told = []

    def work(method):
        for _ in range(30):
            told.append(method())

    methods = (client.connect_sync, client.disconnect_sync, client.connect_sync)
    for ended in [beside(work, method) for method in methods]:
        ended()
    assert len(told) == 90


def test_a_disconnect_just_before_a_connect_does_not_swallow_it(bench, monkeypatch):
    client = bench.client()
    start, started = engine.Engine.start, []

    def start_and_end(self):
        start(self)
        started.append(self)
        if len(started) == 1:
            client._core.disconnect().result(DEADLINE)
            self.over.result(DEADLINE)

    monkeypatch.setattr(engine.Engine, "start", start_and_end)
    assert client._core.connect(0).result(DEADLINE) is True
    assert len(started) == 2


def test_a_request_waits_for_the_first_connection(path):
    client = SocketClient(path, "client", secret=SECRET, reconnect_interval=0.02)
    connected = beside(client.connect_sync, 1000)
    until(lambda: client.get_stats()["state"] == "connecting")
    with pytest.raises(NotSent, match="No such file|first attempt"):
        client.request_sync("echo", timeout=0.1)
    with Bench(path):
        assert client.request_sync("echo", 5) == 5
        assert connected() is True
        client.disconnect_sync()


def test_tcp():
    with server(echo=same) as one:
        client = SocketClient(host="127.0.0.1", port=one.address.port, secret=SECRET)
        with client:
            assert client.request_sync("echo", [1]) == [1]
            assert client.get_stats()["address"] == str(one.address)
            assert client.get_stats()["account_id"] is None


def test_where_there_are_no_unix_sockets(no_unix, path):
    with Bench(path) as bench:
        client = bench.connected()
        assert client.request_sync("echo", 1) == 1
        assert client.get_stats()["address"].startswith("tcp://127.0.0.1:")
        # Its next start has another port and another key.
        bench.server.stop_sync()
        bench.server.start_background_sync()
        assert client.request_sync("echo", 2) == 2


def test_the_first_version_and_its_modules(bench):
    from dcc_mcp_embed.ipc.socket_client import SocketClient as first
    from dcc_mcp_embed.ipc.socket_client_v2 import SocketClient as second

    assert first is second is SocketClient
    with pytest.raises(ConfigError):
        SocketClient(bench.path, "client", host="127.0.0.1", port=1)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"reconnect_interval": 0}, "reconnect_interval"),
        ({"reconnect_interval": math.nan}, "reconnect_interval"),
        ({"reconnect_interval": 1e306}, "reconnect_interval"),
        ({"reconnect_interval": "3"}, "reconnect_interval"),
        ({"max_reconnect_attempts": -1}, "max_reconnect_attempts"),
        ({"max_reconnect_attempts": math.nan}, "max_reconnect_attempts must be a whole number"),
        ({"max_reconnect_attempts": None}, "max_reconnect_attempts"),
        ({"heartbeat_interval": -1}, "heartbeat_interval"),
        ({"heartbeat_interval": "30"}, "heartbeat_interval"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"request_timeout": None}, "request_timeout"),
        ({"secret": ""}, "secret"),
    ],
)
def test_settings_that_cannot_be(settings, named):
    with pytest.raises(ConfigError, match=named):
        SocketClient("/tmp/s", "client", **settings)


@pytest.mark.parametrize("retries", [-1, None, "5", math.nan, 0.5])
def test_retries_that_cannot_be(bench, retries):
    with pytest.raises(ConfigError, match="max_retries must be a whole number from 0, not"):
        bench.client().connect_sync(retries)


def test_defaults_are_the_documented_ones():
    client = SocketClient("/tmp/s", "client", clock=FakeClock())
    options = client._core._options
    assert options == ("client", True, 3.0, 0, 30.0)
    assert client._timeout == 10.0


# The server goes, and comes back.


def test_it_comes_back_to_a_server_that_does(bench):
    client = bench.connected()
    told = []
    client.set_disconnect_callback(lambda: told.append("down"))
    client.set_connect_callback(lambda: told.append("up"))
    bench.server.stop_sync()
    until(lambda: told == ["down"])
    assert "stop" in client.last_error
    asked = beside(client.request_sync, "echo", 7)
    until(lambda: client.get_stats()["held"] == 1)
    bench.server.start_background_sync()
    assert asked() == 7
    until(lambda: told == ["down", "up"])
    assert client.get_stats()["reconnects"] == 1


def test_no_reconnects_are_wanted(bench):
    client = bench.connected(auto_reconnect=False)
    begun = threading.active_count()
    down = threading.Event()
    client.set_disconnect_callback(down.set)
    bench.server.stop_sync()
    assert down.wait(DEADLINE)
    until(lambda: client.get_stats()["state"] == "disconnected")
    with pytest.raises(NotConnected, match="the server closed the connection"):
        client.request_sync("echo")
    until(lambda: threading.active_count() < begun)
    bench.server.start_background_sync()
    assert client.connect_sync()
    assert client.request_sync("echo", 1) == 1


def test_attempts_are_used_up(bench):
    client = bench.connected(max_reconnect_attempts=3)
    bench.server.stop_sync()
    until(lambda: client.get_stats()["state"] == "disconnected")
    with pytest.raises(NotConnected, match="No such file"):
        client.request_sync("echo")


# Functions of the user.


def test_pushes_without_asyncio(bench, caplog):
    client = bench.client()
    got, threads = [], set()

    @client.on_push("news")
    def news(push_type, data):
        threads.add(threading.current_thread())
        got.append((push_type, data))

    @client.on_push("bad")
    def bad(push_type, data):
        raise KeyError("bad")

    client.connect_sync()
    for number in range(200):
        bench.server.push_sync("news", number)
    with caplog.at_level(logging.ERROR, "dcc_mcp_embed.ipc"):
        bench.server.push_sync("bad")
        bench.server.push_sync("unknown")
        bench.server.push_sync("news", None, to="client")
        bench.server.push_sync("news", "not for us", to="other")
        until(lambda: len(got) == 201)
    assert got == [("news", number) for number in range(200)] + [("news", None)]
    assert threading.current_thread() not in threads
    # One after another: it ends where there is nothing to do for a while.
    assert sum(thread.is_alive() for thread in threads) <= 1
    assert "the handler of the push 'bad' failed: KeyError('bad')" in caplog.text
    stats = client.get_stats()
    assert (stats["pushes"], stats["pushes_unhandled"]) == (203, 1)
    assert (stats["callback_errors"], stats["callbacks_dropped"]) == (1, 0)


def test_pushes_with_await(bench, caplog):
    async def main():
        client = bench.client()
        got, go_on, done = [], asyncio.Event(), asyncio.Event()
        loop = asyncio.get_event_loop()

        @client.on_push("slow")
        async def slow(push_type, data):
            got.append((push_type, data, asyncio.get_event_loop() is loop))
            await go_on.wait()
            got.append("went on")
            done.set()

        @client.on_push("plain")
        def plain(push_type, data):
            got.append((push_type, data, asyncio.get_event_loop() is loop))
            go_on.set()

        @client.on_push("bad")
        async def bad(push_type, data):
            raise KeyError("bad")

        assert await client.connect()
        for kind in ("slow", "bad", "plain"):
            await loop.run_in_executor(None, bench.server.push_sync, kind, kind)
        await done.wait()
        assert got == [("slow", "slow", True), ("plain", "plain", True), "went on"]
        assert client.get_stats()["callback_errors"] == 1
        await client.disconnect()

    with caplog.at_level(logging.ERROR, "dcc_mcp_embed.ipc"):
        run(main())
    assert "the handler of the push 'bad' failed" in caplog.text


def test_coroutine_functions_need_await(bench):
    client = bench.client()

    @client.on_push("news")
    async def news(push_type, data):
        pass

    with pytest.raises(TypeError, match=r"push 'news' is a coroutine function.*await"):
        client.connect_sync()
    client = bench.connected()
    with pytest.raises(TypeError, match="push 'news' is a coroutine function"):
        client.on_push("news")(news)
    for setter in (client.set_connect_callback, client.set_disconnect_callback):
        with pytest.raises(TypeError, match="callback is a coroutine function"):
            setter(news)
        with pytest.raises(TypeError, match="callback must be a function, not 3"):
            setter(3)
        setter(None)
    assert client.request_sync("echo", 1) == 1


def test_a_push_has_one_handler(bench):
    client = bench.client()

    def one(push_type, data):
        pass

    assert client.on_push("news")(one) is one
    client.on_push("news")(one)
    with pytest.raises(ValueError, match="'news' is handled by .*one already"):
        client.on_push("news")(lambda push_type, data: None)
    with pytest.raises(ValueError, match="type"):
        client.on_push(one)
    with pytest.raises(TypeError, match="must be a function"):
        client.on_push("other")(3)


def test_functions_may_use_the_client(bench):
    """What is called on the thread for callbacks must not wait for that thread."""
    client = bench.client()
    got, done = [], threading.Event()

    @client.on_push("ask")
    def ask(push_type, data):
        got.append(client.request_sync("echo", data))
        got.append(client.health_check_sync())

    @client.on_push("leave")
    def leave(push_type, data):
        client.disconnect_sync()
        got.append("left")

    def down():
        got.append("down")
        if got.count("down") == 1:
            assert client.connect_sync()
            got.append(client.request_sync("echo", "back"))
            done.set()

    client.set_connect_callback(lambda: got.append(client.request_sync("echo", "up")))
    client.set_disconnect_callback(down)
    assert client.connect_sync()
    bench.server.push_sync("ask", 5)
    bench.server.push_sync("leave")
    assert done.wait(DEADLINE)
    until(lambda: got == ["up", 5, True, "left", "down", "back", "up"])


async def take(push_type, data):
    pass


def fall_behind(client):
    """Have more pushes wait for the asyncio loop than it calls while somebody else comes back."""
    for _ in range(3000):
        client._core._handle(Pushed("much", b"1"))


def test_callbacks_behind_many_pushes_are_awaited(bench):
    async def main():
        client = bench.client()
        told = []
        client.on_push("much")(take)
        client.set_connect_callback(lambda: told.append("up"))
        client.set_disconnect_callback(lambda: told.append("down"))
        assert await client.connect()
        fall_behind(client)
        await client.disconnect()
        assert told == ["up", "down"]
        fall_behind(client)
        assert await client.connect()
        assert told == ["up", "down", "up"]
        await client.disconnect()

    run(main())


def test_who_is_connected_already_waits_for_no_function(bench):
    waits = []

    async def main(client):
        client._core.deliveries.caught_up = lambda: pytest.fail("it waits")
        assert await client.connect()

    client = bench.connected()
    client._core.deliveries.catch_up = waits.append
    assert client.connect_sync()
    assert waits == []
    run(main(client))
    client.disconnect_sync()
    assert client.connect_sync()
    assert len(waits) == 2


def test_callbacks_on_another_loop_are_awaited(bench):
    client = bench.client()
    told, busy, leave = [], threading.Event(), []

    @client.on_push("busy")
    def be_busy(push_type, data):
        busy.set()
        until(lambda: client._core._engine.over.done())

    async def stay():
        leave.append((asyncio.get_event_loop(), asyncio.Event()))
        assert await client.connect()
        bench.server.push_sync("busy")
        await leave[0][1].wait()

    async def disconnect():
        await client.disconnect()
        assert told == ["down"]

    client.set_disconnect_callback(lambda: told.append("down"))
    stayed = beside(run, stay())
    assert busy.wait(DEADLINE)
    try:
        run(disconnect())
    finally:
        leave[0][0].call_soon_threadsafe(leave[0][1].set)
        stayed()


def test_a_loop_that_does_not_run_any_more_is_not_waited_for(bench):
    client = bench.client()
    client._patience = lambda: 1000.0
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(client.connect())
    run(client.disconnect())
    loop.close()


@pytest.mark.parametrize("awaits", [True, False])
def test_a_function_that_awaits_the_end_does_not_wait_for_itself(bench, awaits):
    client = bench.client()
    client._patience = lambda: 1000.0
    done = threading.Event()

    async def leave(push_type, data):
        await client.disconnect()
        assert await client.connect()
        await client.disconnect()
        done.set()

    async def main():
        assert await client.connect()
        bench.server.push_sync("leave")
        await becomes(done.is_set)

    if awaits:
        client.on_push("leave")(leave)
        run(main())
    else:
        client.on_push("leave")(lambda push_type, data: run(leave(push_type, data)))
        assert client.connect_sync()
        bench.server.push_sync("leave")
        assert done.wait(DEADLINE)


def test_a_callback_that_never_returns_holds_nothing_but_its_thread(bench):
    client = bench.client(request_timeout=0.2)
    go_on = threading.Event()
    client.set_connect_callback(lambda: go_on.wait(DEADLINE))
    assert client.connect_sync()
    assert client.request_sync("echo", 1, timeout=DEADLINE) == 1
    client.disconnect_sync()
    assert not client.connected
    go_on.set()


def test_a_failing_callback_ends_nothing(bench, caplog):
    client = bench.client()
    client.set_connect_callback(lambda: 1 / 0)
    with caplog.at_level(logging.ERROR, "dcc_mcp_embed.ipc"):
        assert client.connect_sync()
    assert "the connect callback failed: ZeroDivisionError" in caplog.text
    assert client.request_sync("echo", 1) == 1
    assert client.get_stats()["callback_errors"] == 1


def test_a_pushed_text_that_is_no_json_is_an_error_of_its_handler(bench, caplog):
    client = bench.client()
    called = []
    client.on_push("news")(lambda push_type, data: called.append(data))
    client.connect_sync()
    with caplog.at_level(logging.ERROR, "dcc_mcp_embed.ipc"):
        client._core._handle(Pushed("news", b"{"))
        until(lambda: "no JSON" in caplog.text)
    assert called == [] and client.get_stats()["callback_errors"] == 1


def test_its_own_thread_must_not_wait_for_itself(bench):
    client = bench.connected()
    errors = []

    def inside(now):
        for method in (client.request_sync, client.connect_sync, client.disconnect_sync):
            try:
                method(*(["echo"] if method == client.request_sync else []))
            except WouldDeadlock as error:
                errors.append(str(error))

    assert client._core._engine.post(inside)
    until(lambda: len(errors) == 3)
    assert "request_sync was called on the client's own thread" in errors[0]


# The end.


def test_a_client_that_nobody_holds_ends(bench):
    client = bench.connected()
    bench.clients.clear()
    before = threading.active_count()
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    until(lambda: threading.active_count() < before)
    until(lambda: bench.server.get_stats()["connections"] == 0)


@pytest.mark.edges
def test_errors_leave_nothing_for_the_collector(bench):
    """It may be off for as long as a host wants."""
    client = bench.connected()

    def fail():
        for name, timeout in (("nothing", None), ("hold", 0.001)):
            with pytest.raises((RequestFailed, CallTimeout)):
                client.request_sync(name, timeout=timeout)
        client.health_check_sync()

    async def fail_there():
        with pytest.raises(RequestFailed):
            await client.request("nothing")
        assert await client.health_check()

    async def main():
        await fail_there()
        gc.collect()
        before = count()
        for _ in range(40):
            await fail_there()
        return count() - before

    def count():
        """Return how many there are, those of other tests included."""
        kinds = ("Future", "Errand", "Probe", "RequestFailed", "CallTimeout")
        return sum(type(one).__name__ in kinds for one in gc.get_objects())

    fail()
    gc.collect()
    gc.disable()
    try:
        before = count()
        for _ in range(40):
            fail()
        assert count() - before < 15
        assert run(main()) < 15
    finally:
        gc.enable()


ROUNDS = 30


def left_behind(action):
    """Return how many objects only a collection could free after many rounds of ``action``."""
    for _ in range(3):
        action()
    while gc.collect():
        pass  # a client of before that it finds lets go of more
    gc.disable()
    try:
        for _ in range(ROUNDS):
            action()
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.edges
def test_a_connection_leaves_nothing_for_the_collector(bench):
    client = bench.client()

    def come_and_go():
        assert client.connect_sync()
        assert client.request_sync("echo", 1) == 1
        client.disconnect_sync()

    # Fewer than one object for each round.
    assert left_behind(come_and_go) < ROUNDS // 2


@pytest.mark.edges
def test_a_connection_that_fails_leaves_nothing_for_the_collector(bench):
    client = bench.client(socket_path=bench.path + "-other")

    def fail():
        assert client.connect_sync(max_retries=0) is False
        client.disconnect_sync()

    assert left_behind(fail) < ROUNDS // 2


def test_connecting_and_disconnecting_many_times(bench):
    client = bench.client()
    for number in range(50):
        assert client.connect_sync()
        assert client.request_sync("echo", number) == number
        client.disconnect_sync()
    assert bench.server.get_stats()["connections_total"] == 50
