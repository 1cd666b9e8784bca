"""The request parser as its caller meets it: order of events, limits, ends, what is left over."""

from __future__ import annotations

import gc
import weakref
from typing import Any, List

import pytest

from dcc_mcp_embed.wire import http1
from dcc_mcp_embed.wire.http1 import CLOSED, Refusal, RequestBody, RequestHead, RequestParser
from wire.http_events import cut, events_of, ours

GET = b"GET /mcp HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"POST /mcp HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
)


def parser_with(data: bytes, **limits: int) -> RequestParser:
    parser = RequestParser(**limits)
    parser.receive_data(data)
    return parser


def refusal(data: bytes, **limits: int) -> Refusal:
    events = events_of(RequestParser(**limits), [data], eof=False)
    assert type(events[-1]) is Refusal, events
    return events[-1]


def test_head_then_body_then_nothing() -> None:
    parser = parser_with(POST)
    head: Any = parser.next_event()
    assert type(head) is RequestHead
    assert (head.method, head.target, head.version) == ("POST", "/mcp", 1)
    assert head.headers.get("Content-Length") == "4"
    assert head.keep_alive
    assert not head.expects_continue
    assert head.body_length == 4
    assert parser.next_event() == RequestBody(b"body")
    assert parser.next_event() is None


def test_the_head_is_told_before_the_body_is_there() -> None:
    parser = parser_with(POST[:-4])
    assert type(parser.next_event()) is RequestHead
    assert parser.next_event() is None
    parser.receive_data(b"bo")
    assert parser.next_event() is None
    parser.receive_data(b"dy")
    assert parser.next_event() == RequestBody(b"body")


def test_a_request_without_body_ends_at_once() -> None:
    assert events_of(RequestParser(), [GET])[1:] == [RequestBody(b"")]


def test_chunks_are_joined_and_trailers_dropped() -> None:
    head, body = events_of(RequestParser(), [CHUNKED])
    assert head.body_length is None
    assert body == RequestBody(b"abcde")
    assert "x-sum" not in head.headers


def test_requests_sent_ahead_wait() -> None:
    parser = parser_with(POST + CHUNKED + GET)
    assert type(parser.next_event()) is RequestHead
    assert parser.buffered == 4 + len(CHUNKED) + len(GET)
    assert parser.next_event() == RequestBody(b"body")
    assert parser.buffered == len(CHUNKED) + len(GET)
    kinds = [type(parser.next_event()) for _ in range(4)]
    assert kinds == [RequestHead, RequestBody] * 2
    assert parser.buffered == 0


def test_a_repeated_head_is_read_once_and_a_changed_one_anew() -> None:
    other = POST.replace(b"/mcp", b"/new")
    heads = [
        event for event in events_of(RequestParser(), [POST, POST, other, POST])
        if type(event) is RequestHead
    ]  # fmt: skip
    assert heads[0] is heads[1]
    assert [head.target for head in heads] == ["/mcp", "/mcp", "/new", "/mcp"]


def test_a_repeated_head_still_has_a_body_of_its_own() -> None:
    again = CHUNKED.replace(b"abc", b"xyz")
    bodies = events_of(RequestParser(), [POST, POST[:-4] + b"next"])[1::2]
    assert bodies == [RequestBody(b"body"), RequestBody(b"next")]
    bodies = events_of(RequestParser(), [CHUNKED, again])[1::2]
    assert bodies == [RequestBody(b"abcde"), RequestBody(b"xyzde")]


# -- keep-alive -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "connection", "expected"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: Close\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.1", b"Connection: keep-alive, close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_keep_alive(version: bytes, connection: bytes, expected: bool) -> None:
    data = b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n"
    events = events_of(RequestParser(), [data + GET])
    assert events[0].keep_alive is expected
    assert len(events) == (4 if expected else 2)


