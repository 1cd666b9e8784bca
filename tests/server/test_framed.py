"""The framed wire on the server's port: hello, methods, many calls at once, and how it ends."""

from __future__ import annotations

import json
import select
import socket
import threading
import time

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.server.front import Front
from dcc_mcp_embed.server.server import Server
from dcc_mcp_embed.wire.frames import MAX_FRAME, frame
from dcc_mcp_embed.wire.messages import (
    OURS,
    REFERENCE,
    Form,
    Notify,
    Ping,
    Pong,
    Request,
    decode,
    encode,
)
from fakes.framed import FramedWire, wire_key
from fakes.live import DEADLINE, on_loop, tries
from fakes.stage import Stage
from server.framed_clients import Greeted

IDENT = bytes(range(16))
MIB = 1024 * 1024


@pytest.fixture
def stage():
    """Tools that a test holds in the middle, or that do not take long."""
    with Stage() as one:

        @dcc_mcp_embed.tool(thread="worker", read_only=True)
        def hold(name: str = "") -> dict:
            """Keep the worker thread, and note at the end that it ran."""
            one.entered.release()
            assert one.leave.wait(DEADLINE)
            one.ran.append(name)
            return {"name": name}

        @dcc_mcp_embed.tool(read_only=True)
        def echo(value: str = "") -> dict:
            """Give back on the main thread."""
            return {"value": value}

        @dcc_mcp_embed.tool(read_only=True)
        def measure(value: str) -> dict:
            """Say how long a text is."""
            return {"size": len(value)}

        @dcc_mcp_embed.tool(thread="loop", read_only=True)
        def large(size: int) -> str:
            """Return much."""
            return "x" * size

        @dcc_mcp_embed.tool(thread="loop", read_only=True)
        def who(ctx) -> dict:
            """Say who calls."""
            return {"client": ctx.client}

        one.add(hold, echo, measure, large, who)
        yield one


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with stage.servers(str(tmp_path), monkeypatch, check=serves_on) as one_more:
        yield lambda limits=Limits(), **options: one_more(limits=limits, **options)


def serves_on(live):
    with live.connect() as wire:
        wire.sock.settimeout(5.0)
        assert wire.rpc("ping").status == 200, "whatever came, it goes on serving"


def data(result):
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


# -- what is answered -------------------------------------------------------------------------


def test_after_the_hello_the_server_has_said_who_it_is(start):
    live = start()
    with FramedWire(live.port, wire_key(), live.server.instance_id) as wire:
        facts = wire.greet()
        assert facts.instance_id == live.server.instance_id
        assert len(facts.epoch) >= 16
    with Greeted(live) as wire:
        assert wire.peer.facts.epoch == facts.epoch, "the same run of the server"


def test_the_methods_answer_what_mcp_answers(start):
    live = start()
    with Greeted(live) as wire, live.connect() as http:
        assert wire.call("ping") == {}
        listed = wire.call("tools/list")
        assert listed == {"tools": http.rpc("tools/list").json["result"]["tools"]}
        assert wire.call("status")["verdict"] == "healthy"
        assert (
            wire.call("status").keys()
            == http.tool("get_status")["structuredContent"]["data"].keys()
        )
        made = wire.tool("create_object", {"kind": "cube", "name": "framed"})
        assert data(made)["path"] == "/framed"
        assert made["structuredContent"]["undo"]["label"] == "MCP: create_object"
        assert data(http.tool("get_object", {"path": "/framed"}))


def test_arguments_may_be_left_out(start):
    with Greeted(start()) as wire:
        assert data(wire.call("tools/call", {"name": "echo"})) == {"value": ""}
        assert data(wire.call("tools/call", {"name": "echo", "arguments": None})) == {"value": ""}


def test_text_of_every_kind_comes_back_as_it_was(start):
    with Greeted(start()) as wire:
        text = "żółć \U0001f600 \0 \u2028"
        assert data(wire.tool("echo", {"value": text})) == {"value": text}


WRONG = [
    ("nope", None, "mcp, ping, resume, status, tools/call, tools/list"),
    ("", None, "there is no method"),
    ("hello", b"{}", "there is no method"),
    ("tools/call", None, "a name"),
    ("tools/call", b"{", "not JSON"),
    ("tools/call", b"\xff", "not UTF-8"),
    ("tools/call", b"[]", "JSON object"),
    ("tools/call", b"[" * 100000, "deeply"),
    ("tools/call", b'{"name": 1}', "a string"),
    ("tools/call", b'{"name": "echo", "arguments": []}', "an object"),
]


