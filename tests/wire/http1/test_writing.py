"""The writers: the bytes they make, and what they refuse to make."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import pytest

from dcc_mcp_embed.errors import LocalProtocolError
from dcc_mcp_embed.wire import http1

JSON = (("Content-Type", "application/json"),)


def test_response() -> None:
    assert http1.response(200, JSON, b"{}") == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("options", "field", "body"),
    [
        ({}, b"", b"ab"),
        ({"keep_alive": False}, b"Connection: close\r\n", b"ab"),
        ({"head_only": True}, b"", b""),
        ({"version": 0}, b"Connection: keep-alive\r\n", b"ab"),
        ({"version": 0, "keep_alive": False}, b"Connection: close\r\n", b"ab"),
    ],
    ids=str,
)
def test_response_options(options: Any, field: bytes, body: bytes) -> None:
    assert http1.response(202, (), b"ab", **options) == (
        b"HTTP/1.1 202 Accepted\r\n" + field + b"Content-Length: 2\r\n\r\n" + body
    )


@pytest.mark.parametrize("headers", [JSON, list(JSON), http1.encode_headers(JSON)], ids=str)
def test_headers_in_any_form(headers: Any) -> None:
    whole = http1.response(400, headers, b"")
    assert whole == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"
    )
    assert b"\r\nContent-Type: application/json\r\n" in http1.stream_head(200, headers)


def test_outer_blanks_of_a_value_are_not_sent() -> None:
    assert http1.encode_headers([("X", " \ta b\t ")]) == b"X: a b\r\n"


def test_unusual_status() -> None:
    assert http1.response(299, (), b"").startswith(b"HTTP/1.1 299 \r\n")


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 1000])
def test_impossible_status(status: int) -> None:
    with pytest.raises(LocalProtocolError):
        http1.response(status, (), b"")


@pytest.mark.parametrize("status", [204, 304])
def test_no_body_where_none_may_be(status: int) -> None:
    assert b"Content-Length" not in http1.response(status, (), b"")
    with pytest.raises(LocalProtocolError):
        http1.response(status, (), b"x")
    with pytest.raises(LocalProtocolError):
        http1.stream_head(status, ())


BAD_FIELDS = [
    ("X", "a\r\nSet-Cookie: b"),
    ("X", "a\n"),
    ("X", "a\r"),
    ("X", "a\0"),
    ("X", "a\x7f"),
    ("X", "\u20ac"),
    ("X Y", "a"),
    ("X:", "a"),
    ("X\r\n", "a"),
    ("", "a"),
    ("\xe9", "a"),
    ("Content-Length", "5"),
    ("transfer-encoding", "chunked"),
]


@pytest.mark.parametrize("field", [*BAD_FIELDS, ("Connection", "close")], ids=repr)
def test_bad_fields_of_responses(field: Tuple[str, str]) -> None:
    for headers in ((field,), [field]):
        with pytest.raises(LocalProtocolError):
            http1.response(200, headers, b"")
        with pytest.raises(LocalProtocolError):
            http1.stream_head(200, headers)


@pytest.mark.parametrize("field", BAD_FIELDS, ids=repr)
def test_bad_fields_of_requests(field: Tuple[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        http1.request("GET", "/", [("Host", "a"), field], b"")


def test_stream() -> None:
    assert http1.stream_head(200, ()) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert http1.chunk(b"0123456789abcdef") == b"10\r\n0123456789abcdef\r\n"
    assert http1.LAST_CHUNK == b"0\r\n\r\n"


def test_an_empty_piece_does_not_end_the_stream() -> None:
    assert http1.chunk(b"") == b""


def test_request() -> None:
    assert http1.request("POST", "/mcp", (("Host", "a"), *JSON), b"{}") == (
        b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("method", "said"), [("GET", False), ("DELETE", False), ("HEAD", False), ("POST", True)]
)
def test_an_empty_body_is_said_where_one_is_expected(method: str, said: bool) -> None:
    data = http1.request(method, "/", [("Host", "a")], b"")
    assert (b"Content-Length: 0\r\n" in data) is said


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("G T", "/", [("Host", "a")]),
        ("GET\r\n", "/", [("Host", "a")]),
        ("GET", "/a b", [("Host", "a")]),
        ("GET", "/a\r\n", [("Host", "a")]),
        ("GET", "http://a/", [("Host", "a")]),
        ("GET", "", [("Host", "a")]),
        ("GET", "/\xe9", [("Host", "a")]),
        ("GET", "/", []),
        ("GET", "/", [("Host", "a"), ("host", "b")]),
    ],
)
def test_bad_requests(method: str, target: str, headers: Sequence[Tuple[str, str]]) -> None:
    with pytest.raises(LocalProtocolError):
        http1.request(method, target, headers)
