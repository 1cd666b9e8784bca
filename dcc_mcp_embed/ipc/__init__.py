"""Sockets between processes for people who write scripts: requests, pushes, health, reconnects.

    from dcc_mcp_embed.ipc import SocketClient, SocketServer, request

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from .answers import NotConnected as NotConnected
    from .answers import NotSent as NotSent
    from .answers import RequestFailed as RequestFailed
    from .protocol import InvalidMessage as InvalidMessage
    from .protocol import MessageBody as MessageBody
    from .socket_client import SocketClient as SocketClient
    from .socket_server import SocketServer as SocketServer
    from .socket_server import request as request
    from .utils import BackoffStrategy as BackoffStrategy
    from .utils import HealthChecker as HealthChecker
    from .utils import RequestHandlerRegistry as RequestHandlerRegistry

#: Public name -> the module that has it.
_SOURCE_OF = {
    "BackoffStrategy": ".utils",
    "HealthChecker": ".utils",
    "InvalidMessage": ".protocol",
    "MessageBody": ".protocol",
    "NotConnected": ".answers",
    "NotSent": ".answers",
    "RequestFailed": ".answers",
    "RequestHandlerRegistry": ".utils",
    "SocketClient": ".socket_client",
    "SocketServer": ".socket_server",
    "request": ".socket_server",
}

__all__ = sorted(_SOURCE_OF)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    source = _SOURCE_OF.get(name)
    if source is None:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    value = getattr(import_module(source, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *_SOURCE_OF})
