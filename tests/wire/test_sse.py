"""Server-sent events: what is written is read back, and streams are read as WHATWG has it."""

from __future__ import annotations

import re
from typing import List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import LocalProtocolError, RemoteProtocolError
from dcc_mcp_embed.wire import sse
from dcc_mcp_embed.wire.sse import Event, SseParser

one_line = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0"))
any_text = st.text(st.characters(blacklist_categories=("Cs",)))


def read(data: bytes, size: int = 0) -> List[Event]:
    """Parse ``data``, ``size`` bytes at a time (0: at once)."""
    parser = SseParser()
    if not size:
        return parser.receive_data(data)
    events = []
    for at in range(0, len(data), size):
        events += parser.receive_data(data[at : at + size])
    return events


# -- writing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"data": "{}"}, b"data: {}\n\n"),
        ({"data": ""}, b"data: \n\n"),
        ({"data": "x", "event": "message"}, b"event: message\ndata: x\n\n"),
        (
            {"data": "x", "event": "e", "id": "7", "retry": 500},
            b"retry: 500\nid: 7\nevent: e\ndata: x\n\n",
        ),
        ({"data": "a\nb\r\nc\rd"}, b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ({"data": "\n"}, b"data: \ndata: \n\n"),
        ({"data": "\u00fc\u2028"}, b"data: \xc3\xbc\xe2\x80\xa8\n\n"),
    ],
)
def test_encode(arguments: dict, expected: bytes) -> None:  # type: ignore[type-arg]
    assert sse.encode(**arguments) == expected


