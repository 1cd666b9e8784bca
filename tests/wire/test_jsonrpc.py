"""JSON-RPC: what is a message, what is not, and what is answered then."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.wire import jsonrpc

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("ident", [0, 1, -1, "", "a", "server-discover-probe-1", 2**60])
def test_ids_are_kept_as_they_are(ident):
    found = jsonrpc.classify({"jsonrpc": "2.0", "id": ident, "method": "ping"})
    assert found == jsonrpc.Request(ident, "ping", {})
    assert jsonrpc.error(ident, -1, "x")["id"] == ident


@pytest.mark.parametrize(
    ("message", "code", "ident"),
    [
        ([], -32600, None),
        (1, -32600, None),
        (None, -32600, None),
        ({}, -32600, None),
        ({"id": 1, "method": "ping"}, -32600, 1),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600, 1),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600, None),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, -32600, None),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600, None),
        ({"jsonrpc": "2.0", "id": [], "method": "ping"}, -32600, None),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, -32600, 1),
        ({"jsonrpc": "2.0", "id": 1}, -32600, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": "x", "params": []}, -32602, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": "x", "params": "y"}, -32602, 1),
    ],
)
def test_what_is_no_message_is_answered_with_its_id_if_that_could_be_read(message, code, ident):
    with pytest.raises(jsonrpc.Fault) as caught:
        jsonrpc.classify(message)
    assert (caught.value.code, caught.value.id) == (code, ident)
    answer = caught.value.to_message()
    assert ("id" in answer) == (ident is not None), "an id that could not be read is left out"


def test_notifications_and_responses_are_told_apart():
    assert jsonrpc.classify({"jsonrpc": "2.0", "method": "m"}) == jsonrpc.Notification("m", {})
    found = jsonrpc.classify({"jsonrpc": "2.0", "id": 1, "result": {}})
    assert isinstance(found, jsonrpc.Response)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"{}{}",
        b"[" * 100_000,
        b"1" * 5000,
        b'{"a": -' + b"1" * 5000 + b"}",
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_is_a_parse_error(body):
    with pytest.raises(jsonrpc.Fault) as caught:
        jsonrpc.decode(body)
    assert caught.value.code == jsonrpc.PARSE_ERROR
    assert "id" not in caught.value.to_message()


@given(JSON)
def test_what_is_encoded_is_read_back(value):
    body = jsonrpc.encode(value)
    assert jsonrpc.decode(body) == value
    assert b"\n" not in body
    assert body.isascii()


def test_lone_surrogates_survive():
    assert jsonrpc.decode(jsonrpc.encode({"a": "\ud800"})) == {"a": "\ud800"}


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body):
    try:
        value = jsonrpc.decode(body)
    except jsonrpc.Fault:
        return
    assert json.loads(body.decode("utf-8")) == value