@pytest.mark.parametrize(
    ("method", "params", "wanted"), WRONG, ids=[repr(r[:2])[:40] for r in WRONG]
)
def test_what_cannot_be_served_is_a_failure_in_words_and_the_connection_goes_on(
    start, method, params, wanted
):
    with Greeted(start()) as wire:
        assert wanted in wire.failure(method, params)
        assert wire.call("ping") == {}


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("nope", {}, "not_found"),
        ("\ud800", {}, "not_found"),
        ("echo", {"bogus": 1}, "invalid_argument"),
        ("echo", {"value": 5}, "invalid_argument"),
        ("get_object", {"path": "/none"}, "not_found"),
    ],
)
def test_a_tool_that_fails_is_a_result_that_says_so(start, name, arguments, code):
    with Greeted(start()) as wire:
        result = wire.tool(name, arguments)
        assert result["isError"] is True
        assert result["structuredContent"]["error"]["code"] == code


@pytest.mark.parametrize("shape", ["tagged", "bare", "map"])
@pytest.mark.parametrize("octets", ["array", "bin"])
def test_an_answer_has_the_form_of_its_request(start, shape, octets):
    form = Form(shape, octets)
    with Greeted(start()) as wire:
        wire.send(frame(encode(Request(IDENT, "status", b"{}"), form)))
        raw = read_frame(wire.sock)
        message, found = decode(raw)
        assert message.id == IDENT
        assert message.success
        assert found == form


def read_frame(sock):
    def exactly(count):
        found = b""
        while len(found) < count:
            piece = sock.recv(count - len(found))
            assert piece, "closed"
            found += piece
        return found

    return exactly(int.from_bytes(exactly(4), "big"))


def test_pings_of_the_protocol_are_answered_and_notifications_are_not(start):
    with Greeted(start()) as wire:
        wire.send(frame(encode(Notify(None, "topic", b"x"), OURS)))
        wire.send(frame(encode(Ping(IDENT, 5), OURS)))
        message, _ = decode(read_frame(wire.sock))
        assert isinstance(message, Pong)
        assert message.id == IDENT


# -- a start that takes its time ---------------------------------------------------------------


def test_who_comes_before_the_framed_wire_is_loaded_waits_for_it_and_http_does_not(
    start, monkeypatch
):
    begun, go_on = threading.Event(), threading.Event()
    load = Server.load_framed

    def slow(server):
        begun.set()
        assert go_on.wait(DEADLINE)
        load(server)

    monkeypatch.setattr(Server, "load_framed", slow)
    live = start(registered=False)
    assert begun.wait(DEADLINE)
    early = [FramedWire(live.port, wire_key(), live.server.instance_id) for _ in range(3)]
    for wire in early:
        wire.flush()
    gone = early.pop()
    gone.close()
    with live.connect() as http:
        assert http.rpc("ping").status == 200
    assert not select.select([wire.sock for wire in early], [], [], 0.05)[0]
    go_on.set()
    for wire in early:
        assert wire.greet().instance_id == live.server.instance_id
        assert wire.call("ping") == {}
        wire.close()


def test_the_registry_names_nobody_who_does_not_speak_it_yet(start, monkeypatch):
    go_on, found = threading.Event(), []
    load, speak = Server.load_framed, Front.speak

    def slow(front, *rest):
        found.append(live.server.wait_registered(0.2))
        speak(front, *rest)

    monkeypatch.setattr(Server, "load_framed", lambda server: go_on.wait(DEADLINE) and load(server))
    monkeypatch.setattr(Front, "speak", slow)
    live = start(registered=False)
    go_on.set()
    assert live.server.wait_registered(DEADLINE)
    assert found == [False]


