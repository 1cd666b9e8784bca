"""IpcListener and ListenerHandle: wait for peers at an address."""

from __future__ import annotations

import errno
import socket
import threading
import weakref
from typing import Optional

from ..address import TransportAddress
from ..clock import Clock, SystemClock
from ..net.readiness import READ, Readiness
from ..net.sockets import BoundSocket, bind_address
from ..transport_errors import Internal, Io, IpcConnectionFailed, IpcNotSupported
from .arguments import milliseconds, wait
from .channel import FramedChannel
from .connect import raw_channel

__all__ = ["IpcListener", "ListenerHandle", "bind_local"]

_NAMES = {"tcp": "tcp", "pipe": "named_pipe", "unix": "unix_socket"}
#: Listeners of one process at the default path of one kind of host; more is a leak.
_MOST_AT_DEFAULT = 64


class _Door:
    """A bound socket that threads accept from and any thread may close."""

    def __init__(self, bound: BoundSocket, clock: Clock) -> None:
        self.address = bound.address
        self.accepted = 0
        self.closed = False
        self._bound = bound
        self._clock = clock
        self._lock = threading.Lock()
        self._polling = 0
        #: Closing the second makes the first readable, for every thread that polls.
        self._woken, self._waker = socket.socketpair()
        # Also at the interpreter's exit, so that no socket file is left behind.
        self._release = weakref.finalize(self, _release, bound, self._woken, self._waker)

    def accept(self, timeout_ms: Optional[int]) -> FramedChannel:
        """Return a channel to the next peer. Raises Internal after the time or once closed, Io."""
        sock = wait(self._accept, timeout_ms, "peers at {}".format(self.address))
        return raw_channel(sock, self._address_of(sock), self._clock)

    def close(self) -> None:
        """Stop listening; idempotent. Whoever waits is told."""
        with self._lock:
            self.closed = True
            self._waker.close()
            if not self._polling:
                self._release()

    def _accept(self, timeout_ms: Optional[int]) -> socket.socket:
        deadline = None
        if timeout_ms is not None:
            deadline = self._clock.monotonic() + milliseconds(timeout_ms)
        readiness = self._enter()
        try:
            while True:
                left = None if deadline is None else deadline - self._clock.monotonic()
                readiness.wait(READ, None if left is None else max(left, 0.0))
                if self.closed:
                    raise _gone()
                try:
                    sock = self._bound.accept()
                except OSError as error:
                    raise Io(error.strerror or str(error)) from error
                if sock is not None:
                    with self._lock:
                        self.accepted += 1
                    return sock
                if left is not None and left <= 0:
                    raise Internal("accept timed out after {}ms".format(timeout_ms))
        finally:
            self._exit()

    def _enter(self) -> Readiness:
        with self._lock:
            if self.closed:
                raise _gone()
            readiness = Readiness(self._bound.sock, self._woken)
            self._polling += 1
            return readiness

    def _exit(self) -> None:
        with self._lock:
            self._polling -= 1
            if self.closed and not self._polling:
                self._release()

    def _address_of(self, sock: socket.socket) -> TransportAddress:
        if self.address.is_tcp:
            try:
                return TransportAddress.tcp(*sock.getpeername()[:2])
            except OSError:
                # Gone already; the channel will say so.
                pass
        return self.address


def _release(bound: BoundSocket, *wakers: socket.socket) -> None:
    for waker in wakers:
        waker.close()
    bound.close()


def _gone() -> Internal:
    return Internal("listener has been shut down")


