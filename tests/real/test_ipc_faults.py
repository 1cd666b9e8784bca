"""Calls over sockets that are cut all the time: each is answered, each effect happens once.

The server has a process of its own and notes every effect in a file; between it and the client is a
proxy that kills, stalls, splits and delays by a plan. What the server says of the calls that it is
asked about after a reconnect shows at which moment of its life each one was cut.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from dcc_mcp_embed.errors import EmbedError, UnknownOutcome
from dcc_mcp_embed.ipc import SocketClient
from dcc_mcp_embed.transport_errors import CallTimeout
from fakes.fault_proxy import FaultProxy, random_faults
from fakes.waiting import becomes, until
from real.ipc_process import Server
from real.ipc_server import journal_of, right_answer

pytestmark = pytest.mark.heavy

IN_FLIGHT = 64
#: How many calls have to be cut at each moment of their life, at least.
ENOUGH = 500
#: Seconds that one call may take, with every cut on its way.
PATIENCE = 120.0
SEED = int(os.environ.get("DCC_MCP_EMBED_TEST_SEED", "20261126"))


@pytest.fixture
def home():
    # Short: a socket's path may have a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="dcc") as path:
        yield path


def where(address):
    """Return the arguments of a client for an address."""
    if address.is_tcp:
        return {"socket_path": None, "host": address.host, "port": address.port}
    return {"socket_path": address.path}


def client_of(address, server, **options):
    settings = {
        "account_id": "client",
        "reconnect_interval": 0.02,
        "request_timeout": PATIENCE,
        "heartbeat_interval": 5.0,
        "secret": server.secret,
    }
    return SocketClient(**where(address), **dict(settings, **options))


@contextmanager
def through_faults(server, kind, home, seed):
    path = os.path.join(home, "p.sock") if kind == "unix" else None
    with FaultProxy(server.address, path, server.secret.wire_key()) as proxy:
        yield proxy
        proxy.calm()


def once(server, keys):
    """Check that every effect has happened, and once."""
    begun, ended = (Counter(one) for one in journal_of(server.journal))
    twice = [key for key, count in begun.items() if count > 1]
    assert (twice, len(begun), len(ended)) == ([], len(keys), len(keys))
    assert set(begun) == set(ended) == set(keys)
    assert max(ended.values()) == 1


def told(title, proxy, client_stats, server_stats, seconds, calls):
    """Print what happened, in the words of the issue."""
    states = proxy.states
    lines = [
        "{}: {} calls in {:.1f} s, seed {}".format(title, calls, seconds, SEED),
        "  cut before acceptance {}, while running {}, after finishing {}".format(
            states["new"], states["running"], states["done"]
        ),
        "  proxy {}".format(dict(sorted(proxy.counts.items()))),
        "  client {}".format(client_stats),
        "  server {}".format(server_stats),
    ]
    print("\n".join(lines))


def plan_of(seed, calls):
    """Return (key, milliseconds) of each call."""
    chance = random.Random(seed)
    return [("{:06d}".format(number), chance.randint(0, 500)) for number in range(calls)]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_10000_calls_64_in_flight(home, kind):
    calls = plan_of(SEED, 10_000)
    wrong = []

    async def work(client, line):
        for key, ms in line:
            # Some are long enough to be cut in the middle.
            pad = key * (10_000 if key.endswith("7") else 1)
            answer = await client.request("work", {"key": key, "ms": ms, "pad": pad})
            if answer != right_answer(key, pad):
                wrong.append((key, answer))

    async def run(server, proxy):
        client = client_of(proxy.address, server)
        assert await client.connect(), client.last_error
        proxy.follow(random_faults(SEED, stall=(0.08, 0.22)))
        line = iter(calls)
        results = await asyncio.gather(
            *[work(client, line) for _ in range(IN_FLIGHT)], return_exceptions=True
        )
        proxy.calm()
        stats = client.get_stats()
        await client.disconnect()
        assert [one for one in results if one is not None] == []
        return stats

    with Server(home, kind) as server, through_faults(server, kind, home, SEED) as proxy:
        begun = time.monotonic()
        client_stats = asyncio.run(run(server, proxy))
        seconds = time.monotonic() - begun
        server_stats = server.stats()
        told(kind, proxy, client_stats, server_stats, seconds, len(calls))
        assert wrong == []
        once(server, [key for key, _ in calls])
        states = proxy.states
        assert set(states) == {"new", "running", "done"}
        assert min(states.values()) >= ENOUGH
        assert client_stats["unknown_outcomes"] == client_stats["errors"] == 0
        assert client_stats["resent"] >= ENOUGH
        assert server_stats["replayed"] >= ENOUGH
        assert server_stats["joined"] >= ENOUGH
        server.stop()


def test_threads_without_asyncio(home):
    calls = plan_of(SEED + 1, 2_000)
    line, lock = iter(calls), threading.Lock()
    wrong, failures = [], []

    def work(client):
        try:
            while True:
                with lock:
                    key, ms = next(line, (None, 0))
                if key is None:
                    return
                answer = client.request_sync("work", {"key": key, "ms": ms})
                if answer != right_answer(key):
                    wrong.append((key, answer))
        except BaseException as error:
            failures.append(error)

    with Server(home, "unix", sync=True) as server:
        with through_faults(server, "unix", home, SEED) as proxy:
            client = client_of(proxy.address, server)
            assert client.connect_sync(), client.last_error
            begun = time.monotonic()
            proxy.follow(random_faults(SEED, stall=(0.08, 0.22)))
            threads = [threading.Thread(target=work, args=(client,)) for _ in range(IN_FLIGHT)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            proxy.calm()
            seconds = time.monotonic() - begun
            stats = client.get_stats()
            client.disconnect_sync()
            told("threads", proxy, stats, server.stats(), seconds, len(calls))
            assert (failures, wrong) == ([], [])
            once(server, [key for key, _ in calls])
            assert set(proxy.states) == {"new", "running", "done"}
            server.stop()


def test_callers_without_patience(home):
    """Timeouts and cancelled tasks among the cuts: nobody waits for ever, nothing runs twice."""
    calls = plan_of(SEED + 2, 3_000)
    answered, outcomes, wrong, slowest = [], Counter(), [], [0.0]
    chance = random.Random(SEED)

    async def one(client, key, ms):
        task = asyncio.ensure_future(client.request("work", {"key": key, "ms": ms}, timeout=0.3))
        if chance.random() < 0.2:
            asyncio.get_event_loop().call_later(chance.uniform(0, 0.3), task.cancel)
        try:
            answer = await task
        except CallTimeout:
            outcomes["timeout"] += 1
        except asyncio.CancelledError:
            outcomes["cancelled"] += 1
        else:
            outcomes["answer"] += 1
            answered.append(key)
            if answer != right_answer(key):
                wrong.append((key, answer))

    async def work(client, line):
        for key, ms in line:
            begun = time.monotonic()
            await one(client, key, ms)
            slowest[0] = max(slowest[0], time.monotonic() - begun)

    async def run(server, proxy):
        client = client_of(proxy.address, server)
        assert await client.connect(), client.last_error
        proxy.follow(random_faults(SEED, stall=(0.08, 0.22)))
        line = iter(calls)
        await asyncio.gather(*[work(client, line) for _ in range(IN_FLIGHT)])
        proxy.calm()
        # Whatever was left behind, the connection is as good as any.
        assert await client.request("work", {"key": "last", "ms": 0}) == right_answer("last")
        stats = client.get_stats()
        await client.disconnect()
        return stats

    with Server(home) as server, through_faults(server, "unix", home, SEED) as proxy:
        begun = time.monotonic()
        stats = asyncio.run(run(server, proxy))
        seconds = time.monotonic() - begun
        until(lambda: server.stats()["in_flight"] == 0)
        server_stats = server.stats()
        told("impatient", proxy, stats, server_stats, seconds, len(calls))
        print("  outcomes {}, the slowest after {:.2f} s".format(dict(outcomes), slowest[0]))
        # On a busy machine; its time is 0.3 s.
        assert slowest[0] < 10.0
        assert wrong == []
        assert sum(outcomes.values()) == len(calls)
        assert min(outcomes[one] for one in ("answer", "timeout", "cancelled")) > 100
        assert (stats["in_flight"], stats["held"]) == (0, 0)
        ran, ended = (Counter(one) for one in journal_of(server.journal))
        assert max(ran.values()) == max(ended.values()) == 1
        assert set(answered) < set(ended)
        assert set(ended) == set(ran)
        server.stop()


def test_many_clients_and_pushes(home):
    """Each has its own line of calls; pushes may be lost with a connection, never doubled."""
    clients, each = 8, 200
    heard = [[] for _ in range(clients)]
    wrong = []

    async def work(client, line):
        for key, ms in line:
            answer = await client.request("work", {"key": key, "ms": ms})
            if answer != right_answer(key):
                wrong.append((key, answer))

    async def use(number, server, proxy, over):
        client = client_of(proxy.address, server, account_id="client {}".format(number))

        @client.on_push("news")
        async def news(push_type, data):
            heard[number].append(data)

        assert await client.connect(), client.last_error
        line = iter([("{}.{}".format(number, key), ms) for key, ms in plan_of(number, each)])
        await asyncio.gather(*[work(client, line) for _ in range(8)])
        await over.wait()
        await client.disconnect()

    async def tell(server, over):
        client = client_of(server.address, server, account_id="teller")
        assert await client.connect(), client.last_error
        count = 0
        while not over.is_set():
            await client.request("push", count)
            count += 1
            # At most a hundred pushes a second: a pace, nothing is waited for.
            await asyncio.sleep(0.01)
        await client.disconnect()

    async def run(server, proxy):
        over = asyncio.Event()
        users = [
            asyncio.ensure_future(use(number, server, proxy, over)) for number in range(clients)
        ]
        telling = asyncio.ensure_future(tell(server, over))
        proxy.follow(random_faults(SEED, share=0.4))
        keys = clients * each
        await becomes(
            lambda: len(journal_of(server.journal)[1]) == keys,
            [telling, *users],
            deadline=2 * PATIENCE,
            pause=0.05,
        )
        proxy.calm()
        over.set()
        await asyncio.gather(telling, *users)

    with Server(home) as server, through_faults(server, "unix", home, SEED) as proxy:
        begun = time.monotonic()
        asyncio.run(run(server, proxy))
        stats = server.stats()
        told("many", proxy, None, stats, time.monotonic() - begun, clients * each)
        assert wrong == []
        once(
            server,
            ["{}.{}".format(n, key) for n in range(clients) for key, _ in plan_of(n, each)],
        )
        for pushes in heard:
            assert len(pushes) > 10
            assert pushes == sorted(set(pushes))
        assert stats["connections_total"] > 2 * clients
        server.stop()


# Receipts that are gone, servers that are gone.


def test_evicted_receipt_is_an_unknown_outcome_and_no_second_run(home):
    calls = ["k{}".format(number) for number in range(12)]
    kept = 4
    outcomes = {}

    async def run(server, proxy):
        client = client_of(proxy.address, server)
        assert await client.connect(), client.last_error
        await client.request("work", {"key": "first", "ms": 0})
        proxy.stall("down")
        tasks = {}
        for key in calls:
            tasks[key] = asyncio.ensure_future(client.request("work", {"key": key, "ms": 0}))
            # One after the other, so that the first are the ones that are evicted.
            await becomes(lambda key=key: key in journal_of(server.journal)[1])
        proxy.kill_all()
        for key, task in tasks.items():
            try:
                outcomes[key] = await task
            except EmbedError as error:
                outcomes[key] = error
        assert (await client.request("work", {"key": "last", "ms": 0}))["key"] == "last"
        stats = client.get_stats()
        await client.disconnect()
        return stats

    with Server(home, entries=kept) as server, through_faults(server, "unix", home, 0) as proxy:
        stats = asyncio.run(run(server, proxy))
        lost = [key for key, outcome in outcomes.items() if isinstance(outcome, UnknownOutcome)]
        assert lost == calls[:-kept]
        assert [outcomes[key]["key"] for key in calls[-kept:]] == calls[-kept:]
        assert stats["unknown_outcomes"] == len(lost)
        assert proxy.states == {"unknown": len(lost), "done": kept}
        once(server, ["first", *calls, "last"])
        server.stop()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_killed_server_and_its_successor(home, kind):
    """No proxy: the client comes back to the very same place."""
    numbers = itertools.count()
    outcomes = Counter()
    odd, answered, reasons = [], [], set()

    async def work(client, enough):
        while not enough.is_set():
            key = "k{}".format(next(numbers))
            try:
                answer = await client.request("work", {"key": key, "ms": 20})
            except UnknownOutcome as error:
                outcomes["unknown"] += 1
                reasons.add(str(error))
            except EmbedError as error:
                outcomes["error"] += 1
                odd.append((key, repr(error)))
            else:
                outcomes["answer"] += 1
                answered.append(key)
                assert answer == right_answer(key)

    async def more_answers(tasks):
        wanted = outcomes["answer"] + 200
        await becomes(lambda: outcomes["answer"] >= wanted, tasks, PATIENCE)

    async def run(server, stack):
        client = client_of(server.address, server)
        assert await client.connect(), client.last_error
        enough = asyncio.Event()
        tasks = [asyncio.ensure_future(work(client, enough)) for _ in range(IN_FLIGHT)]
        loop = asyncio.get_event_loop()
        for kills in range(1, 4):
            await more_answers(tasks)
            await loop.run_in_executor(None, server.end, signal.SIGKILL)
            server.close()
            assert outcomes["unknown"] <= kills * IN_FLIGHT
            port = server.address.port or 0
            server = await loop.run_in_executor(None, Server, home, kind, port)
            stack.append(server)
        await more_answers(tasks)
        enough.set()
        await asyncio.gather(*tasks)
        stats = client.get_stats()
        await client.disconnect()
        return stats

    stack = [Server(home, kind)]
    try:
        stats = asyncio.run(run(stack[0], stack))
        print(kind, dict(outcomes), stats)
        assert odd == []
        assert all("started anew" in reason for reason in reasons), reasons
        assert 0 < outcomes["unknown"] <= 3 * IN_FLIGHT
        assert stats["unknown_outcomes"] == outcomes["unknown"]
        begun, ended = (Counter(one) for one in journal_of(stack[-1].journal))
        assert max(begun.values()) == max(ended.values()) == 1
        assert set(answered) <= set(ended)
        stack[-1].stop()
    finally:
        for server in stack:
            server.close()


def test_calls_of_a_client_that_gives_up_end_with_a_clear_error(home):
    async def run(server):
        client = client_of(server.address, server, max_reconnect_attempts=2)
        assert await client.connect(), client.last_error
        lost = asyncio.Event()
        client.set_disconnect_callback(lost.set)
        tasks = [
            asyncio.ensure_future(client.request("work", {"key": str(number), "ms": 60_000}))
            for number in range(8)
        ]
        loop = asyncio.get_event_loop()
        await becomes(lambda: len(journal_of(server.journal)[0]) == 8)
        await loop.run_in_executor(None, server.end, signal.SIGKILL)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(lost.wait(), PATIENCE)
        # Each of them may have run, and the text has to say so.
        assert {type(one) for one in outcomes} == {UnknownOutcome}, outcomes
        with pytest.raises(EmbedError, match="connect") as refused:
            await client.request("work", {"key": "later", "ms": 0})
        assert not isinstance(refused.value, UnknownOutcome), "it was never sent"
        await client.disconnect()

    with Server(home) as server:
        asyncio.run(run(server))


def test_one_seed_is_one_plan():
    assert plan_of(1, 100) == plan_of(1, 100) != plan_of(2, 100)
