"""Which tools ``tools/list`` shows: a table, and the bytes that a list may have.

A list of tools stands in every conversation of a client. What is not on it is there all the same:
``search_tools`` finds it, ``describe_tool`` shows it, ``call_tool`` calls it.
"""

from __future__ import annotations

import json
from typing import Any, Dict, FrozenSet, List, Tuple

from ..config import PROFILES
from .entries import Tool
from .loader import PREFIX as LOADED

__all__ = ["CORE", "LIST_LIMIT", "as_tasks", "listed"]

#: Bytes of a whole answer to ``tools/list`` in the profile ``core``.
LIST_LIMIT = 24 * 1024
#: What is kept free for what stands around the list: JSON-RPC, and the server's name in the
#: stateless era.
_AROUND = 512
#: The most bytes that ``execution`` takes, see :func:`as_tasks`.
_TASKS = len(',"execution":{"taskSupport":"optional"}')

_CONTROL = "get_status get_job cancel_job search_tools describe_tool call_tool batch"
_READ = """
    get_scene_info list_objects get_object get_hierarchy get_selection get_attributes
    capture_viewport list_instances
"""
_WRITE = """
    create_object duplicate_objects delete_objects rename_object set_parent set_transform
    set_attributes set_visibility set_selection assign_material set_keyframes import_file
    export_file open_scene save_scene render_frame undo redo execute_python
"""
#: Our own tools that the profile ``core`` shows, in every host that has them.
CORE: FrozenSet[str] = frozenset(" ".join((_CONTROL, _READ, _WRITE)).split())

#: By which a tool is known to be ours: the name that this package has here.
_OURS = __name__.partition(".")[0]


def listed(tools: Dict[str, Tool], profile: str) -> List[Dict[str, Any]]:
    """Return the entries of ``tools/list``, by name.

    ``full`` shows everything. ``core`` shows what :data:`CORE` names and then, in the order of
    their names, the tools of others (the user's own) for as long as there is room; none of them
    with an output schema, which no model needs to call it.
    """
    assert profile in PROFILES
    if profile == "full":
        return [tool.describe() for _, tool in sorted(tools.items())]
    shown: Dict[str, Dict[str, Any]] = {}
    foreign: List[Tuple[str, Dict[str, Any]]] = []
    for name, tool in tools.items():
        if not _is_ours(tool):
            foreign.append((name, _brief(tool)))
        elif name in CORE:
            shown[name] = _brief(tool)
    if foreign:
        room = LIST_LIMIT - _AROUND - sum(map(_size, shown.values()))
        for name, entry in sorted(foreign, key=lambda one: one[0]):
            size = _size(entry)
            # A large one does not keep the small ones behind it from being shown.
            if size <= room:
                room -= size
                shown[name] = entry
    return [entry for _, entry in sorted(shown.items())]


def as_tasks(tools: Dict[str, Tool], entries: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return the entries of ``tools/list`` with what each tool says of tasks (2025-11-25)."""
    shown = []
    for entry in entries:
        support = tools[entry["name"]].task_support
        # That is what it means to say nothing.
        if support != "forbidden":
            entry = dict(entry, execution={"taskSupport": support})
        shown.append(entry)
    return shown


def _is_ours(tool: Tool) -> bool:
    module = str(getattr(tool.function, "__module__", None) or "")
    return module.partition(".")[0] == _OURS and not module.startswith(LOADED)


def _brief(tool: Tool) -> Dict[str, Any]:
    entry = tool.describe()
    if "outputSchema" not in entry:
        return entry
    return {key: value for key, value in entry.items() if key != "outputSchema"}


def _size(entry: Dict[str, Any]) -> int:
    """Return the bytes of an entry on the wire: with the comma before it, and its say on tasks."""
    return len(json.dumps(entry, separators=(",", ":"))) + 1 + _TASKS
