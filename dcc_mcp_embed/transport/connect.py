"""From an address to a channel."""

from __future__ import annotations

import socket
from typing import Optional

from ..address import TransportAddress
from ..clock import Clock, SystemClock
from ..net.sockets import connect_address
from ..rpc.hello import HELLO_TIMEOUT, ClientHello, place
from ..rpc.peer import Peer
from ..transport_errors import (
    ConnectionClosed,
    ConnectionFailed,
    ConnectionTimeout,
    FrameTooLarge,
    IpcConnectionFailed,
    TransportError,
)
from .arguments import milliseconds
from .carrier import Carrier
from .channel import FramedChannel
from .link import Link

__all__ = ["channel_over", "connect_ipc", "open_carrier", "open_channel", "raw_channel"]

#: What an answer in HTTP begins with, read as the length of a frame.
_HTTP = int.from_bytes(b"HTTP", "big")


def connect_ipc(addr: TransportAddress, timeout_ms: int = 10_000) -> FramedChannel:
    """Connect to ``addr``, raw: nobody is authenticated, nothing is encrypted (see FramedChannel).

    On a unix socket the other end is at least the same user. Raises ConnectionTimeout,
    IpcConnectionFailed with the system's text, IpcNotSupported.
    """
    if not isinstance(addr, TransportAddress):
        raise TypeError("addr must be a TransportAddress, not {!r}".format(addr))
    return open_channel(addr, milliseconds(timeout_ms), SystemClock())


def open_channel(
    address: TransportAddress,
    timeout: float,
    clock: Clock,
    key: Optional[bytes] = None,
    expect_instance: Optional[str] = None,
    client: str = "",
) -> FramedChannel:
    """Connect in at most ``timeout`` seconds; with ``key`` the peer has proved that it knows it.

    Without a key nothing is sent. Otherwise, and for what is raised, see :func:`open_carrier`.
    """
    if key is None:
        return raw_channel(connect_address(address, timeout, clock), address, clock)
    carrier = open_carrier(address, timeout, clock, key, expect_instance, client)
    return channel_over(carrier, address, clock)


def open_carrier(
    address: TransportAddress,
    timeout: float,
    clock: Clock,
    key: bytes,
    expect_instance: Optional[str] = None,
    client: str = "",
) -> Carrier:
    """Connect in at most ``timeout`` seconds to a peer that proves that it knows ``key``.

    ``expect_instance``: the only instance to accept. ``client``: what to call ourselves. Raises as
    ``connect_ipc``; ConnectionFailed (TCP) or IpcConnectionFailed when whoever answers is not who
    was meant or has not finished the hello within two seconds.
    """
    deadline = clock.monotonic() + timeout
    sock = connect_address(address, timeout, clock)
    try:
        hello = ClientHello(key, place(sock.getpeername()), clock, expect_instance, client)
    except OSError as error:
        sock.close()
        raise _refused(address, str(error)) from error
    peer = Peer(clock, hello=hello)
    link = Link(sock, peer, clock)
    patience = clock.monotonic() + HELLO_TIMEOUT
    try:
        greeted = link.greet(min(deadline, patience))
    except BaseException as error:
        link.close(ConnectionClosed(), farewell=False)
        if isinstance(error, TransportError):
            raise _refused(address, _reason(error)) from error
        raise
    if not greeted:
        link.close(ConnectionClosed(), farewell=False)
        if deadline < patience:
            raise ConnectionTimeout(int(timeout * 1000))
        raise _refused(address, "no hello within {:g} s".format(HELLO_TIMEOUT))
    return Carrier(link, peer)


def channel_over(carrier: Carrier, address: TransportAddress, clock: Clock) -> FramedChannel:
    """Return a channel to ``address`` over what is connected to it."""
    return FramedChannel(carrier, (address.host or address.path or "", address.port or 0), clock)


def raw_channel(sock: socket.socket, address: TransportAddress, clock: Clock) -> FramedChannel:
    """Return a channel over a connected socket that speaks as the reference does.

    ``address`` is the other end's. The channel owns the socket.
    """
    peer = Peer(clock, late_answers=True)
    return channel_over(Carrier(Link(sock, peer, clock), peer), address, clock)


def _reason(error: TransportError) -> str:
    """Return why the hello has failed.

    A server that is full says so before it knows in which protocol: by HTTP, whose first letters
    are the length of a frame that is too large.
    """
    if isinstance(error, FrameTooLarge) and error.size == _HTTP:
        return "it speaks HTTP and no hello: a server with too many connections, or another program"
    return str(error)


def _refused(address: TransportAddress, reason: str) -> TransportError:
    if address.is_tcp:
        return ConnectionFailed(address.host, address.port, reason)
    return IpcConnectionFailed(str(address), reason)