@pytest.mark.parametrize(
    "arguments",
    [{"event": "a\nb"}, {"event": "a\r"}, {"id": "1\n2"}, {"id": "1\0"}, {"retry": -1}],
    ids=str,
)
def test_encode_refuses_what_would_be_read_otherwise(arguments: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(LocalProtocolError):
        sse.encode("x", **arguments)


@pytest.mark.parametrize("data", [b":\n\n", b": ping\n\n", b": a\n: b\r\n\r\n", b":data: x\r\r"])
def test_a_comment_is_nothing_to_a_reader(data: bytes) -> None:
    assert read(data + sse.encode("real")) == [Event("message", "real", None, None)]


@given(any_text, st.none() | one_line, st.none() | one_line, st.none() | st.integers(0, 10**8))
def test_what_is_written_is_read(
    data: str, event: Optional[str], id: Optional[str], retry: Optional[int]
) -> None:
    written = sse.encode(data, event, id, retry)
    text = re.sub("\r\n|\r", "\n", data)
    assert read(written) == [Event(event or "message", text, id, retry)]


# -- reading --------------------------------------------------------------------------------------


def message(data: str, id: Optional[str] = None) -> Event:
    return Event("message", data, id, None)


STREAMS = [
    (b"data: a\n\n", [message("a")]),
    (b"data: a\r\n\r\n", [message("a")]),
    (b"data: a\r\r", [message("a")]),
    (b"data: a\r\ndata: b\r\n\r\n", [message("a\nb")]),
    (b"data: a\r\n\n", [message("a")]),
    (b"data: a\n\r\n\r\ndata: b\r\n\r", [message("a"), message("b")]),
    (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    (b"\n\xef\xbb\xbfdata: a\n\n", []),
    (b"data:a\n\n", [message("a")]),
    (b"data:  a\n\n", [message(" a")]),
    (b"data\n\n", [message("")]),
    (b"data\ndata\n\n", [message("\n")]),
    (b"data: a\ndata: b: c\n\n", [message("a\nb: c")]),
    (b": nothing\n\n:\n\n", []),
    (b"event: e\n\ndata: a\n\n", [message("a")]),
    (b"event: e\ndata: a\n\ndata: b\n\n", [Event("e", "a", None, None), message("b")]),
    (b"id: 1\ndata: a\n\ndata: b\n\n", [message("a", "1"), message("b", "1")]),
    (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b", "")]),
    (b"id: 1\nid: 2\0\ndata: a\n\n", [message("a", "1")]),
    (b"retry: 10\ndata: a\n\n", [Event("message", "a", None, 10)]),
    (b"retry: 10x\ndata: a\n\n", [message("a")]),
    (b"retry: 10\n\ndata: a\n\n", [message("a")]),
    (b"Data: a\nunknown: x\n data: b\n\n", []),
    (b"data: a", []),
    (b"data: a\n", []),
    (b"data: \xff\xc3\n\n", [message("\ufffd\ufffd")]),
    ("data: \u00fc\U0001f600\n\n".encode("utf-8"), [message("\u00fc\U0001f600")]),
]


@pytest.mark.parametrize(("data", "expected"), STREAMS, ids=lambda value: str(value)[:30])
def test_streams_split_anywhere(data: bytes, expected: List[Event]) -> None:
    assert read(data) == expected
    for size in range(1, len(data)):
        assert read(data, size) == expected, size


def test_an_id_without_an_event_is_that_of_the_next_and_a_retry_is_not() -> None:
    parser = SseParser()
    assert parser.receive_data(b"id: 5\nretry: 250\n\n") == []
    assert parser.receive_data(b"") == []
    assert parser.receive_data(b"data: x\n\n") == [Event("message", "x", "5", None)]


@pytest.mark.parametrize("data", [b"data: " + b"x" * 30, b"data: xxxxxxx\n" * 3, b"y" * 21])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_event_has_a_limit(data: bytes, size: int) -> None:
    parser = SseParser(max_event=20)

    def feed() -> None:
        for at in range(0, len(data), size):
            parser.receive_data(data[at : at + size])

    with pytest.raises(RemoteProtocolError, match="20 bytes"):
        feed()


def test_the_limit_is_for_one_event_not_for_the_stream() -> None:
    parser = SseParser(max_event=20)
    assert len(parser.receive_data(b"data: 0123456789\n\n" * 50)) == 50


# -- coming back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize(
    ("data", "last_id", "retry"),
    [
        (b"", None, None),
        (b"data: x\n\n", None, None),
        (b"id: 5\ndata: x\n\n", "5", None),
        (b"id: 5\nretry: 250\n\n", "5", 250),
        (b"id: 5\nretry: 250\ndata:\n\n", "5", 250),
        (b"id: 5\r\rid: 6\r\r", "6", None),
        # What is cut off never happened; how long to wait counts from its line on.
        (b"id: 5\n\nid: 6\ndata: x", "5", None),
        (b"id: 5\n\nid: 6\ndata: x\n", "5", None),
        (b"retry: 9\ndata: x", None, 9),
        (b"retry: 9", None, None),
        (b"id: 5\n\nid\n\n", "", None),
        (b"id: 5\n\nid: 6\0\n\n", "5", None),
        (b"id: 5\n\ndata: x\n\n", "5", None),
        (b"retry: 9\n\nretry: 10\n\n", None, 10),
        (b"retry: 9\n\nretry: -1\n\nretry: 1.5\n\nretry\n\n", None, 9),
        (b"retry: 9\n\nretry: 9999999999\n\n", None, 9),
        ("id: \u00fc\n\n".encode(), "\u00fc", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_where_and_when_a_reader_comes_back(
    data: bytes, last_id: Optional[str], retry: Optional[int], size: int
) -> None:
    parser = SseParser()
    for at in range(0, len(data), size or len(data) or 1):
        parser.receive_data(data[at : at + (size or len(data))])
    assert (parser.last_id, parser.retry) == (last_id, retry)


@given(
    st.lists(st.tuples(st.none() | any_text, st.none() | one_line, st.none() | st.integers(0, 99)))
)
def test_a_reader_comes_back_to_the_last_of_what_it_has_got(events: list) -> None:  # type: ignore[type-arg]
    parser = SseParser()
    last_id, retry = None, None
    for data, ident, after in events:
        written = sse.encode(data or "", None, ident, after)
        if data is None:
            # As servers do that have nothing to say yet.
            written = written.replace(b"data: \n", b"")
        parser.receive_data(written)
        last_id = last_id if ident is None else ident
        retry = retry if after is None else after
        assert (parser.last_id, parser.retry) == (last_id, retry)
