"""Remove and replace installed trees so that a crash leaves the old one or the new one.

Removal renames the tree into a holder beside it (same volume, a name only we give) and then deletes
the holder. Replacement copies the source into a holder, has it on disk, lets copy and tree change
places in one system call, and then deletes the holder. Where a system cannot exchange folders
(Windows, network file systems) that is two renames, the only gap: a process killed between them
leaves nothing at the path and both trees whole in the holder. Before that a sweep is noted in the
journal, so the next start finishes. And every operation first looks for holders of its path: it
puts in place what the gap left, and deletes the rest.

A folder whose rename is refused, as NTFS does while anybody has a file or a folder below it open,
stays whole where it is, and the operation is owed. It is never moved file by file: that would be a
mixture for whoever looks, and after a crash for good. So a tree that somebody always has open is
never replaced by these functions; an installer whose upgrades must not wait for that gives each
version a folder of its own, with a small file that names the current one.

What the status says about what is at the path:

========================  =======================================================================
``removed``               nothing
``replaced``              the new tree
``skipped``               nothing, as before
``swept``                 what was there before, or (``recovered``) the new tree of an earlier
                          replacement that was cut off
``superseded``            the same; the operation was not meant for what is there
``failed``                what was there before, or what ``visible`` says
``requires_restart``      the same; ``deferred_operation`` finishes it once nobody holds the tree
========================  =======================================================================

``visible`` stands in every answer: ``old``, what was there before; ``new``,
the new tree of this operation or of an earlier one that was cut off (after a removal nothing); or
``between``: the gap. Old and new tree are whole in a holder then, and the next operation on the
path finishes, unless somebody has put something else at the path (reason ``occupied``): that stays,
and the pair too, until a replacement or a removal is wished, or it is taken away. ``left_over``
lists what lies beside the path; with it comes a ``deferred_operation``, also after a success. The
source of a replacement that is owed must stay until it is done.
"""

from __future__ import annotations

import os
import stat
import time

from . import guards, loaded, locks, moving, results
from .claims import Claim
from .disk import Disk, real
from .locks import Patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from .guards import Refusal, Surroundings
    from .loaded import Loaded
    from .moving import Holder, Kept
    from .results import Result

    #: Asked while nobody else changes the tree, with whether what is there was just put in place
    #: by recovery: is it still what the operation is meant for? May raise OSError.
    StillMeant = Callable[[bool], bool]

__all__ = [
    "Note",
    "Trees",
    "inspect_install_root",
    "perform",
    "safe_remove_tree",
]

OLD = "old"
NEW = "new"
BETWEEN = "between"

_RESTART = "Defer cleanup until the DCC host restarts, then remove or replace the install root."
_PROCEED = "Nothing of the install root is in use: remove or replace it now."


def inspect_install_root(install_root: Any) -> Result:
    """Return what of a tree is in use, by this process or others. Never fails, changes nothing."""
    return Trees().inspect(install_root)


def safe_remove_tree(path: Any) -> Result:
    """Remove a folder with all that is in it, or say why it is untouched."""
    return Trees().remove(path)


def perform(operation: Dict[str, Any], still_meant: Optional[StillMeant] = None) -> Result:
    """Carry out a ``deferred_operation``; what is still owed then stands in the answer again.

    If ``still_meant`` says no, the operation is ``superseded``: what is at the path stays.
    """
    return Trees().perform(operation, still_meant)


class Note:
    """What stands somewhere while a replacement is in the gap, so that somebody finishes it."""

    def take_back(self) -> None:
        """Have it stand there no more: the gap is over."""


