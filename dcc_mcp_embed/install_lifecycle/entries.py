"""What one entry of the journal says, and what becomes of entries. Pure rules, no file.

An entry: ``id``; ``operation``, as safe_remove_tree and safe_replace_tree return it; ``identity``
of what is at the operation's target (identity.py); ``volume``, where that one's is mounted;
``machine``, whose file systems are meant;
``scheduled_at`` and ``last_attempt_at`` in seconds of the wall clock; ``attempts``; ``last_error``
with ``reason`` and ``message``; ``given_up``, if no start will ever do it.
"""

from __future__ import annotations

import os

from .results import (
    INVALID_OPERATION,
    INVALID_PATH,
    MISSING_SOURCE,
    REMOVE_TREE,
    REMOVED,
    REPLACE_TREE,
    REPLACED,
    SKIPPED,
    SWEEP_TREE,
    is_path,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    Entry = Dict[str, Any]

__all__ = [
    "ELSEWHERE",
    "GIVEN_UP",
    "OWED",
    "add",
    "attempted",
    "begun",
    "by_turn",
    "is_due",
    "needs_identity",
    "operation_in",
    "place_of",
    "problem_of_entry",
    "problem_of_operation",
    "same",
    "settled",
    "state_of",
    "target_of",
    "without",
]

# What is to be thought of an entry.
OWED = "owed"
GIVEN_UP = "given_up"
ELSEWHERE = "elsewhere"

#: Operation -> the keys that hold its paths; what is at the last one is changed.
_PATHS = {
    REMOVE_TREE: ("path",),
    REPLACE_TREE: ("source", "destination"),
    SWEEP_TREE: ("path",),
}
_NUMBER = (int, float)
#: Said of an attempt for as long as it has not ended: a killed process says nothing any more.
_INTERRUPTED = {
    "reason": "interrupted",
    "message": "The attempt began, and its process ended before it did.",
}
#: After these nothing will be otherwise at the next start, unless what was refused passes.
_HOPELESS = (INVALID_PATH, INVALID_OPERATION, MISSING_SOURCE)
_PASSING_GUARDS = ("current_directory", "unreadable")


def operation_in(result: Any) -> Optional[Dict[str, Any]]:
    """Return what a result leaves to be done later, None if nothing. Raises ValueError.

    ``result`` is what inspect_install_root (meaning: remove its ``install_root``), safe_remove_tree
    or safe_replace_tree returned, or an operation itself.
    """
    if not isinstance(result, dict):
        raise ValueError("It takes a dict, not {!r}.".format(type(result).__name__))
    if isinstance(result.get("deferred_operation"), dict):
        operation = dict(result["deferred_operation"])
    elif "operation" in result:
        operation = dict(result)
    elif "loaded_native_artifacts" in result or "install_root" in result:
        operation = {"operation": REMOVE_TREE, "path": result.get("install_root")}
    elif result.get("success"):
        return None
    else:
        raise ValueError("The result has no deferred_operation: it is not to be tried again.")
    operation = {k: str(v) if isinstance(v, os.PathLike) else v for k, v in operation.items()}
    problem = problem_of_operation(operation)
    if problem:
        raise ValueError(problem)
    return operation


def problem_of_operation(operation: Any) -> Optional[str]:
    """Return what is wrong with an operation, None if it can be carried out by its looks."""
    if not isinstance(operation, dict) or not isinstance(operation.get("operation"), str):
        return "An operation is a dict with a name at 'operation'."
    if operation["operation"] not in _PATHS:
        return "There is no operation {!r}; there are: {}.".format(
            operation["operation"], ", ".join(sorted(_PATHS))
        )
    for key in _PATHS[operation["operation"]]:
        path = operation.get(key)
        if not isinstance(path, str) or not is_path(path) or not os.path.isabs(path):
            return "{} takes an absolute path at {!r}, not {!r}.".format(
                operation["operation"], key, path
            )
    return None


def target_of(operation: Dict[str, Any]) -> str:
    """Return the path at which an operation changes something."""
    return str(operation[_PATHS[operation["operation"]][-1]])


def needs_identity(operation: Dict[str, Any]) -> bool:
    """Return whether an operation means the one tree that was there, and no later one."""
    return bool(operation["operation"] != SWEEP_TREE)


def _name(path: str) -> str:
    """Return the name by which a file system knows ``path``."""
    return os.path.normcase(os.path.normpath(path))


def place_of(operation: Dict[str, Any]) -> Tuple[bool, str]:
    """Return what operations have in common that cannot both be meant."""
    return needs_identity(operation), _name(target_of(operation))


def settled(result: Any) -> Optional[Tuple[bool, str]]:
    """Return the place that is as it was wished last, by a result that says so; else None."""
    if not isinstance(result, dict) or not result.get("success"):
        return None
    keys = {REMOVED: "path", SKIPPED: "path", REPLACED: "destination"}
    path = result.get(keys.get(str(result.get("status")), ""))
    return (True, _name(path)) if isinstance(path, str) else None


def problem_of_entry(entry: Any) -> Optional[str]:
    """Return what is wrong with an entry that was read, None if nothing."""
    if not isinstance(entry, dict):
        return "an entry is no object"
    problem = problem_of_operation(entry.get("operation"))
    if problem:
        return problem
    attempts, error = entry.get("attempts"), entry.get("last_error")
    if not isinstance(entry.get("id"), str) or not entry["id"]:
        return "an entry has no id"
    if not isinstance(attempts, int) or attempts < 0:
        return "attempts is {!r}".format(attempts)
    if not (error is None or isinstance(error, dict)):
        return "last_error is {!r}".format(error)
    if not (entry.get("identity") is None or isinstance(entry["identity"], dict)):
        return "identity is {!r}".format(entry["identity"])
    for key in ("machine", "volume"):
        if not (entry.get(key) is None or isinstance(entry[key], str)):
            return "{} is {!r}".format(key, entry[key])
    if not isinstance(entry.get("given_up"), bool):
        return "given_up is {!r}".format(entry.get("given_up"))
    for key in ("scheduled_at", "last_attempt_at"):
        value = entry.get(key)
        if not (isinstance(value, _NUMBER) or (value is None and key != "scheduled_at")):
            return "{} is {!r}".format(key, value)
    return None


def add(
    entries: List[Entry],
    operation: Dict[str, Any],
    identity: Optional[Dict[str, Any]],
    machine: Optional[str],
    fresh_id: str,
    now: float,
    volume: Optional[str] = None,
) -> Tuple[List[Entry], Entry, List[Entry]]:
    """Return the entries with one more, that one, and those that it takes the place of.

    There is one entry for each place, and the latest wish counts. The same operation again keeps
    its id and attempts, and means what is there now.
    """
    others, replaced = without(entries, place_of(operation), machine)
    entry = {
        "id": fresh_id,
        "operation": operation,
        "identity": identity,
        "machine": machine,
        "volume": volume,
        "scheduled_at": now,
        "attempts": 0,
        "last_attempt_at": None,
        "last_error": None,
        "given_up": False,
    }
    for old in replaced:
        if _paths_of(old["operation"]) == _paths_of(operation):
            for key in ("id", "attempts", "last_attempt_at", "last_error"):
                entry[key] = old.get(key)
            replaced = [e for e in replaced if e is not old]
            break
    return [*others, entry], entry, replaced


def without(
    entries: List[Entry], place: Tuple[bool, str], machine: Optional[str]
) -> Tuple[List[Entry], List[Entry]]:
    """Return the entries that are not for a place of this machine, and those that are."""

    def is_here(entry: Entry) -> bool:
        elsewhere = state_of(entry, machine) == ELSEWHERE
        return place_of(entry["operation"]) == place and not elsewhere

    return [e for e in entries if not is_here(e)], [e for e in entries if is_here(e)]


def _paths_of(operation: Dict[str, Any]) -> List[str]:
    kind = operation["operation"]
    return [kind, *(_name(operation[key]) for key in _PATHS[kind])]


def state_of(entry: Entry, machine: Optional[str]) -> str:
    """Return OWED, GIVEN_UP, or ELSEWHERE: another machine means its own file systems."""
    meant = entry.get("machine")
    if meant is not None and machine is not None and meant != machine:
        return ELSEWHERE
    return GIVEN_UP if entry["given_up"] else OWED


def is_due(
    entry: Entry, machine: Optional[str], exists: Callable[[str], bool], again: bool
) -> bool:
    """Return whether an entry is to be tried now; ``again``: also if it was given up.

    Without that, a source that was not there is waited for: its volume may not be mounted yet.
    """
    state = state_of(entry, machine)
    if state != GIVEN_UP or again:
        return state != ELSEWHERE
    reason = (entry["last_error"] or {}).get("reason")
    return bool(reason == MISSING_SOURCE and exists(str(entry["operation"].get("source"))))


def by_turn(entries: List[Entry]) -> List[Entry]:
    """Return the entries in the order in which they are tried: the least tried first."""
    return sorted(entries, key=lambda entry: (entry["attempts"], entry["scheduled_at"]))


def begun(entry: Entry, now: float) -> Entry:
    """Return the entry as it stands while an attempt is under way, and if that never ends."""
    return dict(
        entry,
        attempts=entry["attempts"] + 1,
        last_attempt_at=now,
        last_error=dict(_INTERRUPTED),
        given_up=False,
    )


def attempted(entry: Entry, result: Dict[str, Any]) -> Optional[Entry]:
    """Return the entry after an attempt with this result; None: nothing is owed any more.

    What a success leaves is owed in its place. Without success the operation itself still is,
    whatever else is to be cleared away.
    """
    error = {
        key: result[key]
        for key in ("status", "reason", "message", "locked_path", "guard")
        if result.get(key) is not None
    }
    if not result.get("success"):
        return dict(entry, last_error=error, given_up=_is_hopeless(result))
    left = result.get("deferred_operation")
    if not isinstance(left, dict) or problem_of_operation(left) is not None:
        return None
    identity = entry["identity"] if needs_identity(left) else None
    return dict(entry, operation=dict(left), identity=identity, last_error=error)


def _is_hopeless(result: Dict[str, Any]) -> bool:
    return result.get("reason") in _HOPELESS and result.get("guard") not in _PASSING_GUARDS


def same(entry: Entry, other: Entry) -> bool:
    """Return whether two states of the journal say the same of one wish and its attempts."""
    return all(entry[key] == other[key] for key in ("id", "scheduled_at", "attempts"))
