"""Both protocols on one port under load: all are answered, nobody twice, nothing is mixed up."""

from __future__ import annotations

import json
import threading
from collections import Counter
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.mcp.http_client import HttpClient
from fakes.framed import FramedWire, wire_key
from fakes.live import DEADLINE, Live

pytestmark = pytest.mark.edges

#: Of each kind; the host's queue holds 64 calls, and none of these may be turned away.
CLIENTS = 4
CALLS = 200
#: Calls that a framed client has under way at once.
WINDOW = 6
THREADS = ("main", "worker", "loop")


class Notes:
    """A tool on each thread, and what they were called with."""

    def __init__(self):
        self.calls = []
        calls = self.calls
        tools = {}
        for thread in THREADS:

            @dcc_mcp_embed.tool(name="note_" + thread, thread=thread, read_only=True)
            def note(client: str, number: int) -> dict:
                """Note one call."""
                calls.append((client, number))
                return {"client": client, "number": number}

            tools[thread] = note
        self.module = SimpleNamespace(**tools)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def live(tmp_path, monkeypatch, notes):
    one = Live(str(tmp_path), monkeypatch, tools=[notes.module])
    yield one
    one.close()


def wanted(name, number):
    return "note_" + THREADS[number % 3], {"client": name, "number": number}


def by_http(live, name):
    """Call one after the other; return the answers by number."""
    found = {}
    with HttpClient(live.server.plain_url, live.server.token) as client:
        for number in range(CALLS):
            found[number] = client.call_tool(*wanted(name, number))
    return found


def by_frames(live, name):
    """Call some at a time; return the answers by number."""
    found, waiting = {}, []

    def take():
        number, ident = waiting.pop()
        answer = wire.answer(ident)
        assert answer.success, answer.error
        found[number] = json.loads(answer.payload.decode("utf-8"))

    with FramedWire(live.port, wire_key(), live.server.instance_id) as wire:
        wire.greet()
        for number in range(CALLS):
            tool, arguments = wanted(name, number)
            ident = wire.ask("tools/call", {"name": tool, "arguments": arguments})
            waiting.append((number, ident))
            while len(waiting) >= WINDOW:
                take()
        while waiting:
            take()
        assert wire.responses == {}, "nobody is answered twice"
    return found


def test_every_client_of_either_kind_gets_its_own_answers(live, notes):
    kinds = {"http": by_http, "frames": by_frames}
    answers, problems = {}, []
    together = threading.Barrier(len(kinds) * CLIENTS)

    def work(kind, name):
        try:
            together.wait(DEADLINE)
            answers[name] = kinds[kind](live, name)
        except BaseException as error:
            # On a thread of its own nothing else would show it, a failed assertion neither.
            problems.append((name, error))

    threads = [
        threading.Thread(target=work, args=(kind, "{} {}".format(kind, number)), name="client")
        for kind in kinds
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert problems == []
    for name, found in answers.items():
        data = {n: result["structuredContent"]["data"] for n, result in found.items()}
        assert data == {n: {"client": name, "number": n} for n in range(CALLS)}
    assert len(answers) == len(threads)
    assert set(Counter(notes.calls).values()) == {1}, "each call ran once"
    assert len(notes.calls) == len(threads) * CALLS
    errors = live.server.logbook.read(level="warning")
    assert errors == []


def test_a_slow_reader_of_either_kind_holds_up_nobody_else(live):
    wires = [FramedWire(live.port, wire_key()) for _ in range(2)]
    for wire in wires:
        wire.greet()
    deaf, brisk = wires
    asked = deaf.peer.request("tools/list", b"")[1] * 300
    deaf.sock.settimeout(0.3)
    try:
        deaf.sock.sendall(asked)
    except OSError:
        pass
    with live.connect() as deaf_http, live.connect() as http:
        lines = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        lines += "Authorization: {}\r\nContent-Length: {}\r\n\r\n{}"
        body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
        one = lines.format(live.authorization["Authorization"], len(body), body).encode("ascii")
        deaf_http.sock.settimeout(0.3)
        try:
            deaf_http.send(one * 300)
        except OSError:
            pass
        for _ in range(20):
            assert brisk.call("ping") == {}
            assert http.rpc("ping").status == 200
    for wire in wires:
        wire.close()
