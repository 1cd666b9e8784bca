"""What MCP over standard input and output has that MCP over HTTP has not, and the other way round.

There are no headers: what a client says in them over HTTP stands in its messages. And there is a
way to the client that is always open, so it is told when the tools have changed. Pure.
"""

from __future__ import annotations

import base64
from typing import Any, Dict, List, NamedTuple, Optional

from ..wire import jsonrpc
from ..wire.jsonrpc import Fault, Request
from ..wire.mcp.revisions import META_SERVER, META_VERSION
from ..wire.mcp.routing import check_stateless, is_stateless

__all__ = [
    "LISTEN",
    "Implied",
    "Listening",
    "acknowledged",
    "changed",
    "ended",
    "listening",
    "offer",
]

LISTEN = "subscriptions/listen"
_META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_CHANGED = "notifications/tools/list_changed"
#: What this end has: tools, and word of their changes.
_CAPABILITIES: Dict[str, Any] = {"tools": {"listChanged": True}}
_NAMING = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class Implied:
    """The headers that a message would have had over HTTP: those that agree with it."""

    def __init__(self, value: Any) -> None:
        self._found: Dict[str, str] = {}
        params = value.get("params") if type(value) is dict else None
        meta = params.get("_meta") if type(params) is dict else None
        if type(meta) is not dict or type(meta.get(META_VERSION)) is not str:
            return
        assert params is not None
        method = value.get("method")
        name = params.get(_NAMING.get(str(method), ""))
        given = (meta[META_VERSION], method, name)
        for header, text in zip(("mcp-protocol-version", "mcp-method", "mcp-name"), given):
            if type(text) is str:
                self._found[header] = _armoured(text)

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return one header."""
        return self._found.get(name.lower(), default)

    def get_all(self, name: str) -> List[str]:
        """Return the header as often as it is there."""
        found = self._found.get(name.lower())
        return [] if found is None else [found]


def _armoured(text: str) -> str:
    """Return a header's text; what looks like an encoded one is encoded."""
    if not text.startswith("=?"):
        return text
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    return "=?base64?{}?=".format(encoded)


def offer(message: Dict[str, Any]) -> Dict[str, Any]:
    """Return the answer to initialize or server/discover with what this end has."""
    return dict(message, result=dict(message["result"], capabilities=_CAPABILITIES))


class Listening(NamedTuple):
    """A client of the stateless era that wants to be told, under the id of its request."""

    id: Any
    tools: bool


def listening(value: Any) -> Optional[Listening]:
    """Return what a message wants to be told of; None if it is not about that. Raises Fault."""
    if type(value) is not dict or value.get("method") != LISTEN:
        return None
    request = jsonrpc.classify(value)
    if type(request) is not Request or not is_stateless(request.params, None):
        return None
    check_stateless(request, Implied(value))
    wanted = request.params.get("notifications")
    if type(wanted) is not dict:
        raise Fault(
            jsonrpc.INVALID_PARAMS,
            "{} needs params.notifications, an object".format(LISTEN),
            request.id,
        )
    return Listening(request.id, wanted.get("toolsListChanged") is True)


def acknowledged(one: Listening) -> Dict[str, Any]:
    """Return the first message to who listens: what it will be told of."""
    return jsonrpc.notification(
        "notifications/subscriptions/acknowledged",
        {
            "_meta": {_META_SUBSCRIPTION: one.id},
            "notifications": {"toolsListChanged": True} if one.tools else {},
        },
    )


def changed(one: Optional[Listening] = None) -> Dict[str, Any]:
    """Return the word that the tools are others now, to one who listens or to a session."""
    params = {} if one is None else {"_meta": {_META_SUBSCRIPTION: one.id}}
    return jsonrpc.notification(_CHANGED, params)


def ended(one: Listening, server: Dict[str, Any]) -> Dict[str, Any]:
    """Return the answer to who listened, at the end."""
    meta = {_META_SUBSCRIPTION: one.id, META_SERVER: server}
    return jsonrpc.result(one.id, {"resultType": "complete", "_meta": meta})
