"""What is said to a client of changes, and what a host's words are for it. Pure."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from ..wire.mcp.revisions import META_SUBSCRIPTION

__all__ = [
    "LISTEN",
    "WISHES",
    "Heard",
    "acknowledged",
    "heard",
    "list_changed",
    "news",
    "tagged",
    "updated",
]

LISTEN = "subscriptions/listen"
_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_MESSAGE = "notifications/message"
_PROGRESS = "notifications/progress"
_UPDATED = "notifications/resources/updated"
_CHANGED = "notifications/{}/list_changed"
#: Member of a list -> what a subscription calls its changes.
WISHES = {
    "tools": "toolsListChanged",
    "prompts": "promptsListChanged",
    "resources": "resourcesListChanged",
    "resourceTemplates": "resourcesListChanged",
}
_KINDS = ("tools", "prompts", "resources")


def tagged(message: Dict[str, Any], ident: Any) -> Dict[str, Any]:
    """Return a notification that says under which subscription it is sent."""
    return dict(message, params=dict(message["params"], _meta={META_SUBSCRIPTION: ident}))


def acknowledged(wishes: Dict[str, Any]) -> Dict[str, Any]:
    """Return the first message to who listens: what it will be told of."""
    return jsonrpc.notification(_ACKNOWLEDGED, {"notifications": wishes})


def list_changed(member: str) -> Dict[str, Any]:
    """Return the word that a list is another one now."""
    kind = "resources" if member == "resourceTemplates" else member
    return jsonrpc.notification(_CHANGED.format(kind), {})


def updated(uri: str) -> Dict[str, Any]:
    """Return the word that a resource reads differently now."""
    return jsonrpc.notification(_UPDATED, {"uri": uri})


def heard(data: bytes, ident: str, token: Any) -> Optional[Dict[str, Any]]:
    """Return what a client is told of a host's notification about its request; None: nothing.

    ``ident`` is the token that the host knows, ``token`` the client's, None if it sent none.
    """
    method, params = _said(data)
    if method == _MESSAGE:
        return jsonrpc.notification(_MESSAGE, params)
    mine = method == _PROGRESS and params.get("progressToken") == ident
    if token is None or not mine:
        return None
    return jsonrpc.notification(_PROGRESS, dict(params, progressToken=token))


class Heard(NamedTuple):
    """A host's word of a change: that it is heard at all, of which list, or of which resource."""

    begins: bool = False
    kind: Optional[str] = None
    uri: Optional[str] = None


def news(data: bytes) -> Heard:
    """Return what a host that is listened to has said."""
    method, params = _said(data)
    uri = params.get("uri")
    if method == _UPDATED and type(uri) is str:
        return Heard(uri=uri)
    kind = next((one for one in _KINDS if method == _CHANGED.format(one)), None)
    return Heard(method == _ACKNOWLEDGED, kind)


def _said(data: bytes) -> Any:
    """Return method and params of a notification; of what is none, nothing."""
    try:
        message = jsonrpc.decode(data)
    except Fault:
        return "", {}
    params = message.get("params") if type(message) is dict else None
    return (message.get("method"), params) if type(params) is dict else ("", {})
