"""Where a framed connection goes: a TCP port, a unix socket or a Windows named pipe, as a value.

No I/O; names, texts and rules are the reference's (dcc-mcp-core 0.12), but for two: IPv6 hosts
work, and default unix sockets are in a directory of the user's own.
"""

from __future__ import annotations

import enum
import os
import re
import zlib
from typing import Any, Callable, Dict, Optional, Tuple, Union

__all__ = ["TransportAddress", "TransportScheme", "private_directories"]

_WINDOWS = os.name == "nt"
_PIPE_PREFIX = "\\\\.\\pipe\\"
#: The kernel takes 104 bytes on macOS and 108 on Linux, its end mark included; what is left is for
#: the suffix that a second listener of one process needs.
_MAX_PATH = 100
_U16 = 0xFFFF
_U32 = 0xFFFFFFFF
_PORT = re.compile(r"\+?[0-9]+", re.ASCII)
_UNSAFE = re.compile(rb"[^A-Za-z0-9._-]")
_TEXTS = {"tcp": "tcp://{}:{}", "pipe": "pipe://{}", "unix": "unix://{}"}


class TransportAddress:
    """An address; immutable, equal and hashed by value. Made by its static methods."""

    __slots__ = ("_parts", "_scheme")

    def __init__(self, scheme: str, *parts: Any) -> None:
        self._scheme = scheme
        self._parts = parts

    @staticmethod
    def tcp(host: str, port: int) -> TransportAddress:
        """Make a TCP address; an IPv6 ``host`` may have brackets. Raises OverflowError, TypeError.

        Port 0 stands for any free one when bound.
        """
        host = _unbracketed(_text(host, "host"))
        return TransportAddress("tcp", host, _unsigned(port, _U16, "port"))

    @staticmethod
    def named_pipe(name: str) -> TransportAddress:
        r"""Make a named pipe's address; ``\\.\pipe\`` is put in front unless it is there.

        Raises TypeError, ValueError.
        """
        name = _whole(_text(name, "name"), "name")
        return TransportAddress(
            "pipe", name if name.startswith(_PIPE_PREFIX) else _PIPE_PREFIX + name
        )

    @staticmethod
    def unix_socket(path: Union[str, os.PathLike[str]]) -> TransportAddress:
        """Make a unix socket's address. Raises TypeError, ValueError."""
        return TransportAddress("unix", _whole(_text(os.fspath(path), "path"), "path"))

    @staticmethod
    def default_local(dcc_type: str, pid: int) -> TransportAddress:
        """Return the address a host of this kind and process has by default on this system."""
        if _WINDOWS:
            return TransportAddress.default_pipe_name(dcc_type, pid)
        return TransportAddress.default_unix_socket(dcc_type, pid)

    @staticmethod
    def default_pipe_name(dcc_type: str, pid: int) -> TransportAddress:
        r"""Return the address of the pipe ``\\.\pipe\dcc-mcp-{dcc_type}-{pid}``."""
        return TransportAddress.named_pipe(_name(_text(dcc_type, "dcc_type"), pid))

    @staticmethod
    def default_unix_socket(dcc_type: str, pid: int) -> TransportAddress:
        """Return the address of ``dcc-mcp-{dcc_type}-{pid}.sock`` in the user's own directory.

        What cannot stand in a file name is written in hexadecimal, and a name that would make the
        path too long for a socket is cut and given a checksum.
        """
        raw = _text(dcc_type, "dcc_type").encode("utf-8", "surrogatepass")
        plain = _UNSAFE.sub(_escape, raw).decode("ascii")
        short = "{}~{:08x}".format(plain[:8], zlib.crc32(plain.encode("ascii")))
        directories = private_directories()
        paths = [
            os.path.join(directory, _name(label, pid) + ".sock")
            for directory in directories
            for label in (plain, short)
        ]
        fitting = [path for path in paths if len(os.fsencode(path)) <= _MAX_PATH]
        return TransportAddress.unix_socket((fitting or paths)[0])

    @staticmethod
    def parse(s: str) -> TransportAddress:
        """Read ``tcp://host:port``, ``unix://path`` or ``pipe://name``. Raises ValueError."""
        scheme, separator, rest = _text(s, "s").partition("://")
        if separator and scheme == "pipe":
            return TransportAddress.named_pipe(rest)
        if separator and scheme == "unix":
            return TransportAddress.unix_socket(rest)
        if not separator or scheme != "tcp":
            raise ValueError(
                "unknown scheme in '{}'; expected tcp://, pipe://, or unix://".format(s)
            )
        host, colon, port = rest.rpartition(":")
        if not colon:
            raise ValueError("missing host in '{}'".format(s))
        if _PORT.fullmatch(port) is None or len(port) > 20 or int(port) > _U16:
            raise ValueError("invalid port '{}' in '{}'".format(port, s))
        return TransportAddress.tcp(host, int(port))

    @property
    def scheme(self) -> str:
        """``tcp``, ``pipe`` or ``unix``."""
        return self._scheme

    @property
    def is_local(self) -> bool:
        """Whether only this machine can be meant; a TCP host is judged by its text."""
        return self._scheme != "tcp" or _is_local(self._parts[0])

    @property
    def is_tcp(self) -> bool:
        """Whether this is a TCP address."""
        return self._scheme == "tcp"

    @property
    def is_named_pipe(self) -> bool:
        """Whether this is a named pipe's address."""
        return self._scheme == "pipe"

    @property
    def is_unix_socket(self) -> bool:
        """Whether this is a unix socket's address."""
        return self._scheme == "unix"

    @property
    def host(self) -> Optional[str]:
        """The host of a TCP address, an IPv6 one without brackets; else None."""
        return self._parts[0] if self._scheme == "tcp" else None

    @property
    def port(self) -> Optional[int]:
        """The port of a TCP address; else None."""
        return self._parts[1] if self._scheme == "tcp" else None

    @property
    def path(self) -> Optional[str]:
        """The path of a unix socket or a named pipe; else None."""
        return self._parts[0] if self._scheme != "tcp" else None

    def to_connection_string(self) -> str:
        """Return the text that :meth:`parse` reads."""
        parts = self._parts
        if self._scheme == "tcp" and ":" in parts[0]:
            parts = ("[{}]".format(parts[0]), parts[1])
        return _TEXTS[self._scheme].format(*parts)

    def __str__(self) -> str:
        return self.to_connection_string()

    def __repr__(self) -> str:
        return "TransportAddress({})".format(self.to_connection_string())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TransportAddress):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Tuple[Any, ...]:
        return TransportAddress, self._key()

    def _key(self) -> Tuple[Any, ...]:
        return (self._scheme, *self._parts)


