"""The open scene as resources, for clients that put them into a conversation by themselves."""

from __future__ import annotations

from itertools import islice
from typing import Any, Dict, Generator, Iterator, List, Optional, Tuple

from ..errors import Unsupported
from .backend import Row, SceneError
from .context import ToolContext
from .declare import Progress, resource, resource_template
from .scene_read import get_object, get_scene_info, selected

__all__ = ["scene_errors", "scene_info", "scene_object", "scene_selection", "scene_tree"]

_JSON = "application/json"

#: Objects in the outline; about as much text as a tool's result may have.
MAX_LINES = 1000
#: Errors shown; all are counted.
MAX_ERRORS = 200
#: Paths looked for while somebody types one; the protocol shows a hundred.
MAX_PATHS = 500


@resource("scene://info", title="Scene info", mime_type=_JSON)
def scene_info(ctx: ToolContext) -> Dict[str, Any]:
    """The open scene: file, units, up axis, object counts, time range, as get_scene_info tells."""
    return get_scene_info(ctx)


@resource("scene://selection", title="Selection", mime_type=_JSON)
def scene_selection(ctx: ToolContext) -> Dict[str, Any]:
    """The selected objects in the order the host keeps them, as get_selection tells."""
    return selected(ctx)


@resource("scene://tree", title="Scene tree", mime_type="text/plain")
def scene_tree(ctx: ToolContext) -> str:
    """The scene's objects as an outline: one line each with name and type, children indented."""
    below: Dict[Optional[str], List[Row]] = {}
    total = 0
    for row in ctx.scene.rows():
        below.setdefault(row["parent"], []).append(row)
        total += 1
    lines = list(islice(_outline(below), MAX_LINES))
    if total > len(lines):
        lines.append("... and {} more; list_objects pages through them".format(total - len(lines)))
    return "\n".join(lines)


@resource("scene://errors", title="Scene errors", mime_type=_JSON)
def scene_errors(ctx: ToolContext) -> Generator[Progress, None, Dict[str, Any]]:
    """What the host finds wrong with the open scene (items), such as files that are missing. A
    note says what was not looked at; without one, no items means that nothing is wrong."""
    items: List[SceneError] = []
    total = 0
    try:
        for looked_at, error in enumerate(ctx.scene.errors(), 1):
            if error is not None:
                total += 1
                if total <= MAX_ERRORS:
                    items.append(error)
            # The host goes on in between: a file on a network drive may take its time.
            yield Progress(looked_at)
    except Unsupported as error:
        return {"items": items, "total": total, "note": error.message}
    found: Dict[str, Any] = {"items": items, "total": total}
    if total > len(items):
        found["note"] = "Only the first {} are shown.".format(len(items))
    return found


def _paths(ctx: ToolContext, value: str) -> List[str]:
    """Return paths that begin with ``value``, or whose object's name does."""
    typed = value.lower()
    found = (
        row["path"]
        for row in ctx.scene.rows()
        if row["path"].lower().startswith(typed) or row["name"].lower().startswith(typed)
    )
    return list(islice(found, MAX_PATHS))


@resource_template(
    "scene://object/{+path}", title="Object", mime_type=_JSON, complete={"path": _paths}
)
def scene_object(ctx: ToolContext, path: str) -> Dict[str, Any]:
    """One object of the scene, named by its path: everything that get_object tells."""
    return get_object(ctx, path)


def _outline(below: Dict[Optional[str], List[Row]]) -> Iterator[str]:
    # No recursion: how deep the scene goes is the artist's choice.
    waiting: List[Tuple[int, Any]] = [(0, iter(below.get(None, ())))]
    while waiting:
        depth, rows = waiting[-1]
        row = next(rows, None)
        if row is None:
            waiting.pop()
            continue
        yield "{}{} ({})".format("  " * depth, row["name"], row["type"])
        children = below.get(row["path"])
        if children:
            waiting.append((depth + 1, iter(children)))