def test_after_the_last_request_nothing_is_read() -> None:
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    parser = parser_with(last + b"\0garbage")
    assert type(parser.next_event()) is RequestHead
    assert type(parser.next_event()) is RequestBody
    assert parser.next_event() is CLOSED
    parser.receive_data(GET)
    assert parser.buffered == 0
    assert not parser.mid_message
    assert parser.next_event() is CLOSED


# -- 100-continue ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "fields", "expected"),
    [
        (b"POST / HTTP/1.1", b"Expect: 100-Continue\r\nContent-Length: 1\r\n", True),
        (b"POST / HTTP/1.1", b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", True),
        (b"POST / HTTP/1.1", b"Expect: 100-continue\r\nContent-Length: 0\r\n", False),
        (b"POST / HTTP/1.1", b"Expect: 100-continue\r\n", False),
        (b"POST / HTTP/1.1", b"Expect: 200-ok\r\nContent-Length: 1\r\n", False),
        (b"POST / HTTP/1.0", b"Expect: 100-continue\r\nContent-Length: 1\r\n", False),
    ],
)
def test_expects_continue(start: bytes, fields: bytes, expected: bool) -> None:
    head: Any = parser_with(start + b"\r\nHost: a\r\n" + fields + b"\r\n").next_event()
    assert head.expects_continue is expected


# -- limits ---------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """Return a request whose head has exactly ``size`` bytes."""
    start = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    return start + b"v" * (size - len(start) - 4) + b"\r\n\r\n"


def test_head_limit_is_exact() -> None:
    assert len(padded(1000)) == 1000
    assert len(events_of(RequestParser(max_head=1000), [padded(1000)])) == 2
    assert refusal(padded(1001), max_head=1000).status == 431
    assert refusal(padded(1001)[:1000], max_head=1000).status == 431


def test_the_limit_is_for_one_head_not_for_the_connection() -> None:
    assert len(events_of(RequestParser(max_head=1000), [padded(1000) * 5])) == 10


def test_request_line_limit_is_exact() -> None:
    line = b"GET /" + b"a" * (8192 - len(b"GET / HTTP/1.1")) + b" HTTP/1.1\r\n"
    assert len(line) == 8194
    assert len(events_of(RequestParser(), [line + b"Host: a\r\n\r\n"])) == 2
    longer = line.replace(b"/a", b"/aa")
    assert refusal(longer + b"Host: a\r\n\r\n").status == 414
    assert refusal(longer[:8194]).status == 414


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\0", b"\r\n", b" HTTP/1.1\r\nHost: a\r\n\r\n"])
@pytest.mark.parametrize("size", range(8176, 8198))
def test_near_the_line_limit_it_matters_not_how_bytes_arrive(size: int, end: bytes) -> None:
    data = b"GET /".ljust(size, b"a") + end + b"xyz"
    whole = ours([data])
    for place in range(8170, 8200):
        assert ours(cut(data, [place])) == whole, place


def test_field_limit_is_exact() -> None:
    fields = b"".join(b"X-%d: v\r\n" % number for number in range(99))
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + fields
    assert len(events_of(RequestParser(), [head + b"\r\n"])) == 2
    assert refusal(head + b"Y: v\r\n\r\n").status == 431


