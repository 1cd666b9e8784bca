"""Where a SocketServer listens and a SocketClient finds it, and with which key they say hello.

There are three kinds of place, told apart by the arguments that both ends are given alike:

    socket_path   a unix socket; where the system has none, a private file that leads to a port
    host, port    TCP, on this machine only: what is sent is not encrypted
    none          a unix socket (or such a file) in the user's own directory, named by account_id

Such a file is JSON, mode 0600: ``{"port": number, "key": hex, "pid": number}``. The key is new for
each start and is part of the one for the hello, so whoever has the port next is not taken for the
server. Beside it lies a lock file that the server holds for as long as it lives.

Blocking, for moments; any thread.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import socket
import stat
import sys
from typing import Any, Callable, Dict, NamedTuple, Optional, Union

from .._compat import replace
from ..address import TransportAddress, private_directories
from ..clock import Clock
from ..config import data_dir
from ..errors import ConfigError
from ..net.sockets import BoundSocket, bind_address
from ..registry.locking import Sentinel, open_plain
from ..secret import Secret, open_secret
from ..transport_errors import IpcConnectionFailed

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
#: None: the user's own.
SecretLike = Union[None, str, bytes, Secret]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
#: So much of an account's name is in the default path, for a person to read.
_READABLE = 24
_KEY = 32
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: More than any such file has.
_MOST = 4096


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
    key = _key(secret, clock)
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
    _check(secret)
    if account_id is not None and not isinstance(account_id, str):
        raise TypeError("account_id must be a text, not {!r}".format(account_id))


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
    _check(secret)

    def find() -> Target:
        key = _key(secret, clock)
        if isinstance(place, TransportAddress):
            return Target(place, key)
        return _read(place, key)

    return find


# The place.


def _place(
    socket_path: Optional[Path], account_id: Optional[str], host: Optional[str], port: Optional[int]
) -> Union[TransportAddress, str]:
    """Return the address, or the path of the file that leads to it."""
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


def _tcp(host: str, port: Optional[int]) -> TransportAddress:
    if port is None:
        raise ConfigError("give a port with the host {!r}".format(host))
    try:
        address = TransportAddress.tcp(host, port)
    except OverflowError as error:
        raise ConfigError(str(error)) from None
    name = address.host or ""
    if name not in ("localhost", "::1") and re.fullmatch(r"127(\.[0-9]+){3}", name) is None:
        raise ConfigError(
            "host must be this machine's (127.0.0.1, ::1, localhost), not {!r}: what is sent is "
            "not encrypted. Reach another machine through a tunnel.".format(host)
        )
    return address


def _default_path(account_id: Optional[str]) -> str:
    name = "default" if account_id is None else account_id
    if not isinstance(name, str):
        raise TypeError("account_id must be a text, not {!r}".format(account_id))
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    # Readable, and still another name for each account: also where case does not count.
    file = "ipc-{}-{}.sock".format(_UNSAFE.sub("_", name)[:_READABLE], digest)
    directories = private_directories()
    fitting = [one for one in directories if len(os.fsencode(os.path.join(one, file))) <= 100]
    return os.path.join((fitting or directories)[0], file)


# The key.


def _check(secret: SecretLike) -> None:
    if isinstance(secret, (str, bytes)):
        if not secret:
            raise ConfigError("secret is empty: leave it out for the user's own, or give a text")
    elif secret is not None and not isinstance(secret, Secret):
        raise TypeError("secret must be a text or bytes, not {}".format(type(secret).__name__))


def _key(secret: SecretLike, clock: Clock) -> bytes:
    _check(secret)
    if isinstance(secret, str):
        secret = secret.encode("utf-8", "surrogatepass")
    if isinstance(secret, bytes):
        return hmac.new(secret, b"ipc", hashlib.sha256).digest()
    if secret is None:
        secret = open_secret(data_dir(os.environ, sys.platform), clock)
    return secret.wire_key()


def _mixed(key: bytes, file_key: str) -> bytes:
    return hmac.new(key, b"ipc|" + file_key.encode("ascii"), hashlib.sha256).digest()


# The file that stands for a unix socket.


def _listen_by_file(path: str, key: bytes, clock: Clock) -> Listening:
    try:
        _make_own_directory(os.path.dirname(path))
        sentinel = _hold(path)
    except OSError as error:
        raise _failed(path, "bind failed: " + _told(error)) from error
    try:
        _demand_ours(path)
        bound = bind_address(TransportAddress.tcp("127.0.0.1", 0), clock)
    except BaseException as error:
        sentinel.release()
        if isinstance(error, OSError):
            raise _failed(path, "bind failed: " + _told(error)) from error
        raise
    try:
        file_key = clock.token_bytes(_KEY).hex()
        content = {"port": bound.address.port, "key": file_key, "pid": os.getpid()}
        data = json.dumps(content).encode("ascii")
        _write(path, data, clock)
    except BaseException as error:
        bound.close()
        sentinel.release()
        if isinstance(error, OSError):
            raise _failed(path, "bind failed: " + _told(error)) from error
        raise
    owner = os.getpid()

    def clean() -> None:
        if os.getpid() != owner:
            return  # the parent's; what a child inherits of the lock is closed by its own hook
        try:
            # While the lock is held, nobody writes a file of his own between look and removal.
            if _contents(path) == data:
                os.unlink(path)
        except OSError:
            pass  # removed already, or nothing that could be read
        finally:
            sentinel.release()

    return Listening(bound, _mixed(key, file_key), clean)


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
        _parse(_contents(path))
    except FileNotFoundError:
        pass
    except ValueError:
        raise OSError("{} exists and is no file of a server".format(path)) from None


def _contents(path: str) -> bytes:
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


def _parse(data: bytes) -> Dict[str, Any]:
    """Return what a file says. Raises ValueError."""
    content = json.loads(data.decode("utf-8"))
    if not isinstance(content, dict):
        raise ValueError("no object")
    port, key = content.get("port"), content.get("key")
    if not (type(port) is int and 0 < port < 1 << 16 and isinstance(key, str)):
        raise ValueError("no port, or no key")
    if _HEX.fullmatch(key) is None:
        raise ValueError("no key")
    return content


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
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _read(path: str, key: bytes) -> Target:
    try:
        content = _parse(_contents(path))
    except OSError as error:
        raise _failed(path, _told(error)) from error
    except ValueError:
        raise _failed(path, "it is no file of a server") from None
    return Target(TransportAddress.tcp("127.0.0.1", content["port"]), _mixed(key, content["key"]))


def _told(error: OSError) -> str:
    return error.strerror or str(error)


def _failed(path: str, reason: str) -> IpcConnectionFailed:
    return IpcConnectionFailed("file://" + path, reason)
