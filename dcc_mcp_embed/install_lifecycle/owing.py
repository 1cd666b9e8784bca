"""The doing of ``deferred.py``: what is owed goes into the journal, and is carried out.

Raises what the journal raises: OSError, JournalError. Nothing else comes through.
"""

from __future__ import annotations

import os
import sys
import time

from .entries import (
    GIVEN_UP,
    OWED,
    add,
    attempted,
    begun,
    by_turn,
    is_due,
    needs_identity,
    operation_in,
    same,
    settled,
    state_of,
    target_of,
    without,
)
from .home import machine_name
from .results import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from .journal import Journal

    Entry = Dict[str, Any]
    Result = Dict[str, Any]
    Perform = Callable[[Dict[str, Any], Optional[Callable[[bool], bool]]], Result]

__all__ = ["drop", "listed", "run", "schedule"]

#: Seconds of a run's time to wait for another host that is at it.
_TURN = 2.0
_AT_NEXT_START = "Call run_deferred_cleanup() when a host starts, before anything else is imported."
_BY_HAND = (
    "Mend what its last_error says; then run_deferred_cleanup(given_up=True) tries it again. "
    "drop_deferred(id) forgets it."
)
_DAMAGED = " The journal was damaged; what could not be read of it is in the files in 'damaged'."
_MESSAGES = {
    "nothing_owed": "Nothing is owed.",
    "finished": "Everything that was owed is done.",
    "owed": "Not everything that is owed could be done; see 'results'.",
    "given_up": "Something can never be done as it stands; see 'results'. No start tries it again.",
    "busy": "Another process is carrying out what is owed.",
}
_NEXT = {
    "nothing_owed": "",
    "finished": "",
    "owed": "Close what holds the files that 'results' names; the next start tries again.",
    "given_up": _BY_HAND,
    "busy": "Call run_deferred_cleanup() again later to be sure that it is done.",
}
#: What becomes of an operation for which this run has no time.
_POSTPONED = {
    "success": False,
    "status": "postponed",
    "requires_restart": True,
    "message": "It was not tried; the next start does.",
}
#: The same where there may be nothing to be seen of what is meant.
_AWAY = {
    "success": False,
    "status": "postponed",
    "requires_restart": False,
    "reason": "away",
    "message": "Its volume is not mounted; a start when it is does it.",
}


def _machine() -> Optional[str]:
    return machine_name(os.environ, sys.platform)


def schedule(journal: Journal, result: Any) -> Result:
    """See ``schedule_deferred_cleanup``."""
    from .identity import identity_of, volume_of

    try:
        operation = operation_in(result)
    except ValueError as error:
        return failed(None, "not_deferrable", str(error))
    identity, volume, place = None, None, settled(result)
    if operation is not None:
        target = target_of(operation)
        refusal = _never_done(operation)
        if refusal:
            return failed(target, "invalid_path", refusal)
        try:
            identity = identity_of(target) if needs_identity(operation) else None
            volume = volume_of(target)
        except OSError as error:
            return failed(target, "identity_unknown", str(error))
    elif place is None or not journal.exists():
        return _nothing_to_defer(journal, [])
    written: Dict[str, Any] = {}

    def edit(entries: List[Entry]) -> List[Entry]:
        written["entry"], written["replaced"] = None, []
        if place is not None:
            entries, written["replaced"] = without(entries, place, _machine())
        if operation is not None:
            entries, written["entry"], replaced = add(
                entries, operation, identity, _machine(), os.urandom(8).hex(), time.time(), volume
            )
            written["replaced"] += replaced
        return entries

    journal.change(edit)
    replaced = [entry["id"] for entry in written["replaced"]]
    if operation is None:
        return _nothing_to_defer(journal, replaced)
    return {
        "success": True,
        "status": "scheduled",
        "requires_restart": True,
        "id": written["entry"]["id"],
        "operation": operation,
        "replaced": replaced,
        "journal": journal.path,
        "damaged": journal.set_aside,
        "recommended_next_action": _AT_NEXT_START,
    }


def _nothing_to_defer(journal: Journal, replaced: List[str]) -> Result:
    return {
        "success": True,
        "status": "nothing_to_defer",
        "requires_restart": False,
        "replaced": replaced,
        "journal": journal.path,
        "damaged": journal.set_aside,
        "message": "The result leaves nothing to be done.",
    }


def _never_done(operation: Dict[str, Any]) -> Optional[str]:
    """Return why no start will ever do it, else None: an inspection has refused nothing yet."""
    from . import guards

    if not needs_identity(operation):
        return None
    target = target_of(operation)
    around = guards.look_around()
    around.current = None  # it may be another at the next start
    refusal = guards.refuse_root(target, _facts(target), around)
    source = operation.get("source")
    if refusal is None and source is not None:
        facts = _facts(source)
        refusal = facts and guards.refuse_pair(source, facts, target)
    return refusal[1] if refusal else None


def _facts(path: str) -> Optional[os.stat_result]:
    from .disk import extended

    try:
        return os.lstat(extended(path))
    except OSError:
        return None


def listed(journal: Journal) -> Result:
    """See ``list_deferred``."""
    contents, machine = journal.read(), _machine()
    entries = [dict(entry, state=state_of(entry, machine)) for entry in contents.entries]
    states = [entry["state"] for entry in entries]
    return {
        "success": True,
        "status": "ok",
        "requires_restart": OWED in states,
        "journal": journal.path,
        "total": len(entries),
        "entries": entries,
        "damage": contents.damage,
        "damaged": journal.damaged_files(),
        "recommended_next_action": (
            _AT_NEXT_START if OWED in states else _BY_HAND if GIVEN_UP in states else ""
        ),
    }


