"""Which revisions of MCP there are, and the names and numbers that belong to them.

Two eras share one endpoint. The *handshake* revisions open with ``initialize``; the *stateless*
ones put version and capabilities into every request's ``_meta``.
"""

from __future__ import annotations

__all__ = [
    "ASSUMED",
    "BATCHES",
    "HANDSHAKE",
    "HEADER_MISMATCH",
    "LATEST_HANDSHAKE",
    "LOG_LEVELS",
    "META_CAPABILITIES",
    "META_CLIENT",
    "META_LOG_LEVEL",
    "META_SERVER",
    "META_SUBSCRIPTION",
    "META_VERSION",
    "MISSING_CAPABILITY",
    "RESOURCE_NOT_FOUND",
    "STATELESS",
    "UNSUPPORTED_VERSION",
    "http_status",
]

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = ("2026-07-28",)
LATEST_HANDSHAKE = HANDSHAKE[-1]
#: What a request without any version is taken for (2025-06-18, transports).
ASSUMED = "2025-03-26"
#: The only revision with JSON-RPC batches.
BATCHES = "2025-03-26"

META_VERSION = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META_CLIENT = "io.modelcontextprotocol/clientInfo"
META_LOG_LEVEL = "io.modelcontextprotocol/logLevel"
META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
META_SERVER = "io.modelcontextprotocol/serverInfo"

#: The handshake revisions' own code; the stateless ones say INVALID_PARAMS.
RESOURCE_NOT_FOUND = -32002
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

#: What ``logging/setLevel`` takes, the least severe first (RFC 5424).
LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

# 2026-07-28, streamable HTTP: error code -> HTTP status; every other answer is a 200.
_STATUS = {
    -32700: 400,
    -32600: 400,
    -32602: 400,
    -32601: 404,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
}


def http_status(code: int) -> int:
    """Return the HTTP status that carries a JSON-RPC error ``code`` in the stateless era."""
    return _STATUS.get(code, 200)
