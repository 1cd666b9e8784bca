"""The file that stands for a unix socket where there are none: it leads clients to a port.

It is JSON, mode 0600: ``{"port": number, "key": hex, "pid": number}``. Beside it lies a lock file
that the server holds for as long as it lives: whoever holds that, and nobody else, writes or
removes the file. Blocking, for moments; any thread.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from typing import NamedTuple, Optional

from .._compat import replace
from ..address import private_directories
from ..clock import Clock
from ..errors import RemoteProtocolError
from ..registry.locking import Sentinel, open_plain
from ..rpc.content import packed, read_object

__all__ = ["Contents", "PlaceFile", "read"]

_KEY = 32
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Bytes; more than any such file has.
_MOST = 4096


class Contents(NamedTuple):
    """What a file says. ``key``: new for each start, so whoever has the port next has another."""

    port: int
    key: str


def read(path: str) -> Contents:
    """Return what a file says. Raises OSError, and ValueError if it is no file of a server."""
    return _parse(_read(path))


class PlaceFile:
    """A file that is ours, from the lock to the end. Raises OSError where it cannot be."""

    def __init__(self, path: str) -> None:
        _make_own_directory(os.path.dirname(path))
        self._path = path
        self._data: Optional[bytes] = None
        self._owner = os.getpid()
        self._sentinel = _hold(path)
        try:
            _demand_ours(path)
        except BaseException:
            # Whatever it was goes on to the caller; the lock is not kept.
            self._sentinel.release()
            raise

    def write(self, port: int, clock: Clock) -> str:
        """Have the file lead to a port; return its key."""
        key = clock.token_bytes(_KEY).hex()
        data = packed({"port": port, "key": key, "pid": os.getpid()})
        # Before it is there: removed is only what has just this in it.
        self._data = data
        _write(self._path, data, clock)
        return key

    def remove(self) -> None:
        """Leave nothing behind; in a forked child nothing happens."""
        if os.getpid() != self._owner:
            return  # the parent's; what a child inherits of the lock is closed by its own hook
        try:
            # While the lock is held, nobody writes a file of his own between look and removal.
            if self._data is not None and _read(self._path) == self._data:
                os.unlink(self._path)
        except OSError:
            pass  # removed already, or nothing that could be read
        finally:
            self._sentinel.release()


def _hold(path: str) -> Sentinel:
    try:
        return Sentinel.hold(path + ".lock", 0o600)
    except BlockingIOError as error:
        raise OSError(error.errno, "another listener is at {}".format(path)) from None


def _make_own_directory(directory: str) -> None:
    if directory not in private_directories():
        return
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    facts = os.lstat(directory)
    if not stat.S_ISDIR(facts.st_mode):
        raise OSError("{} is no directory".format(directory))
    if hasattr(os, "geteuid"):
        if facts.st_uid != os.geteuid():
            raise OSError("{} belongs to somebody else".format(directory))
        if facts.st_mode & 0o077:
            os.chmod(directory, 0o700)


def _demand_ours(path: str) -> None:
    """Raise OSError if something else than a file of this kind is in the way."""
    try:
        read(path)
    except FileNotFoundError:
        pass
    except ValueError:
        raise OSError("{} exists and is no file of a server".format(path)) from None


def _read(path: str) -> bytes:
    handle = open_plain(path, os.O_RDONLY)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError("{} exists and is no file of a server".format(path))
        if hasattr(os, "geteuid") and facts.st_uid != os.geteuid():
            raise OSError("{} belongs to somebody else".format(path))
        return os.read(handle, _MOST)
    finally:
        os.close(handle)


def _parse(data: bytes) -> Contents:
    try:
        content = read_object(data, "the file")
    except RemoteProtocolError as error:
        raise ValueError(str(error)) from None
    port, key = content.get("port"), content.get("key")
    if type(port) is not int or not 0 < port < 1 << 16:
        raise ValueError("it has no port")
    if not isinstance(key, str) or _HEX.fullmatch(key) is None:
        raise ValueError("it has no key")
    return Contents(port, key)


def _write(path: str, data: bytes, clock: Clock) -> None:
    """Write a file that is whole or not there, for this user only."""
    temporary = "{}.{}".format(path, clock.token_bytes(6).hex())
    try:
        handle = open_plain(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
        replace(temporary, path, clock.sleep)
    except BaseException:
        # What went wrong is what is told, a Ctrl-C too; half a file stays only if it must.
        with suppress(OSError):
            os.unlink(temporary)
        raise
