"""Whether a tree is still the one that was there when something was planned for it.

What is owed is carried out at some later start. Somebody may have installed anew at the same place
meanwhile, and that must not be deleted for what was there before. Or the volume is not mounted:
then nothing is there to be seen, and it is not gone.
"""

from __future__ import annotations

import os
import sys

from .disk import extended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

__all__ = ["identity_of", "is_mounted", "is_still", "volume_of"]


def identity_of(path: str) -> Optional[Dict[str, Any]]:
    """Return what tells the tree at ``path`` from a later one, for JSON; None: there is nothing.

    ``inode``; not the volume's number, which another Python or a restart may change. With it
    ``born`` (nanoseconds) where the system knows when a folder was made, elsewhere ``latest``: when
    the youngest entry of the top level was changed, by the file system's clock. Raises OSError for
    what cannot be looked at.
    """
    facts = _facts(path)
    if facts is None:
        return None
    found: Dict[str, Any] = {"inode": facts.st_ino}
    born = _born(facts)
    if born is None:
        found["latest"] = max(_changes(path, facts))
    else:
        found["born"] = born
    return found


def is_still(known: Optional[Dict[str, Any]], path: str) -> bool:
    """Return whether ``path`` has what ``identity_of`` said before. Raises OSError.

    The number of a deleted folder is soon given to another where its birth is not known. There it
    is the same tree only if something in it has not been changed since; in a new one all is new.
    """
    facts = _facts(path)
    if facts is None or known is None:
        return facts is None and known is None
    if known.get("inode") != facts.st_ino:
        return False
    born = _born(facts)
    if born is not None and "born" in known:
        return bool(known["born"] == born)
    latest = known.get("latest")
    return isinstance(latest, int) and any(at <= latest for at in _changes(path, facts))


def volume_of(path: str) -> str:
    """Return where the volume is mounted that ``path`` is on, which need not be there."""
    while not _is_mount(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def is_mounted(volume: str) -> bool:
    """Return whether a volume is where ``volume_of`` has seen it."""
    return _is_mount(volume) and os.path.exists(volume)


def _is_mount(path: str) -> bool:
    try:
        return os.path.ismount(path)
    except (OSError, ValueError):
        return False  # Windows: there is nothing


def _facts(path: str) -> Optional[os.stat_result]:
    """Return what the system says of ``path`` itself, which is not followed if it is a link."""
    try:
        return os.lstat(extended(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _born(facts: os.stat_result) -> Optional[int]:
    for name in ("st_birthtime_ns", "st_birthtime"):
        value = getattr(facts, name, None)
        if value is not None:
            return int(value * 1000000000) if isinstance(value, float) else int(value)
    if sys.platform == "win32":
        return facts.st_ctime_ns  # that is what it means there
    return None


def _changes(path: str, facts: os.stat_result) -> Iterator[int]:
    """Yield when the folder and each entry of it was changed last, in nanoseconds."""
    yield facts.st_ctime_ns
    try:
        names = os.listdir(extended(path))
    except NotADirectoryError:
        return
    for name in names:
        inner = _facts(os.path.join(path, name))
        if inner is not None:
            yield inner.st_ctime_ns
