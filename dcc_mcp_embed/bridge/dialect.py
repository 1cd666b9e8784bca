"""What MCP over standard input and output has that MCP over HTTP has not, and the other way round.

There are no headers: what a client says in them over HTTP stands in its messages. And there is a
way to the client that is always open, so it is told when the tools have changed. Pure.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from ..wire import jsonrpc
from ..wire.jsonrpc import Fault, Request
from ..wire.mcp.implied import Implied
from ..wire.mcp.revisions import META_SERVER
from ..wire.mcp.routing import check_stateless, is_stateless

__all__ = [
    "LISTEN",
    "Implied",
    "Listening",
    "acknowledged",
    "changed",
    "ended",
    "heard",
    "listening",
    "offer",
]

LISTEN = "subscriptions/listen"
_META_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_CHANGED = "notifications/tools/list_changed"
_MESSAGE = "notifications/message"
_PROGRESS = "notifications/progress"
#: What this end has, and that there is word of changes of the tools.
_CAPABILITIES: Dict[str, Any] = {
    "tools": {"listChanged": True},
    "resources": {},
    "prompts": {},
    "completions": {},
    "logging": {},
}


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


def heard(data: bytes, ident: str, token: Any) -> Optional[Dict[str, Any]]:
    """Return what a client is told of a host's notification about its request; None: nothing.

    ``ident`` is the token that the host knows, ``token`` the client's, None if it sent none.
    """
    try:
        message = jsonrpc.decode(data)
    except Fault:
        return None
    params = message.get("params") if type(message) is dict else None
    if type(params) is not dict:
        return None
    if message.get("method") == _MESSAGE:
        return jsonrpc.notification(_MESSAGE, params)
    mine = message.get("method") == _PROGRESS and params.get("progressToken") == ident
    if token is None or not mine:
        return None
    return jsonrpc.notification(_PROGRESS, dict(params, progressToken=token))


def ended(one: Listening, server: Dict[str, Any]) -> Dict[str, Any]:
    """Return the answer to who listened, at the end."""
    meta = {_META_SUBSCRIPTION: one.id, META_SERVER: server}
    return jsonrpc.result(one.id, {"resultType": "complete", "_meta": meta})
