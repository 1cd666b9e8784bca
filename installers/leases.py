"""Whether anybody runs a version, by what its start holds: ``payload.json`` of the version.

``boot.py`` has that file open for as long as its process lives, with a shared lock on POSIX. So a
host is seen from its first moment, before it has a row in the registry, and a bridge, which has
none. On Windows the open file alone keeps the folder from being moved, which is how it is removed.
"""

from __future__ import annotations

import os
import sys
from typing import Optional

from ..install_lifecycle.exclusive import open_plain, try_lock
from .manifest import MANIFEST, PACKAGE

__all__ = ["Taking", "is_held", "is_loaded_here"]

#: What ``boot.py`` keeps in the package that it has loaded.
_LEASE = "_lease"
#: What is loaded by whoever has started us, and by who serves.
_LOADED = (PACKAGE, PACKAGE + ".embed.place")


def is_loaded_here(folder: str) -> bool:
    """Return whether this process has loaded the version in ``folder``."""
    above = os.path.normcase(os.path.realpath(folder)) + os.sep
    files = (getattr(sys.modules.get(name), "__file__", None) for name in _LOADED)
    return any(
        os.path.normcase(os.path.realpath(file)).startswith(above)
        for file in files
        if isinstance(file, str)
    )


def is_held(folder: str) -> bool:
    """Return whether another process has started the version; False also where none can tell."""
    if os.name == "nt":
        return False
    own = _own(folder)
    if own is not None:
        return not _converted(own)
    handle = _opened(folder)
    if handle is None:
        return False
    try:
        return not try_lock(handle)
    except OSError:
        # Nothing can be locked on this file system: the registry has to do.
        return False
    finally:
        os.close(handle)


class Taking:
    """The right to remove a version: while it is held no start takes it. For one ``with``."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._handle: Optional[int] = None

    def __enter__(self) -> bool:
        """Return whether nobody else runs the version. A lease of this process ends."""
        own = _own(self._folder)
        if own is not None:
            del sys.modules[PACKAGE].__dict__[_LEASE]
            os.close(own)
        if os.name == "nt":
            return True
        self._handle = _opened(self._folder)
        try:
            return self._handle is None or try_lock(self._handle)
        except OSError:
            return True

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _own(folder: str) -> Optional[int]:
    """Return the file that this process holds of that version, if any."""
    package = sys.modules.get(PACKAGE)
    handle, where = (None, "") if package is None else package.__dict__.get(_LEASE, (None, ""))
    return handle if handle is not None and _same(where, folder) else None


def _converted(handle: int) -> bool:
    try:
        alone = try_lock(handle)
        try_lock(handle, shared=True)
    except OSError:
        return True
    return alone


def _opened(folder: str) -> Optional[int]:
    path = os.path.join(folder, MANIFEST)
    # To be written, without which a network file system locks for its own machine only.
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            return open_plain(path, flags)
        except OSError:
            continue
    return None


def _same(one: str, other: str) -> bool:
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))
