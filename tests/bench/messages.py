"""The HTTP requests of a client, as bytes made before anything is measured."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional, Tuple

__all__ = [
    "LARGE_TEXT",
    "LEGACY",
    "MODERN",
    "TEXT",
    "call",
    "initialize",
    "initialized",
    "modern",
    "post",
    "stateless",
]

LEGACY = "2025-11-25"
MODERN = "2026-07-28"

#: What the tools echo, of plain letters so that no escaping is measured: 64 bytes, and 48 KiB,
#: the most text that a result of ours may hold (tools/fitting.py).
TEXT = "abcdefgh" * 8
LARGE_TEXT = TEXT * 768

_CLIENT = {"name": "bench", "version": "1.0"}


def post(
    port: int,
    token: Optional[str],
    message: Dict[str, Any],
    headers: Tuple[Tuple[str, str], ...] = (),
    path: str = "/mcp",
) -> bytes:
    """Return one POST; every target gets a token, so that the requests are of the same size."""
    body = json.dumps(message).encode("utf-8")
    lines = [
        "POST {} HTTP/1.1".format(path),
        "Host: 127.0.0.1:{}".format(port),
        "User-Agent: bench/1.0",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        "Authorization: Bearer {}".format(token or "0" * 40),
        "Content-Length: {}".format(len(body)),
        *("{}: {}".format(name, value) for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _session(session: Optional[str]) -> Tuple[Tuple[str, str], ...]:
    version = (("MCP-Protocol-Version", LEGACY),)
    return version if session is None else (*version, ("Mcp-Session-Id", session))


def initialize(port: int, token: Optional[str]) -> bytes:
    """Return the first request of the handshake era."""
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
    message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    return post(port, token, message, ())


def initialized(port: int, token: Optional[str], session: Optional[str]) -> bytes:
    """Return the notification that ends the handshake."""
    message = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    return post(port, token, message, _session(session))


def call(
    port: int, token: Optional[str], era: str, session: Optional[str], tool: str, text: str
) -> bytes:
    """Return ``tools/call`` in the form of its era: ``LEGACY`` or ``MODERN``."""
    params: Dict[str, Any] = {"name": tool, "arguments": {"text": text}}
    if era == MODERN:
        return modern(port, token, "tools/call", params)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return post(port, token, message, _session(session))


def stateless(method: str, params: Dict[str, Any]) -> Dict[str, Any]:
    """Return a message of the stateless era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": _CLIENT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params, _meta=meta)}


def modern(port: int, token: Optional[str], method: str, params: Dict[str, Any]) -> bytes:
    """Return a request of the stateless era, with the headers that it has to have."""
    headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)]
    if "name" in params:
        headers.append(("Mcp-Name", params["name"]))
    return post(port, token, stateless(method, params), tuple(headers))
