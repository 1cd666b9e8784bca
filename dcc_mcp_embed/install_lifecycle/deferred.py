"""What could not be done while a host ran, carried out at the next start.

``schedule_deferred_cleanup(result)`` writes it into the user's journal, ``run_deferred_cleanup()``
is for the first line of a start-up hook: before anything is imported that would lock it again.
None of the three functions raises; each returns a dict. When nothing is owed a run is one look at
one path.
"""

from __future__ import annotations

import os
import sys
import time

from .journal import Journal, JournalError, journal_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    Entry = Dict[str, Any]
    Result = Dict[str, Any]

__all__ = ["list_deferred", "run_deferred_cleanup", "schedule_deferred_cleanup"]

#: Seconds after which a run begins with nothing more: a host is waiting to start.
_BUDGET = 5.0
_AT_NEXT_START = "Call run_deferred_cleanup() when a host starts, before anything else is imported."
_DAMAGED = " The journal was damaged; what could not be read of it is in the files in 'damaged'."
_MESSAGES = {
    "nothing_owed": "Nothing is owed.",
    "finished": "Everything that was owed is done.",
    "owed": "Not everything that is owed could be done; see 'results'.",
    "busy": "Another process is carrying out what is owed.",
}
_NEXT = {
    "nothing_owed": "",
    "finished": "",
    "owed": "Close what holds the files that 'results' names; the next start tries again.",
    "busy": "Call run_deferred_cleanup() again later to be sure that it is done.",
}
#: What becomes of an operation for which this run has no time.
_POSTPONED = {
    "success": False,
    "status": "postponed",
    "message": "It was not tried; the next start does.",
}


def schedule_deferred_cleanup(result: Dict[str, Any]) -> Result:
    """Note in the journal what ``result`` leaves to be done; return how that went.

    ``result``: of inspect_install_root (meaning: remove its ``install_root``), safe_remove_tree or
    safe_replace_tree. The status is ``scheduled`` (with ``id``, ``operation`` and the ids under
    ``replaced`` of what was owed for the same place before), ``nothing_to_defer``, or ``failed``
    with the reason ``not_deferrable``, ``invalid_path`` (it would be refused at each start),
    ``identity_unknown`` or one that begins with ``journal``.
    Blocks for some small files. Any thread.
    """
    return _told(lambda journal: _schedule(journal, result))


def run_deferred_cleanup(*, budget_secs: float = _BUDGET) -> Result:
    """Carry out what is owed; return what became of it, one of ``results`` for each operation.

    The status is ``nothing_owed``; ``finished``; ``owed`` (some of it still is, see ``results``);
    ``busy`` (another process is at it); or ``failed`` (the journal cannot be used, see ``reason``).
    Success means that nothing is owed any more. An operation whose tree is not the one any more
    that was there when it was scheduled is ``superseded``: it is dropped, nothing is deleted.
    No operation is begun after ``budget_secs``; the rest is ``postponed``. Safe in several
    processes at once. Blocks for as long as deleting takes.
    """
    return _told(lambda journal: _run(journal, budget_secs))


def list_deferred() -> Result:
    """Return what is owed, as ``entries``; changes nothing.

    ``damage`` says what is wrong with the journal, if anything; ``damaged`` names the files that
    earlier damage was moved to.
    """
    return _told(_list)


def _told(do: Callable[[Journal], Result]) -> Result:
    """Return what ``do`` returns, or what it raised as a result."""
    path = None
    try:
        # A start-up hook must go on whatever happens here, an unreadable home directory included.
        journal = Journal(journal_dir(os.environ, sys.platform), time.monotonic, time.sleep)
        path = journal.path
        return do(journal)
    except JournalError as error:
        return _failed(path, error.reason, str(error))
    except OSError as error:
        return _failed(path, "journal_unusable", "{}: {}".format(type(error).__name__, error))
    except Exception as error:
        return _failed(path, "journal_failed", "{}: {}".format(type(error).__name__, error))


def _failed(path: Any, reason: str, message: str) -> Result:
    from .results import failed

    return failed(path, reason, message)


def _schedule(journal: Journal, result: Any) -> Result:
    from .entries import add, needs_identity, operation_in, target_of
    from .identity import identity_of

    try:
        operation = operation_in(result)
    except ValueError as error:
        return _failed(None, "not_deferrable", str(error))
    if operation is None:
        return {
            "success": True,
            "status": "nothing_to_defer",
            "requires_restart": False,
            "journal": journal.path,
            "message": "The result leaves nothing to be done.",
        }
    target = target_of(operation)
    refusal = _never_done(operation)
    if refusal:
        return _failed(target, "invalid_path", refusal)
    try:
        identity = identity_of(target) if needs_identity(operation) else None
    except OSError as error:
        return _failed(target, "identity_unknown", str(error))
    written: Dict[str, Any] = {}

    def edit(entries: List[Entry]) -> List[Entry]:
        after, written["entry"], written["replaced"] = add(
            entries, operation, identity, os.urandom(8).hex(), time.time()
        )
        return after

    journal.change(edit)
    return {
        "success": True,
        "status": "scheduled",
        "requires_restart": True,
        "id": written["entry"]["id"],
        "operation": operation,
        "replaced": [entry["id"] for entry in written["replaced"]],
        "journal": journal.path,
        "damaged": journal.set_aside,
        "recommended_next_action": _AT_NEXT_START,
    }


def _never_done(operation: Dict[str, Any]) -> Any:
    """Return why no start will ever do it, else None: an inspection has refused nothing yet."""
    from . import guards
    from .entries import needs_identity, target_of

    if not needs_identity(operation):
        return None
    target = target_of(operation)
    try:
        facts = os.lstat(target)
    except OSError:
        facts = None
    around = guards.look_around()
    around.current = None  # it may be another at the next start
    refusal = guards.refuse_root(target, facts, around)
    return refusal[1] if refusal else None


