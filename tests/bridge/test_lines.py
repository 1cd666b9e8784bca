"""What a client may say on its side of the pipes, with no host: protocol, and what is none."""

from __future__ import annotations

import json

import pytest

from fakes.bridged import INITIALIZE, MODERN, Within

GARBAGE = [
    (b"garbage", -32700),
    (b"{", -32700),
    (b"\xff\xfe\x00", -32700),
    (b"[]", -32600),
    (b"[[[[", -32700),
    (b"12", -32600),
    (b'{"jsonrpc":"1.0","method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
    (b"[" * 100000, -32700),
]


def test_garbage_is_answered_and_it_goes_on(bridge):
    for number, (line, code) in enumerate(GARBAGE):
        bridge.write(line + b"\n")
        bridge.until(lambda number=number: len(bridge.errors) > number)
        assert bridge.errors[-1]["error"]["code"] == code, line[:40]
        assert bridge.ask("ping") == {}
    assert len(bridge.errors) == len(GARBAGE)


def test_a_method_that_is_no_text_is_refused_wherever_it_stands(bridge):
    bridge.initialize("2025-03-26")
    for method in ([], {}, 1):
        assert bridge.answer(bridge.begin(method))["error"]["code"] == -32600
    odd = {"jsonrpc": "2.0", "id": "odd", "method": ["tools/list"]}
    bridge.send([odd, {"jsonrpc": "2.0", "id": "next", "method": "ping"}])
    assert bridge.answer("odd")["error"]["code"] == -32600
    assert bridge.answer("next")["result"] == {}


def test_blank_lines_marks_and_carriage_returns_are_nothing(bridge):
    bridge.write(b"\xef\xbb\xbf\r\n\n   \n")
    bridge.write(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\r\n')
    assert bridge.answer(0)["result"] == {}
    assert bridge.errors == []


def test_a_huge_line_is_refused_without_being_kept(bridge):
    piece = b"x" * (1024 * 1024)
    for _ in range(17):
        bridge.write(piece)
    # Told as soon as it is too long, not when it ends.
    bridge.until(lambda: bridge.errors)
    assert "16777216 bytes" in bridge.errors[0]["error"]["message"]
    bridge.write(piece + b"\n")
    assert bridge.ask("ping") == {}
    assert len(bridge.errors) == 1


def test_a_batch_is_taken_where_the_revision_has_them(bridge):
    bridge.initialize("2025-03-26")
    bridge.send(
        [
            {"jsonrpc": "2.0", "id": "a", "method": "ping"},
            {"jsonrpc": "2.0", "method": "notifications/whatever"},
            {"jsonrpc": "2.0", "id": "b", "method": "tools/list"},
        ]
    )
    assert bridge.answer("a")["result"] == {}
    assert bridge.answer("b")["result"]["tools"]


def test_a_batch_is_refused_where_it_has_none_and_when_it_is_none(bridge):
    bridge.initialize()
    bridge.send([{"jsonrpc": "2.0", "id": "a", "method": "ping"}])
    bridge.until(lambda: bridge.errors)
    bridge.initialize("2025-03-26")
    for size in (0, 101):
        before = len(bridge.errors)
        bridge.send([{"jsonrpc": "2.0", "method": "ping"}] * size)
        bridge.until(lambda before=before: len(bridge.errors) > before)
    assert {one["error"]["code"] for one in bridge.errors} == {-32600}
    assert "a" not in bridge.answers
    bridge.send([{"jsonrpc": "2.0", "id": "c", "method": "initialize", "params": INITIALIZE}])
    assert bridge.answer("c")["error"]["code"] == -32600


def test_the_stateless_era_needs_no_headers(bridge):
    meta = {"_meta": MODERN}
    found = bridge.ask("server/discover", meta)
    assert found["supportedVersions"] == ["2026-07-28"]
    assert found["capabilities"]["tools"] == {"listChanged": True}
    assert "resources" in found["capabilities"]
    listed = bridge.ask("tools/list", meta)
    assert listed["resultType"] == "complete" and listed["tools"]
    called = bridge.ask("tools/call", {"name": "list_instances", "arguments": {}, **meta})
    assert called["structuredContent"]["ok"] and called["resultType"] == "complete"
    odd = bridge.ask("tools/call", {"name": "=?base64?bm8=?=", "arguments": {}, **meta})
    assert odd["structuredContent"]["error"]["code"] == "no_host"


def test_it_names_the_kind_that_it_was_told_to_wait_for(home, monkeypatch):
    with Within(home, monkeypatch, dcc="maya") as bridge:
        bridge.initialize()
        assert "start Maya" in bridge.error("create_object")["message"]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"\n",
        b'{"jsonrpc":"2.0","id":0,"method":"ping"}',
        json.dumps(
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE}
        ).encode()
        + b'\n{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n',
    ],
    ids=["nothing", "half a message", "a blank line", "no end of line", "requests"],
)
def test_it_ends_with_its_input_having_answered(bridge, said):
    bridge.write(said)
    bridge.end()
    assert sorted(bridge.answers) == list(range(said.count(b'"id"')))
