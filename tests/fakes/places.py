"""Where fakes listen: at a path, or at any free port of this machine."""

from __future__ import annotations

import socket
from typing import Optional, Tuple

from dcc_mcp_embed.address import TransportAddress

__all__ = ["listening"]


def listening(path: Optional[str]) -> Tuple[socket.socket, TransportAddress]:
    """Return a socket that listens at the path, or at a port of 127.0.0.1, and its address."""
    if path is None:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        address = TransportAddress.tcp(*sock.getsockname())
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        address = TransportAddress.unix_socket(path)
    sock.listen(128)
    return sock, address