def test_who_waits_for_it_does_not_wait_for_ever(start, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(Server, "load_framed", lambda server: go_on.wait(DEADLINE))
    live = start(Limits(head_timeout=0.2), registered=False)
    with FramedWire(live.port, wire_key()) as wire:
        wire.flush()
        assert everything(wire.sock) == b""
    front = live.server._server.front
    assert on_loop(live, lambda: len(front._waiting)) == 0, "and nothing is kept of it"
    go_on.set()


# -- many at once -----------------------------------------------------------------------------


def test_calls_of_one_connection_do_not_wait_for_each_other(start, stage):
    with Greeted(start()) as wire:
        held = wire.ask("tools/call", {"name": "hold", "arguments": {"name": "a"}})
        assert stage.entered.acquire(timeout=DEADLINE)
        idents = [
            wire.ask("tools/call", {"name": "echo", "arguments": {"value": str(n)}})
            for n in range(20)
        ]
        for number, ident in reversed(list(enumerate(idents))):
            answer = json.loads(wire.answer(ident).payload.decode())
            assert data(answer) == {"value": str(number)}
        assert held not in wire.responses
        stage.leave.set()
        assert data(json.loads(wire.answer(held).payload.decode())) == {"name": "a"}


def test_more_calls_at_once_than_a_connection_may_have_are_told_that_it_is_busy(start, stage):
    live = start(Limits(framed_calls=3))
    with Greeted(live) as wire, Greeted(live) as other:
        held = [wire.ask("tools/call", {"name": "hold"}) for _ in range(3)]
        assert stage.entered.acquire(timeout=DEADLINE)
        for _ in range(2):
            error = wire.tool("echo")["structuredContent"]["error"]
            assert (error["code"], error["retryable"]) == ("host_busy", True)
        assert data(other.tool("echo")) == {"value": ""}, "another connection has its own"
        assert wire.call("ping") == {}
        stage.leave.set()
        for ident in held:
            assert wire.answer(ident).success
        assert data(wire.tool("echo")) == {"value": ""}


def test_a_thousand_requests_in_one_piece_are_all_answered(start):
    with Greeted(start()) as wire:
        asked = [wire.peer.request("tools/call", b'{"name":"who"}') for _ in range(1000)]
        sender = threading.Thread(
            target=wire.send, args=(b"".join(one for _, one in asked),), name="sender"
        )
        sender.start()
        assert all(wire.answer(ident).success for ident, _ in asked)
        sender.join(DEADLINE)


def test_a_request_byte_by_byte_is_a_request(start):
    with Greeted(start()) as wire:
        ident, one = wire.peer.request("tools/call", b'{"name":"echo"}')
        for at in range(len(one)):
            wire.send(one[at : at + 1])
        assert wire.answer(ident).success


def test_a_peer_that_does_not_read_is_not_read_and_gets_all_once_it_does(start):
    live = start(Limits(high_water=64 * 1024))
    params = json.dumps({"name": "large", "arguments": {"size": 20000}}).encode("ascii")
    with Greeted(live) as wire:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        asked = [wire.peer.request("tools/call", params) for _ in range(2000)]
        sender = threading.Thread(
            target=wire.send, args=(b"".join(one for _, one in asked),), name="sender"
        )
        sender.start()
        # 40 MB of answers; others are served while none is read.
        for _ in range(20):
            with live.connect() as http:
                assert http.rpc("ping").status == 200
        status = live.server._server.front
        assert sum(stream.unsent for stream in status._connections) < MIB
        assert all(wire.answer(ident).success for ident, _ in asked)
        sender.join(DEADLINE)


def test_a_request_may_be_almost_16_mib_large(start):
    with Greeted(start()) as wire:
        assert data(wire.tool("measure", {"value": "y" * (15 * MIB)})) == {"size": 15 * MIB}


# -- consent ----------------------------------------------------------------------------------


def test_consent_is_bound_to_the_connection(start):
    from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

    asked = []
    # What they call themselves is shown, and changes nothing.
    name = "one and the same"

    class Attended(StandaloneAdapter):
        def is_interactive(self):
            return True

        def ask(self, question):
            asked.append(question.text)
            question.answer("client")

    live = start(adapter=Attended, exec_mode="confirm")
    with Greeted(live, client=name) as first, Greeted(live, client=name) as second:
        for wire in (first, first, second):
            assert wire.tool("execute_python", {"code": "1"})["isError"] is False
            assert data(wire.tool("who")) == {"client": name}
    assert len(asked) == 2
    assert all(name in text for text in asked)


# -- without authentication -------------------------------------------------------------------


def test_without_authentication_the_hello_may_be_left_out(start):
    live = start(Limits(hello_timeout=0.6, head_timeout=0.6), auth=False)
    with FramedWire(live.port) as wire:
        assert wire.call("ping") == {}
        with live.connect() as silent:
            assert silent.at_end(), "the time for a hello is over"
        text = "z" * 8192
        assert data(wire.tool("echo", {"value": text})) == {"value": text}, "over 4 KiB"
    with FramedWire(live.port, wire_key(), live.server.instance_id) as wire:
        assert wire.greet().instance_id == live.server.instance_id, "and who says it is answered"
        assert wire.call("ping") == {}


# -- strangers --------------------------------------------------------------------------------

SHORT = Limits(hello_timeout=0.3, linger=0.2, connect_grace=0.1)


def hello_frame(content=None):
    params = {"wire": 1, "nonce": "0" * 64} if content is None else content
    return frame(encode(Request(IDENT, "hello", json.dumps(params).encode()), REFERENCE))


STRANGERS = {
    "half a length": b"\x00\x00",
    "half a hello": hello_frame()[:-7],
    "a hello and no more": hello_frame(),
    "another method": frame(encode(Request(IDENT, "tools/list", b"{}"), REFERENCE)),
    "another wire": hello_frame({"wire": 2, "nonce": "0" * 64}),
    "no nonce": hello_frame({"wire": 1}),
    "a ping": frame(encode(Ping(IDENT, 1), REFERENCE)),
    "no MessagePack": frame(b"\xc1\xc1\xc1"),
    "nothing in a frame": frame(b""),
    "over 4 KiB": frame(b"x" * 4097),
    "200 MiB": (200 * MIB).to_bytes(4, "big"),
    "256 MiB and one": (MAX_FRAME + 1).to_bytes(4, "big"),
    "zeroes": b"\x00" * 4000,
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_is_sent_away_in_time_and_learns_nothing(start, kind):
    live = start(SHORT)
    with FramedWire(live.port) as wire:
        begun = time.monotonic()
        wire.send(STRANGERS[kind])
        heard = everything(wire.sock)
        assert time.monotonic() - begun < DEADLINE / 2
        for told in (live.server.instance_id, live.server.instance_id[:8], live.server.token):
            assert told.encode() not in heard
        assert wire_key() not in heard
        assert wire_key().hex().encode() not in heard
    log = [line.text for line in live.server.logbook.read(level="error")]
    assert log == []


def everything(sock):
    heard = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionError:
            return heard
        if not piece:
            return heard
        heard += piece


@pytest.mark.parametrize("key", [b"\0" * 32, b"k" * 32])
def test_a_wrong_key_is_noticed_by_both_ends(start, key):
    live = start(SHORT)
    with FramedWire(live.port, key) as wire:
        wire.flush()
        ended = wire.until_end()
        assert "secret" in str(ended.error)
    # A client that goes on all the same.
    with FramedWire(live.port) as wire:
        wire.send(hello_frame())
        read_frame(wire.sock)
        proof = {"proof": "0" * 64}
        wire.send(hello_frame(proof))
        message, _ = decode(read_frame(wire.sock))
        assert message.success is False
        assert "secret" in message.error
        assert wire.sock.recv(1) == b""


def test_a_recorded_hello_is_worth_nothing(start):
    live = start(SHORT)
    with FramedWire(live.port, wire_key()) as wire:
        said = []
        wire.send, real = said.append, wire.send
        wire.flush()
        real(said[-1])
        wire.greet_step = wire.read()
        # The second message went to ``said`` too: the proof.
        real(said[-1])
        wire.read()
        assert wire.peer.facts is not None
    with FramedWire(live.port) as wire:
        wire.send(said[0])
        read_frame(wire.sock)
        wire.send(said[1])
        message, _ = decode(read_frame(wire.sock))
        assert message.success is False


def test_two_hundred_mebibytes_announced_cost_nothing(start):
    live = start(SHORT)
    wires = [FramedWire(live.port) for _ in range(8)]
    for wire in wires:
        wire.send((200 * MIB).to_bytes(4, "big") + b"x" * 1000)
    for wire in wires:
        assert everything(wire.sock) == b""
        wire.close()


def test_silent_strangers_are_the_first_to_go_whatever_they_began_to_speak(start):
    live = start(Limits(hello_timeout=20.0, connect_grace=0.1, unauthenticated=4))
    strangers = [FramedWire(live.port) for _ in range(4)]
    for wire in strangers:
        wire.send(b"\x00\x00")
    for _ in tries():
        # None of them makes room before its grace is over.
        with Greeted(live) as wire:
            assert wire.call("ping") == {}
        if select.select([strangers[0].sock], [], [], 0)[0]:
            break
    assert everything(strangers[0].sock) == b"", "the oldest made room"
    for one in strangers:
        one.close()


def test_who_finds_the_server_full_is_told_why(start):
    live = start(Limits(connections=2, linger=0.3))
    with Greeted(live), Greeted(live):
        with FramedWire(live.port, wire_key()) as wire:
            wire.flush()
            assert "2 connections are open already" in str(wire.until_end().error)
    for _ in tries():
        with FramedWire(live.port, wire_key()) as wire:
            wire.flush()
            while wire.peer.facts is None and wire.ended is None:
                try:
                    wire.read()
                except ConnectionError:
                    break
            if wire.peer.facts is not None:
                break


# -- breaking it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("garbage", "said"),
    [
        (frame(b"\xc1"), None),
        (frame(b"\x93\xa7request"), None),
        ((17 * MIB).to_bytes(4, "big"), "too large"),
        (b"GET / HTTP/1.1\r\n\r\n", "too large"),
    ],
    ids=["no MessagePack", "cut off", "over 16 MiB", "HTTP"],
)
def test_one_of_ours_that_breaks_the_protocol_is_told_and_ended(start, garbage, said):
    with Greeted(start(Limits(linger=0.2))) as wire:
        asked = wire.ask("tools/call", {"name": "who"})
        wire.send(garbage)
        assert wire.answer(asked).success, "what came before was whole"
        ended = wire.until_end()
        assert ended.reason, "why"
        assert said is None or said in ended.reason


def test_a_frame_that_does_not_end_is_told_in_time_and_bytes_buy_no_more(start):
    live = start(Limits(body_timeout=0.3, linger=0.2))
    with Greeted(live) as wire:
        one = frame(encode(Request(IDENT, "ping", b"x" * 1000), OURS))
        for at in range(len(one)):
            wire.send(one[at : at + 1])
            if select.select([wire.sock], [], [], 0.02)[0]:
                break
        else:
            raise AssertionError("each byte bought it more time")
        assert "in time" in wire.until_end().reason


def test_an_idle_connection_is_told_so_and_one_with_a_call_under_way_is_not_idle(start, stage):
    live = start(Limits(idle_timeout=0.8, linger=0.2))
    with Greeted(live) as wire, Greeted(live) as busy:
        held = busy.ask("tools/call", {"name": "hold"})
        assert stage.entered.acquire(timeout=DEADLINE)
        ended = wire.until_end()
        assert "long time" in ended.reason
        with Greeted(live) as later:
            later.until_end()
        stage.leave.set()
        assert busy.answer(held).success


def test_a_call_whose_client_has_left_runs_to_its_end(start, stage):
    live = start()
    wire = Greeted(live)
    wire.ask("tools/call", {"name": "hold", "arguments": {"name": "left"}})
    assert stage.entered.acquire(timeout=DEADLINE)
    wire.close()
    with Greeted(live) as other:
        assert other.call("ping") == {}
        stage.leave.set()
        for _ in tries():
            if stage.ran and other.call("status")["connections"] == 1:
                break
    assert stage.ran == ["left"]


def test_a_peer_that_has_said_all_still_gets_its_answers(start, stage):
    live = start()
    with Greeted(live) as wire:
        held = wire.ask("tools/call", {"name": "hold"})
        assert stage.entered.acquire(timeout=DEADLINE)
        quick = wire.ask("ping")
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.answer(quick).success
        stage.leave.set()
        assert wire.answer(held).success
        wire.until_end()


def test_at_the_end_everybody_is_told_and_every_connection_closed(start, stage):
    live = start()
    wire = Greeted(live)
    held = wire.ask("tools/call", {"name": "hold"})
    assert stage.entered.acquire(timeout=DEADLINE)
    idle = Greeted(live)
    live.server.stop()
    port = live.port
    answer = json.loads(wire.answer(held).payload.decode())
    assert answer["structuredContent"]["error"]["code"] == "host_shutting_down"
    wire.until_end()
    idle.until_end()
    for one in (wire, idle):
        one.close()
    stage.leave.set()
    live.close()
    with pytest.raises(ConnectionRefusedError):
        FramedWire(port)


# -- room for large requests ------------------------------------------------------------------


def test_large_frames_half_sent_are_bounded_together_and_free_their_room(start):
    live = start(Limits(bodies_in_flight=3 * MIB, body_timeout=20.0, linger=0.2))
    large = frame(encode(Request(IDENT, "ping", b" " * (4 * MIB)), OURS))
    for _ in range(3):
        with Greeted(live) as first, Greeted(live) as second:
            first.send(large[: 2 * MIB])
            with Greeted(live) as other:
                assert other.call("ping") == {}, "a small one needs no room"
            for _ in tries():
                if live.server._server.front._bodies > MIB:
                    break
            try:
                second.send(large[: 2 * MIB])
            except ConnectionError:
                pass
            ended = second.until_end()
            assert ended.reason is None or "at a time" in ended.reason
            first.close()
        for _ in tries():
            if not live.server._server.front._bodies:
                break
    assert live.server._server.front._bodies == 0
    with Greeted(live) as first, Greeted(live) as second:
        for wire in (first, second, first):
            ident, whole = wire.peer.request("ping", b"{}" + b" " * (2 * MIB))
            wire.send(whole)
            assert wire.answer(ident).success, "what has come whole makes room for others"