def drop(journal: Journal, entry_id: Any) -> Result:
    """See ``drop_deferred``."""
    dropped: List[Entry] = []

    def edit(entries: List[Entry]) -> List[Entry]:
        found = [e for e in entries if entry_id and e["id"].startswith(str(entry_id))]
        dropped[:] = found if len(found) == 1 else []
        return [e for e in entries if not any(e is other for other in dropped)]

    if journal.exists():
        journal.change(edit)
    if not dropped:
        message = "There is not one entry whose id begins with {!r}.".format(entry_id)
        return failed(journal.path, "unknown_id", message)
    return {
        "success": True,
        "status": "dropped",
        "requires_restart": False,
        "entry": dropped[0],
        "journal": journal.path,
        "damaged": journal.set_aside,
    }


def run(journal: Journal, budget: float, again: bool) -> Result:
    """See ``run_deferred_cleanup``; ``again``: also what was given up."""
    contents = journal.read()
    if contents.damage is None and not _due(contents.entries, again):
        return _summary(journal, "nothing_owed", [])
    deadline = time.monotonic() + budget
    turn = journal.turn(max(0.0, min(budget, _TURN)))
    if turn is None:
        return _summary(journal, "busy", [])
    try:
        return _carry_out(journal, deadline, again)
    finally:
        turn.release()


def _due(entries: List[Entry], again: bool) -> List[Entry]:
    """Return what is to be tried now, the first first."""
    machine = _machine()
    return by_turn([e for e in entries if is_due(e, machine, _exists, again)])


def _exists(path: str) -> bool:
    return _facts(path) is not None


def _carry_out(journal: Journal, deadline: float, again: bool) -> Result:
    from .identity import is_mounted

    results, perform = [], _performer()
    for entry in _due(journal.change(lambda entries: entries), again):
        if entry.get("volume") is not None and not is_mounted(entry["volume"]):
            results.append(_item(entry, _AWAY, entry))
        elif time.monotonic() < deadline:
            results.append(_attempt(journal, entry, perform))
        else:
            results.append(_item(entry, _POSTPONED, entry))
    if any(item["owed"] for item in results):
        status = "owed"
    elif any(item["given_up"] for item in results):
        status = "given_up"
    else:
        status = "finished" if results else "nothing_owed"
    return _summary(journal, status, results)


def _attempt(journal: Journal, entry: Entry, perform: Perform) -> Result:
    """Carry out one entry, and have the journal say what became of it."""
    marked = begun(entry, time.time())
    if not any(same(marked, other) for other in journal.change(_instead(entry, marked))):
        return _item(entry, _POSTPONED, entry)  # another process has just changed it
    meaning = _Meaning(journal, marked)
    operation = marked["operation"]
    result = perform(operation, meaning.is_meant if needs_identity(operation) else None)
    after = attempted(meaning.entry, result)
    journal.change(_instead(marked, after))
    return _item(marked, result, after)


class _Meaning:
    """Which tree an entry means while it is tried."""

    def __init__(self, journal: Journal, entry: Entry) -> None:
        self.entry = entry
        self._journal = journal

    def is_meant(self, recovered: bool) -> bool:
        """Return whether what is at the entry's target is meant, asked with the claim on it.

        ``recovered``: it has just been put there, as what an earlier attempt had not come to. That
        is meant from now on, also if this process is killed next. Raises OSError.
        """
        from .identity import identity_of, is_still

        target = target_of(self.entry["operation"])
        if not recovered:
            return is_still(self.entry["identity"], target)
        self.entry = dict(self.entry, identity=identity_of(target))
        self._journal.change(_instead(self.entry, self.entry))
        return True


def _performer() -> Perform:
    """Return what carries out operations, with one look for all of them at what is in use."""
    made: List[Any] = []

    def perform(operation: Dict[str, Any], still_meant: Any) -> Result:
        try:
            if not made:
                from .loaded import once
                from .trees import Trees

                made.append(Trees(look=once()))
            return dict(made[0].perform(dict(operation), still_meant))
        except Exception as error:
            message = "{}: {}".format(type(error).__name__, error)
            return failed(target_of(operation), "raised", message)

    return perform


def _instead(before: Entry, after: Optional[Entry]) -> Callable[[List[Entry]], List[Entry]]:
    """Return the edit that puts ``after`` (None: nothing) in the place of ``before``.

    What another process has made of the entry meanwhile is a newer wish, and stays.
    """

    def edit(entries: List[Entry]) -> List[Entry]:
        changed = [after if same(entry, before) else entry for entry in entries]
        return [entry for entry in changed if entry is not None]

    return edit


def _item(entry: Entry, result: Result, after: Optional[Entry]) -> Result:
    """Return the result of one operation with what the journal says of it now (None: nothing)."""
    given_up = after is not None and after["given_up"]
    return dict(
        result,
        id=entry["id"],
        operation=(after or entry)["operation"],
        attempts=entry["attempts"],
        owed=after is not None and not given_up,
        given_up=given_up,
    )


def _summary(journal: Journal, status: str, results: List[Result]) -> Result:
    owed = [item for item in results if item["owed"]]
    given_up = [item for item in results if item["given_up"]]
    return {
        "success": status in ("nothing_owed", "finished"),
        "status": status,
        "requires_restart": any(item.get("requires_restart") for item in owed),
        "journal": journal.path,
        "total": len(results),
        "finished_count": len(results) - len(owed) - len(given_up),
        "owed_count": len(owed),
        "given_up_count": len(given_up),
        "results": results,
        "damaged": journal.set_aside,
        "message": _MESSAGES[status] + (_DAMAGED if journal.set_aside else ""),
        "recommended_next_action": _NEXT[status],
    }