class IpcListener:
    """Waits for peers at an address. Any thread. Needs no manager and outlives any.

    What it accepts is raw: **nobody has been authenticated** (see FramedChannel); on a unix socket
    the peer is at least the same user, others are turned away. Closed by :meth:`shutdown`, at the
    end of a ``with`` block, when it is forgotten, or at the interpreter's exit; a unix socket's
    file goes with it.
    """

    def __init__(self, door: _Door) -> None:
        self._door: Optional[_Door] = door

    @staticmethod
    def bind(addr: TransportAddress) -> IpcListener:
        """Listen at ``addr``; TCP port 0 takes any free one.

        A unix socket's path that somebody listens at, or that is no socket of ours, is left alone.
        Raises IpcConnectionFailed ("bind failed: …"), IpcNotSupported.
        """
        if not isinstance(addr, TransportAddress):
            raise TypeError("addr must be a TransportAddress, not {!r}".format(addr))
        return _bind(addr, SystemClock())

    def local_address(self) -> TransportAddress:
        """Return where it really listens: a numeric host and the true port."""
        return self._demand("listener has been consumed (call into_handle() was made)").address

    @property
    def transport_name(self) -> str:
        """``tcp``, ``unix_socket`` or ``named_pipe``."""
        return _NAMES[self._demand("listener has been consumed").address.scheme]

    def accept(self, timeout_ms: Optional[int] = None) -> FramedChannel:
        """Return a channel to the next peer.

        Without a time it waits for as long as it takes; on the main thread of a host that this
        process serves for 30 s. Raises Internal ("accept timed out after …ms"; or when another
        thread shuts it down), Io.
        """
        door = self._demand("listener has been consumed (into_handle() was called)")
        return door.accept(timeout_ms)

    def into_handle(self) -> ListenerHandle:
        """Hand the socket over to a ListenerHandle; this object is of no use afterwards."""
        door = self._demand("listener has already been consumed")
        self._door = None
        return ListenerHandle(door)

    def shutdown(self) -> None:
        """Stop listening; idempotent. Channels that were accepted go on."""
        if self._door is not None:
            self._door.close()

    close = shutdown

    def __enter__(self) -> IpcListener:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        if self._door is None:
            return "IpcListener(consumed)"
        return "IpcListener(transport={})".format(_NAMES[self._door.address.scheme])

    def _demand(self, consumed: str) -> _Door:
        if self._door is None:
            raise Internal(consumed)
        return self._door


class ListenerHandle:
    """A listener that can be counted and shut down from elsewhere. Any thread."""

    def __init__(self, door: _Door) -> None:
        self._door = door

    @property
    def accept_count(self) -> int:
        """How many peers have been accepted, here and by the listener before."""
        return self._door.accepted

    @property
    def is_shutdown(self) -> bool:
        """Whether :meth:`shutdown` was called."""
        return self._door.closed

    @property
    def transport_name(self) -> str:
        """``tcp``, ``unix_socket`` or ``named_pipe``."""
        return _NAMES[self._door.address.scheme]

    def local_address(self) -> TransportAddress:
        """Return where it listens, or listened."""
        return self._door.address

    def accept(self, timeout_ms: Optional[int] = None) -> FramedChannel:
        """Return a channel to the next peer, as ``IpcListener.accept`` does."""
        return self._door.accept(timeout_ms)

    def shutdown(self) -> None:
        """Stop listening now; idempotent. Whoever waits in :meth:`accept` gets Internal."""
        self._door.close()

    close = shutdown

    def __enter__(self) -> ListenerHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        return "ListenerHandle(transport={}, accept_count={}, shutdown={})".format(
            self.transport_name, self.accept_count, str(self.is_shutdown).lower()
        )


def bind_local(dcc_type: str, pid: int, clock: Clock) -> IpcListener:
    """Listen where a host of this kind and process does by default.

    Another listener of the same process gets a path of its own beside that. TCP on 127.0.0.1 where
    there are no unix sockets, or where the user's own directory for them cannot be used. Raises
    IpcConnectionFailed.
    """
    default = TransportAddress.default_local(dcc_type, pid)
    for number in range(1, _MOST_AT_DEFAULT + 1):
        try:
            return _bind(_numbered(default, number), clock)
        except IpcNotSupported:
            break
        except IpcConnectionFailed as error:
            if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                break
    return _bind(TransportAddress.tcp("127.0.0.1", 0), clock)


def _numbered(address: TransportAddress, number: int) -> TransportAddress:
    if number == 1 or address.path is None or not address.is_unix_socket:
        return address
    stem, dot, ending = address.path.rpartition(".")
    return TransportAddress.unix_socket("{}-{}{}{}".format(stem, number, dot, ending))


def _bind(address: TransportAddress, clock: Clock) -> IpcListener:
    bound = bind_address(address, clock)
    try:
        return IpcListener(_Door(bound, clock))
    except BaseException:
        bound.close()
        raise
