"""What carries a channel's messages: one connection here, one after another in ``lasting``."""

from __future__ import annotations

from typing import Callable, Optional, Tuple

from ..rpc.peer import Peer
from ..transport_errors import TransportError
from ..wire.messages import Response
from .link import Link

__all__ = ["Carrier", "Listener"]

Listener = Optional[Callable[[str, bytes], None]]


class Carrier:
    """One connection, ended when it is. Any thread.

    ``link`` and ``peer`` are the connection's shell and machine; channels that are lent share them.
    """

    def __init__(self, link: Link, peer: Peer) -> None:
        self.link = link
        self.peer = peer
        self.listener: Listener = None

    def listen(self, listener: Listener) -> None:
        """Have ``listener(topic, data)`` told of notifications; None: they are received."""
        self.listener = listener
        self.link.listener = listener

    def call(self, method: str, params: bytes, deadline: float, timeout_ms: int) -> Response:
        """Send a request and return its answer. Raises as :meth:`Link.call`."""
        return self.link.call(method, params, deadline, timeout_ms)

    def request(self, method: str, params: bytes) -> Tuple[bytes, bytes]:
        """Return the id and the frame of a request whose answer is received as a message."""
        return self.peer.request(method, params)

    def received(self, response: Response) -> None:
        """Note that such an answer has been handed out."""

    def close(self, error: TransportError, farewell: bool) -> None:
        """End it: whoever waits gets ``error``; with ``farewell`` the peer is told."""
        self.link.close(error, farewell)

    def abandon(self) -> None:
        """Close a forked child's copy; its parent's peer notices nothing."""
        self.link.abandon()
