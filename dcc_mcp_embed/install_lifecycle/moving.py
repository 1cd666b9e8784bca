"""The steps of removing and replacing a tree, each of which may be the last one of a process.

Everything happens in a holder: a folder beside the tree, so on its volume, with a name that only we
give. What lies in it says how far an operation came; ``recover`` needs nothing else.

    part   is being copied, or is rubbish           new   is whole (or the old tree, exchanged)
    old    was moved aside                          undo  ``old`` is on its way back, file by file

The visible path is whole, or absent with both ``old`` and ``new`` in the holder; then ``new`` is to
be put there. Whatever else is in a holder is rubbish. So ``new`` loses its name before it is
deleted.
"""

from __future__ import annotations

import os
import stat
import zlib

from . import locks
from .results import is_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from .disk import Disk
    from .locks import Patience

    #: What could not be deleted, and why.
    Kept = List[Tuple[str, OSError]]

__all__ = ["Holder", "delete", "holder_names", "open_holder", "recover", "stage", "stem_of"]

_MARK = ".dcc-mcp-embed-"
#: Bytes of a name that leave room for the rest on every file system (255).
_LONG = 180


def stem_of(name: str) -> str:
    """Return how the holders of a tree called ``name`` begin; a number follows."""
    if len(os.fsencode(name)) > _LONG:
        name = "{}~{:08x}".format(name[:40], zlib.crc32(os.fsencode(name)))
    return "." + name + _MARK


def holder_names(name: str, names: List[str]) -> List[str]:
    """Return which of ``names`` are holders of the tree ``name``, lower numbers first."""
    stem = os.path.normcase(stem_of(name))
    found = [
        (int(other[len(stem) :]), other)
        for other in names
        if os.path.normcase(other).startswith(stem) and other[len(stem) :].isdecimal()
    ]
    return [other for _, other in sorted(found)]


class Holder:
    """The paths in one holder."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.part = os.path.join(path, "part")
        self.new = os.path.join(path, "new")
        self.old = os.path.join(path, "old")
        self.undo = os.path.join(path, "undo")


def facts_of(disk: Disk, path: str) -> Optional[os.stat_result]:
    """Return the lstat of ``path``, None if there is nothing. Raises OSError."""
    try:
        return disk.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_holder(disk: Disk, tree: str) -> Holder:
    """Make a holder for ``tree``. Raises OSError."""
    parent, name = os.path.split(tree)
    number = 1
    while True:
        path = os.path.join(parent, "{}{}".format(stem_of(name), number))
        try:
            disk.mkdir(path)
        except FileExistsError:
            number += 1
        else:
            return Holder(path)


def find_holders(disk: Disk, tree: str) -> List[Holder]:
    """Return what earlier operations on ``tree`` left. Raises OSError."""
    parent, name = os.path.split(tree)
    try:
        names = disk.listdir(parent)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for other in holder_names(name, names):
        path = os.path.join(parent, other)
        facts = facts_of(disk, path)
        if facts is not None and stat.S_ISDIR(facts.st_mode) and not is_link(facts):
            found.append(Holder(path))
    return found


def stage(disk: Disk, source: str, holder: Holder, patience: Patience) -> None:
    """Copy ``source`` to the holder's ``new``, all of it on disk. Raises OSError."""
    folders = [(source, holder.part)]
    disk.mkdir(holder.part)
    for from_, to in folders:  # grows while it runs: a folder stands before those in it
        for name in disk.listdir(from_):
            here, there = os.path.join(from_, name), os.path.join(to, name)
            facts = disk.lstat(here)
            if is_link(facts):
                disk.copy_link(here, there)
            elif stat.S_ISDIR(facts.st_mode):
                disk.mkdir(there)
                folders.append((here, there))
            else:
                disk.copy_file(here, there)
    for from_, to in reversed(folders):
        disk.fsync_folder(to)
        disk.copy_folder_facts(from_, to)
    # Scanners like to look at what is new.
    patience.attempt(lambda: disk.rename(holder.part, holder.new))
    disk.fsync_folder(holder.path)


def move_aside(disk: Disk, tree: str, holder: Holder, patience: Patience) -> None:
    """Rename ``tree`` to the holder's ``old``. Raises OSError; then it is where it was."""
    _rename_folder(disk, tree, holder.old, patience)