def _list(journal: Journal) -> Result:
    contents = journal.read()
    return {
        "success": True,
        "status": "ok",
        "requires_restart": bool(contents.entries),
        "journal": journal.path,
        "total": len(contents.entries),
        "entries": contents.entries,
        "damage": contents.damage,
        "damaged": journal.damaged_files(),
        "recommended_next_action": _AT_NEXT_START if contents.entries else "",
    }


def _run(journal: Journal, budget: float) -> Result:
    if not journal.exists():
        # Every start of a host comes by here.
        return _summary(journal, "nothing_owed", [])
    deadline = time.monotonic() + budget
    turn = journal.turn()
    if turn is None:
        return _summary(journal, "busy", [])
    try:
        return _carry_out(journal, deadline)
    finally:
        turn.release()


def _carry_out(journal: Journal, deadline: float) -> Result:
    from .entries import by_turn

    owed = journal.change(lambda entries: entries)
    results = []
    for entry in by_turn(owed):
        if time.monotonic() < deadline:
            results.append(_attempt(journal, entry))
        else:
            results.append(_item(entry, _POSTPONED, owed=True))
    left = [item for item in results if item["owed"]]
    status = "owed" if left else "finished" if results else "nothing_owed"
    return _summary(journal, status, results)


def _attempt(journal: Journal, entry: Entry) -> Result:
    """Carry out one entry, and have the journal say what became of it."""
    from .entries import sweep_of, target_of

    operation = entry["operation"]
    try:
        meant = _is_meant(entry)
    except OSError as error:
        unseen = _failed(target_of(operation), "identity_unknown", str(error))
        return _try(journal, entry, lambda: unseen)
    if meant:
        return _try(journal, entry, lambda: _perform(operation))
    # An attempt that was killed may have come as far as this, and left something aside.
    sweep = sweep_of(operation)
    swept = dict(entry, operation=sweep, identity=None)
    journal.change(_instead(entry, swept))
    item = _try(journal, swept, lambda: _perform(sweep))
    if item["owed"]:
        return item
    message = "Something else is there now than when this was scheduled; it is left alone."
    return dict(item, operation=operation, status="superseded", message=message)


def _is_meant(entry: Entry) -> bool:
    """Return whether an entry means what is at its target now. Raises OSError."""
    from .entries import needs_identity, sweep_of, target_of, was_interrupted
    from .identity import has_its_files, is_still

    operation, known = entry["operation"], entry["identity"]
    target = target_of(operation)
    if not needs_identity(operation) or is_still(known, target):
        return True
    if not was_interrupted(entry):
        return False
    # It may have been killed on its way back, which makes the folder anew.
    _perform(sweep_of(operation))
    return has_its_files(known, target)


def _try(journal: Journal, entry: Entry, carry_out: Callable[[], Result]) -> Result:
    """Carry out one operation whose turn it is."""
    from .entries import begun, same, unfinished

    marked = begun(entry, time.time())
    if not any(same(marked, other) for other in journal.change(_instead(entry, marked))):
        return _item(entry, _POSTPONED, owed=True)  # another process has just changed it
    result = carry_out()
    after = unfinished(marked, result)
    if after is not None:
        after["identity"] = _identity_after(entry, after["operation"], result)
    journal.change(_instead(marked, after))
    return _item(after or marked, result, owed=after is not None)


def _identity_after(before: Entry, left: Dict[str, Any], result: Result) -> Any:
    """Return the identity of what ``left`` is meant for, after an attempt with this result.

    That of before, unless the attempt itself made the folder anew: what another process has put
    there meanwhile is not meant.
    """
    from .entries import needs_identity, target_of
    from .identity import has_its_files, identity_of, is_still

    if not needs_identity(left):
        return None
    known, target = before["identity"], target_of(left)
    try:
        if result.get("visible") == "between":
            return identity_of(target)
        if not is_still(known, target) and has_its_files(known, target):
            return identity_of(target)
    except OSError:
        pass
    return known


def _perform(operation: Dict[str, Any]) -> Result:
    from .entries import target_of

    try:
        from .trees import perform

        return perform(dict(operation))
    except Exception as error:
        message = "{}: {}".format(type(error).__name__, error)
        return _failed(target_of(operation), "raised", message)


def _instead(before: Entry, after: Any) -> Callable[[List[Entry]], List[Entry]]:
    """Return the edit that puts ``after`` (None: nothing) in the place of ``before``.

    What another process has made of the entry meanwhile is a newer wish, and stays.
    """
    from .entries import same

    def edit(entries: List[Entry]) -> List[Entry]:
        changed = [after if same(entry, before) else entry for entry in entries]
        return [entry for entry in changed if entry is not None]

    return edit


def _item(entry: Entry, result: Result, owed: bool) -> Result:
    """Return the result of one operation with what the journal knows of it."""
    return dict(
        result,
        id=entry["id"],
        operation=entry["operation"],
        attempts=entry["attempts"],
        owed=owed,
    )


def _summary(journal: Journal, status: str, results: List[Result]) -> Result:
    owed = sum(1 for item in results if item["owed"])
    return {
        "success": status in ("nothing_owed", "finished"),
        "status": status,
        "requires_restart": owed > 0,
        "journal": journal.path,
        "total": len(results),
        "finished_count": len(results) - owed,
        "owed_count": owed,
        "results": results,
        "damaged": journal.set_aside,
        "message": _MESSAGES[status] + (_DAMAGED if journal.set_aside else ""),
        "recommended_next_action": _NEXT[status],
    }
