"""What one entry of the journal says, and what becomes of entries. Pure rules, no file.

An entry: ``id``; ``operation``, as safe_remove_tree and safe_replace_tree return it; ``identity``
of what is at the operation's target (identity.py); ``scheduled_at`` and ``last_attempt_at`` in
seconds of the wall clock; ``attempts``; ``last_error`` with ``reason`` and ``message``.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    Entry = Dict[str, Any]

__all__ = [
    "add",
    "begun",
    "by_turn",
    "needs_identity",
    "operation_in",
    "problem_of_entry",
    "problem_of_operation",
    "same",
    "sweep_of",
    "target_of",
    "unfinished",
    "was_interrupted",
]

_REPLACE = "replace_tree"
#: Deletes what was moved aside from a path, whatever is at that path now.
_SWEEP = "sweep_tree"
#: Operation -> the keys that hold its paths; what is at the last one is changed.
_PATHS = {
    "remove_tree": ("path",),
    _REPLACE: ("source", "destination"),
    _SWEEP: ("path",),
}
_NUMBER = (int, float)
#: Said of an attempt for as long as it has not ended: a killed process says nothing any more.
_INTERRUPTED = {
    "reason": "interrupted",
    "message": "The attempt began, and its process ended before it did.",
}


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
        operation = {"operation": "remove_tree", "path": result.get("install_root")}
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
        if not isinstance(path, str) or "\0" in path or not os.path.isabs(path):
            return "{} takes an absolute path at {!r}, not {!r}.".format(
                operation["operation"], key, path
            )
    return None


def target_of(operation: Dict[str, Any]) -> str:
    """Return the path at which an operation changes something."""
    return str(operation[_PATHS[operation["operation"]][-1]])


def sweep_of(operation: Dict[str, Any]) -> Dict[str, Any]:
    """Return the operation that only clears away what earlier attempts at this one left."""
    return {"operation": _SWEEP, "path": target_of(operation)}


def needs_identity(operation: Dict[str, Any]) -> bool:
    """Return whether an operation means the one tree that was there, and no later one."""
    return bool(operation["operation"] != _SWEEP)


def _name(path: str) -> str:
    """Return the name by which a file system knows ``path``."""
    return os.path.normcase(os.path.normpath(path))


def _place(operation: Dict[str, Any]) -> Tuple[bool, str]:
    """Return what operations have in common that cannot both be meant."""
    return needs_identity(operation), _name(target_of(operation))


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
    for key in ("scheduled_at", "last_attempt_at"):
        value = entry.get(key)
        if not (isinstance(value, _NUMBER) or (value is None and key != "scheduled_at")):
            return "{} is {!r}".format(key, value)
    return None


def add(
    entries: List[Entry],
    operation: Dict[str, Any],
    identity: Optional[Dict[str, Any]],
    fresh_id: str,
    now: float,
) -> Tuple[List[Entry], Entry, List[Entry]]:
    """Return the entries with one more, that one, and those that it takes the place of.

    There is one entry for each place, and the latest wish counts. The same operation again keeps
    its id and attempts, and means what is there now.
    """
    place = _place(operation)
    others = [e for e in entries if _place(e["operation"]) != place]
    replaced = [e for e in entries if _place(e["operation"]) == place]
    entry = {
        "id": fresh_id,
        "operation": operation,
        "identity": identity,
        "scheduled_at": now,
        "attempts": 0,
        "last_attempt_at": None,
        "last_error": None,
    }
    for old in replaced:
        if _places(old["operation"]) == _places(operation):
            for key in ("id", "attempts", "last_attempt_at", "last_error"):
                entry[key] = old.get(key)
            replaced = [e for e in replaced if e is not old]
            break
    return [*others, entry], entry, replaced


def _places(operation: Dict[str, Any]) -> List[str]:
    kind = operation["operation"]
    return [kind, *(_name(operation[key]) for key in _PATHS[kind])]


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
    )


def was_interrupted(entry: Entry) -> bool:
    """Return whether the process of the last attempt at a replacement ended before it did."""
    error = entry["last_error"] or {}
    return bool(
        entry["operation"]["operation"] == _REPLACE
        and error.get("reason") == _INTERRUPTED["reason"]
    )


def unfinished(entry: Entry, result: Dict[str, Any]) -> Optional[Entry]:
    """Return the entry after an attempt with this result; None: nothing is owed any more.

    Its identity is still that of before.
    """
    left = result.get("deferred_operation")
    if not isinstance(left, dict) or problem_of_operation(left) is not None:
        if result.get("success"):
            return None
        left = entry["operation"]
    error = {
        key: result[key]
        for key in ("status", "reason", "message", "locked_path")
        if result.get(key) is not None
    }
    return dict(entry, operation=dict(left), last_error=error)


def same(entry: Entry, other: Entry) -> bool:
    """Return whether two states of the journal say the same of one wish and its attempts."""
    return all(entry[key] == other[key] for key in ("id", "scheduled_at", "attempts"))