def switch(disk: Disk, tree: str, holder: Holder, patience: Patience) -> None:
    """Put the holder's ``new`` at ``tree``, in place of what is there.

    Raises OSError. Then the old tree is there still or again; if ``tree_state`` says otherwise, it
    is on its way back in the holder.
    """
    if facts_of(disk, tree) is None:
        _rename_folder(disk, holder.new, tree, patience)
        return
    if _exchange_folders(disk, holder.new, tree, patience):
        return
    move_aside(disk, tree, holder, patience)
    try:
        _rename_folder(disk, holder.new, tree, patience)
    except OSError:
        put_back(disk, tree, holder, patience)
        raise


def put_back(disk: Disk, tree: str, holder: Holder, patience: Patience) -> None:
    """Bring ``old`` back: as a whole, or file by file where the folder is refused.

    Raises no OSError: what did not come back is in the holder, which says so.
    """
    try:
        try:
            _rename_folder(disk, holder.old, tree, patience)
        except OSError:
            disk.mkdir(holder.undo)
            _move_files(disk, holder.old, tree)
            disk.rmdir(holder.undo)
    except OSError:
        pass


def _rename_folder(disk: Disk, source: str, target: str, patience: Patience) -> None:
    try:
        patience.attempt(lambda: disk.rename(source, target))
    except PermissionError as error:
        mode = _read_only_mode(disk, source, error)
        if mode is None:
            raise
        disk.chmod(source, mode | stat.S_IWUSR)
        try:
            disk.rename(source, target)
        except OSError:
            disk.chmod(source, mode)
            raise
        _restore_modes(disk, {target: mode})


def _exchange_folders(disk: Disk, new: str, tree: str, patience: Patience) -> bool:
    try:
        return patience.attempt(lambda: disk.exchange(new, tree))
    except PermissionError as error:
        modes = {path: _read_only_mode(disk, path, error) for path in (new, tree)}
        changed = {path: mode for path, mode in modes.items() if mode is not None}
        if not changed:
            raise
        for path, mode in changed.items():
            disk.chmod(path, mode | stat.S_IWUSR)
        try:
            done = disk.exchange(new, tree)
        except OSError:
            _restore_modes(disk, changed)
            raise
        swapped = {new: tree, tree: new} if done else {new: new, tree: tree}
        _restore_modes(disk, {swapped[path]: mode for path, mode in changed.items()})
        return done


def _restore_modes(disk: Disk, modes: Dict[str, int]) -> None:
    """Take the write permission of folders away again, where that works: they have moved."""
    for path, mode in modes.items():
        try:
            disk.chmod(path, mode)
        except OSError:
            pass


def _read_only_mode(disk: Disk, folder: str, error: OSError) -> Optional[int]:
    """Return the mode of a folder that its owner cannot write, which POSIX wants of who moves it.

    None if that is not what ``error`` is about.
    """
    if os.name == "nt" or locks.is_lock(error):
        return None
    mode = stat.S_IMODE(disk.lstat(folder).st_mode)
    return None if mode & stat.S_IWUSR else mode


def _move_files(disk: Disk, source: str, target: str) -> None:
    """Move what is in ``source`` into ``target`` one by one, over what is there."""
    folders = [(source, target)]
    for from_, to in folders:
        if facts_of(disk, to) is None:
            disk.mkdir(to)
        for name in disk.listdir(from_):
            here, there = os.path.join(from_, name), os.path.join(to, name)
            facts = disk.lstat(here)
            if stat.S_ISDIR(facts.st_mode) and not is_link(facts):
                folders.append((here, there))
            else:
                disk.replace(here, there)
    for from_, to in reversed(folders):
        disk.chmod(to, stat.S_IMODE(disk.lstat(from_).st_mode))
        disk.rmdir(from_)


