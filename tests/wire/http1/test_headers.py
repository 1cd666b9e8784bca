"""Header fields: found whatever the case, joined and listed, and silent about their values."""

from __future__ import annotations

from dcc_mcp_embed.wire.http1 import Headers

ONCE = Headers([("host", "a"), ("accept", "x")])
TWICE = Headers([("accept", "x"), ("host", "a"), ("accept", "y"), ("accept", "")])


def test_lookup_ignores_case() -> None:
    assert ONCE.get("Host") == ONCE.get("host") == "a"
    assert "HOST" in ONCE
    assert "origin" not in ONCE


def test_default() -> None:
    assert ONCE.get("origin") is None
    assert ONCE.get("origin", "none") == "none"


def test_repeated_fields() -> None:
    assert TWICE.get("accept") == "x, y, "
    assert TWICE.get_all("Accept") == ["x", "y", ""]
    assert TWICE.get_all("host") == ["a"]
    assert ONCE.get_all("Accept") == ["x"]
    assert ONCE.get_all("origin") == TWICE.get_all("origin") == []


def test_order_is_kept() -> None:
    assert list(TWICE) == [("accept", "x"), ("host", "a"), ("accept", "y"), ("accept", "")]
    assert len(TWICE) == 4


def test_tokens() -> None:
    headers = Headers([("connection", "Close, ,x\t,"), ("connection", "KEEP-ALIVE")])
    assert headers.tokens("connection") == ["close", "x", "keep-alive"]
    assert headers.tokens("expect") == []


def test_repr_tells_no_secret() -> None:
    shown = repr(Headers([("authorization", "Bearer secret")]))
    assert "authorization" in shown
    assert "secret" not in shown
