"""Ways to spoil a message: its fields, its JSON, its bytes, its HTTP head, the pieces it comes in.

Pure functions of a random generator and the message.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, List, Tuple

__all__ = ["fields", "head", "octets", "pieces", "text"]


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


VALUES: Tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63), 10**300, 1e308, float("nan")),
    *(float("inf"), "", " ", "\0", "\ud800", "\u202e", "../../x", "=?base64?!?=", "tools/call"),
    *("x" * 5000, "9" * 300, [], {}, [None], {"": {}}, {"a": [{}]}, [[]] * 50, _deep(60)),
    *(["x"] * 300, {"$ref": "http://localhost/"}, "dcc://status", "2025-11-25", "2026-07-28"),
)


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _value(rng: Random) -> Any:
    return _copy(rng.choice(VALUES))


def _places(value: Any) -> List[Tuple[Any, Any]]:
    """Return (container, key or index) of every place in a JSON value."""
    found: List[Tuple[Any, Any]] = []
    todo = [value]
    while todo:
        one = todo.pop()
        items = one.items() if isinstance(one, dict) else enumerate(one)
        for key, inner in list(items):
            found.append((one, key))
            if isinstance(inner, (dict, list)):
                todo.append(inner)
    return found


def fields(rng: Random, message: Any) -> Any:
    """Return the message with a few of its fields changed, gone, renamed, copied or wrapped."""
    message = _copy(message)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        places = _places(message) if isinstance(message, (dict, list)) else []
        if not places:
            return _value(rng)
        where, key = rng.choice(places)
        how = rng.randrange(7)
        if how < 3:
            where[key] = _value(rng)
        elif how == 3:
            del where[key]
        elif how == 4:
            other, there = rng.choice(places)
            where[key] = _copy(other.get(there) if type(other) is dict else other)
        elif how == 5:
            where[key] = [where[key]] if rng.random() < 0.5 else {"a": where[key]}
        elif type(where) is dict:
            where[rng.choice(["", "x", "_meta", "id", "__class__", key + " ", key.upper()])] = (
                where.pop(key)
            )
        else:
            where.append(_value(rng))
    return message


_TOKENS = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"NaN", b"1e999"),
    *(b"-", b"9" * 400, b"null", b"true", b"\xff", b"\0", b"\xef\xbb\xbf", b"\r\n", b"//"),
    *(b'"id":1,', b'"method":"ping",', b'"jsonrpc":"2.0",', b"[" * 2000, b'{"a":' * 2000),
)


def text(rng: Random, data: bytes) -> bytes:
    """Return JSON that is none any more, or another."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.randrange(1, 30))
        how = rng.randrange(8)
        if how < 3:
            data = data[:at] + rng.choice(_TOKENS) + data[at:]
        elif how == 3:
            data = data[:at] + data[to:]
        elif how == 4:
            data = data[:to] + data[at:to] + data[to:]
        elif how == 5:
            data = data[:at]
        elif how == 6:
            data = data + rng.choice([data, b"{}", b" ", b"\n" + data])
        else:
            depth = rng.choice([1, 5, 200])
            data = b"[" * depth + data + b"]" * depth
        if rng.random() < 0.02:
            data = data.decode("utf-8", "replace").encode("utf-16")
    return data


def octets(rng: Random, data: bytes) -> bytes:
    """Return other bytes: some flipped, put in, cut out, doubled, exchanged; or an early end."""
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.randrange(1, 64))
        how = rng.randrange(7)
        if how < 2 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif how == 2:
            noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 16)))
            data = data[:at] + noise + data[at:]
        elif how == 3:
            data = data[:at] + data[to:]
        elif how == 4:
            data = data[:to] + data[at:to] * rng.choice([1, 1, 50]) + data[to:]
        elif how == 5:
            data = data[:at] + data[to:] + data[at:to]
        else:
            data = data[:at]
    return data


_LINES: Tuple[Tuple[str, str], ...] = (
    ("Content-Length", "0"),
    ("Content-Length", "-1"),
    ("Content-Length", "99999999999999999999"),
    ("Content-Length", "7, 7"),
    ("Content-Length", "+5"),
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Transfer-Encoding", "identity"),
    ("Connection", "close"),
    ("Connection", "upgrade"),
    ("Expect", "100-continue"),
    ("Host", "evil.example.com"),
    ("Host", ""),
    ("Origin", "http://evil.example.com"),
    ("Origin", "null"),
    ("Accept", "text/html"),
    ("Accept", "text/event-stream"),
    ("Content-Type", "text/plain"),
    ("Content-Type", "application/json; charset=utf-16"),
    ("Authorization", "Bearer x"),
    ("Authorization", "Basic eDp4"),
    ("Mcp-Session-Id", "\xe9"),
    ("Mcp-Session-Id", "x" * 300),
    ("MCP-Protocol-Version", "bogus"),
    ("MCP-Protocol-Version", "2026-07-28"),
    ("Mcp-Method", "tools/list"),
    ("Mcp-Name", "=?base64?w7w=?="),
    ("Last-Event-ID", "9" * 50),
    ("X-Odd", "a\tb"),
    ("X Odd", "a"),
    ("X-Long", "x" * 9000),
    ("", "x"),
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get")
_PATHS = ("/mcp", "/mcp/", "//mcp", "/mcp?x=1", "*", "http://127.0.0.1/mcp", "/%6dcp", "/../mcp")


def head(
    rng: Random, first: Tuple[str, str, str], lines: List[Tuple[str, str]]
) -> Tuple[Tuple[str, str, str], List[Tuple[str, str]]]:
    """Return a request line (method, path, version) and header lines that do not go together."""
    lines = list(lines)
    method, path, version = first
    for _ in range(rng.choice([1, 1, 2, 3])):
        how = rng.randrange(7)
        at = rng.randrange(len(lines)) if lines else 0
        if how == 0 and lines:
            del lines[at]
        elif how == 1 and lines:
            lines.insert(at, lines[at])
        elif how == 2 and lines:
            name, value = lines[at]
            lines[at] = (rng.choice([name.upper(), name + " ", name]), " " + value[::-1])
        elif how == 3:
            method = rng.choice(_METHODS)
        elif how == 4:
            path = rng.choice(_PATHS)
        elif how == 5 and rng.random() < 0.3:
            version = rng.choice(["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", ""])
        else:
            lines.insert(at, rng.choice(_LINES))
    return (method, path, version), lines


def pieces(rng: Random, data: bytes) -> List[bytes]:
    """Return the bytes cut at random places."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice([1, 2, 5, 20])))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)]) if b > a]
