"""Calls over pooled channels that are cut all the time: each is answered, each runs once.

The other end has a process of its own, and notes every effect in a file. The manager's row for it
leads through a proxy that kills, stalls, splits and delays by a plan. It is a host, which runs one
tool at a time, so those are short and wait in line there for the most part; and for many calls that
run at once it is a SocketServer, which speaks the same wire.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
import traceback
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import pytest

from dcc_mcp_embed import (
    ConnectionClosed,
    ConnectionFailed,
    IpcConnectionFailed,
    PoolConfig,
    TransportAddress,
    TransportConfig,
    TransportManager,
)
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import EmbedError, UnknownOutcome
from dcc_mcp_embed.secret import open_secret
from fakes.fault_proxy import FaultProxy, random_faults
from fakes.framed import FramedWire
from fakes.served import Served
from fakes.waiting import until
from real.ipc_process import Server
from real.ipc_server import journal_of, right_answer

pytestmark = pytest.mark.heavy

#: Connections; threads that share each of them; calls in flight over them all.
CONNECTIONS, SHARING, IN_FLIGHT = 10, 5, 64
#: How many calls have to be cut at each moment of their life, at least.
ENOUGH = 500
#: Seconds that one call may take, with every cut on its way.
PATIENCE = 120.0
#: The same where the host is killed.
KILLED = 20.0
SEED = int(os.environ.get("DCC_MCP_EMBED_TEST_SEED", "20261126"))
WIRE = {"dcc_mcp_embed_wire": "1"}

TOOLS = '''
import os
import time

import dcc_mcp_embed

_journal = os.open({journal!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


@dcc_mcp_embed.tool(thread="worker")
def work(key: str, ms: float) -> dict:
    """Note it, take a while, note the end."""
    os.write(_journal, "begin {{}}\\n".format(key).encode())
    time.sleep(ms / 1000.0)
    os.write(_journal, "end {{}}\\n".format(key).encode())
    return {{"key": key, "twice": key + key}}
'''


class Host(Served):
    """A standalone host with that tool."""

    def __init__(self, home, port=0):
        self.home = str(home)
        self.journal = os.path.join(self.home, "journal")
        with open(os.path.join(self.home, "counting.py"), "w", encoding="utf-8") as stream:
            stream.write(TOOLS.format(journal=self.journal))
        super().__init__(self.home, "--tools", "counting.py", port=port)
        self.secret = open_secret(self.home, SystemClock())


def manager_in(registry, host):
    config = TransportConfig(PoolConfig(CONNECTIONS, acquire_timeout=PATIENCE))
    return TransportManager(registry, config=config, heartbeat=False, secret=host.secret)


@contextmanager
def manager_of(other, instance, folder, port):
    """Yield a manager that finds the other end at another port."""
    with manager_in(os.path.join(str(folder), "our registry"), other) as manager:
        manager.register_service(
            "standalone", "127.0.0.1", port, instance_id=instance, metadata=WIRE
        )
        yield manager


def wait_for(condition):
    until(condition, deadline=PATIENCE, pause=0.005)


def wait_for_row(manager, host):
    """Wait until the host is in the registry."""
    ident = host.facts["instance_id"]
    wait_for(lambda: ident in [row.instance_id for row in manager.list_all_services()])


def params_of(key, ms):
    return json.dumps({"name": "work", "arguments": {"key": key, "ms": ms}}).encode("ascii")


def call(channel, key, ms, timeout=PATIENCE):
    """Run the tool and return the data of its result."""
    answer = channel.call("tools/call", params_of(key, ms), int(timeout * 1000))
    return json.loads(answer["payload"])["structuredContent"]["data"]


def check_tool(channel, key, ms):
    """Run the tool; return its data if they are wrong."""
    data = call(channel, key, ms)
    return None if data == {"key": key, "twice": key * 2} else data


def check_handler(channel, key, ms):
    """As :func:`check_tool`, of the SocketServer; some are long enough to be cut inside."""
    pad = key * (10_000 if key.endswith("7") else 1)
    params = json.dumps({"key": key, "ms": ms, "pad": pad}).encode("ascii")
    answer = channel.call("work", params, int(PATIENCE * 1000))
    data = json.loads(answer["payload"])
    return None if data == right_answer(key, pad) else data


def plan_of(seed, calls, longest=4):
    """Return (key, milliseconds) of each call."""
    chance = random.Random(seed)
    return [("{:06d}".format(number), chance.uniform(0, longest)) for number in range(calls)]


class Crowd:
    """Threads that make the calls of a plan, and what came of it."""

    def __init__(self, calls):
        self._line, self._lock = iter(calls), threading.Lock()
        self.wrong, self.failures = [], []
        #: How often no channel could be made.
        self.refused = 0
        self._threads = []

    def take(self):
        with self._lock:
            return next(self._line, None)

    def begin(self, function, *arguments):
        thread = threading.Thread(target=self._run, args=(function, arguments))
        self._threads.append(thread)
        thread.start()

    def _run(self, function, arguments):
        try:
            function(*arguments)
        except BaseException:
            self.failures.append(traceback.format_exc())

    def make_calls(self, lend, make=check_tool):
        """Call until the plan is at its end; ``lend()`` is a channel for one call."""
        while True:
            one = self.take()
            if one is None:
                return
            with lend() as channel:
                data = make(channel, *one)
            if data is not None:
                self.wrong.append((one, data))

    def join(self):
        for thread in self._threads:
            thread.join(PATIENCE)


def share(crowd, manager, instance):
    """Make calls from several threads over one channel."""
    with manager.connection("standalone", instance) as channel:

        @contextmanager
        def lend():
            yield channel

        others = Crowd(())
        for _ in range(SHARING):
            others.begin(crowd.make_calls, lend)
        others.join()
        crowd.failures += others.failures


def lend_each(crowd, manager, instance):
    """Borrow a channel for each call; when none can be made nothing has been said, so once more."""

    @contextmanager
    def lend():
        with ExitStack() as stack:
            while True:
                try:
                    channel = stack.enter_context(manager.connection("standalone", instance))
                    break
                # A proxy that resets at once may be told of while we still connect.
                except (ConnectionFailed, IpcConnectionFailed, ConnectionClosed):
                    crowd.refused += 1
                    threading.Event().wait(0.01)
            yield channel

    crowd.make_calls(lend)


@pytest.mark.parametrize(
    ("way", "threads", "count", "longest", "enough"),
    # Longer ones where making channels takes its time, so that the host has its hands full.
    [(share, CONNECTIONS, 3_000, 4, 100), (lend_each, 2 * CONNECTIONS, 2_000, 10, 10)],
)
def test_every_call_is_answered_and_runs_once(tmp_path, way, threads, count, longest, enough):
    calls = plan_of(SEED, count, longest)
    with Host(tmp_path) as host:
        target = TransportAddress.tcp("127.0.0.1", host.port)
        with FaultProxy(target, key=host.secret.wire_key()) as proxy:
            with manager_of(host, host.facts["instance_id"], tmp_path, proxy.port) as manager:
                crowd = Crowd(calls)
                begun = time.monotonic()
                for _ in range(threads):
                    crowd.begin(way, crowd, manager, host.facts["instance_id"])
                wait_for(lambda: proxy.counts["connections"] == CONNECTIONS)
                wait_for(lambda: len(journal_of(host.journal)[1]) > 10 * CONNECTIONS)
                proxy.follow(random_faults(SEED, pause=(0.05, 0.3)))
                crowd.join()
                proxy.calm()
                seconds = time.monotonic() - begun
                (session,) = manager.list_sessions()
        states = proxy.states
        print(
            "{}: {} calls in {:.1f} s, seed {}\n"
            "  cut before acceptance {}, while running {}, after finishing {}\n"
            "  channels refused {}, proxy {}\n  session {}".format(
                way.__name__,
                count,
                seconds,
                SEED,
                states["new"],
                states["running"],
                states["done"],
                crowd.refused,
                dict(sorted(proxy.counts.items())),
                session,
            )
        )
        assert not crowd.failures, "\n".join(crowd.failures[:3])
        assert crowd.wrong == []
        ran, ended = (Counter(one) for one in journal_of(host.journal))
        assert [key for key, runs in ran.items() if runs > 1] == []
        assert set(ran) == set(ended) == {key for key, _ in calls}
        assert set(states) == {"new", "running", "done"}
        assert min(states.values()) >= enough
        assert session["error_count"] == 0


def test_10000_calls_64_in_flight(tmp_path):
    """All of them at once, for half a second each at most, as over SocketClient."""
    calls = plan_of(SEED, 10_000, 500)
    with Server(str(tmp_path), "tcp") as server:
        key = server.secret.wire_key()
        with FramedWire(server.address.port, key) as stranger:
            instance = stranger.greet().instance_id
        with FaultProxy(server.address, key=key) as proxy:
            with manager_of(server, instance, tmp_path, proxy.port) as manager:
                crowd, begun = Crowd(calls), time.monotonic()
                with ExitStack() as stack:
                    channels = [
                        stack.enter_context(manager.connection("standalone", instance))
                        for _ in range(CONNECTIONS)
                    ]
                    proxy.follow(random_faults(SEED, stall=(0.08, 0.22)))
                    for number in range(IN_FLIGHT):
                        channel = channels[number % CONNECTIONS]
                        crowd.begin(crowd.make_calls, partial(nullcontext, channel), check_handler)
                    crowd.join()
                    proxy.calm()
                seconds = time.monotonic() - begun
                (session,) = manager.list_sessions()
        stats, states = server.stats(), proxy.states
        print(
            "{} in flight: {} calls in {:.1f} s, seed {}\n"
            "  cut before acceptance {}, while running {}, after finishing {}\n"
            "  replayed {}, joined {}, proxy {}\n  session {}".format(
                IN_FLIGHT,
                len(calls),
                seconds,
                SEED,
                states["new"],
                states["running"],
                states["done"],
                stats["replayed"],
                stats["joined"],
                dict(sorted(proxy.counts.items())),
                session,
            )
        )
        assert not crowd.failures, "\n".join(crowd.failures[:3])
        assert crowd.wrong == []
        ran, ended = (Counter(one) for one in journal_of(server.journal))
        assert set(ran) == set(ended) == {key for key, _ in calls}
        assert max(ran.values()) == max(ended.values()) == 1
        assert set(states) == {"new", "running", "done"}
        assert min(states.values()) >= ENOUGH
        assert stats["replayed"] >= ENOUGH and stats["joined"] >= ENOUGH
        assert session["error_count"] == 0
        server.stop()


@pytest.mark.parametrize("successor", [True, False])
def test_killed_host_leaves_nobody_waiting(tmp_path, successor):
    """No other has its id: what was in flight may have run, and nobody can tell."""
    outcomes = []
    line, lock = iter(["k{}".format(number) for number in range(20)]), threading.Lock()
    with Host(tmp_path) as host, manager_in(os.path.join(host.home, "registry"), host) as manager:
        wait_for_row(manager, host)
        instance = host.facts["instance_id"]

        def work(channel):
            with lock:
                key = next(line)
            try:
                outcomes.append((key, call(channel, key, 300.0, KILLED)))
            except EmbedError as error:
                outcomes.append((key, error))

        def share_one():
            with manager.connection("standalone", instance) as channel:
                threads = [threading.Thread(target=work, args=(channel,)) for _ in range(10)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(PATIENCE)

        pairs = [threading.Thread(target=share_one) for _ in range(2)]
        for thread in pairs:
            thread.start()
        wait_for(lambda: outcomes or not any(thread.is_alive() for thread in pairs))
        killed = time.monotonic()
        host.end(signal.SIGKILL)
        with ExitStack() as stack:
            if successor:
                other = stack.enter_context(Host(tmp_path, host.port))
            for thread in pairs:
                thread.join(PATIENCE)
            print("all told {:.2f} s after the kill".format(time.monotonic() - killed))
            assert len(outcomes) == 20, "somebody still waits"
            ran, ended = (Counter(one) for one in journal_of(host.journal))
            assert max(ran.values()) == 1
            for key, outcome in outcomes:
                if isinstance(outcome, EmbedError):
                    assert isinstance(outcome, UnknownOutcome), (key, outcome)
                else:
                    assert ended[key] == 1
            assert [one for _, one in outcomes if isinstance(one, UnknownOutcome)]
            if successor:
                wait_for_row(manager, other)
                with manager.connection("standalone", other.facts["instance_id"]) as channel:
                    assert call(channel, "after", 0.0)["key"] == "after"


def test_call_that_runs_when_it_is_cut_is_answered_on_the_next_connection(tmp_path):
    """Without another cut that would bring its answer along."""
    with Host(tmp_path) as host:
        target = TransportAddress.tcp("127.0.0.1", host.port)
        with FaultProxy(target, key=host.secret.wire_key()) as proxy:
            with manager_of(host, host.facts["instance_id"], tmp_path, proxy.port) as manager:
                crowd, connected, answers = Crowd(()), [], []

                def ask():
                    with manager.connection("standalone", host.facts["instance_id"]) as channel:
                        connected.append(channel)
                        answers.append(call(channel, "slow", 800.0))

                for _ in range(3):
                    crowd.begin(ask)
                wait_for(lambda: len(connected) == 3 and journal_of(host.journal)[0])
                proxy.kill_all()
                crowd.join()
        assert crowd.failures == []
        assert answers == [{"key": "slow", "twice": "slowslow"}] * 3
        # The others wait for the first; on a busy machine one may not have got there.
        assert proxy.states["running"] > 0
        assert set(proxy.states) <= {"running", "new"}
        assert len(journal_of(host.journal)[0]) == 3


def test_half_open_connection_is_left_within_the_call_time(tmp_path):
    """A proxy that is silent for ever: the call ends by its own deadline, and says so."""
    with Host(tmp_path) as host:
        target = TransportAddress.tcp("127.0.0.1", host.port)
        with FaultProxy(target, key=host.secret.wire_key()) as proxy:
            with manager_of(host, host.facts["instance_id"], tmp_path, proxy.port) as manager:
                instance = host.facts["instance_id"]
                with manager.connection("standalone", instance) as channel:
                    call(channel, "first", 0.0)
                    proxy.stall()
                    begun = time.monotonic()
                    with pytest.raises(EmbedError):
                        channel.call("tools/call", params_of("second", 0), 500)
                    assert time.monotonic() - begun < 5.0
                proxy.kill_all()
                with manager.connection("standalone", instance) as channel:
                    assert call(channel, "third", 0.0)["key"] == "third"
        assert Counter(journal_of(host.journal)[0]) == {"first": 1, "third": 1}