def recover(
    disk: Disk, tree: str, patience: Patience, removing: bool
) -> Tuple[Optional[str], Kept]:
    """Finish what an earlier operation on ``tree`` began, and delete what it left.

    With ``removing`` nothing is put in place, because it would be removed next. Returns which
    tree was put in place, "old" or "new", None if it was there; and what could not be deleted.
    Raises OSError if the visible path is not whole and cannot be made so.
    """
    changed, kept = None, []  # type: Tuple[Optional[str], Kept]
    for holder in find_holders(disk, tree):
        inside = set(disk.listdir(holder.path))
        if "undo" in inside:
            if "old" in inside:
                _move_files(disk, holder.old, tree)
                changed = "old"
            disk.rmdir(holder.undo)
        elif {"old", "new"} <= inside and not removing and _is_vacant(disk, tree):
            _rename_folder(disk, holder.new, tree, patience)
            changed = "new"
            disk.fsync_folder(os.path.dirname(tree))
        kept += discard(disk, holder, patience)
    return changed, kept


def is_between(disk: Disk, tree: str) -> bool:
    """Say whether what belongs at ``tree`` is in a holder. Raises OSError."""
    for holder in find_holders(disk, tree):
        inside = set(disk.listdir(holder.path))
        if "old" in inside and "undo" in inside:
            return True
        if {"old", "new"} <= inside and facts_of(disk, tree) is None:
            return True
    return False


def _is_vacant(disk: Disk, tree: str) -> bool:
    """Say whether nothing is at ``tree``; an empty folder, which a host may have made, is taken."""
    facts = facts_of(disk, tree)
    if facts is None:
        return True
    if is_link(facts) or not stat.S_ISDIR(facts.st_mode) or disk.listdir(tree):
        return False
    disk.rmdir(tree)
    return True


def discard(disk: Disk, holder: Holder, patience: Patience) -> Kept:
    """Delete a holder with everything in it. Raises no OSError."""
    try:
        if facts_of(disk, holder.new) is not None:
            if facts_of(disk, holder.part) is not None:
                kept = delete(disk, holder.part, patience)
                if kept:
                    return kept
            patience.attempt(lambda: disk.rename(holder.new, holder.part))
    except OSError as error:
        return [(holder.path, error)]
    return delete(disk, holder.path, patience)


def delete(disk: Disk, path: str, patience: Patience) -> Kept:
    """Delete a tree as far as possible, what is read-only too; links are deleted, not followed.

    Returns what stays, without the folders that stay for that reason only. Raises no OSError.
    """
    kept: Kept = []
    pending = [(path, False)]
    while pending:
        here, emptied = pending.pop()
        try:
            if emptied:
                if not any(stays.startswith(here + os.sep) for stays, _ in kept):
                    _forced(disk, here, path, disk.rmdir, patience)
                continue
            facts = facts_of(disk, here)
            if facts is None:
                continue
            if is_link(facts) or not stat.S_ISDIR(facts.st_mode):
                _forced(disk, here, path, disk.remove, patience)
                continue
            names = _names_in(disk, here, path)
            pending.append((here, True))
            pending += [(os.path.join(here, name), False) for name in names]
        except OSError as error:
            kept.append((here, error))
    return kept


def _names_in(disk: Disk, folder: str, top: str) -> List[str]:
    try:
        return disk.listdir(folder, top)
    except PermissionError:
        _make_writable(disk, folder)
        return disk.listdir(folder, top)


def _forced(
    disk: Disk, path: str, top: str, action: Callable[[str, str], None], patience: Patience
) -> None:
    """Delete ``path``; if that is refused, once more with the write permissions it takes."""
    try:
        action(path, top)
    except PermissionError:
        # A read-only file cannot be deleted on Windows, and nothing can out of a read-only folder
        # elsewhere.
        _make_writable(disk, os.path.dirname(path))
        _make_writable(disk, path)
        patience.attempt(lambda: action(path, top))
    except OSError as error:
        if not patience.wait(error):
            raise
        patience.attempt(lambda: action(path, top))


def _make_writable(disk: Disk, path: str) -> None:
    facts = facts_of(disk, path)
    if facts is None or is_link(facts):
        return
    mode = stat.S_IMODE(facts.st_mode)
    if stat.S_ISDIR(facts.st_mode):
        wanted = mode | stat.S_IRWXU
    elif os.name == "nt":
        wanted = mode | stat.S_IWUSR
    else:
        return  # its own mode does not matter, and it may have a second name that does
    if wanted != mode:
        disk.chmod(path, wanted)
