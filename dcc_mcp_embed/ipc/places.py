"""Where a SocketServer listens and a SocketClient finds it, and with which key they say hello.

There are three kinds of place, told apart by the arguments that both ends are given alike:

    socket_path   a unix socket; where the system has none, a private file that leads to a port
    host, port    TCP, on this machine only: what is sent is not encrypted
    none          a unix socket (or such a file) in the user's own directory, named by account_id

See ``place_file`` for the file, ``keys`` for the keys.

Blocking, for moments; any thread.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any, Callable, NamedTuple, Optional, Union

from ..address import TransportAddress, private_directories
from ..clock import Clock
from ..digest import sha256
from ..errors import ConfigError
from ..net.sockets import BoundSocket, bind_address
from ..rpc.hello import NAME_LIMIT
from ..transport_errors import IpcConnectionFailed
from . import place_file
from .keys import SecretLike, check_secret, key_of, mixed
from .place_file import PlaceFile

__all__ = [
    "Listening",
    "Path",
    "SecretLike",
    "Target",
    "check",
    "has_unix_sockets",
    "listen",
    "locate",
]

Path = Union[str, "os.PathLike[str]"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
#: So much of an account's name is in the default path, for a person to read.
_READABLE = 24


def has_unix_sockets() -> bool:
    """Return whether this system has unix sockets that Python can use."""
    return os.name != "nt" and hasattr(socket, "AF_UNIX")


class Target(NamedTuple):
    """Where to connect to, and the key for the hello there."""

    address: TransportAddress
    key: bytes


class Listening:
    """A listening, non-blocking socket at a place. ``address`` is where it really listens."""

    def __init__(
        self, bound: BoundSocket, key: bytes, clean: Optional[Callable[[], Any]] = None
    ) -> None:
        self.sock = bound.sock
        self.address = bound.address
        #: For the hello.
        self.key = key
        self._bound = bound
        self._clean = clean

    def accept(self) -> Optional[socket.socket]:
        """Return a connected socket in blocking mode, or None: nobody waits, or a stranger did."""
        return self._bound.accept()

    def close(self) -> None:
        """Stop listening, and leave no file behind; idempotent.

        In a forked child only its own copies are closed.
        """
        clean, self._clean = self._clean, None
        try:
            if clean is not None:
                clean()
        finally:
            self._bound.close()

    def leave(self) -> None:
        """Leave no file behind at the end of the process, which closes the rest by itself.

        A loop may still be waiting for the socket, which on Windows must not be closed under it.
        """
        if self._clean is not None:
            clean, self._clean = self._clean, None
            clean()
        elif self.address.is_unix_socket:
            self._bound.close()


def listen(
    socket_path: Optional[Path],
    account_id: Optional[str],
    host: Optional[str],
    port: Optional[int],
    secret: SecretLike,
    clock: Clock,
) -> Listening:
    """Listen at a place. TCP port 0 takes any free one.

    What nobody uses any more is taken over; a place where somebody listens, or where something else
    stands, is left alone. Raises IpcConnectionFailed ("bind failed: …"), ConfigError, TypeError.
    """
    place = _place(socket_path, account_id, host, port)
    key = key_of(secret, clock)
    if isinstance(place, TransportAddress):
        return Listening(bind_address(place, clock), key)
    return _listen_by_file(place, key, clock)


def check(
    socket_path: Optional[Path],
    account_id: Optional[str],
    host: Optional[str],
    port: Optional[int],
    secret: SecretLike,
) -> None:
    """Raise ConfigError or TypeError if these name no place, or no secret."""
    _place(socket_path, account_id, host, port)
    check_secret(secret)


def locate(
    socket_path: Optional[Path],
    account_id: Optional[str],
    host: Optional[str],
    port: Optional[int],
    secret: SecretLike,
    clock: Clock,
) -> Callable[[], Target]:
    """Return a function that says where the server is now; ask it anew for each attempt.

    Raises ConfigError, TypeError for the arguments. The function raises IpcConnectionFailed when
    there is no server, and ConfigError when the user's secret cannot be read.
    """
    place = _place(socket_path, account_id, host, port)
    if isinstance(place, TransportAddress) and place.port == 0:
        raise ConfigError("port is 0: give the port at which the server listens")
    check_secret(secret)

    def find() -> Target:
        key = key_of(secret, clock)
        if isinstance(place, TransportAddress):
            return Target(place, key)
        return _read(place, key)

    return find


# The place.


def _place(
    socket_path: Optional[Path], account_id: Optional[str], host: Optional[str], port: Optional[int]
) -> Union[TransportAddress, str]:
    """Return the address, or the path of the file that leads to it."""
    _check_account(account_id)
    if host is not None or port is not None:
        if socket_path is not None:
            raise ConfigError("give either socket_path, or host and port, not both")
        return _tcp("127.0.0.1" if host is None else host, port)
    if socket_path is None:
        path = _default_path(account_id)
    else:
        path = os.fspath(socket_path)
        if not isinstance(path, str):
            raise TypeError("socket_path must be a text or a path, not {!r}".format(socket_path))
        if not path or "\0" in path:
            raise ConfigError("socket_path is no path: {!r}".format(path))
    return TransportAddress.unix_socket(path) if has_unix_sockets() else os.path.abspath(path)


def _check_account(account_id: Optional[str]) -> None:
    if account_id is None:
        return
    if not isinstance(account_id, str):
        raise TypeError("account_id must be a text, not {!r}".format(account_id))
    if len(account_id) > NAME_LIMIT:
        raise ConfigError(
            "account_id has {} characters, and may have {} at most: {:.40}...".format(
                len(account_id), NAME_LIMIT, account_id
            )
        )


def _tcp(host: str, port: Optional[int]) -> TransportAddress:
    if port is None:
        raise ConfigError("give a port with the host {!r}".format(host))
    if isinstance(port, bool):
        raise TypeError("port must be a whole number, not {!r}".format(port))
    try:
        address = TransportAddress.tcp(host, port)
    except OverflowError as error:
        raise ConfigError(str(error)) from None
    name = address.host or ""
    if name not in ("localhost", "::1") and re.fullmatch(r"127(\.[0-9]+){3}", name) is None:
        raise ConfigError(
            "host must be this machine's (127.0.0.1, ::1, localhost), not {!r}: what is sent is "
            "not encrypted. Reach another machine through a tunnel with the same port at both "
            "ends, and give both the same secret.".format(host)
        )
    return address


def _default_path(account_id: Optional[str]) -> str:
    name = "default" if account_id is None else account_id
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    # Readable, and still another name for each account: also where case does not count.
    file = "ipc-{}-{}.sock".format(_UNSAFE.sub("_", name)[:_READABLE], digest)
    directories = private_directories()
    fitting = [one for one in directories if len(os.fsencode(os.path.join(one, file))) <= 100]
    return os.path.join((fitting or directories)[0], file)


# By a file.


def _listen_by_file(path: str, key: bytes, clock: Clock) -> Listening:
    try:
        file = PlaceFile(path)
        # Whatever it is goes on to the caller, Ctrl-C too; neither port nor file is left behind.
        try:
            bound = bind_address(TransportAddress.tcp("127.0.0.1", 0), clock)
            try:
                file_key = file.write(bound.address.port or 0, clock)
            except BaseException:
                bound.close()
                raise
        except BaseException:
            file.remove()
            raise
    except OSError as error:
        raise _failed(path, "bind failed: " + _told(error)) from error
    return Listening(bound, mixed(key, file_key), file.remove)


def _read(path: str, key: bytes) -> Target:
    try:
        content = place_file.read(path)
    except OSError as error:
        raise _failed(path, _told(error)) from error
    except ValueError:
        raise _failed(path, "it is no file of a server") from None
    return Target(TransportAddress.tcp("127.0.0.1", content.port), mixed(key, content.key))


def _told(error: OSError) -> str:
    return error.strerror or str(error)


def _failed(path: str, reason: str) -> IpcConnectionFailed:
    return IpcConnectionFailed("file://" + path, reason)
