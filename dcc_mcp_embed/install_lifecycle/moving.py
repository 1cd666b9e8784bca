"""The steps of removing and replacing a tree, each of which may be the last one of a process.

Everything happens in a holder: a folder beside the tree, so on its volume, with a name that only we
give; the highest number is the latest. What lies in it says how far an operation came, and the next
one on the path needs nothing else.

    new    is being copied, or is whole, or is the old tree: the two have changed places
    whole  an empty folder, made when ``new`` is whole and on disk
    old    was moved aside

The visible path is whole at every step but one. Who cannot exchange two folders renames twice; in
between nothing is at the path, and old and new tree are a pair: a holder with all three. While
there is a pair, one of its trees belongs at the path, whoever has put something there meanwhile.
So a pair is deleted only by whom has put its successor in place, and it loses ``whole`` before
that. All else in holders is rubbish. No tree is ever moved file by file: that is a mixture.
"""

from __future__ import annotations

import errno
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

__all__ = [
    "Holder",
    "clear",
    "discard",
    "facts_of",
    "is_between",
    "is_pair",
    "is_vacant",
    "move_aside",
    "open_holder",
    "part",
    "put_in_place",
    "stage",
    "switch",
]

_MARK = ".dcc-mcp-embed-"
#: Bytes of a name that leave room for the rest on every file system (255).
_LONG = 180
#: Digits of a number: nobody makes more of them.
_DIGITS = 9


def stem_of(name: str) -> str:
    """Return how the holders of a tree called ``name`` begin; a number follows."""
    if len(os.fsencode(name)) > _LONG:
        name = "{}~{:08x}".format(name[:40], zlib.crc32(os.fsencode(name)))
    return "." + name + _MARK


def holder_names(name: str, names: List[str]) -> List[Tuple[int, str]]:
    """Return number and name of which of ``names`` are holders of the tree ``name``, in order."""
    stem = os.path.normcase(stem_of(name))
    return sorted(
        (int(other[len(stem) :]), other)
        for other in names
        if os.path.normcase(other).startswith(stem)
        and other[len(stem) :].isdecimal()
        and len(other) <= len(stem) + _DIGITS
    )


class Holder:
    """The paths in one holder."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.new = os.path.join(path, "new")
        self.whole = os.path.join(path, "whole")
        self.old = os.path.join(path, "old")


def facts_of(disk: Disk, path: str) -> Optional[os.stat_result]:
    """Return the lstat of ``path``, None if there is nothing. Raises OSError."""
    try:
        return disk.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_holder(disk: Disk, tree: str) -> Holder:
    """Make a holder for ``tree``, the latest. Raises OSError."""
    parent, name = os.path.split(tree)
    taken = holder_names(name, disk.listdir(parent))
    number = taken[-1][0] + 1 if taken else 1
    holder = Holder(os.path.join(parent, "{}{}".format(stem_of(name), number)))
    disk.mkdir(holder.path)
    return holder


def find_holders(disk: Disk, tree: str) -> List[Holder]:
    """Return what earlier operations on ``tree`` left, the latest last. Raises OSError."""
    parent, name = os.path.split(tree)
    try:
        names = disk.listdir(parent)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for _, other in holder_names(name, names):
        path = os.path.join(parent, other)
        facts = facts_of(disk, path)
        if facts is not None and stat.S_ISDIR(facts.st_mode) and not is_link(facts):
            found.append(Holder(path))
    return found


def is_pair(disk: Disk, holder: Holder) -> bool:
    """Say whether both trees are in a holder, each whole. Raises OSError."""
    parts = (holder.whole, holder.new, holder.old)
    return all(facts_of(disk, part) is not None for part in parts)


def is_between(disk: Disk, tree: str) -> bool:
    """Say whether what belongs at ``tree`` is in a holder. Raises OSError."""
    return any(is_pair(disk, holder) for holder in find_holders(disk, tree))


def is_vacant(disk: Disk, tree: str) -> bool:
    """Say whether nothing is at ``tree``, or an empty folder: a host may make one in the gap."""
    facts = facts_of(disk, tree)
    if facts is None:
        return True
    return stat.S_ISDIR(facts.st_mode) and not is_link(facts) and not disk.listdir(tree)


def stage(disk: Disk, source: str, holder: Holder) -> None:
    """Copy ``source`` to the holder's ``new``, all of it on disk. Raises OSError."""
    folders, files = [(source, holder.new)], []
    disk.mkdir(holder.new)
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
                files.append(there)
    # Not each after its copy: so the system can write many at once.
    for path in files:
        disk.fsync_file(path)
    for from_, to in reversed(folders):
        disk.copy_folder_facts(from_, to)
        disk.fsync_folder(to)
    # No rename, which Windows refuses while a scanner looks at one of the new files.
    disk.mkdir(holder.whole)
    disk.fsync_folder(holder.path)


def move_aside(disk: Disk, tree: str, holder: Holder, patience: Patience) -> None:
    """Rename ``tree`` to the holder's ``old``. Raises OSError; then it is where it was."""
    _rename_folder(disk, tree, holder.old, patience)


