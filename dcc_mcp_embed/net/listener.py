"""A listening socket on the loop: accepts in batches, rests when the process is out of files."""

from __future__ import annotations

import errno
import os
import socket
from typing import Callable, Optional, Tuple

from .loop import READ, Loop
from .timers import Timer

__all__ = ["BACKLOG", "PER_TURN", "Listener", "bind"]

#: How many connections may wait to be accepted. Whoever comes when the line is full is not told:
#: over TCP its system tries again after a second, through a unix socket it may fail. So the line is
#: as long as Linux makes any by default; where the system allows less it is shortened.
BACKLOG = 4096
#: What one turn accepts at most, so that a burst does not keep the others waiting.
PER_TURN = 128
# Nothing we can do about these but wait until somebody closes a file.
_EXHAUSTED = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM")
    if hasattr(errno, name)
)
# Short enough that whoever comes when it is over is answered within a second.
_REST = 0.25


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a numeric IPv4 or IPv6 ``host``. Any thread.

    POSIX: SO_REUSEADDR, so that a restarted host gets its port back from connections in
    TIME_WAIT. Windows: SO_EXCLUSIVEADDRUSE, because there SO_REUSEADDR lets a stranger share the
    port. Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "nt":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        # Whatever it was goes on to the caller; no socket stays open.
        sock.close()
        raise
    return sock


class Listener:
    """Hand each accepted socket to ``on_connection(sock, address)``. Loop thread.

    Accepted sockets are non-blocking, not inheritable, and send small packets at once.
    """

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_connection: Callable[[socket.socket, Tuple[str, int]], None],
        on_exhausted: Callable[[OSError], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._on_connection = on_connection
        self._on_exhausted = on_exhausted
        self._rest: Optional[Timer] = None
        self._closed = False
        loop.register(sock, READ, self._ready)

    def _ready(self, events: int) -> None:
        for _ in range(PER_TURN):
            if self._closed:
                return
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._loop.unregister(self._sock)
                self._rest = self._loop.call_later(_REST, self._resume)
                self._on_exhausted(error)
                return
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                # The peer is gone already (macOS answers EINVAL then).
                sock.close()
                continue
            self._on_connection(sock, address[:2])

    def _resume(self) -> None:
        self._rest = None
        self._loop.register(self._sock, READ, self._ready)

    def close(self) -> None:
        """Stop listening; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._rest is None:
            self._loop.unregister(self._sock)
        else:
            self._rest.cancel()
        self._sock.close()
