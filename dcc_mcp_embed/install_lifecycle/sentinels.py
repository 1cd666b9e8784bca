"""Whether whoever registered a row is still there: by its sentinel, else by its process.

The rules by which the registry's own code takes rows away (``registry/liveness.py``), so that of a
sentinel an installer is told nothing else than the server. (Of a sidecar's row without one, the
registry asks for the process that registered, ``states.py`` for the sidecar.) Age proves nothing.
"""

from __future__ import annotations

import os
import re
import stat

from .exclusive import open_plain, try_lock, unlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

__all__ = ["LOCKS", "held"]

#: Folder of the sentinels, inside the registry's directory.
LOCKS = "locks"


def held(path: object, directory: str) -> Optional[bool]:
    """Return whether somebody holds a row's sentinel; None if there is none, or it cannot be told.

    It is looked for in this registry's own folder, by its file name only: a row may name any path,
    a device among them, or spell it as another machine sees it. Holds a shared lock for a moment.
    """
    if not isinstance(path, str) or not path:
        return None
    locks = os.path.join(directory, LOCKS)
    # Both kinds of separator: the row may come from another system, through a shared folder.
    folder, name = _split(path)
    if name in ("", ".", ".."):
        return None
    ours = os.path.join(locks, name)
    try:
        if not stat.S_ISREG(os.lstat(ours).st_mode):
            return None
        handle = open_plain(ours, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except FileNotFoundError:
        # Where the row means just this folder, its owner has taken the file away. Another spelling
        # may mean another folder; to resolve it would be a look at wherever it leads.
        known = (os.path.normpath(locks), os.path.realpath(locks))
        return False if not os.path.isabs(path) or os.path.normpath(folder) in known else None
    except (OSError, ValueError):
        return None
    try:
        # Shared, so that two who look do not take each other for the owner.
        if not try_lock(handle, shared=True):
            return True
        unlock(handle)
    except OSError:
        return None  # where nothing can be locked
    finally:
        os.close(handle)
    return False


def _split(path: str) -> tuple[str, str]:
    return os.path.dirname(path), re.split(r"[/\\]", path)[-1]