def put_in_place(disk: Disk, source: str, tree: str, patience: Patience) -> None:
    """Rename a tree of a holder to ``tree``, which is vacant. Raises OSError.

    It has a patience of its own: until it is done hosts find nothing.
    """
    _rename_folder(disk, source, tree, patience.anew(locks.GAP_DELAYS))


def switch(
    disk: Disk,
    tree: str,
    holder: Holder,
    patience: Patience,
    before_gap: Callable[[], object] = bool,
) -> None:
    """Put the holder's ``new`` at ``tree``, in place of what is there.

    ``before_gap`` is called if there will be a moment at which nothing is at ``tree``.
    Raises OSError. Then the old tree is there still or again, or the holder is a pair.
    """
    if facts_of(disk, tree) is None:
        _rename_folder(disk, holder.new, tree, patience)
        return
    if _exchange_folders(disk, holder.new, tree, patience):
        return
    before_gap()
    move_aside(disk, tree, holder, patience)
    try:
        put_in_place(disk, holder.new, tree, patience)
    except OSError:
        try:
            put_in_place(disk, holder.old, tree, patience)
        except OSError:
            pass
        raise


def _rename_folder(disk: Disk, source: str, target: str, patience: Patience) -> None:
    try:
        patience.attempt(lambda: _rename(disk, source, target))
    except PermissionError as error:
        mode = _read_only_mode(disk, source, error)
        if mode is None:
            raise
        disk.chmod(source, mode | stat.S_IWUSR, source)
        try:
            _rename(disk, source, target)
        except OSError:
            _restore_modes(disk, {source: mode})
            raise
        _restore_modes(disk, {target: mode})


def _rename(disk: Disk, source: str, target: str) -> None:
    if facts_of(disk, target) is not None:
        disk.rmdir(target)  # empty, or it is refused; Windows renames nothing to what is there
    try:
        disk.rename(source, target)
    except FileNotFoundError:
        # A server of NFS may have done it: its answer was lost, and it was asked again.
        if facts_of(disk, source) is not None or facts_of(disk, target) is None:
            raise


def _exchange_folders(disk: Disk, new: str, tree: str, patience: Patience) -> bool:
    try:
        return patience.attempt(lambda: disk.exchange(new, tree))
    except PermissionError as error:
        modes = {path: _read_only_mode(disk, path, error) for path in (new, tree)}
        changed = {path: mode for path, mode in modes.items() if mode is not None}
        if not changed:
            raise
        for path, mode in changed.items():
            disk.chmod(path, mode | stat.S_IWUSR, path)
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
            disk.chmod(path, mode, path)
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


def clear(disk: Disk, tree: str, patience: Patience, kept: Kept) -> Optional[Holder]:
    """Delete the rubbish of earlier operations on ``tree``; return the pair, None if there is none.

    Of several pairs the earlier ones are rubbish: the latest has their successor. What cannot be
    deleted is added to ``kept``. Raises OSError.
    """
    holders = find_holders(disk, tree)
    pairs = [holder for holder in holders if is_pair(disk, holder)]
    for holder in holders:
        if holder not in pairs[-1:]:
            kept += discard(disk, holder, patience)
    return pairs[-1] if pairs else None


def part(disk: Disk, holder: Holder, patience: Patience) -> None:
    """Make rubbish of a pair. Raises OSError; then it still is a pair."""
    if not is_pair(disk, holder):
        return
    try:
        patience.attempt(lambda: disk.rmdir(holder.whole))
    except OSError:
        disk.rename(holder.old, os.path.join(holder.path, "part"))


def discard(disk: Disk, holder: Holder, patience: Patience) -> Kept:
    """Delete a holder with everything in it, a pair too. Raises no OSError."""
    try:
        part(disk, holder, patience)
        if facts_of(disk, holder.new) is not None:
            disk.fsync_folder(holder.path)  # what is half deleted must not come up as a pair
    except OSError as error:
        return [(holder.path, error)]
    return delete(disk, holder.path, patience)


def delete(disk: Disk, path: str, patience: Patience) -> Kept:
    """Delete a tree as far as possible, what is read-only too; links are deleted, not followed.

    Nor does it go into other volumes. Returns what stays, without the folders that stay for that
    reason only. Raises no OSError.
    """
    kept: Kept = []
    volume: Optional[int] = None
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
            volume = facts.st_dev if volume is None else volume
            if facts.st_dev != volume and os.name != "nt":  # there it would be a link
                raise OSError(errno.EXDEV, "Another volume is mounted there", here)
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
        _make_writable(disk, folder, top)
        return disk.listdir(folder, top)


def _forced(
    disk: Disk, path: str, top: str, action: Callable[[str, str], None], patience: Patience
) -> None:
    """Delete ``path``; if that is refused, once more with the write permissions it takes."""
    try:
        action(path, top)
    except PermissionError:
        # A read-only file cannot be deleted on Windows, and nothing can out of a read-only folder
        # elsewhere. What is above the top is not ours.
        if path != top:
            _make_writable(disk, os.path.dirname(path), top)
        _make_writable(disk, path, top)
        patience.attempt(lambda: action(path, top))
    except OSError as error:
        if not patience.wait(error):
            raise
        patience.attempt(lambda: action(path, top))


def _make_writable(disk: Disk, path: str, top: str) -> None:
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
        disk.chmod(path, wanted, top)
