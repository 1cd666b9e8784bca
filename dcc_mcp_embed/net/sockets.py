"""Sockets for addresses: listening ones and connected ones, nobody else's on either end.

A unix socket is reachable for its user only (mode 0600, and in a directory of mode 0700 where the
place is our default), and the other end's user is asked of the kernel. A path is taken over only
from a socket of this user's at which nobody listens any more. Blocking; any thread.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
from contextlib import contextmanager, suppress
from typing import Any, Iterator, List, Optional, Tuple, Union

from ..address import TransportAddress, private_directories
from ..clock import Clock
from ..records import NamedTuple
from ..transport_errors import ConnectionTimeout, IpcConnectionFailed, IpcNotSupported
from . import listener

__all__ = ["BoundSocket", "bind_address", "connect_address", "is_own_user"]

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_WINDOWS = os.name == "nt"
#: One try to connect to a unix socket whose queue is full fails at once (Linux); the next after
#: this time.
_RETRY = 0.005
#: Seconds; more does not fit the milliseconds of every system.
_LONGEST = 1_000_000.0
#: How long somebody may hold the lock on a directory while taking over a stale socket in it.
_LOCK_TIMEOUT = 2.0
#: ``struct ucred``: pid, uid, gid (Linux, socket(7)).
_UCRED = struct.Struct("=iII")
#: The begin of ``struct xucred``: version, uid (macOS and FreeBSD, sys/ucred.h), and its size.
_XUCRED = struct.Struct("=II")
_XUCRED_SIZE = 76
_LOCAL_PEERCRED = 1
#: How the socket is called with which we look whether somebody listens (Linux, unix(7)).
_LOOK = b"\0dcc-mcp-embed-look-"


class _File(NamedTuple):
    """Which file a path was. The path is absolute: the process may change its directory."""

    path: str
    device: int
    inode: int


class BoundSocket:
    """A listening, non-blocking socket. ``address`` is where it really listens."""

    def __init__(
        self, sock: socket.socket, address: TransportAddress, file: Optional[_File] = None
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
            if is_own_user(sock) and not _is_a_look(sock, name):
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
            if file is not None and os.getpid() == self._owner and _file(file.path) == file:
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
            return _bind_unix(address.path, clock)
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


def is_own_user(sock: socket.socket, platform: str = sys.platform) -> bool:
    """Return whether the other end belongs to this user; True where the system does not tell.

    Only unix sockets tell, on Linux, macOS and FreeBSD.
    """
    if not hasattr(socket, "AF_UNIX") or sock.family != socket.AF_UNIX:
        return True
    if platform.startswith("linux"):
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        uid = _UCRED.unpack(raw)[1]
    elif platform == "darwin" or platform.startswith("freebsd"):
        raw = sock.getsockopt(0, _LOCAL_PEERCRED, _XUCRED_SIZE)
        version, uid = _XUCRED.unpack_from(raw)
        if version:
            return False
    else:
        return True
    return bool(uid == os.geteuid())


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


def _is_a_look(sock: socket.socket, name: Any) -> bool:
    """Return whether the other end is :func:`_remove_stale`, or has gone without a word as well."""
    if sock.family in _INTERNET:
        return False
    if isinstance(name, bytes) and name.startswith(_LOOK):
        return True
    sock.setblocking(False)
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        sock.setblocking(True)


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
            clock.sleep(min(_RETRY, left))
        else:
            return


def _check_far_end(sock: socket.socket, address: TransportAddress) -> None:
    if not is_own_user(sock):
        raise IpcConnectionFailed(str(address), "the other end belongs to another user")
    if address.is_tcp and sock.getsockname() == sock.getpeername():
        # The port is free, and is the very one that we were given for our own end.
        raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


# Unix sockets.


def _bind_unix(path: str, clock: Clock) -> BoundSocket:
    if not path:
        raise OSError(errno.EINVAL, "the path is empty")
    directory = os.path.dirname(path)
    if directory in private_directories():
        _own_directory(directory)
    # From bind to listen a socket looks like a stale one, so it must not be looked at meanwhile.
    with _locked(directory or os.curdir, clock):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if os.path.lexists(path):
                _remove_stale(path)
            sock.bind(path)
            # Nobody can connect before listen().
            os.chmod(path, 0o600)
            file = _file(os.path.abspath(path))
            sock.listen(listener.BACKLOG)
            sock.setblocking(False)
            return BoundSocket(sock, TransportAddress.unix_socket(path), file)
        except BaseException:
            # It has a name as soon as it has a file, and nobody takes that over meanwhile.
            if sock.getsockname():
                _unlink(path)
            sock.close()
            raise


def _is_something_else(path: Optional[str]) -> bool:
    """Return whether something is there that is no socket, which Linux refuses like a stale one."""
    try:
        # Where a link leads to, as connecting does.
        return path is not None and not stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _file(path: str) -> Optional[_File]:
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return None
    return _File(path, facts.st_dev, facts.st_ino)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        # Somebody was quicker.
        pass


def _own_directory(directory: str) -> None:
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        # Whose it is and who may write there is looked at now.
        pass
    facts = os.lstat(directory)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise OSError(errno.EACCES, "{} is a link or belongs to somebody else".format(directory))
    if facts.st_mode & 0o077:
        os.chmod(directory, 0o700)


def _remove_stale(path: str) -> None:
    """Remove a socket of ours at which nobody listens. Raises OSError for anything else."""
    facts = os.lstat(path)
    if not stat.S_ISSOCK(facts.st_mode):
        raise OSError(errno.EEXIST, "{} exists and is not a socket".format(path))
    if facts.st_uid != os.geteuid():
        raise OSError(errno.EEXIST, "{} is another user's socket".format(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if sys.platform.startswith("linux"):
            # A name without a file, by which a listener knows it before it has gone. Whoever has it
            # now looks as well.
            with suppress(OSError):
                probe.bind(_LOOK + str(os.getpid()).encode("ascii"))
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            # A full queue: somebody listens.
            pass
    raise OSError(errno.EADDRINUSE, "another listener is at {}".format(path))


@contextmanager
def _locked(directory: str, clock: Clock) -> Iterator[None]:
    """Hold the lock on a directory, which keeps two processes from taking one socket over."""
    # Not there on Windows, which has none of these sockets.
    import fcntl

    handle = os.open(directory, os.O_RDONLY)
    deadline = clock.monotonic() + _LOCK_TIMEOUT
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic() >= deadline:
                    raise OSError(
                        errno.EAGAIN, "{} is locked by another process".format(directory)
                    ) from None
                clock.sleep(_RETRY)
            except OSError:
                # Some network file systems lock no directories; there is nothing to hold then.
                break
        yield
    finally:
        # Closing gives the lock back.
        os.close(handle)
