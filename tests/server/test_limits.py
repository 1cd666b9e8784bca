"""Limits in numbers and in time: many connections, silence, slowness, an exhausted process."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.mcp.http_client import HttpClient
from dcc_mcp_embed.server import front
from dcc_mcp_embed.server.server import Server
from dcc_mcp_embed.tools.declare import Progress
from fakes.framed import FramedWire, wire_key
from fakes.live import DEADLINE, on_loop, starting, tries
from fakes.served import Served

pytestmark = pytest.mark.edges

#: Short enough for a test, long enough for a busy machine.
HEAD = 0.4
NEXT = 5.0
SLACK = 5.0
SHORT = Limits(head_timeout=HEAD, body_timeout=HEAD, linger=HEAD, connect_grace=0.1)
LISTING = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch, check=answers_at_once) as one_more:
        yield lambda registered=True, **limits: one_more(
            limits=SHORT._replace(**limits), registered=registered
        )


def answers_at_once(live):
    with live.connect() as wire:
        wire.sock.settimeout(NEXT)
        assert wire.rpc("ping").status == 200


def post(live, body=LISTING, length=None, *lines_more):
    lines = [
        "POST /mcp HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Content-Length: {}".format(len(body) if length is None else length),
    ]
    lines.append("Authorization: " + live.authorization["Authorization"])
    lines.extend(lines_more)
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def took(function):
    begun = time.monotonic()
    value = function()
    return time.monotonic() - begun, value


def a_head_later(live):
    """Return when whoever came just now, and said nothing, has had the time for a head."""
    with live.connect() as stranger:
        assert stranger.at_end()


# -- silence ----------------------------------------------------------------------------------

SILENT = {
    "in the head": lambda live: b"POST /mcp HTTP/1.1\r\nHost: local",
    "after one byte": lambda live: b"P",
    "in a body": lambda live: post(live, b'{"jsonrpc"', 100),
    "before a body": lambda live: post(live, b"", 100),
    "in the second request": lambda live: post(live) + b"POST /mcp HT",
}


@pytest.mark.parametrize("where", SILENT)
def test_half_a_request_and_then_silence_is_told_in_time(start, where):
    live = start()
    with live.connect() as wire:
        begun = time.monotonic()
        wire.send(SILENT[where](live))
        if where == "in the second request":
            assert wire.read().status == 200
        answer = wire.read()
        seconds = time.monotonic() - begun
        assert answer.status == 408
        assert "in time" in answer.json["error"]
        assert HEAD * 0.9 < seconds < HEAD + SLACK
        assert took(wire.at_end)[1]


@pytest.mark.parametrize("first", ["nothing", "a public answer", "a refusal"])
def test_a_stranger_who_says_nothing_is_sent_away(start, first):
    live = start()
    with live.connect() as wire:
        if first == "a public answer":
            assert wire.request("GET", "/", {"Authorization": None}).status == 200
        elif first == "a refusal":
            assert wire.request("GET", "/mcp", {"Authorization": None}).status == 401
        seconds, ended = took(wire.at_end)
        assert ended
        assert seconds < HEAD + SLACK


def test_a_client_with_a_token_may_be_silent_for_longer(start):
    live = start(idle_timeout=20.0)
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200
        a_head_later(live)
        assert wire.rpc("ping").status == 200


def test_a_client_with_a_token_may_not_be_silent_for_ever(start):
    live = start(idle_timeout=3 * HEAD)
    with live.connect() as wire:

        def served_and_sent_away():
            assert wire.rpc("ping").status == 200
            return wire.at_end()

        seconds, ended = took(served_and_sent_away)
        assert ended
        assert 2.9 * HEAD < seconds < 3 * HEAD + SLACK


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_byte_now_and_then_buys_no_more_time(start, part):
    live = start()
    with live.connect() as wire:
        data = post(live) if part == "head" else b"x" * 1000
        if part == "body":
            wire.send(post(live, b"", 1000))
        begun = time.monotonic()
        for position in range(len(data)):
            wire.send(data[position : position + 1])
            if select.select([wire.sock], [], [], HEAD / 10)[0]:
                break
        assert wire.read().status == 408
        assert time.monotonic() - begun < HEAD + SLACK


# -- slow readers -----------------------------------------------------------------------------


def stuff(sock, data, quiet):
    """Send ``data`` again and again until nothing is taken for ``quiet`` seconds; return bytes."""
    sock.settimeout(quiet)
    sent = 0
    while sent < 256 * 1024 * 1024:
        try:
            sent += sock.send(data)
        except socket.timeout:
            return sent
        except ConnectionError:
            return sent
    raise AssertionError("it takes everything")


def test_a_peer_that_never_reads_is_not_read_any_more_and_goes_after_a_while(start):
    live = start(high_water=64 * 1024, idle_timeout=2 * HEAD)
    with live.connect() as deaf:
        # What the kernel buffers of both directions hold, and little more.
        sent = stuff(deaf.sock, post(live) * 20, HEAD)
        assert sent < 64 * 1024 * 1024
        answers_at_once(live)
        with live.connect() as wire:
            for _ in tries():
                found = wire.tool("get_status")["structuredContent"]["data"]
                if found["connections"] == 1:
                    return
        raise AssertionError("it is kept for good")


def test_a_slow_reader_gets_every_answer(start):
    live = start(high_water=16 * 1024, idle_timeout=20.0)
    count = 400
    with live.connect() as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        bodies = [LISTING.replace(b":1,", b":%d," % number) for number in range(count)]
        data = b"".join(post(live, body) for body in bodies)
        sender = threading.Thread(target=wire.send, args=(data,), name="sender")
        sender.start()
        # Longer than any deadline for a request.
        a_head_later(live)
        assert [wire.read().json["id"] for _ in range(count)] == list(range(count))
        sender.join(20)


def test_progress_that_nobody_reads_is_not_kept(start):
    steps = 20000
    done = threading.Event()

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def chatter():
        """Report."""
        for number in range(steps):
            yield Progress(number, steps, "x" * 1000)
        done.set()
        return "said"

    live = start(high_water=64 * 1024)

    live.server.register_tools(SimpleNamespace(chatter=chatter))
    body = {"name": "chatter", "_meta": {"progressToken": 1}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body}
    with live.connect() as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(post(live, json.dumps(message).encode("ascii")))
        assert done.wait(30)
        answers_at_once(live)
        answer = wire.read()
        assert len(answer.body) < 10 * 1024 * 1024, "20 MB were kept for a peer that did not read"
        assert b'"said"' in answer.body, "the result comes all the same"


def test_one_that_never_stops_sending_is_cut_off(start):
    live = start()
    with live.connect() as wire:
        wire.send(post(live, b"", 100 * 1024 * 1024))
        assert wire.read().status == 413
        deadline = time.monotonic() + HEAD + SLACK
        while time.monotonic() < deadline:
            try:
                wire.send(b"x" * 65536)
            except ConnectionError:
                return
    raise AssertionError("it is still listened to")


# -- many -------------------------------------------------------------------------------------


def statuses(wires, live):
    for wire in wires:
        try:
            wire.send(post(live, b'{"jsonrpc":"2.0","id":1,"method":"ping"}'))
        except ConnectionError:
            # Refused and closed already; the refusal can still be read.
            pass
    return [wire.read().status for wire in wires]


def test_of_300_connections_256_are_served_and_the_rest_are_told(start):
    live = start(linger=2.0, head_timeout=20.0, connect_grace=20.0)
    wires = [live.connect() for _ in range(256)]
    try:
        # Each of them has shown its token before there are more.
        found = statuses(wires, live)
        wires += [live.connect() for _ in range(44)]
        found += statuses(wires[256:], live)
        assert found == [200] * 256 + [503] * 44
        with live.connect() as wire:
            answer = wire.rpc("ping")
            assert answer.status == 503
            assert "256" in answer.json["error"]
            assert answer.headers["retry-after"] == "1"
        # Those that are in go on.
        assert (
            statuses([w for w, status in zip(wires, found) if status == 200], live) == [200] * 256
        )
        wires[found.index(200)].close()
        for _ in tries():
            with live.connect() as wire:
                if wire.rpc("ping").status == 200:
                    break
        else:
            raise AssertionError("a place that was left stays taken")
    finally:
        for wire in wires:
            wire.close()


def test_300_clients_that_say_nothing_do_not_keep_one_out(start):
    live = start(head_timeout=20.0, connect_grace=0.0)
    strangers = [live.connect() for _ in range(300)]
    try:
        answers_at_once(live)
    finally:
        for wire in strangers:
            wire.close()


@pytest.mark.parametrize("begun", [b"", b"\0\0", b"POST /"], ids=["silent", "framed", "HTTP"])
def test_a_flood_of_strangers_who_have_only_just_come_does_not_keep_one_out(start, begun):
    live = start(head_timeout=20.0, hello_timeout=20.0, connect_grace=20.0)
    strangers = []
    try:
        for _ in range(300):
            strangers.append(live.connect())
            strangers[-1].send(begun)
        for _ in range(3):
            answers_at_once(live)
        with FramedWire(live.port, wire_key()) as wire:
            assert wire.greet().instance_id == live.server.instance_id
        log = [line.text for line in live.server.logbook.read(1000, "warning")]
        assert sum("made room" in text for text in log) == 1, "one line for all of them"
    finally:
        for wire in strangers:
            wire.close()


def in_turns(live, *steps):
    """Do something in each of some turns of the loop that follow one another."""
    done = threading.Event()

    def do(first, *more):
        if more:
            live.server._loop.call_soon(do, *more)
        first()
        if not more:
            done.set()

    live.server._loop.call_soon(do, *steps)
    assert done.wait(DEADLINE)


@pytest.mark.parametrize(
    ("waves", "late"), [((64,), True), ((33, 40), False)], ids=["token later", "token at once"]
)
def test_a_loop_that_is_held_up_drops_nobody_whose_token_it_has_not_read(start, waves, late):
    live = start(head_timeout=20.0, connect_grace=0.3)
    wires = []

    def say(those):
        for wire in those:
            wire.send(post(live))

    def come(many):
        new = [live.connect() for _ in range(many)]
        wires.extend(new)
        say([] if late else new)

    def be_held_up():
        say(wires if late else [])
        threading.Event().wait(0.5)

    steps = [partial(come, many) for many in waves]
    try:
        in_turns(live, *steps, *([lambda: None] if late else []), be_held_up)
        assert [wire.read().status for wire in wires] == [200] * sum(waves)
    finally:
        for wire in wires:
            wire.close()


def test_who_waits_for_the_framed_protocol_does_not_make_room(start, monkeypatch):
    go_on, load = threading.Event(), Server.load_framed
    monkeypatch.setattr(Server, "load_framed", lambda server: go_on.wait(DEADLINE) and load(server))
    live = start(registered=False, unauthenticated=2, connect_grace=0.0, head_timeout=20.0)
    waiting, early = lambda: len(live.server._server.front._waiting), []
    for number in range(4):
        early.append(FramedWire(live.port, wire_key(), live.server.instance_id))
        early[-1].flush()
        assert any(on_loop(live, waiting) == number + 1 for _ in tries())
    for _ in range(3):
        answers_at_once(live)
    go_on.set()
    for wire in early:
        assert wire.greet().instance_id == live.server.instance_id
        wire.close()


def test_strangers_that_made_room_are_summed_up(start, monkeypatch):
    monkeypatch.setattr(front, "_TELL_EVERY", 0.3)
    live = start(head_timeout=20.0, connect_grace=20.0, connections=4)
    strangers = [live.connect() for _ in range(10)]
    try:
        for _ in tries():
            log = [line.text for line in live.server.logbook.read(1000, "warning")]
            log = [text for text in log if "made room" in text]
            more = [int(text.split()[0]) for text in log if "more connections" in text]
            if len(log) - len(more) + sum(more) == 6:
                break
        else:
            raise AssertionError(log)
        assert len(log) < 6
    finally:
        for wire in strangers:
            wire.close()


def test_a_few_silent_strangers_are_the_first_to_go(start):
    live = start(head_timeout=3 * DEADLINE)
    with live.connect() as known:
        assert known.rpc("ping").status == 200
        strangers = [live.connect() for _ in range(32)]
        for _ in tries():
            # None of them makes room before its grace is over.
            answers_at_once(live)
            if select.select([strangers[0].sock], [], [], 0)[0]:
                break
        assert strangers[0].at_end(), "the oldest of them made room"
        assert known.rpc("ping").status == 200, "who has shown a token stays"
        strangers[-1].send(post(live))
        assert strangers[-1].read().status == 200, "who has just come stays"
        for wire in strangers:
            wire.close()


@pytest.mark.parametrize("silent", [0, 1, 4], ids="{} silent".format)
def test_who_has_shown_a_token_that_nobody_has_read_yet_stays(start, silent):
    """So it is where a tool has kept the interpreter to itself while many came.

    As many as there is room for may be silent, too.
    """
    live = start(head_timeout=20.0, connect_grace=0.0, unauthenticated=4)
    wires = [live.connect() for _ in range(4)]
    held, go_on = threading.Event(), threading.Event()

    def hold():
        held.set()
        assert go_on.wait(DEADLINE)

    try:
        for _ in tries():
            if on_loop(live, lambda: len(live.server._server.front)) == 4:
                break
        holding = threading.Thread(target=on_loop, args=(live, hold))
        holding.start()
        assert held.wait(DEADLINE)
        # First, so that it is the first that is looked at.
        wires.append(live.connect())
        for wire in wires[silent:]:
            wire.send(post(live))
        go_on.set()
        holding.join(DEADLINE)
        assert [wire.read().status for wire in wires[silent:]] == [200] * (5 - silent)
        for wire in wires[:silent]:
            wire.send(post(live))
            assert wire.read().status == 200
    finally:
        go_on.set()
        for wire in wires:
            wire.close()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_a_process_without_descriptors_left_serves_again_once_it_has_some(tmp_path):
    import resource

    with Served(str(tmp_path)) as served:
        with served.connect() as wire:
            assert wire.rpc("ping").status == 200
            hard = resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE, (32, hard))
            crowd = [served.connect() for _ in range(60)]
            assert wire.rpc("ping").status == 200, "those who are in are served"
            for one in crowd:
                one.close()
            # Those who have left are let in and out first, as many at a time as there are files.
            with served.connect() as other:
                assert other.rpc("ping").status == 200
            log = wire.tool("get_log", {"level": "warning"})["structuredContent"]["data"]["items"]
            assert any("no new connections" in line["text"] for line in log), log


# -- bodies -----------------------------------------------------------------------------------

MIB = 1024 * 1024
#: Two bodies of this size have room, a third has not.
LARGE = 3 * MIB // 2
ROOM = {"head_timeout": 20.0, "bodies_in_flight": 3 * MIB, "body_timeout": 20.0}


def half(live, size=LARGE):
    """Return a connection that has sent half of a large body, as soon as there is room for it."""
    for _ in tries():
        wire = live.connect()
        wire.send(post(live, b"", size, "Expect: 100-continue"))
        if wire.read().status == 100:
            wire.send(b" " * (size // 2))
            return wire
        # One that has closed may not have been noticed yet.
        wire.close()
    raise AssertionError("the room stays taken")


def refused(live):
    with live.connect() as wire:
        wire.send(post(live, b"", LARGE, "Expect: 100-continue"))
        answer = wire.read()
        assert answer.status in (100, 503)
        if answer.status == 503:
            assert answer.headers["retry-after"] == "1"
            assert "at a time" in answer.json["error"]
            assert wire.at_end()
        return answer.status == 503


def test_a_large_body_that_has_no_room_is_refused_before_it_is_sent(start):
    live = start(**ROOM)
    with half(live), half(live):
        assert refused(live)
        with live.connect() as wire:
            assert wire.rpc("ping", {"x": "x" * 60000}).status == 200, "a small one needs no room"
            wire.send(post(live, b" " * LARGE + LISTING))
            assert wire.read().status == 503, "and the connection was in use before"


@pytest.mark.parametrize("end", ["finished", "lost", "late", "chunked and too large"])
def test_room_is_free_again_however_a_body_ended(start, end):
    timeout, times = (5 * HEAD, 1) if end == "late" else (20.0, 4)
    live = start(**dict(ROOM, body_timeout=timeout, body_bytes=2 * MIB))
    for _ in range(times):
        with half(live) as first, half(live) as second:
            if end == "finished":
                assert refused(live)
                for wire in (first, second):
                    wire.send(b" " * (LARGE - LARGE // 2 - len(LISTING)) + LISTING)
                    assert wire.read().status == 200
                assert not refused(live)
            elif end == "late":
                assert refused(live)
                assert [wire.read().status for wire in (first, second)] == [408, 408]
                assert not refused(live)
            elif end == "lost":
                assert refused(live)
                first.close()
                second.close()
            else:
                first.close()
                with live.connect() as wire:
                    wire.send(chunked(live))
                    wire.send(b"%x\r\n" % (8 * MIB))
                    assert wire.read().status == 413
    with half(live), half(live):
        assert refused(live), "all of it was free, and no more"


def chunked(live):
    head = post(live, b"", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    assert b"chunked" in head
    return head


def test_what_comes_in_chunks_is_counted_as_it_comes(start):
    live = start(**ROOM)
    with half(live), live.connect() as wire:
        wire.send(chunked(live))
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        for _ in range(16):
            wire.send(piece)
        assert not select.select([wire.sock], [], [], HEAD)[0]
        assert refused(live)
        for _ in range(16):
            wire.send(piece)
        assert wire.read().status == 503
        with half(live):
            assert refused(live)


# -- load -------------------------------------------------------------------------------------

COUNTER = '''
import dcc_mcp_embed

seen = {}

@dcc_mcp_embed.tool
def count(client: int, number: int) -> dict:
    """Note one call."""
    seen.setdefault(client, []).append(number)
    return {"client": client, "number": number}

@dcc_mcp_embed.tool(read_only=True)
def counted() -> dict:
    """Say which calls came."""
    return {"wrong": [c for c, n in seen.items() if n != list(range(1000))], "clients": len(seen)}
'''


@pytest.mark.heavy
def test_64_clients_of_1000_calls_each_lose_nothing_and_are_served_alike(tmp_path):
    (tmp_path / "counter.py").write_text(COUNTER)
    clients, calls = 64, 1000
    times, problems = [], []
    with Served(str(tmp_path), "--tools", "counter.py") as served:
        url, token = served.facts["plain_url"], served.facts["token"]
        together = threading.Barrier(clients)

        def work(client):
            try:
                with HttpClient(url, token) as http:
                    http.call_tool("get_status")
                    together.wait(30)
                    begun = time.monotonic()
                    for number in range(calls):
                        wanted = {"client": client, "number": number}
                        result = http.call_tool("count", wanted)
                        if result["structuredContent"]["data"] != wanted:
                            problems.append(result)
                    times.append(time.monotonic() - begun)
            except Exception as error:
                # On a thread of its own nothing else would show it.
                problems.append(error)

        threads = [threading.Thread(target=work, args=(n,), name="c") for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
        assert problems == []
        with HttpClient(url, token) as http:
            found = http.call_tool("counted")["structuredContent"]["data"]
        assert found == {"wrong": [], "clients": clients}
        print("fastest {:.1f} s, slowest {:.1f} s".format(min(times), max(times)))
        assert len(times) == clients
        assert max(times) <= 3 * min(times)
