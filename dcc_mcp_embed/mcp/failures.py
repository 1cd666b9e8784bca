"""What went wrong, for whoever called: each kind of failure as an MCPError. Pure."""

from __future__ import annotations

from typing import Any, Callable, Tuple, Type

from ..errors import ConfigError, EmbedError, RemoteProtocolError
from ..net.tasks import TimedOut
from ..wire.jsonrpc import Fault
from .connection import Broken
from .records import MCPError
from .session import RpcFailed
from .wire import Expired, HttpFailed, Refused

__all__ = ["NotRegistered", "closed", "explained", "not_registered"]


class NotRegistered(MCPError, ValueError):
    """Nobody has registered the plugin."""


def not_registered(user_id: str, plugin_name: str) -> MCPError:
    """Return what is raised for a plugin that is not there."""
    text = "{!r} is not registered for {!r}; register it first"
    return NotRegistered(text.format(plugin_name, user_id), "not_registered")


def closed() -> MCPError:
    """Return what is raised by what a clean-up has cut short."""
    return MCPError("the client was closed meanwhile", "closed")


def _refused(error: Any) -> str:
    return "the server does not let this client in ({}); check its headers".format(error)


#: The more special first: kind -> (code, text of it).
_KINDS: Tuple[Tuple[Type[BaseException], str, Callable[[Any], str]], ...] = (
    (TimedOut, "timeout", lambda error: "the server did not answer in time"),
    (Broken, "not_connected", lambda error: error.reason),
    (Expired, "session_expired", lambda error: "the server does not know the session any more"),
    (Refused, "http_error", _refused),
    (HttpFailed, "http_error", str),
    (RpcFailed, "rpc_error", str),
    (RemoteProtocolError, "bad_answer", str),
    (Fault, "rpc_error", lambda error: error.message),
    (ConfigError, "bad_config", str),
    (EmbedError, "bad_answer", str),
)


def explained(error: BaseException) -> MCPError:
    """Return the error that a caller is told of."""
    if isinstance(error, MCPError):
        return error
    for kind, code, text in _KINDS:
        if isinstance(error, kind):
            return MCPError(text(error), code)
    return MCPError("{}: {}".format(type(error).__name__, error), "bad_answer")
