"""Sockets for addresses: listening ones and connected ones, nobody else's on either end.

The kernel is asked whose the other end of a unix socket is (see ``unix``). Blocking; any thread.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import Any, List, Optional, Tuple, Union

from ..address import TransportAddress
from ..clock import Clock
from ..transport_errors import ConnectionTimeout, IpcConnectionFailed, IpcNotSupported
from . import listener
from .unix import RETRY, File, bind_unix, file_at, is_a_look, is_own_user

__all__ = ["BoundSocket", "bind_address", "connect_address", "is_own_user"]

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_WINDOWS = os.name == "nt"
#: Seconds; more does not fit the milliseconds of every system.
_LONGEST = 1_000_000.0


class BoundSocket:
    """A listening, non-blocking socket. ``address`` is where it really listens."""

    def __init__(
        self, sock: socket.socket, address: TransportAddress, file: Optional[File] = None
    ) -> None:
        self.sock = sock
        self.address = address
        self._file = file
        self._owner = os.getpid()

    def accept(self) -> Optional[socket.socket]:
        """Return a connected socket in blocking mode, or None: nobody waits, or a stranger did.

        Also None for somebody who only looked whether this is a living listener. Raises OSError.
        """
        try:
            sock, name = self.sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        try:
            unix = sock.family not in _INTERNET
            if is_own_user(sock) and not (unix and is_a_look(sock, name)):
                _prepare(sock)
                return sock
        except OSError:
            # The peer is gone already (macOS answers EINVAL then).
            pass
        sock.close()
        return None

    def close(self) -> None:
        """Stop listening, and remove the socket's file if it is still this one's; idempotent.

        In a forked child the file stays: it is the parent's.
        """
        file, self._file = self._file, None
        try:
            # While we still listen: nobody takes the path over between the look and the removal.
            if file is not None and os.getpid() == self._owner and file_at(file.path) == file:
                os.unlink(file.path)
        finally:
            self.sock.close()


def bind_address(address: TransportAddress, clock: Clock) -> BoundSocket:
    """Listen at ``address``; TCP port 0 takes any free one.

    Raises IpcConnectionFailed ("bind failed: …"), IpcNotSupported.
    """
    _demand(address)
    try:
        if address.path is not None:
            sock, file = bind_unix(address.path, clock)
            return BoundSocket(sock, address, file)
        return _bind_tcp(address)
    except (OSError, ValueError) as error:
        raise IpcConnectionFailed(str(address), "bind failed: " + _told(error)) from error


def connect_address(address: TransportAddress, timeout: float, clock: Clock) -> socket.socket:
    """Return a socket connected to ``address``, in blocking mode, that sends small packets at once.

    ``timeout`` in seconds is for everything but the look-up of a host's name. Raises
    ConnectionTimeout, IpcConnectionFailed with the system's text, IpcNotSupported.
    """
    _demand(address)
    deadline = clock.monotonic() + timeout
    try:
        sock = _connect_first(_targets(address), deadline, clock)
    # Before 3.10 the first is no kind of the second.
    except (socket.timeout, TimeoutError) as error:
        raise ConnectionTimeout(int(timeout * 1000)) from error
    # Of the second kind is a name that cannot be looked up, or a path that is no file's.
    except (OSError, ValueError) as error:
        reason = _told(error)
        if isinstance(error, ConnectionRefusedError) and _is_something_else(address.path):
            reason = "{} exists and is not a socket".format(address.path)
        raise IpcConnectionFailed(str(address), reason) from error
    try:
        _check_far_end(sock, address)
        sock.settimeout(None)
        _prepare(sock)
    except OSError as error:
        sock.close()
        raise IpcConnectionFailed(str(address), _told(error)) from error
    except BaseException:
        # A stranger at the other end, or Ctrl-C: no socket stays open.
        sock.close()
        raise
    return sock


# Inside.


def _demand(address: TransportAddress) -> None:
    if address.is_named_pipe:
        if _WINDOWS:
            reason = (
                "pure Python cannot wait on a pipe with a deadline; use tcp (attempted path: {})"
            )
        else:
            reason = "Named Pipes are only supported on Windows (attempted path: {})"
        raise IpcNotSupported("named_pipe", reason.format(address.path))
    if address.is_unix_socket and (_WINDOWS or not hasattr(socket, "AF_UNIX")):
        reason = "Unix Domain Sockets are only supported on macOS/Linux (attempted path: {})"
        raise IpcNotSupported("unix_socket", reason.format(address.path))


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _prepare(sock: socket.socket) -> None:
    if sock.family in _INTERNET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# TCP.


def _resolve(host: str, port: int) -> List[Tuple[int, Any]]:
    """Return (family, socket address) of a host, IPv4 first for ``localhost``: we listen there."""
    if host == "localhost":
        return [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port))]
    # Only what is not ASCII needs Python's "idna", which is large.
    name: Union[str, bytes] = host.encode("ascii") if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [(int(family), target) for family, _, _, _, target in found]


def _bind_tcp(address: TransportAddress) -> BoundSocket:
    assert address.host is not None and address.port is not None
    _, name = _resolve(address.host, address.port)[0]
    sock = listener.bind(name[0], name[1])
    return BoundSocket(sock, TransportAddress.tcp(*sock.getsockname()[:2]))


def _targets(address: TransportAddress) -> List[Tuple[int, Any]]:
    if address.path is not None:
        return [(socket.AF_UNIX, address.path)]
    assert address.host is not None and address.port is not None
    return _resolve(address.host, address.port)


def _connect_first(targets: List[Tuple[int, Any]], deadline: float, clock: Clock) -> socket.socket:
    failure: Optional[OSError] = None
    for family, name in targets:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            _connect(sock, name, deadline, clock)
        except OSError as error:
            sock.close()
            failure = failure or error
        except BaseException:
            # Ctrl-C while it waits.
            sock.close()
            raise
        else:
            return sock
    try:
        raise failure or OSError("the name has no address")
    finally:
        # It holds this frame: what the frame holds of it only the collector would find.
        del failure


def _connect(sock: socket.socket, name: Any, deadline: float, clock: Clock) -> None:
    while True:
        left = deadline - clock.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        sock.settimeout(min(left, _LONGEST))
        try:
            sock.connect(name)
        except BlockingIOError:
            # The queue of a unix socket is full; one never waits for that but here.
            clock.sleep(min(RETRY, left))
        else:
            return


def _check_far_end(sock: socket.socket, address: TransportAddress) -> None:
    if not is_own_user(sock):
        raise IpcConnectionFailed(str(address), "the other end belongs to another user")
    if address.is_tcp and sock.getsockname() == sock.getpeername():
        # The port is free, and is the very one that we were given for our own end.
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def _is_something_else(path: Optional[str]) -> bool:
    """Return whether something is there that is no socket, which Linux refuses like a stale one."""
    try:
        # Where a link leads to, as connecting does.
        return path is not None and not stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
