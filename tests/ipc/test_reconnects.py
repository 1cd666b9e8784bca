"""A server and a client with a proxy between them: what a lost or dead connection means to people.

Both ends are in this process, on threads of their own; what passes between them are real bytes. The
long runs, with a server in a process of its own, are in tests/real.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from dcc_mcp_embed.secret import Secret
from fakes.fault_proxy import FaultProxy
from fakes.ipc_raw import DEADLINE, until
from fakes.waiting import becomes
from ipc.stages import Stage, beside

pytestmark = pytest.mark.edges

SECRET = Secret(b"s" * 32, {})
#: Seconds between two heartbeats, where one is waited for.
BEAT = 0.5


class Hurry:
    """Says whether something was in time: to the letter, as far as this machine lets anybody be.

    Meanwhile a thread measures by how much a short wait is too long here. What is waited for takes
    some steps of several threads, each of which may be as late.
    """

    STEPS = 30

    def __enter__(self):
        self._over, self._late = threading.Event(), 0.0
        self._begun = self._seen = time.monotonic()
        self._thread = threading.Thread(target=self._measure)
        self._thread.start()
        return self

    def _measure(self):
        while not self._over.wait(0.005):
            now = time.monotonic()
            self._late = max(self._late, now - self._seen - 0.005)
            self._seen = now

    def within(self, seconds, moment=None):
        now = time.monotonic()
        # It may be late this very moment, and not know it yet.
        late = max(self._late, now - self._seen - 0.005)
        passed = (moment or now) - self._begun
        assert passed <= seconds + self.STEPS * late, "late is {:.3f}".format(late)

    def __exit__(self, *failure):
        self._over.set()
        self._thread.join(DEADLINE)


#: What waits for time to pass does so once in the fast suite.
@pytest.fixture(params=["unix", pytest.param("tcp", marks=pytest.mark.heavy)])
def place(request, folder):
    """Return (arguments of the server, path of the proxy)."""
    if request.param == "tcp":
        return {"host": "127.0.0.1", "port": 0}, None
    return {"socket_path": os.path.join(folder, "s")}, os.path.join(folder, "p")


class Proxied(Stage):
    """A stage with a proxy in front of its server."""

    def __init__(self, place, **options):
        where, path = place
        super().__init__(where, SECRET, **options)
        self.proxy = FaultProxy(self.server.address, path, SECRET.wire_key())
        address = self.proxy.address
        self.where = (
            {"host": address.host, "port": address.port}
            if address.is_tcp
            else {"socket_path": address.path}
        )

    def close(self):
        self.proxy.close()
        super().close()


class Ears:
    """What a client's callbacks were told, in order."""

    def __init__(self, client):
        self.told, self.pushes = [], []
        client.set_connect_callback(lambda: self.told.append("up"))
        client.set_disconnect_callback(lambda: self.told.append("down"))

        @client.on_push("news")
        def news(push_type, data):
            self.pushes.append((push_type, data))

    def ups(self):
        return self.told.count("up")


# Transitions.


def test_callbacks_fire_once_per_transition(place):
    with Proxied(place) as stage:
        client = stage.client()
        ears = Ears(client)
        assert client.connect_sync()
        assert ears.told == ["up"]
        for round_ in range(1, 5):
            stage.proxy.kill_all(reset=round_ % 2 == 0)
            until(lambda round_=round_: ears.ups() == round_ + 1)
            assert client.request_sync("echo", round_) == round_
        client.disconnect_sync()
        until(lambda: ears.told[-1] == "down")
        assert ears.told == ["up", "down"] * 5
        assert client.get_stats()["reconnects"] == 4


