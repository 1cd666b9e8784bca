"""One random secret per user, and what is derived from it.

The secret itself never leaves its file: not over a wire, not into a log, a row, a URL or an argv.
A client gets a token for one kind of host and port, so that whoever captures it has one endpoint.
The server proves itself with an answer to a challenge before a client of ours shows a token.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import contextmanager, suppress
from typing import Dict, Iterator

from ._compat import replace
from .clock import Clock
from .digest import hmac_sha256
from .errors import ConfigError
from .parsing import loads

__all__ = ["Secret", "open_secret", "retire_token", "rotate_secret"]

_SIZE = 32
_TOKEN_LENGTH = 40
SECRET_FILE = "secret"
RETIRED_FILE = "retired.json"
_ROTATE = "run `python3 -m dcc_mcp_embed secret rotate`"


class Secret:
    """The user's secret and the tokens made from it. Any thread; immutable but for retirements."""

    def __init__(self, value: bytes, retired: Dict[str, int]) -> None:
        self._value = value
        self._retired = retired

    def token(self, kind: str, port: int) -> str:
        """Return the token for one kind of host on one port: 40 hexadecimal digits (160 bits)."""
        place = "{}|{}".format(kind, port)
        generation = self._retired.get(place, 0)
        text = "http|{}|{}".format(place, generation) if generation else "http|" + place
        return self._mac(text)[:_TOKEN_LENGTH]

    def proof(self, kind: str, port: int, challenge: str) -> str:
        """Return what only a holder of the secret can answer to ``challenge``."""
        return self._mac("proof|{}|{}|{}".format(kind, port, challenge))

    def wire_key(self) -> bytes:
        """Return the key with which both ends of a framed connection prove that they know us."""
        return hmac_sha256(self._value, b"framed")

    def _mac(self, text: str) -> str:
        return hmac_sha256(self._value, text.encode("utf-8")).hex()

    def __repr__(self) -> str:
        return "<Secret>"


def open_secret(directory: str, clock: Clock) -> Secret:
    """Return the user's secret, making directory (0700) and file (0600) at the first call.

    Raises ConfigError when either is a link or somebody else's: such a place is not trusted.
    Reads two small files on the calling thread.
    """
    path = os.path.join(directory, SECRET_FILE)
    with _explained(directory):
        _own_directory(directory)
        try:
            value = _read_private(path)
        except FileNotFoundError:
            _write_private(path, clock.token_bytes(_SIZE), clock, exclusive=True)
            value = _read_private(path)
        retired = _read_retired(os.path.join(directory, RETIRED_FILE))
    if len(value) != _SIZE:
        raise ConfigError(
            "{} is damaged ({} bytes instead of {}); {}".format(path, len(value), _SIZE, _ROTATE)
        )
    return Secret(value, retired)


def rotate_secret(directory: str, clock: Clock) -> None:
    """Replace the secret: every token ever given out stops working at the next server start.

    Raises ConfigError. Blocks for two small files.
    """
    with _explained(directory):
        _own_directory(directory)
        _write_private(os.path.join(directory, SECRET_FILE), clock.token_bytes(_SIZE), clock)
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, RETIRED_FILE))


@contextmanager
def _explained(directory: str) -> Iterator[None]:
    """Raise ConfigError instead of an OSError: the place is the user's to mend."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            "{} cannot be used for the secret: {}. Mend it, or set DCC_MCP_EMBED_HOME to another "
            "directory.".format(directory, error)
        ) from error


def retire_token(directory: str, kind: str, port: int, clock: Clock) -> None:
    """Make the token of one place worthless: a stranger may have been shown it.

    Raises ConfigError. Blocks for two small files.
    """
    path = os.path.join(directory, RETIRED_FILE)
    with _explained(directory):
        retired = _read_retired(path)
        place = "{}|{}".format(kind, port)
        retired[place] = retired.get(place, 0) + 1
        _write_private(path, json.dumps(retired, sort_keys=True).encode("ascii"), clock)


def _own_directory(directory: str) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if not hasattr(os, "getuid"):
        # Windows: the user's local application data is private by its inherited ACL.
        return
    facts = os.lstat(directory)
    if stat.S_ISLNK(facts.st_mode) or facts.st_uid != os.getuid():
        raise ConfigError(
            "{} is a link or belongs to somebody else; set DCC_MCP_EMBED_HOME to a directory of "
            "your own".format(directory)
        )
    if facts.st_mode & 0o077:
        os.chmod(directory, 0o700)


def _read_private(path: str) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        facts = os.fstat(handle)
        if hasattr(os, "getuid"):
            if facts.st_uid != os.getuid():
                raise ConfigError("{} belongs to somebody else; remove it".format(path))
            if facts.st_mode & 0o077:
                os.fchmod(handle, 0o600)
        return os.read(handle, 65536)
    finally:
        os.close(handle)


def _write_private(path: str, content: bytes, clock: Clock, exclusive: bool = False) -> None:
    """Write a file that is whole or not there. ``exclusive``: another process's file is kept."""
    temporary = "{}.{}".format(path, clock.token_bytes(6).hex())
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(temporary, flags | getattr(os, "O_BINARY", 0), 0o600)
    try:
        try:
            if os.write(handle, content) < len(content):
                # It took some of it: the next byte would be refused.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
            os.fsync(handle)
        finally:
            os.close(handle)
        if not exclusive:
            replace(temporary, path, clock.sleep)
            return
        try:
            # link() fails if the name exists: of two hosts that start together one wins.
            os.link(temporary, path)
        except FileExistsError:
            # Somebody else's is there and is taken instead.
            pass
        except (OSError, NotImplementedError, AttributeError):
            # No hard links here (exFAT, some network homes): the later of two writers wins.
            if not os.path.exists(path):
                replace(temporary, path, clock.sleep)
                return
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _read_retired(path: str) -> Dict[str, int]:
    """Return place -> generation. Raises ConfigError for a damaged file: it guards old tokens."""
    try:
        content = loads(_read_private(path).decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(n, int) for n in content.values()):
        raise ConfigError("{} is damaged; {}".format(path, _ROTATE))
    return content
