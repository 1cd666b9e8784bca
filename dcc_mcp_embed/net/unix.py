"""Unix sockets: whose they are, and how a path is taken and taken over. Blocking; any thread.

A socket is reachable for its user only: mode 0600, and in a directory of mode 0700 where the place
is our default. From bind to listen it looks like one that was left behind, so whoever binds or
takes over holds the lock on the directory.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import sys
from contextlib import contextmanager, suppress
from typing import Any, Iterator, Optional, Tuple

from ..address import private_directories
from ..clock import Clock
from ..records import NamedTuple
from .listener import BACKLOG

__all__ = ["RETRY", "File", "bind_unix", "file_at", "is_a_look", "is_own_user"]

#: One try to connect to a unix socket whose queue is full fails at once (Linux); the next after
#: this time.
RETRY = 0.005
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


class File(NamedTuple):
    """Which file a path was. The path is absolute: the process may change its directory."""

    path: str
    device: int
    inode: int


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


def is_a_look(sock: socket.socket, name: Any) -> bool:
    """Return whether the other end is :func:`_remove_stale`, or has gone without a word as well."""
    if isinstance(name, bytes) and name.startswith(_LOOK):
        return True
    sock.setblocking(False)
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        sock.setblocking(True)


def bind_unix(path: str, clock: Clock) -> Tuple[socket.socket, Optional[File]]:
    """Return a non-blocking socket that listens at ``path``, and the file that it has there.

    Takes the path over from a socket of this user's at which nobody listens. Raises OSError.
    """
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
            file = file_at(os.path.abspath(path))
            sock.listen(BACKLOG)
            sock.setblocking(False)
            return sock, file
        except BaseException:
            # It has a name as soon as it has a file, and nobody takes that over meanwhile.
            if sock.getsockname():
                _unlink(path)
            sock.close()
            raise


def file_at(path: str) -> Optional[File]:
    """Return which file a path is, None if there is none. Raises OSError."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return None
    return File(path, facts.st_dev, facts.st_ino)


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
                clock.sleep(RETRY)
            except OSError:
                # Some network file systems lock no directories; there is nothing to hold then.
                break
        yield
    finally:
        # Closing gives the lock back.
        os.close(handle)
