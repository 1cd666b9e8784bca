"""The name that the second version of the server's module has elsewhere; there is one only."""

from __future__ import annotations

from .socket_server import SocketServer, request

__all__ = ["SocketServer", "request"]