@pytest.mark.parametrize("length", [b"5", b"17000000", b"99999999999999999999"])
def test_a_body_too_long_is_refused_before_it_comes(length: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + b"\r\n\r\n"
    assert refusal(head, max_body=4).status == 413


def test_chunks_too_long_are_refused_before_they_come() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert events_of(RequestParser(max_body=4), [head + b"4\r\nabcd\r\n0\r\n\r\n"])[1] == (b"abcd",)
    assert refusal(head + b"5\r\n", max_body=4).status == 413
    assert refusal(head + b"3\r\nabc\r\n2\r\n", max_body=4).status == 413


def test_what_is_sent_ahead_has_a_hard_limit() -> None:
    parser = RequestParser(max_head=1000, max_body=1000)
    for _ in range(100):
        parser.receive_data(b"x" * 1000)
        assert parser.buffered <= 2000 + 64 * 1024
    event: Any = parser.next_event()
    assert event.status == 413
    assert parser.next_event() is CLOSED


def test_a_flood_behind_a_request_does_not_hurt_that_request() -> None:
    parser = RequestParser(max_head=1000, max_body=1000)
    parser.receive_data(GET)
    assert type(parser.next_event()) is RequestHead
    assert type(parser.next_event()) is RequestBody
    for _ in range(10):
        parser.receive_data(GET * 1000)
    event: Any = parser.next_event()
    assert event.status == 413


# -- refusals and ends ----------------------------------------------------------------------------


def test_after_a_refusal_the_parser_is_dead() -> None:
    parser = parser_with(b"BAD\r\n\r\n" + GET)
    assert type(parser.next_event()) is Refusal
    parser.receive_data(GET)
    parser.receive_eof()
    assert parser.next_event() is CLOSED
    assert parser.next_event() is CLOSED
    assert parser.buffered == 0
    assert not parser.mid_message


def test_a_refusal_never_repeats_what_the_peer_sent() -> None:
    """Reasons may be logged and sent back; a token in a bad request must not be in them."""
    for data in (
        b"GET /s3cret#x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: s3cret\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\ns3cret\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: s3cret\r\n\r\n",
    ):
        assert "s3cret" not in refusal(data).reason


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16", 400),
        (b" ", 400),
        (b"{", 400),
        (b"\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0", 400),
        (b"GET / HTTP/1.1\r\rHost", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\n", 400),
    ],
)
def test_hopeless_bytes_are_refused_at_once(data: bytes, status: int) -> None:
    """Nobody waits for the end of what can no longer be a request."""
    assert refusal(data).status == status
    trickle, before = cut(data, range(len(data))), cut(GET, range(len(GET)))
    for pieces in (trickle, before + trickle, [*before, data]):
        events = events_of(RequestParser(), pieces, eof=False)
        assert type(events[-1]) is Refusal
        assert events[-1].status == status


def test_end_between_requests() -> None:
    parser = parser_with(GET)
    parser.receive_eof()
    kinds = [type(parser.next_event()) for _ in range(2)]
    assert kinds == [RequestHead, RequestBody]
    assert parser.next_event() is CLOSED
    assert repr(CLOSED) == "CLOSED"


def test_end_before_anything() -> None:
    parser = RequestParser()
    parser.receive_eof()
    assert parser.next_event() is CLOSED


@pytest.mark.parametrize("data", [POST, CHUNKED], ids=["counted", "chunked"])
def test_end_inside_a_request_is_a_refusal(data: bytes) -> None:
    for length in range(1, len(data)):
        events = events_of(RequestParser(), [data[:length]])
        assert type(events[-1]) is Refusal, length
        assert events[-1].status == 400
        assert "ended" in events[-1].reason


@pytest.mark.parametrize("data", [GET, POST, CHUNKED], ids=["none", "counted", "chunked"])
def test_mid_message_from_the_first_byte_to_the_last(data: bytes) -> None:
    parser = RequestParser()
    assert not parser.mid_message
    events: List[Any] = []
    for length in range(len(data)):
        parser.receive_data(data[length : length + 1])
        event = parser.next_event()
        while event is not None:
            events.append(event)
            if type(event) is RequestHead:
                assert parser.mid_message
            event = parser.next_event()
        assert parser.mid_message is (length < len(data) - 1)
    assert [type(event) for event in events] == [RequestHead, RequestBody]


def test_a_parser_is_freed_without_the_collector() -> None:
    """No garbage collection runs on the thread that owns parsers."""
    for data in (GET, POST[:-1], CHUNKED[:-1], b"BAD\r\n\r\n", b"\n", CHUNKED[:-9] + b"\n\n"):
        gc.disable()
        try:
            parser = _Watched()
            events_of(parser, [data])
            gone = weakref.ref(parser)
            del parser
            assert gone() is None, data
        finally:
            gc.enable()


class _Watched(http1.RequestParser):
    """Has a place for weak references, which the parser's slots leave out."""