def test_callbacks_of_asyncio_fire_once_per_transition(place):
    async def run(stage):
        client = stage.client()
        ears = Ears(client)
        loop = asyncio.get_event_loop()
        threads = set()

        def connected():
            ears.told.append("up")
            threads.add(threading.current_thread())

        client.set_connect_callback(connected)
        assert await client.connect()
        assert ears.told == ["up"]
        for round_ in range(1, 5):
            stage.proxy.kill_all(reset=round_ % 2 == 0)
            await becomes(lambda round_=round_: ears.ups() == round_ + 1)
            assert await client.request("echo", round_) == round_
            await loop.run_in_executor(None, stage.server.push_sync, "news", round_)
            await becomes(lambda round_=round_: ("news", round_) in ears.pushes)
        await client.disconnect()
        assert ears.told == ["up", "down"] * 5
        assert threads == {threading.current_thread()}, "callbacks run on the loop that connected"

    with Proxied(place) as stage:
        asyncio.run(run(stage))


def test_attempts_that_fail_are_no_transitions(place):
    with Proxied(place) as stage:
        client = stage.client()
        ears = Ears(client)
        assert client.connect_sync()
        stage.proxy.refuse()
        stage.proxy.kill_all()
        until(lambda: stage.proxy.counts["refused"] >= 3)
        assert ears.told == ["up", "down"]
        assert not client.get_stats()["connected"]
        # What is asked meanwhile waits for the connection.
        asked = beside(client.request_sync, "echo", 1)
        stage.proxy.accept()
        assert asked() == 1
        # Callbacks have a thread of their own, which may be behind the answer.
        until(lambda: len(ears.told) >= 3)
        assert ears.told == ["up", "down", "up"]
        client.disconnect_sync()


