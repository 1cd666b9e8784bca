"""Change a file of somebody else: a backup, then the new content in one step."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import Callable, Optional

from .._compat import replace
from ..errors import ConfigError

__all__ = ["BACKUP", "read", "rewrite"]

#: What a backup is called behind the name of its file. It holds what was there before the last
#: change.
BACKUP = ".before-dcc-mcp-embed"


def read(path: str) -> Optional[bytes]:
    """Return what is in a file, None if there is none. Raises ConfigError."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError("{} cannot be read: {}".format(path, error.strerror)) from error


def rewrite(
    path: str,
    before: Optional[bytes],
    after: Optional[bytes],
    sleep: Callable[[float], None],
    private: bool = False,
) -> Optional[str]:
    """Put ``after`` in place of ``before``; return the path of the backup, None if none was made.

    None stands for no file. A link stays, what it leads to is changed. The file keeps its mode; a
    new one, and one that is ``private``, is for the user alone. At every moment there is the old
    file or the new one. Raises ConfigError, also if somebody has changed the file meanwhile.
    """
    # A configuration that is kept elsewhere and linked here is to stay linked.
    path = os.path.realpath(path)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        mode = stat.S_IMODE(os.stat(path).st_mode) if before is not None else 0o600
        if private:
            mode &= 0o700
        backup = None
        if before is not None and after is not None:
            backup = path + BACKUP
            _write(backup, before, mode, sleep)
        if read(path) != before:
            raise ConfigError(
                "{} was changed by somebody else just now; nothing was done to it".format(path)
            )
        if after is None:
            os.unlink(path)
        else:
            _write(path, after, mode, sleep)
        return backup
    except OSError as error:
        raise ConfigError("{} cannot be changed: {}".format(path, error.strerror)) from error


def _write(path: str, content: bytes, mode: int, sleep: Callable[[float], None]) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".dcc-mcp-embed-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        _keep_owner(path, temporary)
        replace(temporary, path, sleep)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def _keep_owner(path: str, temporary: str) -> None:
    """Give a new file to whom the old one belongs: root may be configuring for somebody."""
    if not hasattr(os, "chown") or not os.path.exists(path):
        return
    old, new = os.stat(path), os.stat(temporary)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.chown(temporary, old.st_uid, old.st_gid)
