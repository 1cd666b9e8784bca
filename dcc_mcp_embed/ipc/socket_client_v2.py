"""The module's name in the second version of the interface; there is one client."""

from __future__ import annotations

from .socket_client import SocketClient

__all__ = ["SocketClient"]