def test_connection_cut_in_the_middle_of_its_hello_is_tried_again(place):
    with Proxied(place) as stage:
        client = stage.client()
        ears = Ears(client)
        stage.proxy.cut_next(0.0, 0.001, 0.002, 0.003)
        assert client.connect_sync(max_retries=10)
        until(lambda: client.get_stats()["connected"] and stage.proxy.open == 1)
        assert client.request_sync("echo", "x") == "x"
        client.disconnect_sync()
        until(lambda: ears.told[-1] == "down")
        assert ears.told == ["up", "down"] * (len(ears.told) // 2)


# Pushes.


def test_pushes_resume_after_each_loss(place):
    with Proxied(place) as stage:
        client = stage.client()
        ears = Ears(client)
        assert client.connect_sync()
        for number in range(4):
            assert stage.server.push_sync("news", {"number": number}) == 1
            until(lambda number=number: ("news", {"number": number}) in ears.pushes)
            stage.proxy.kill_all()
            until(lambda number=number: ears.ups() == number + 2)
            until(lambda: stage.server.get_stats()["connections"] == 1)
        assert [data["number"] for _, data in ears.pushes] == [0, 1, 2, 3]
        client.disconnect_sync()


# Half-open peers.


def test_client_notices_a_half_open_server_within_two_heartbeats(place):
    with Proxied(place) as stage:
        client = stage.client(heartbeat_interval=BEAT)
        ears = Ears(client)
        moments = []
        client.set_disconnect_callback(lambda: moments.append(time.monotonic()))
        assert client.connect_sync()
        with Hurry() as hurry:
            stage.proxy.stall()
            until(lambda: moments)
            hurry.within(2 * BEAT, moments[0])
        # A new connection is as good as any.
        assert client.request_sync("echo", "again") == "again"
        until(lambda: ears.ups() == 2)
        client.disconnect_sync()
        assert stage.proxy.counts["connections"] == 2


@pytest.mark.parametrize("way", ["up", "down"])
def test_client_notices_a_connection_that_is_dead_in_one_direction(place, way):
    with Proxied(place, enable_health_check=False) as stage:
        client = stage.client(heartbeat_interval=BEAT)
        lost = threading.Event()
        client.set_disconnect_callback(lost.set)
        assert client.connect_sync()
        with Hurry() as hurry:
            stage.proxy.stall(way)
            assert lost.wait(DEADLINE)
            hurry.within(2 * BEAT)
        client.disconnect_sync()


def test_call_in_flight_on_a_half_open_connection_is_answered_on_the_next(place):
    with Proxied(place) as stage:
        client = stage.client(heartbeat_interval=BEAT, request_timeout=DEADLINE)
        assert client.connect_sync()
        stage.proxy.stall("down")
        assert client.request_sync("echo", "once") == "once"
        assert stage.ran == ["once"]
        assert stage.proxy.states == {"done": 1}
        client.disconnect_sync()


def test_call_that_runs_when_it_is_cut_is_answered_on_the_next_connection(place):
    """Once, and without another cut that would bring its answer along."""
    with Proxied(place) as stage:
        client = stage.client(request_timeout=DEADLINE)
        assert client.connect_sync()
        asked = beside(client.request_sync, "hold", 1)
        stage.demand()
        stage.proxy.kill_all()
        until(lambda: client.get_stats()["reconnects"] == 1)
        stage.leave.set()
        assert asked() == 1
        assert stage.proxy.states == {"running": 1}
        assert not stage.entered.acquire(blocking=False), "it ran twice"
        client.disconnect_sync()


def test_late_copy_of_a_request_that_runs_is_joined(place):
    with Proxied(place) as stage:
        client = stage.client(heartbeat_interval=BEAT, request_timeout=DEADLINE)
        assert client.connect_sync()
        stage.proxy.stall("up")
        asked = beside(client.request_sync, "hold", 1)
        stage.demand()
        stage.proxy.go_on()
        # The dead connection has said all that it had to say.
        until(lambda: stage.proxy.open == 1)
        until(lambda: stage.server.get_stats()["connections"] == 1)
        stage.leave.set()
        assert asked() == 1
        assert not stage.entered.acquire(blocking=False), "it ran twice"
        client.disconnect_sync()


def test_late_copy_of_a_request_runs_nothing(place):
    """The dead connection comes to life when the next one has done its work."""
    with Proxied(place) as stage:
        client = stage.client(heartbeat_interval=BEAT, request_timeout=DEADLINE)
        assert client.connect_sync()
        assert client.request_sync("echo", "first") == "first"
        stage.proxy.stall("up")
        assert client.request_sync("echo", "once") == "once"
        assert stage.proxy.states == {"new": 1}
        up = stage.proxy.counts["bytes up"]
        stage.proxy.go_on()
        # Its request, and the end that the client has made of it.
        until(lambda: stage.proxy.open == 1)
        assert stage.proxy.counts["bytes up"] > up
        until(lambda: stage.server.get_stats()["connections"] == 1)
        assert client.request_sync("echo", "last") == "last"
        assert stage.ran == ["first", "once", "last"]
        client.disconnect_sync()


def test_server_lets_go_of_a_half_open_client_within_two_checks(place):
    with Proxied(place, health_check_interval=BEAT) as stage:
        client = stage.client()
        assert client.connect_sync()
        until(lambda: stage.server.get_stats()["connections"] == 1)
        with Hurry() as hurry:
            stage.proxy.stall()
            until(lambda: stage.server.get_stats()["connections"] == 0)
            hurry.within(2 * BEAT)
        client.disconnect_sync()


# Health.


def test_health_check_is_in_time_while_handlers_are_busy(place):
    # Long enough for a machine that has more to do than this.
    beat = 0.7
    with Proxied(place, health_check_interval=beat) as stage:
        client = stage.client(heartbeat_interval=beat, request_timeout=DEADLINE)
        ears = Ears(client)
        assert client.connect_sync()
        busy = [beside(client.request_sync, "hold", number) for number in range(16)]
        for _ in busy:
            stage.demand()
        while client.get_stats()["heartbeats"] < 2:
            with Hurry() as hurry:
                assert client.health_check_sync(timeout=DEADLINE)
                hurry.within(0.2)
        stage.leave.set()
        assert [asked() for asked in busy] == list(range(16))
        assert ears.told == ["up"], "busy is not dead"
        client.disconnect_sync()


def test_health_check_fails_in_time_when_nobody_answers(place):
    with Proxied(place) as stage:
        client = stage.client()
        assert client.connect_sync()
        stage.proxy.stall()
        with Hurry() as hurry:
            assert client.health_check_sync(timeout=0.2) is False
            hurry.within(0.3)
        client.disconnect_sync()