class TransportScheme(enum.Enum):
    """Which kind of address to prefer for a host. ``int()`` gives the reference's number."""

    AUTO = 0
    TCP_ONLY = 1
    PREFER_NAMED_PIPE = 2
    PREFER_UNIX_SOCKET = 3
    PREFER_IPC = 4

    def select_address(
        self, dcc_type: str, host: str, port: int, pid: Optional[int] = None
    ) -> TransportAddress:
        """Return the address by which to reach a host.

        Anything but TCP needs a local ``host``, its ``pid``, and a system that has the kind.
        """
        default = _PREFERRED[self][_WINDOWS]
        if default is None or not pid or not _is_local(host):
            return TransportAddress.tcp(host, port)
        return default(dcc_type, pid)

    def __int__(self) -> int:
        return int(self.value)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return "TransportScheme." + self.name


_Maker = Optional[Callable[[str, int], TransportAddress]]
_PIPE: _Maker = TransportAddress.default_pipe_name
_UNIX: _Maker = TransportAddress.default_unix_socket
#: What is preferred to TCP, if anything: on other systems, on Windows.
_PREFERRED: Dict[TransportScheme, Tuple[_Maker, _Maker]] = {
    TransportScheme.AUTO: (_UNIX, _PIPE),
    TransportScheme.TCP_ONLY: (None, None),
    TransportScheme.PREFER_NAMED_PIPE: (None, _PIPE),
    TransportScheme.PREFER_UNIX_SOCKET: (_UNIX, None),
    TransportScheme.PREFER_IPC: (_UNIX, _PIPE),
}


def private_directories() -> Tuple[str, ...]:
    """Return where default unix sockets may be, the preferred place first. Nothing is created.

    A directory of this user's own below the temporary one (a shared temporary directory with
    predictable names is where a stranger waits), or below ``/tmp`` if that path is too long.
    """
    # Seldom needed, and it loads shutil and random.
    import tempfile

    name = "dcc-mcp-{}".format(os.getuid()) if hasattr(os, "getuid") else "dcc-mcp"
    places = [os.path.join(tempfile.gettempdir(), name)]
    if not _WINDOWS:
        places.append(os.path.join("/tmp", name))
    return tuple(dict.fromkeys(places))


def _unbracketed(host: str) -> str:
    return host[1:-1] if ":" in host and host[0] == "[" and host[-1] == "]" else host


def _is_local(host: str) -> bool:
    host = _unbracketed(host)
    return host in ("localhost", "::1", "0.0.0.0", "::") or host.startswith("127.")


def _name(label: str, pid: int) -> str:
    return "dcc-mcp-{}-{}".format(label, _unsigned(pid, _U32, "pid"))


def _escape(match: Any) -> bytes:
    return b"%%%02x" % match.group()[0]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError("{} must be a string, not {!r}".format(name, value))
    return value


def _whole(value: str, name: str) -> str:
    """Return a path that the system takes as it stands: it would end at a NUL."""
    if "\0" in value:
        raise ValueError("{} must not contain a NUL: {!r}".format(name, value))
    return value


def _unsigned(value: Any, most: int, name: str) -> int:
    if not isinstance(value, int):
        raise TypeError("{} must be an integer, not {!r}".format(name, value))
    if not 0 <= value <= most:
        raise OverflowError("{} must be from 0 to {}, not {}".format(name, most, value))
    return int(value)
