"""The response parser: framing by status, method and fields; ends and failures."""

from __future__ import annotations

from typing import Any, List, Sequence

import pytest

from dcc_mcp_embed.wire import http1
from dcc_mcp_embed.wire.http1 import CLOSED, Data, End, Failure, ResponseHead, ResponseParser
from wire.http_events import cut, events_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n"
)


def read(data: bytes, eof: bool = False, **options: Any) -> List[Any]:
    return events_of(ResponseParser(**options), [data], eof)


def body_of(events: Sequence[Any]) -> bytes:
    return b"".join(event.data for event in events if type(event) is Data)


def failure(data: bytes, eof: bool = False, **options: Any) -> Failure:
    events = read(data, eof, **options)
    assert events, "nothing was said"
    assert type(events[-1]) is Failure, events
    return events[-1]


def test_counted() -> None:
    head, data, end = read(OK)
    assert (head.status, head.reason, head.version, head.keep_alive) == (200, "OK", 1, True)
    assert head.headers.get("Content-Length") == "4"
    assert data == Data(b"body")
    assert type(end) is End


def test_chunked() -> None:
    events = read(CHUNKED)
    assert body_of(events) == b"abcde"
    assert type(events[-1]) is End


def test_pieces_come_as_they_arrive() -> None:
    parser = ResponseParser()
    parser.receive_data(CHUNKED[:-20])
    assert type(parser.next_event()) is ResponseHead
    piece: Any = parser.next_event()
    assert b"abcde".startswith(piece.data)
    assert parser.next_event() is None


@pytest.mark.parametrize("data", [OK, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + OK])
def test_split_anywhere(data: bytes) -> None:
    whole = read(data)
    for place in range(len(data)):
        events = events_of(ResponseParser(), cut(data, [place]), eof=False)
        assert body_of(events) == body_of(whole)
        assert tuple(events[0])[:3] == tuple(whole[0])[:3]
        assert type(events[-1]) is End
    events = events_of(ResponseParser(), cut(data, range(len(data))), eof=False)
    assert body_of(events) == body_of(whole)


def test_until_the_connection_ends() -> None:
    data = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    head, body = read(data)
    assert not head.keep_alive
    assert body == Data(b"all of it")
    assert type(read(data, eof=True)[-1]) is End


@pytest.mark.parametrize(("status", "method"), [(200, "HEAD"), (204, "GET"), (304, "GET")], ids=str)
@pytest.mark.parametrize(
    "fields", [b"", b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_some_responses_have_no_body(status: int, method: str, fields: bytes) -> None:
    events = read(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, fields), method=method)
    assert [type(event) for event in events] == [ResponseHead, End]
    assert events[0].keep_alive


def test_interim_responses_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert [type(event) for event in read(interim + OK)] == [ResponseHead, Data, End]
    assert read(interim) == []


@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        (b"HTTP/1.1 200 OK", b"", True),
        (b"HTTP/1.1 200", b"", True),
        (b"HTTP/1.1 200 ", b"Connection: close\r\n", False),
        (b"HTTP/1.0 200 OK", b"", False),
        (b"HTTP/1.0 200 OK", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_keep_alive(line: bytes, fields: bytes, expected: bool) -> None:
    (head, _) = read(line + b"\r\nContent-Length: 0\r\n" + fields + b"\r\n")
    assert head.keep_alive is expected


# -- the end --------------------------------------------------------------------------------------


def test_what_follows_a_response_is_left_alone() -> None:
    parser = ResponseParser()
    assert type(events_of(parser, [OK + OK], eof=False)[-1]) is End
    assert parser.buffered == len(OK)
    assert parser.next_event() is None


def test_closed_after_the_last() -> None:
    parser = ResponseParser()
    events_of(parser, [OK])
    assert parser.next_event() is CLOSED
    parser = ResponseParser()
    events_of(parser, [OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")], eof=False)
    assert parser.next_event() is CLOSED


# -- failures -------------------------------------------------------------------------------------

BAD = {
    "not http": b"SSH-2.0-x\r\n\r\n",
    "version": b"HTTP/2.0 200 OK\r\n\r\n",
    "short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "status 600": b"HTTP/1.1 600 X\r\n\r\n",
    "status 099": b"HTTP/1.1 099 X\r\n\r\n",
    "superscript": b"HTTP/1.1 20\xb2 X\r\n\r\n",
    "bare lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "early lf": b"HTTP/1.1 200 OK\n",
    "empty line first": b"\r\n" + OK,
    "fold": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "nul": b"HTTP/1.1 200 O\0K\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "length and chunked": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
    "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "coding 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nX: " + b"v" * 17000,
    "endless line": b"HTTP/1.1 200 " + b"v" * 9000,
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_failures(name: str) -> None:
    assert len(failure(BAD[name]).reason) > 10
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    trickle = cut(BAD[name], range(len(BAD[name])))
    before = cut(interim, range(len(interim)))
    for pieces in (trickle, before + trickle, [*before, BAD[name]]):
        parser = ResponseParser()
        events = events_of(parser, pieces, eof=False)
        assert type(events[-1]) is Failure
        parser.receive_data(OK)
        assert parser.next_event() is CLOSED


@pytest.mark.parametrize("data", [OK, CHUNKED], ids=["counted", "chunked"])
def test_end_inside_a_response(data: bytes) -> None:
    for length in range(len(data)):
        assert "ended" in failure(data[:length], eof=True).reason


@pytest.mark.parametrize(
    "data",
    [OK, CHUNKED, b"HTTP/1.1 200 OK\r\n\r\nbody"],
    ids=["counted", "chunked", "to the end"],
)
def test_body_limit(data: bytes) -> None:
    assert "3 bytes" in failure(data, max_body=3).reason
    assert body_of(read(data, eof=True, max_body=5)) in (b"body", b"abcde")


def test_no_limit_does_not_mean_memory() -> None:
    parser = ResponseParser()
    parser.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    assert type(parser.next_event()) is ResponseHead
    for _ in range(20):
        parser.receive_data(b"x" * 1_000_000)
    assert type(parser.next_event()) is Failure


def test_our_own_response_is_read() -> None:
    events = read(http1.response(404, (("Content-Type", "text/plain"),), b"no"))
    assert (events[0].status, events[0].reason, body_of(events)) == (404, "Not Found", b"no")