class Trees:
    """The operations, on a file system and a process table that are passed in."""

    def __init__(
        self,
        disk: Optional[Disk] = None,
        look: Callable[[str], Loaded] = loaded.look,
        sleep: Callable[[float], None] = time.sleep,
        around: Optional[Surroundings] = None,
        note: Optional[Callable[[str], Note]] = None,
    ) -> None:
        """``look``: root -> what is in use below; ``sleep`` takes seconds.

        ``note``: called with the tree before the gap, by whom nobody else would come after.
        """
        self._disk = Disk() if disk is None else disk
        self._look = look
        self._sleep = sleep
        self._around = around
        self._note = note

    def inspect(self, install_root: Any) -> Result:
        root = results.to_path(install_root)
        found = loaded.Loaded([], [], []) if root is None else self._look(root)
        held = found.locked_path is not None
        return {
            "success": True,
            "status": results.REQUIRES_RESTART if held else results.OK,
            "requires_restart": held,
            "install_root": str(install_root) if root is None else root,
            "locked_path": found.locked_path,
            "recommended_next_action": _RESTART if held else _PROCEED,
            "loaded_modules": [{"module": n, "path": p} for n, p in found.modules],
            **_in_use(found),
        }

    def perform(self, operation: Any, still_meant: Optional[StillMeant] = None) -> Result:
        kind = operation.get("operation") if isinstance(operation, dict) else None
        if kind == results.REMOVE_TREE:
            return self.remove(operation.get("path"), still_meant)
        if kind == results.REPLACE_TREE:
            return self.replace(operation.get("source"), operation.get("destination"), still_meant)
        if kind == results.SWEEP_TREE:
            return self.sweep(operation.get("path"))
        message = "There is no operation {!r}.".format(kind)
        return results.failed(None, results.INVALID_OPERATION, message, visible=OLD)

    # Each of the three: what is refused, then one process at a time, then _Attempt does it.

    def remove(self, path: Any, still_meant: Optional[StillMeant] = None) -> Result:
        tree = results.to_path(path)
        if tree is None:
            return _no_path(path)
        refusal = self._refuse_root(tree)
        if refusal:
            return _refused(tree, refusal)
        attempt = _Attempt(self, tree, results.operation_remove(tree), still_meant)
        return attempt.run(attempt.remove)

    def replace(
        self, source: Any, destination: Any, still_meant: Optional[StillMeant] = None
    ) -> Result:
        tree, new = results.to_path(destination), results.to_path(source)
        if tree is None or new is None:
            return _no_path(source if tree else destination)
        refusal = self._refuse_root(tree) or self._refuse_source(new, tree)
        if refusal:
            return _refused(tree, refusal)
        attempt = _Attempt(self, tree, results.operation_replace(new, tree), still_meant)
        answer = attempt.run(lambda: attempt.replace(new))
        if attempt.note is not None and answer["visible"] != BETWEEN and "left_over" not in answer:
            attempt.note.take_back()
        return answer

    def sweep(self, path: Any) -> Result:
        tree = results.to_path(path)
        if tree is None or os.path.dirname(tree) == tree:
            return _no_path(path)
        attempt = _Attempt(self, tree, results.operation_sweep(tree))
        return attempt.run(attempt.sweep)

    def _refuse_root(self, tree: str) -> Optional[Refusal]:
        around = guards.look_around() if self._around is None else self._around
        try:
            facts = moving.facts_of(self._disk, tree)
        except OSError as error:
            return guards.UNREADABLE, "It cannot be looked at: {}".format(error)
        refusal = guards.refuse_root(tree, facts, around)
        if refusal is None and around.mounts is None and facts is not None:
            refusal = guards.refuse_volumes(self._disk, tree)
        return refusal

    def _refuse_source(self, source: str, tree: str) -> Optional[Refusal]:
        try:
            facts = moving.facts_of(self._disk, source)
        except OSError as error:
            return guards.UNREADABLE, "The source cannot be looked at: {}".format(error)
        if facts is None:
            return None  # said later: an earlier attempt may have copied it
        return guards.refuse_pair(source, facts, tree) or guards.survey(self._disk, source)


