"""h11 as the oracle: nothing we accept means something else to it, in either direction.

The fast run tries some hundred examples, ``--heavy`` some thousand.
"""

from __future__ import annotations

import glob
import os
from typing import Any, List, Tuple

import h11
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.wire import http1
from examples import examples
from wire.http_events import CORPUS, Message, cut, events_of, ours, theirs

FEW, MANY = examples(300), 2000

TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RESERVED = {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"}

tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
names = tokens.filter(lambda name: name.lower() not in RESERVED)
value_chars = [chr(c) for c in [9, *range(0x20, 0x7F), *range(0x80, 0x100)]]
values = st.text(st.sampled_from(value_chars), max_size=30).map(lambda text: text.strip(" \t"))
fields = st.lists(st.tuples(names, values), max_size=8)
targets = st.text(
    st.sampled_from([chr(c) for c in range(0x21, 0x7F) if chr(c) != "#"]), max_size=30
).map(lambda rest: "/" + rest)
connections = st.sampled_from(
    ["", "keep-alive", "Keep-Alive", "close", "CLOSE", "x, close", "x,,Keep-alive ,y", "upgrade"]
)
blanks = st.sampled_from(["", " ", "\t", "  \t "])
bodies = st.binary(max_size=60)


@st.composite
def chunked(draw: Any, body: bytes) -> bytes:
    """Encode ``body`` in chunks, with whatever the coding allows."""
    out = b""
    for piece in cut(body, draw(st.lists(st.integers(0, len(body)), max_size=4))):
        size = "{:x}".format(len(piece)).zfill(draw(st.integers(0, 3)))
        extension = draw(st.sampled_from(["", ";a", ";a=b;c", '; q="x y"']))
        out += (size.upper() if draw(st.booleans()) else size).encode() + extension.encode()
        out += b"\r\n" + piece + b"\r\n"
    trailers = draw(st.sampled_from(["", "X-Sum: 1\r\n", "X-A:\r\nX-B: \t2 \r\n"]))
    return (
        out + draw(st.sampled_from([b"0", b"000", b"0;x"])) + b"\r\n" + trailers.encode() + b"\r\n"
    )


@st.composite
def requests(draw: Any) -> bytes:
    """Generate one valid request, in many spellings."""
    version = draw(st.sampled_from([1, 1, 1, 0]))
    method = draw(st.sampled_from(["GET", "POST", "DELETE", "OPTIONS"]) | tokens)
    assume(method != "CONNECT")
    target = "*" if method == "OPTIONS" and draw(st.booleans()) else draw(targets)
    headers = draw(fields)
    if version or draw(st.booleans()):
        headers.append(("Host", draw(st.sampled_from(["127.0.0.1:80", "localhost", ""]))))
    connection = draw(connections)
    if connection:
        headers.append(("Connection", connection))
    body = draw(bodies)
    tail = b""
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "length":
        headers.append(("Content-Length", str(len(body)).zfill(draw(st.integers(0, 4)))))
        tail = body
    elif kind == "chunked" and version:
        headers.append(("Transfer-Encoding", draw(st.sampled_from(["chunked", "CHUNKED"]))))
        tail = draw(chunked(body))
    if draw(st.booleans()):
        headers.append(("Expect", draw(st.sampled_from(["100-continue", "100-Continue", "x"]))))
    if connection == "upgrade":
        headers.append(("Upgrade", "h2c"))
    headers = draw(st.permutations(headers))
    lines = ["{} {} HTTP/1.{}\r\n".format(method, target, version)]
    for name, value in headers:
        spelt = draw(st.sampled_from([name, name.lower(), name.upper()]))
        lines.append("{}:{}{}{}\r\n".format(spelt, draw(blanks), value, draw(blanks)))
    return "".join(lines).encode("latin-1") + b"\r\n" + tail


streams = st.lists(requests(), min_size=1, max_size=3).map(b"".join)


def corpus() -> List[bytes]:
    out = []
    for path in sorted(glob.glob(os.path.join(CORPUS, "*", "*.http"))):
        with open(path, "rb") as stream:
            data = stream.read()
        if len(data) < 4000:
            out.append(data)
    assert len(out) > 100
    return out


CORPUS_REQUESTS = corpus()


#: What an attacker plays with: line ends, blanks, numbers, and fields that frame a message.
MORSELS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\r\r\n", b" ", b"\t", b"\r\n ", b"\r\n\t",
    b":", b" :", b",", b";", b"\0", b"\x0b", b"\x0c", b"\x1c", b"\x7f", b"\x85", b"\xa0", b"\xff",
    b"0", b"1", b"f", b"+", b"-", b"0x", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b" HTTP/1.1\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"content-length:7\r\n", b"Host: b\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b", chunked",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n",
    b"0\r\n\r\n", b"5\r\nabcde\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"Upgrade: x\r\n",
]  # fmt: skip


