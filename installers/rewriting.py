"""Change a file of somebody else: a backup, then the new content in one step."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import Callable, Optional, Union

from .._compat import replace
from ..errors import ConfigError

__all__ = ["BACKUP", "backup_of", "forget", "read", "rewrite"]

#: What a backup is called behind the name of its file.
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


def backup_of(path: str) -> str:
    """Return where the backup of a file is, if it has one: beside what a link leads to."""
    return os.path.realpath(path) + BACKUP


def forget(path: str) -> None:
    """Delete the backup of a file, if it has one. Raises ConfigError."""
    backup = backup_of(path)
    try:
        os.unlink(backup)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError("{} cannot be deleted: {}".format(backup, error.strerror)) from error


def rewrite(
    path: str,
    before: Optional[bytes],
    after: Optional[bytes],
    sleep: Callable[[float], None],
    private: bool = False,
    keep: bool = True,
) -> Optional[str]:
    """Put ``after`` in place of ``before``; return the path of the backup, None if none was made.

    None stands for no file; ``keep``: whether what was there is to become the backup. A link
    stays, what it leads to is changed. The file keeps its mode and owner; a new one, and one that
    is ``private``, is for the user alone. At every moment there is the old file or the new one.
    Raises ConfigError, also if somebody has changed the file meanwhile.
    """
    # A configuration that is kept elsewhere and linked here is to stay linked.
    path = os.path.realpath(path)
    try:
        _make_folder(os.path.dirname(path))
        mode = stat.S_IMODE(os.stat(path).st_mode) if before is not None else 0o600
        if private:
            mode &= 0o700
        backup = None
        if keep and before is not None and after is not None:
            backup = path + BACKUP
            _write(backup, path, before, mode, sleep)
        if read(path) != before:
            raise ConfigError(
                "{} was changed by somebody else just now; nothing was done to it".format(path)
            )
        if after is None:
            os.unlink(path)
        else:
            _write(path, path, after, mode, sleep)
        return backup
    except OSError as error:
        raise ConfigError("{} cannot be changed: {}".format(path, error.strerror)) from error


def _write(
    path: str, model: str, content: bytes, mode: int, sleep: Callable[[float], None]
) -> None:
    """Write a file that belongs to whom ``model`` belongs, or if there is none, its folder."""
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=".dcc-mcp-embed-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            if os.path.exists(model):
                _give(stream.fileno(), os.stat(model))
            elif _is_root():
                _give(stream.fileno(), os.stat(folder))
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        replace(temporary, path, sleep)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def _make_folder(path: str) -> None:
    """Make a folder for the user alone, in as many others as are missing."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    _make_folder(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        # By somebody else just now, unless it is no folder.
        if not os.path.isdir(path):
            raise
        return
    if _is_root():
        _give(path, os.stat(parent))


def _is_root() -> bool:
    """Return whether this may be somebody who configures for another: only root can give away."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _give(what: Union[int, str], like: os.stat_result) -> None:
    """Have a file of ours, by descriptor or path, belong to whom another belongs."""
    if not hasattr(os, "chown"):
        return
    own = os.stat(what)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        os.chown(what, like.st_uid, like.st_gid)