class _Attempt:
    """One operation on one tree."""

    def __init__(
        self,
        trees: Trees,
        tree: str,
        operation: Dict[str, str],
        still_meant: Optional[StillMeant] = None,
    ) -> None:
        self._disk = trees._disk
        self._look = trees._look
        self._sleep = trees._sleep
        self._moving = Patience(trees._sleep)
        self._deleting = Patience(trees._sleep)
        self._tree = tree
        self._operation = operation
        self._still_meant = still_meant
        self._take_note = trees._note
        self.note: Optional[Note] = None
        #: Whether this attempt has put the new tree of an earlier one in place.
        self._recovered = False
        #: What could not be deleted so far.
        self._kept: Kept = []
        #: Folders above the tree that were made for it, the upper ones first.
        self._made: List[str] = []

    def run(self, work: Callable[[], Result]) -> Result:
        """Do ``work`` while no other process does; turn an OSError into the answer it means."""
        parent = os.path.dirname(self._tree)
        try:
            above = moving.facts_of(self._disk, parent)
            if self._operation["operation"] == results.REPLACE_TREE:
                self._make_folders(parent)
            elif above is None or stat.S_ISREG(above.st_mode):
                return self._skipped()
            with Claim(parent, self._sleep) as ours:
                answer = self._carry_out(work) if ours else self._busy()
        except OSError as error:
            answer = self._failure(error)
        self._unmake_folders()
        return answer

    def _carry_out(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except OSError as error:
            return self._failure(error)

    def remove(self) -> Result:
        pair = moving.clear(self._disk, self._tree, self._deleting, self._kept)
        there = moving.facts_of(self._disk, self._tree) is not None
        if not there and pair is None:
            return self._skipped()
        answer = self._not_meant(pair)
        if answer is not None:
            return answer
        if there:
            found = self._look(self._tree)
            if found.locked_path is not None:
                return self._loaded(found)
            _load_the_rest(self._tree)
            holder = moving.open_holder(self._disk, self._tree)
            try:
                moving.move_aside(self._disk, self._tree, holder, self._moving)
            except OSError as error:
                return self._failure(error, holder)
            self._clean(holder)
        if pair is not None:
            # It must not stay as it is: its new tree would be put in place at the next occasion.
            moving.part(self._disk, pair, self._deleting)
            self._clean(pair)
        return self._done(results.REMOVED, path=self._tree)

    def replace(self, source: str) -> Result:
        pair = self._recover()
        answer = self._not_meant(pair)
        if answer is not None:
            return answer
        if moving.facts_of(self._disk, source) is None:
            if self._recovered:
                message = "The source is gone; what an earlier attempt had copied is in place."
                return self._replaced(source, recovered=True, message=message)
            if pair is not None:
                return self._occupied(pair)
            message = "There is nothing at {}.".format(source)
            return results.failed(
                self._tree, results.MISSING_SOURCE, message, visible=OLD, **self._owed()
            )
        found = self._look(self._tree)
        if found.locked_path is not None:
            return self._loaded(found)
        _load_the_rest(self._tree)
        holder = moving.open_holder(self._disk, self._tree)
        try:
            moving.stage(self._disk, source, holder)
            moving.switch(self._disk, self._tree, holder, self._moving, self._before_gap)
        except OSError as error:
            return self._failure(error, holder)
        self._clean(holder)
        if pair is not None:
            self._clean(pair)
        return self._replaced(source)

    def _before_gap(self) -> None:
        if self._take_note is not None:
            self.note = self._take_note(self._tree)

    def sweep(self) -> Result:
        pair = self._recover()
        return self._done_sweeping(results.SWEPT) if pair is None else self._occupied(pair)

    def _not_meant(self, pair: Optional[Holder]) -> Optional[Result]:
        """Return the answer if what is there is not what the operation is for, else None.

        ``pair``: the one that is still beside it.
        """
        if self._still_meant is None:
            return None
        try:
            if self._still_meant(self._recovered):
                return None
        except OSError as error:
            message = "It is not known whether it is what was there: {}".format(error)
            return self._refusal(results.IDENTITY_UNKNOWN, message)
        pair = self._put_in_place(pair)
        if pair is not None:
            return self._occupied(pair)
        message = "It is not any more as it was when this was scheduled; it is left alone."
        return self._done_sweeping(results.SUPERSEDED, message=message)

    def _recover(self) -> Optional[Holder]:
        """Finish and clear away what earlier operations left; return the pair that must stay."""
        pair = moving.clear(self._disk, self._tree, self._deleting, self._kept)
        return self._put_in_place(pair)

    def _put_in_place(self, pair: Optional[Holder]) -> Optional[Holder]:
        """Put a pair's new tree in place, if nothing is there; return the pair if it stays."""
        if pair is None or not moving.is_vacant(self._disk, self._tree):
            return pair
        moving.put_in_place(self._disk, pair.new, self._tree, self._moving)
        self._recovered = True
        self._clean(pair)
        return None

    def _make_folders(self, folder: str) -> None:
        missing = []
        while moving.facts_of(self._disk, folder) is None and os.path.dirname(folder) != folder:
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            try:
                self._disk.mkdir(folder)
            except FileExistsError:
                continue
            self._made.append(folder)

    def _unmake_folders(self) -> None:
        """Delete the folders that were made for nothing."""
        while self._made:
            try:
                self._disk.rmdir(self._made.pop())
            except OSError:
                return  # it is in use

    def _clean(self, holder: Holder) -> None:
        """Delete what is done with, once what is at the path is on disk."""
        try:
            self._disk.fsync_folder(os.path.dirname(self._tree))
        except OSError as error:
            self._kept.append((holder.path, error))
        else:
            self._kept += moving.discard(self._disk, holder, self._deleting)

    def _failure(self, error: OSError, holder: Optional[Holder] = None) -> Result:
        """Clean up what can be, and say what ``error`` means for the tree."""
        if holder is not None:
            self._drop(holder)
        visible = self._visible()
        path = locks.locked_path(error, self._tree)
        # A folder cannot be made: that is refused to us, and nobody holds it.
        if locks.is_lock(error) and (holder is not None or visible == BETWEEN):
            message = "Somebody holds {}: {}".format(path, error.strerror or error)
            answer = results.requires_restart(
                self._tree, path, results.WINDOWS_FILE_LOCK, message, self._operation
            )
        else:
            message = "{}: {}".format(path, error.strerror or error)
            answer = results.failed(self._tree, results.REMOVE_FAILED, message)
            if visible == BETWEEN:
                answer["deferred_operation"] = self._operation
            else:
                answer.update(self._owed())
        answer["visible"] = visible
        answer["cause"] = locks.kind_of(error)
        if self._kept:
            answer["left_over"] = [path for path, _ in self._kept]
        return answer

    def _drop(self, holder: Holder) -> None:
        """Delete the holder of an attempt that failed, unless it is a pair."""
        try:
            if not moving.is_pair(self._disk, holder):
                self._kept += moving.discard(self._disk, holder, self._deleting)
        except OSError as error:
            self._kept.append((holder.path, error))

    def _visible(self) -> str:
        try:
            between = moving.is_between(self._disk, self._tree)
        except OSError:
            between = True  # it cannot be seen: the next attempt will
        return BETWEEN if between else NEW if self._recovered else OLD

    def _loaded(self, found: Loaded) -> Result:
        message = "In use: {}".format(found.locked_path)
        answer = results.requires_restart(
            self._tree,
            found.locked_path,
            results.NATIVE_ARTIFACT_LOADED,
            message,
            self._operation,
            visible=self._visible(),
            **_in_use(found),
        )
        if self._kept:
            answer["left_over"] = [path for path, _ in self._kept]
        return answer

    def _busy(self) -> Result:
        message = "Another process is changing something in {}."
        return self._refusal(results.BUSY, message.format(os.path.dirname(self._tree)))

    def _occupied(self, pair: Holder) -> Result:
        message = (
            "A replacement was cut off, and something else has been put there since. Take that "
            "away, remove it or replace it; the trees that were there are in {}."
        )
        answer = self._refusal(results.OCCUPIED, message.format(pair.path))
        answer["left_over"] = [*(path for path, _ in self._kept), pair.path]
        return answer

    def _refusal(self, reason: str, message: str) -> Result:
        """Return the answer that it is still owed, and nothing at the path was touched."""
        answer = results.failed(
            self._tree, reason, message, visible=self._visible(), **self._owed()
        )
        answer["deferred_operation"] = self._operation
        return answer

    def _skipped(self) -> Result:
        return self._done(results.SKIPPED, path=self._tree, message="Path does not exist.")

    def _replaced(self, source: str, **more: Any) -> Result:
        return self._done(results.REPLACED, source=source, destination=self._tree, **more)

    def _done_sweeping(self, status: str, **more: Any) -> Result:
        visible = NEW if self._recovered else OLD
        return self._done(status, visible, path=self._tree, recovered=self._recovered, **more)

    def _done(self, status: str, visible: str = NEW, **more: Any) -> Result:
        return results.succeeded(status, visible=visible, **more, **self._owed())

    def _owed(self) -> Result:
        return results.left_over(self._tree, [path for path, _ in self._kept])


def _load_the_rest(tree: str) -> None:
    """Load what notes what is left over, if this package is in ``tree``: it will not be there."""
    if guards.inside(real(__file__), real(tree)):
        from importlib import import_module

        for name in ("deferred", "owing", "journal", "identity"):
            import_module("." + name, __package__)


def _in_use(found: Loaded) -> Result:
    return {
        "loaded_native_artifacts": [{"module": n, "path": p} for n, p in found.natives],
        "in_use_by": [{"pid": pid, "path": p, "kind": kind} for pid, p, kind in found.uses],
    }


def _no_path(value: Any) -> Result:
    path = None if value is None else str(value)
    message = "{!r} names no folder.".format(path)
    return results.failed(path, results.INVALID_PATH, message, visible=OLD)


def _refused(tree: str, refusal: Refusal) -> Result:
    guard, message = refusal
    return results.failed(tree, results.INVALID_PATH, message, visible=OLD, guard=guard)
