"""Bad input of every kind at one live server: a clear error each, and it goes on serving."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.config import Limits
from examples import examples
from fakes.live import Live, tries
from fakes.served import Served

pytestmark = pytest.mark.edges

MIB = 1024 * 1024
BIG = 100 * MIB
#: Seconds in which the next well-formed request is answered, whatever came before.
NEXT = 3.0
#: Mebibytes by which all of it together may make the process larger. Most of it is what 30 peers
#: who do not read have been written: one high-water mark each, and their answers under way.
BOUND_MIB = 80
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LISTING = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    one = Live(
        str(tmp_path_factory.mktemp("home")), patch, limits=Limits(connect_grace=0.2, linger=20.0)
    )
    yield one
    one.close()
    patch.undo()


@pytest.fixture(autouse=True)
def unharmed(request):
    """After each test a new client is answered at once, and no defect of ours was logged."""
    yield
    if "live" in request.fixturenames:
        check_unharmed(request.getfixturevalue("live"))


def check_unharmed(live):
    with live.connect() as wire:
        wire.sock.settimeout(NEXT)
        assert wire.rpc("ping").status == 200
        assert wire.tool("get_scene_info")["structuredContent"]["ok"]
        log = wire.tool("get_log", {"level": "error"})["structuredContent"]["data"]["items"]
        assert log == []


def head(live, *lines, method="POST", path="/mcp", host=None, token=True):
    shown = ["{} {} HTTP/1.1".format(method, path)]
    shown.append("Host: {}".format(host or "127.0.0.1:{}".format(live.port)))
    shown.append("Content-Type: application/json")
    if token:
        shown.append("Authorization: " + live.authorization["Authorization"])
    return "\r\n".join(shown + list(lines)).encode("latin-1") + b"\r\n\r\n"


def whole(live, body, *lines, **options):
    return head(live, "Content-Length: {}".format(len(body)), *lines, **options) + body


def call(name="get_selection", arguments=None, **more):
    params = dict({"name": name, "arguments": arguments or {}}, **more)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(message).encode("ascii")


# -- heads ------------------------------------------------------------------------------------

HEADS = [
    ("1 MB header", lambda s: head(s, "X: " + "x" * MIB), 431),
    ("1 MB of request line", lambda s: head(s, path="/" + "x" * MIB), 414),
    ("10 000 headers", lambda s: head(s, *["X-{}: 1".format(n) for n in range(10000)]), 431),
    ("header without colon", lambda s: head(s, "nonsense"), 400),
    ("NUL in a value", lambda s: head(s, "X: a\0b"), 400),
    ("NUL in the path", lambda s: head(s, path="/mcp\0"), 400),
    ("bare LF", lambda s: head(s).replace(b"\r\n", b"\n"), 400),
    ("two lengths", lambda s: head(s, "Content-Length: 1", "Content-Length: 2"), 400),
    ("both framings", lambda s: head(s, "Content-Length: 1", "Transfer-Encoding: chunked"), 400),
    ("negative length", lambda s: head(s, "Content-Length: -1"), 400),
    ("length with 100 digits", lambda s: head(s, "Content-Length: " + "9" * 100), (400, 413)),
    ("other protocol version", lambda s: head(s).replace(b"HTTP/1.1", b"HTTP/9.9"), 505),
    ("absolute target", lambda s: head(s, path="http://127.0.0.1/mcp"), 400),
    ("SSH", lambda s: b"SSH-2.0-OpenSSH_9.0\r\n\r\n", 400),
    ("line without an end", lambda s: b"G" * 20000, (400, 414, 431)),
    ("wrong token", lambda s: head(s, "Authorization: Bearer " + "0" * 40, token=False), 401),
    ("no token", lambda s: head(s, token=False), 401),
    ("evil host", lambda s: head(s, host="evil.example.com"), 421),
    ("rebound host", lambda s: head(s, host="evil.example.com:{}".format(s.port)), 421),
    ("evil origin", lambda s: head(s, "Origin: http://evil.example.com"), 403),
    ("evil origin, no token", lambda s: head(s, "Origin: http://a.example", token=False), 403),
    ("public path with a body", lambda s: head(s, "Content-Length: 5", path="/", token=False), 413),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "status"), HEADS, ids=[row[0] for row in HEADS])
def test_a_bad_head_is_refused_in_words(live, name, data, status):
    with live.connect() as wire:
        wire.send(data(live))
        answer = wire.read()
        assert answer.status in (status if isinstance(status, tuple) else (status,)), answer
        assert len(answer.json["error"]) > 10
        if answer.status == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
        else:
            assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    "first", [b"\x11", b"\x16", b" ", b"0", b"@", b"[", b"{", b"\x7f", b"\xff"]
)
def test_what_is_neither_protocol_is_closed_without_a_word(live, first):
    with live.connect() as wire:
        wire.send(first + b"\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        with pytest.raises(EOFError):
            wire.read()


# -- bodies -----------------------------------------------------------------------------------

DEEP = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 100000 + b"]" * 100000
BODIES = [
    ("deep lists", b"[" * 100000, -32700),
    ("deep lists, closed", DEEP + b"}}", -32700),
    ("deep objects", b'{"a":' * 100000, -32700),
    ("integer of a million digits", b'{"jsonrpc":"2.0","id":' + b"1" * MIB + b"}", -32700),
    ("float id without end", b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', -32600),
    ("NaN", b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
    ("raw NUL", b'{"jsonrpc":"2.0","id":1,"method":"pi\0ng"}', -32700),
    ("escaped NUL", b'{"jsonrpc":"2.0","id":1,"method":"pi\\u0000ng"}', -32601),
    ("lone surrogate", b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32601),
    ("surrogates as UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', -32700),
    ("UTF-16", '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"), -32700),
    ("byte order mark", b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700),
    ("garbage", bytes(range(256)), -32700),
    ("a message after the message", b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}', -32700),
    ("just a number", b"1", -32600),
    ("params is a string", b'{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}', -32602),
    ("method is a number", b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
    ("a name that is no text", call({"a": 1}), -32602),
    ("a name that is missing", call().replace(b'"name"', b'"nome"'), -32602),
    ("50 000 messages", b"[" + b",".join([PING] * 50000) + b"]", -32600),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "code"), BODIES, ids=[row[0] for row in BODIES])
def test_a_bad_body_is_refused_in_words(live, name, body, code):
    with live.connect() as wire:
        wire.send(whole(live, body, "MCP-Protocol-Version: 2025-03-26"))
        answer = wire.read()
        assert answer.code == code, answer
        assert answer.status == (200 if code == -32601 or b"tools/call" in body else 400)
        assert len(answer.json["error"]["message"]) > 10
        # The connection outlives it.
        wire.send(whole(live, call()))
        assert wire.read().json["result"]["structuredContent"]["ok"]


ARGUMENTS = [
    ("unknown tool", call("nope")),
    ("surrogate for a tool", call("\ud800")),
    ("a tool's name of a megabyte", call("x" * MIB)),
    ("unknown argument", call("get_log", {"bogus": 1})),
    ("unknown argument of surrogates", call("get_log", {"\udfff": "\ud800"})),
    ("wrong type", call("get_log", {"lines": {"a": [1]}})),
    ("NUL in a path", call("get_object", {"path": "/a\0b"})),
    ("surrogate in a path", call("get_object", {"path": "/\ud83d"})),
    ("a path of a megabyte", call("get_object", {"path": "/" + "x" * MIB})),
    ("a number without end", call("get_log", {"lines": 7}).replace(b"7", b"1e999")),
    ("an integer of 4000 digits", call("get_log", {"lines": [int("9" * 4000)]})),
    ("deep arguments", call("get_log", {"lines": 7}).replace(b"7", b"[" * 500 + b"]" * 500)),
    ("a name that cannot be made", call("create_object", {"kind": "cube", "name": "\ud800\0/"})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body"), ARGUMENTS, ids=[row[0] for row in ARGUMENTS])
def test_bad_arguments_are_a_failed_call_that_teaches(live, name, body):
    with live.connect() as wire:
        wire.send(whole(live, body))
        answer = wire.read()
        assert answer.status == 200, answer
        assert len(answer.body) < 32 * 1024, "an error does not send back what was sent"
        result = answer.json["result"]
        assert result["isError"] is True, answer
        error = result["structuredContent"]["error"]
        assert error["code"] in ("invalid_argument", "not_found"), error
        assert len(error["message"]) > 10


@pytest.mark.parametrize("token", ["1e999", '"\\ud800"', "1" * 4000, "[1]", "null", "{}"])
def test_a_strange_progress_token_does_no_harm(live, token):
    body = call("get_selection", _meta={"progressToken": "T"})
    with live.connect() as wire:
        wire.send(whole(live, body.replace(b'"T"', token.encode("ascii"))))
        answer = wire.read()
        assert answer.status in (200, 400), answer


@pytest.mark.parametrize("ident", [0, -1, 2**63, int("9" * 4000), "", "\0", "\ud800", "x" * 10000])
def test_whatever_id_is_allowed_comes_back_as_it_was(live, ident):
    with live.connect() as wire:
        answer = wire.rpc("ping", ident=ident)
        assert answer.json["id"] == ident


# -- a hundred megabytes ----------------------------------------------------------------------


class Sender(threading.Thread):
    """Sends pieces until they are all sent or the peer does not take more."""

    def __init__(self, wire, pieces):
        super().__init__(name="sender", daemon=True)
        self.wire = wire
        self.pieces = pieces
        self.sent = 0
        self.error = None
        self.start()

    def run(self):
        try:
            for piece in self.pieces:
                self.wire.send(piece)
                self.sent += len(piece)
        except OSError as error:
            self.error = error


PIECE = b"x" * MIB
CHUNK = b"%x\r\n" % MIB + PIECE + b"\r\n"
TOO_BIG = {
    "declared": (["Content-Length: {}".format(BIG)], [PIECE] * 100, True, 413),
    "chunked": (["Transfer-Encoding: chunked"], [CHUNK] * 100 + [b"0\r\n\r\n"], True, 413),
    "one chunk": (["Transfer-Encoding: chunked"], [b"%x\r\n" % BIG] + [PIECE] * 100, True, 413),
    "without a token": (["Content-Length: {}".format(BIG)], [PIECE] * 100, False, 413),
    "allowed, without a token": (["Content-Length: {}".format(15 * MIB)], [PIECE] * 15, False, 401),
    "chunked, without a token": (["Transfer-Encoding: chunked"], [CHUNK] * 100, False, 401),
}


@pytest.mark.parametrize("kind", TOO_BIG)
def test_a_body_of_100_mb_is_refused_while_it_is_still_sent(live, kind):
    lines, pieces, token, status = TOO_BIG[kind]
    with live.connect() as wire:
        wire.send(head(live, *lines, token=token))
        sender = Sender(wire, pieces)
        answer = wire.read()
        assert answer.status == status, answer
        assert len(answer.json["error"]) > 10
        sender.join(20)
        assert not sender.is_alive()
        assert sender.error is None, "reset while it sent: many clients lose the answer then"


def test_a_client_that_asks_before_it_sends_is_told_without_sending(live):
    with live.connect() as wire:
        wire.send(head(live, "Content-Length: {}".format(BIG), "Expect: 100-continue"))
        assert wire.read().status == 413


def resident(pid, field="VmHWM"):
    with open("/proc/{}/status".format(pid)) as file:
        for line in file:
            if line.startswith(field):
                return int(line.split()[1]) // 1024
    raise AssertionError(field)


@pytest.mark.heavy
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="memory is measured by /proc")
def test_memory_stays_bounded_whatever_is_sent(tmp_path):
    with Served(str(tmp_path)) as served:
        with served.connect() as wire:
            assert wire.tool("get_scene_info")["structuredContent"]["ok"]
        before = resident(served.process.pid)
        for kind in TOO_BIG:
            lines, pieces, token, status = TOO_BIG[kind]
            with served.connect() as wire:
                wire.send(head(served, *lines, token=token))
                sender = Sender(wire, pieces)
                assert wire.read().status == status
                sender.join(20)
        # Strangers who send bodies to where no token is asked for.
        lines = ["Content-Length: {}".format(15 * MIB)]
        strangers = [served.connect() for _ in range(24)]
        senders = []
        for wire in strangers:
            wire.send(head(served, *lines, path="/", token=False))
            senders.append(Sender(wire, [PIECE] * 14))
        for sender in senders:
            sender.join(20)
        # Requests whose answers nobody reads.
        listing = whole(served, LISTING)
        deaf = [served.connect() for _ in range(30)]
        for wire in deaf:
            wire.sock.settimeout(0.3)
        for sender in [Sender(wire, [listing * 100] * 100) for wire in deaf]:
            sender.join(20)
        # Small requests with large answers.
        many = b"[" + b",".join([call("get_status")] * 20000) + b"]"
        with served.connect() as wire:
            wire.send(whole(served, many, "MCP-Protocol-Version: 2025-03-26"))
            wire.read()
        grown = resident(served.process.pid) - before
        with served.connect() as wire:
            wire.sock.settimeout(NEXT)
            assert wire.rpc("ping").status == 200
        for wire in deaf + strangers:
            wire.close()
        assert grown < BOUND_MIB, "{} MiB more".format(grown)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="memory is measured by /proc")
def test_memory_stays_bounded_with_many_large_bodies_half_sent(tmp_path):
    with Served(str(tmp_path)) as served:
        with served.connect() as wire:
            assert wire.tool("get_scene_info")["structuredContent"]["ok"]
        before = resident(served.process.pid)
        wires = [served.connect() for _ in range(40)]
        senders = []
        for wire in wires:
            wire.send(head(served, "Content-Length: {}".format(15 * MIB)))
            senders.append(Sender(wire, [PIECE] * 14))
        for sender in senders:
            sender.join(20)
        grown = resident(served.process.pid) - before
        with served.connect() as wire:
            wire.sock.settimeout(NEXT)
            assert wire.rpc("ping").status == 200
        for wire in wires:
            wire.close()
        # What the limit allows, and half as much again for buffers that grow.
        assert grown < 96, "{} MiB more".format(grown)


# -- peers that leave -------------------------------------------------------------------------


def reset(wire):
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


LEAVING = [
    ("at once", lambda s: b""),
    ("in a head", lambda s: head(s)[:30]),
    ("in a body", lambda s: whole(s, call())[:-5]),
    ("in a chunk", lambda s: head(s, "Transfer-Encoding: chunked") + b"ff\r\nabc"),
    ("before the answer", lambda s: whole(s, call("get_scene_info"))),
    ("before many answers", lambda s: whole(s, call("get_scene_info")) * 50),
    ("before large answers", lambda s: whole(s, LISTING) * 50),
    ("before a refusal", lambda s: head(s, token=False) * 3),
]  # fmt: skip


@pytest.mark.parametrize("leave", [reset, lambda wire: wire.close()], ids=["reset", "close"])
@pytest.mark.parametrize(("name", "data"), LEAVING, ids=[row[0] for row in LEAVING])
def test_a_peer_that_leaves_is_forgotten(live, name, data, leave):
    for _ in range(5):
        wire = live.connect()
        wire.send(data(live))
        leave(wire)
    with live.connect() as wire:
        for _ in tries():
            if wire.tool("get_status")["structuredContent"]["data"]["connections"] == 1:
                return
    raise AssertionError("a connection is kept whose peer is gone")


@pytest.mark.parametrize("tool", ["get_status", "get_scene_info"])
def test_a_peer_that_has_said_all_still_gets_its_answer(live, tool):
    with live.connect() as wire:
        wire.send(whole(live, call(tool)))
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.read().json["result"]["structuredContent"]["ok"]
        assert wire.at_end()


def test_a_peer_that_ends_inside_a_request_is_told(live):
    for data in (head(live, "Content-Length: 10") + b"abc", head(live)[:40]):
        with live.connect() as wire:
            wire.send(data)
            wire.sock.shutdown(socket.SHUT_WR)
            answer = wire.read()
            assert answer.status == 400
            assert "ended" in answer.json["error"]


# -- anything ---------------------------------------------------------------------------------


SPOILERS = [b"\r\n", b"\n", b"\0", b" ", b":", b"\r\n\r\n", b"{", b"]", b'"', b"\\ud800", b"9" * 40]


@st.composite
def mutations(draw):
    """Return a function that spoils bytes."""
    kind = draw(st.sampled_from(["flip", "cut", "insert", "repeat", "join"]))
    where = draw(st.floats(0, 1))
    what = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(SPOILERS)))

    def spoil(data):
        at = int(where * len(data))
        if kind == "flip":
            flipped = bytes(one ^ 1 << len(what) % 8 for one in data[at : at + 1])
            return data[:at] + flipped + data[at + 1 :]
        if kind == "cut":
            return data[:at]
        if kind == "insert":
            return data[:at] + what + data[at:]
        if kind == "repeat":
            return data[:at] + data[at : at + 64] * 3 + data[at + 64 :]
        return data + data[at:]

    return spoil


def count_answers(wire):
    """Read whole answers until the server closes."""
    answers = 0
    while True:
        try:
            wire.read()
        except EOFError as error:
            end = str(error)
            break
        answers += 1
    assert "b''" in end, "the last answer is cut off"
    return answers


@settings(max_examples=examples(150))
@given(
    st.sampled_from(
        [
            call("get_scene_info"),
            call("create_object", {"kind": "cube", "transform": {"translate": [1, 2.5, -3e2]}}),
            b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}',
            b'[{"jsonrpc":"2.0","id":"a","method":"ping"}]',
        ]
    ),
    st.sampled_from([[], ["Transfer-Encoding: chunked"], ["MCP-Protocol-Version: 2026-07-28"]]),
    st.lists(mutations(), max_size=3),
    st.integers(1, 4),
    st.sampled_from(["end", "close", "reset"]),
)
@example(call("get_scene_info"), [], [], 1, "end")
def test_whatever_is_sent_the_server_goes_on(live, body, lines, spoils, pieces, ending):
    if lines and "chunked" in lines[0]:
        data = head(live, *lines) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        data = whole(live, body, *lines)
    for spoil in spoils:
        data = spoil(data)
    with live.connect() as wire:
        size = len(data) // pieces + 1
        try:
            for start in range(0, len(data), size):
                wire.send(data[start : start + size])
            if ending == "reset":
                reset(wire)
            elif ending == "end":
                wire.sock.shutdown(socket.SHUT_WR)
                answers = count_answers(wire)
                assert spoils or answers == 1
        except OSError as error:
            # A refusal closes the connection; what is sent after it may find it closed.
            closed = isinstance(error, ConnectionError) or error.errno == errno.ENOTCONN
            if not (spoils and closed):
                raise
    check_unharmed(live)