@st.composite
def mutated(draw: Any) -> bytes:
    """Take a request, of the corpus or generated, and damage it in one to four places."""
    data = bytearray(draw(st.sampled_from(CORPUS_REQUESTS) | streams))
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from("flip insert morsel morsel delete double move crlf".split()))
        until = min(len(data), where + draw(st.integers(1, 20)))
        if kind == "flip" and where < len(data):
            data[where] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[where:where] = bytes([draw(st.integers(0, 255))])
        elif kind == "morsel":
            # Mostly at the start or end of a line, where it matters.
            ends = [at for at in range(len(data)) if data[at] in b"\r\n:"] or [0]
            at = draw(st.sampled_from(ends) | st.just(where))
            after = draw(st.integers(0, 2))
            data[at + after : at + after] = draw(st.sampled_from(MORSELS))
        elif kind == "delete":
            del data[where:until]
        elif kind == "double":
            data[where:where] = data[where:until]
        elif kind == "move":
            piece = data[where:until]
            del data[where:until]
            to = draw(st.integers(0, len(data)))
            data[to:to] = piece
        elif kind == "crlf":
            old, new = draw(
                st.sampled_from([(b"\r\n", b"\n"), (b"\r\n", b"\r"), (b": ", b":"), (b" ", b"\t")])
            )
            at = data.find(old, where)
            if at >= 0:
                data[at : at + len(old)] = new
    return bytes(data)


def check_accepted(data: bytes, places: List[int]) -> int:
    """Assert that h11 reads at least what we accept, in the same way; return how many requests."""
    reading = ours([data])
    assert ours(cut(data, places)) == reading
    oracle = theirs(data)
    assert oracle.messages[: len(reading.messages)] == reading.messages
    if reading.refusal is None:
        assert oracle == reading
    return len(reading.messages)


places = st.lists(st.integers(0, 400), max_size=5)


def check_valid(data: bytes, places: List[int]) -> None:
    reading = ours([data])
    assert reading.refusal is None, reading.refusal
    assert reading.messages
    check_accepted(data, places)


@settings(max_examples=FEW)
@given(streams, places)
def test_valid_requests_mean_the_same_to_both(data: bytes, places: List[int]) -> None:
    check_valid(data, places)


@pytest.mark.heavy
@settings(max_examples=MANY)
@given(streams, places)
def test_many_valid_requests_mean_the_same_to_both(data: bytes, places: List[int]) -> None:
    check_valid(data, places)


@settings(max_examples=FEW)
@given(mutated(), places)
def test_what_we_accept_of_damaged_requests_means_the_same(data: bytes, places: List[int]) -> None:
    check_accepted(data, places)


@pytest.mark.heavy
@settings(max_examples=MANY)
@given(mutated(), places)
def test_many_damaged_requests(data: bytes, places: List[int]) -> None:
    check_accepted(data, places)


def test_the_oracle_can_disagree() -> None:
    """The comparison itself notices a request that is read in two ways."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n"
    other = data.replace(b"X: 1", b"X: 2")
    assert theirs(data) == ours([data]) != theirs(other)
    assert isinstance(theirs(data).messages[0], Message)
    assert theirs(b"GET / HTTP/1.1\n\n").refusal


# -- responses ------------------------------------------------------------------------------------

statuses = st.sampled_from([200, 202, 400, 401, 404, 405, 413, 421, 500, 503, 299, 599])
response_fields = st.lists(
    st.tuples(names.filter(lambda name: name.lower() not in RESERVED), values), max_size=5
)


def as_h11_client(method: str, pieces: List[bytes]) -> Tuple[Any, bytes, bool]:
    """Return (response, body, whether the connection stays) as h11's client reads them."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    for piece in pieces:
        client.receive_data(piece)
    body = b""
    head = None
    while True:
        event = client.next_event()
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert not client.trailing_data[0]
            return head, body, client.their_state is h11.DONE
        else:
            assert isinstance(event, h11.InformationalResponse), event


