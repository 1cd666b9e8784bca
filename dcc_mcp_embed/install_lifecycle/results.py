"""The answers of the tree operations as plain dictionaries, and the words that stand in them.

Every answer has ``success``, ``status`` and ``requires_restart``. Whatever its status, an answer
with a ``deferred_operation`` says that something is owed: that is what goes to the journal and what
``trees.perform`` carries out later. Paths in answers are text.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False  # typing is not loaded for annotations only
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Result = Dict[str, Any]

__all__ = [
    "NEXT_ACTION",
    "failed",
    "is_link",
    "is_path",
    "left_over",
    "operation_remove",
    "operation_replace",
    "operation_sweep",
    "requires_restart",
    "succeeded",
    "to_path",
]

# What is to be done: the ``operation`` of a deferred operation. A sweep deletes what an earlier
# removal or replacement of ``path`` had to leave beside it.
REMOVE_TREE = "remove_tree"
REPLACE_TREE = "replace_tree"
SWEEP_TREE = "sweep_tree"

# What came of it: ``status``.
OK = "ok"
FAILED = "failed"
REQUIRES_RESTART = "requires_restart"
REMOVED = "removed"
REPLACED = "replaced"
SKIPPED = "skipped"
SWEPT = "swept"
SUPERSEDED = "superseded"

# Why not: ``reason``. The first five are the reference's.
INVALID_PATH = "invalid_path"
MISSING_SOURCE = "missing_source"
REMOVE_FAILED = "remove_failed"
NATIVE_ARTIFACT_LOADED = "native_artifact_loaded"
WINDOWS_FILE_LOCK = "windows_file_lock"
BUSY = "busy"
INVALID_OPERATION = "invalid_operation"
OCCUPIED = "occupied"
IDENTITY_UNKNOWN = "identity_unknown"

NEXT_ACTION = (
    "Schedule the deferred operation and complete it on next DCC startup before importing "
    "dcc_mcp_embed."
)


#: An attribute of Windows: the name stands for something else.
_REPARSE_POINT = 0x400


def to_path(value: Any) -> Optional[str]:
    """Return ``value`` as an absolute path, or None for nothing, for blanks and for no path at all.

    None also for a relative path where the current directory was deleted, and for one of Windows'
    that starts from where a drive was left (``C:``, ``C:name``). ``~`` is expanded and
    links on the way are resolved, but never a link that ``value`` itself is: who is to delete it
    must see it. White space around a name is part of it.
    """
    if value is None:
        return None
    text = os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)
    if not text.strip() or not is_path(text) or _starts_anywhere(text):
        return None
    try:
        return _absolute(os.path.expanduser(text))
    except FileNotFoundError:
        return None  # it starts from a directory that is no more


def is_path(text: str) -> bool:
    """Say whether the system takes ``text`` for a path: no NUL, no half characters on POSIX."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _starts_anywhere(text: str) -> bool:
    """Say whether it is a path of Windows' from wherever somebody was last on that drive."""
    return os.name == "nt" and text[1:2] == ":" and text[2:3] not in ("\\", "/")


def _absolute(text: str) -> str:
    if os.name == "nt":
        return os.path.abspath(text)  # the system takes dots away by the letter as well
    head, name = os.path.split(text.rstrip(os.sep) or os.sep)
    if name in ("", os.curdir, os.pardir):
        return os.path.realpath(text)
    return os.path.join(os.path.realpath(head or os.curdir), name)


def is_link(status: os.stat_result) -> bool:
    """Say whether an ``lstat`` is that of a symlink, a junction or another name for elsewhere."""
    if stat.S_ISLNK(status.st_mode):
        return True
    attributes = getattr(status, "st_file_attributes", 0)
    if not attributes & _REPARSE_POINT:
        return False
    # Before 3.8 the tag is not told; files of a cloud drive are reparse points too, but no folder
    # that leads elsewhere is anything else.
    tag = getattr(status, "st_reparse_tag", None)
    if tag is None:
        return stat.S_ISDIR(status.st_mode)
    return tag in (0xA000000C, 0xA0000003)  # symlink, mount point (junction)


def succeeded(status: str, **more: Any) -> Result:
    """Return the answer that it was done; ``more`` are its other keys."""
    return dict({"success": True, "status": status, "requires_restart": False}, **more)


def failed(path: Optional[str], reason: str, message: str, **more: Any) -> Result:
    """Return the answer that it was not done and that a restart alone will not help."""
    answer = {
        "success": False,
        "status": FAILED,
        "requires_restart": False,
        "path": None if path is None else str(path),
        "reason": reason,
        "message": message,
    }
    answer.update(more)
    return answer


def requires_restart(
    path: str,
    locked_path: Optional[str],
    reason: str,
    message: str,
    deferred_operation: Dict[str, str],
    **more: Any,
) -> Result:
    """Return the answer that it waits until who holds ``locked_path`` has ended."""
    answer = {
        "success": False,
        "status": REQUIRES_RESTART,
        "requires_restart": True,
        "path": str(path),
        "locked_path": None if locked_path is None else str(locked_path),
        "reason": reason,
        "message": message,
        "recommended_next_action": NEXT_ACTION,
        "deferred_operation": deferred_operation,
    }
    answer.update(more)
    return answer


def operation_remove(path: str) -> Dict[str, str]:
    return {"operation": REMOVE_TREE, "path": path}


def operation_replace(source: str, destination: str) -> Dict[str, str]:
    return {"operation": REPLACE_TREE, "source": source, "destination": destination}


def operation_sweep(path: str) -> Dict[str, str]:
    return {"operation": SWEEP_TREE, "path": path}


def left_over(path: str, names: List[str]) -> Result:
    """Return the keys that say what lies beside ``path`` and is still to be deleted, or none."""
    if not names:
        return {}
    return {"left_over": names, "deferred_operation": operation_sweep(path)}
