"""Whether a tree is still the one that was there when something was planned for it.

What is owed is carried out at some later start. Somebody may have installed anew at the same place
meanwhile, and that must not be deleted for what was there before.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

__all__ = ["has_its_files", "identity_of", "is_still"]

#: Files by which a tree is known that was moved into another folder, and folders looked into.
_WITNESSES = 8
_LOOKED_INTO = 32


def identity_of(path: str) -> Optional[Dict[str, Any]]:
    """Return what tells the tree at ``path`` from a later one, for JSON; None: there is nothing.

    ``inode``; not the volume's number, which another Python or a restart may change. With it
    ``born`` (nanoseconds) where the system knows when a folder was made, elsewhere ``latest``: when
    the youngest entry of the top level was changed, by the file system's clock. ``files``: of some,
    what tells them from others of the same name. Raises OSError for what cannot be looked at.
    """
    facts = _facts(path)
    if facts is None:
        return None
    found: Dict[str, Any] = {"inode": facts.st_ino}
    found["files"] = dict(_witnesses(path))
    born = _born(facts)
    if born is None:
        found["latest"] = max(_changes(path, facts))
    else:
        found["born"] = born
    return found


def is_still(known: Optional[Dict[str, Any]], path: str) -> bool:
    """Return whether ``path`` has what ``identity_of`` said before, or nothing. Raises OSError.

    The number of a deleted folder is soon given to another where its birth is not known. There it
    is the same tree only if something in it has not been changed since; in a new one all is new.
    """
    facts = _facts(path)
    if facts is None:
        return True
    if known is None or known.get("inode") != facts.st_ino:
        return False
    born = _born(facts)
    if born is not None and "born" in known:
        return bool(known["born"] == born)
    latest = known.get("latest")
    return isinstance(latest, int) and any(at <= latest for at in _changes(path, facts))


def has_its_files(known: Optional[Dict[str, Any]], path: str) -> bool:
    """Return whether the files are those of before, in whatever folder. Raises OSError.

    True of a tree that was put back file by file, which is another folder for ``is_still``.
    """
    files = (known or {}).get("files")
    if not isinstance(files, dict) or not files:
        return False
    return all(_file(os.path.join(path, *n.split("/"))) == told for n, told in files.items())


def _file(path: str) -> Optional[List[int]]:
    facts = _facts(path)
    if facts is None or not stat.S_ISREG(facts.st_mode):
        return None
    return [facts.st_ino, facts.st_mtime_ns, facts.st_size]


def _witnesses(root: str) -> Iterator[Tuple[str, List[int]]]:
    """Yield names below ``root`` (with slashes) and what is told of them, the nearest first."""
    count, folders = 0, [""]
    for below in folders:
        if len(folders) > _LOOKED_INTO:
            folders[_LOOKED_INTO:] = []
        for name in _names_in(os.path.join(root, below)):
            told = _file(os.path.join(root, below, name))
            if told is None:
                folders.append(below + name + "/")
                continue
            yield below + name, told
            count += 1
            if count == _WITNESSES:
                return


def _names_in(folder: str) -> List[str]:
    if os.path.islink(folder.rstrip(os.sep + "/")):
        return []
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []  # a file, or a folder that nobody may read


def _facts(path: str) -> Optional[os.stat_result]:
    """Return what the system says of ``path`` itself, which is not followed if it is a link."""
    try:
        return os.lstat(path)
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
        names = os.listdir(path)
    except NotADirectoryError:
        return
    for name in names:
        inner = _facts(os.path.join(path, name))
        if inner is not None:
            yield inner.st_ctime_ns