def lowered(headers: Any) -> List[Tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]


def decoded(headers: Any) -> List[Tuple[str, str]]:
    framing = (b"content-length", b"transfer-encoding", b"connection")
    return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers if n not in framing]


@settings(max_examples=FEW)
@given(statuses, response_fields, bodies, st.booleans(), st.booleans(), st.booleans())
def test_h11_reads_our_responses(
    status: int, headers: Any, body: bytes, keep_alive: bool, head_only: bool, interim: bool
) -> None:
    data = http1.response(status, headers, body, keep_alive, head_only)
    assert data == http1.response(status, tuple(headers), body, keep_alive, head_only)
    pieces = [http1.CONTINUE, data] if interim else [data]
    head, read, stays = as_h11_client("HEAD" if head_only else "POST", pieces)
    assert head.status_code == status
    assert decoded(head.headers) == lowered(headers)
    assert read == (b"" if head_only else body)
    assert stays == keep_alive


@settings(max_examples=FEW)
@given(statuses, response_fields, st.lists(bodies, max_size=5))
def test_h11_reads_our_streams(status: int, headers: Any, pieces: List[bytes]) -> None:
    data = [http1.stream_head(status, headers)]
    data += [http1.chunk(piece) for piece in pieces if piece]
    head, read, stays = as_h11_client("POST", [*data, http1.LAST_CHUNK])
    assert (head.status_code, read, stays) == (status, b"".join(pieces), True)
    assert decoded(head.headers) == lowered(headers)


@pytest.mark.parametrize("status", [204, 304])
def test_h11_reads_our_responses_without_body(status: int) -> None:
    head, read, stays = as_h11_client("GET", [http1.response(status, (), b"")])
    assert (head.status_code, read, stays) == (status, b"", True)


@settings(max_examples=FEW)
@given(
    st.sampled_from(["GET", "POST", "DELETE"]), targets, fields, bodies.filter(bool), st.booleans()
)
def test_h11_reads_our_requests(
    method: str, target: str, headers: Any, body: bytes, close: bool
) -> None:
    headers = [("Host", "a"), *headers] + ([("Connection", "close")] if close else [])
    data = http1.request(method, target, headers, body)
    (message,) = theirs(data).messages
    assert (message.method, message.target, message.body) == (method, target, body)
    assert message.keep_alive is not close
    assert list(message.headers[:-1]) == lowered(headers)
    assert theirs(data) == ours([data])


@settings(max_examples=FEW)
@given(
    statuses,
    response_fields,
    st.lists(bodies.filter(bool), max_size=4),
    st.sampled_from(["length", "chunked", "close"]),
    st.sampled_from(["GET", "HEAD"]),
    places,
)
def test_we_read_the_responses_of_h11(
    status: int, headers: Any, pieces: List[bytes], framing: str, method: str, places: List[int]
) -> None:
    server = h11.Connection(h11.SERVER)
    minor = "0" if framing == "close" else "1"
    server.receive_data("{} / HTTP/1.{}\r\nHost: a\r\n\r\n".format(method, minor).encode("ascii"))
    while not isinstance(server.next_event(), h11.EndOfMessage):
        pass
    extra = []
    if framing == "length":
        extra.append(("Content-Length", str(len(b"".join(pieces)))))
    data = server.send(
        h11.Response(
            status_code=status,
            headers=[(n.encode("ascii"), v.encode("latin-1")) for n, v in [*headers, *extra]],
            reason=b"As It Is",
        )
    )
    if method == "GET":
        for piece in pieces:
            data += server.send(h11.Data(data=piece))
    data += server.send(h11.EndOfMessage())

    events = events_of(http1.ResponseParser(method=method), cut(data, places))
    assert type(events[0]) is http1.ResponseHead, events
    assert type(events[-1]) is http1.End, events
    head = events[0]
    framed = ("content-length", "transfer-encoding", "connection")
    assert (head.status, head.reason) == (status, "As It Is")
    assert [field for field in head.headers if field[0] not in framed] == lowered(headers)
    body = b"".join(event.data for event in events[1:-1])
    assert body == (b"".join(pieces) if method == "GET" else b"")
    assert head.keep_alive is (framing != "close")
