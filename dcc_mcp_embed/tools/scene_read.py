"""The scene tools that only look, written once for all hosts."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence

from ..errors import Unsupported
from . import scene_schema as s
from .backend import Row, did_you_mean, nearest
from .context import ToolContext
from .declare import tool
from .glob import glob
from .paging import DEFAULT_LIMIT, MAX_LIMIT, page

__all__ = ["get_object", "get_scene_info", "get_selection", "list_objects"]

INFO_PARTS = ("counts", "time", "units", "render", "plugins")
OBJECT_PARTS = ("transform", "bbox", "attributes", "materials", "history", "children")
ROW_FIELDS = ("id", "path", "name", "type", "parent", "visible")

#: More children than this stay out of a card; list_objects pages through all of them.
MAX_CHILDREN = 200


@tool(
    title="Scene info",
    tags=("file", "units", "frames", "time"),
    read_only=True,
    idempotent=True,
    input_schema=s.schema(
        {"include": s.some_of(INFO_PARTS, "Which parts to add. Default: all of them.")}
    ),
)
def get_scene_info(ctx: ToolContext, include: Optional[Sequence[str]] = None) -> Dict[str, Any]:
    """Describe the open scene: file, unsaved changes, up axis, units (all lengths in other
    tools are in the linear unit, all angles in degrees), selection count; object counts by
    type, time range and fps, render settings, plug-ins.
    """
    info: Dict[str, Any] = ctx.scene.info(s.choices("include", include, INFO_PARTS))
    return info


@tool(
    title="List objects",
    tags=("find", "search", "nodes", "meshes"),
    read_only=True,
    idempotent=True,
    input_schema=s.schema(
        {
            "type": s.text("Only objects of this type, e.g. one that get_scene_info counted."),
            "name_pattern": s.text(
                "Only names that fit this pattern with * ? [abc], case ignored; with a '/' in it "
                "it is compared with the whole path."
            ),
            "parent": s.text("Only objects right below this path; '/' for the top level."),
            "selected_only": s.flag("Only selected objects. Default false.", False),
            "visible_only": s.flag("Only objects that show. Default false.", False),
            "limit": s.integer("How many at most, 1 to 500. Default 50.", DEFAULT_LIMIT),
            "cursor": s.text("next_cursor of the page before, with the same filters."),
            "fields": s.some_of(ROW_FIELDS, "Which fields of each item. Default: all of them."),
        }
    ),
)
def list_objects(
    ctx: ToolContext,
    type: Optional[str] = None,
    name_pattern: Optional[str] = None,
    parent: Optional[str] = None,
    selected_only: bool = False,
    visible_only: bool = False,
    limit: int = DEFAULT_LIMIT,
    cursor: Optional[str] = None,
    fields: Optional[Sequence[str]] = None,
) -> Dict[str, Any]:
    """List the scene's objects, parents before children, filtered and in pages of `limit`
    (default 50, max 500). Pass next_cursor back as cursor for the next page; total counts all
    that match.
    """
    chosen = s.choices("fields", fields, ROW_FIELDS)
    filters: List[Callable[[Row], bool]] = []
    types = set()
    if type is not None:
        wanted_type = type

        def of_type(row: Row) -> bool:
            types.add(row["type"])
            return bool(row["type"] == wanted_type)

        filters.append(of_type)
    if name_pattern is not None:
        fits = glob(name_pattern)
        compared = "path" if "/" in name_pattern else "name"
        filters.append(lambda row: fits(row[compared]))
    if parent is not None:
        above = None if parent == "/" else ctx.scene.resolve(parent)
        filters.append(lambda row: bool(row["parent"] == above))
    if selected_only:
        selected = set(ctx.scene.selection())
        filters.append(lambda row: row["path"] in selected)
    if visible_only:
        filters.append(lambda row: bool(row["visible"]))
    found = page(
        ctx.scene.rows(),
        lambda row: all(wanted(row) for wanted in filters),
        [type, name_pattern, parent, selected_only, visible_only],
        limit,
        cursor,
    )
    if type is not None and types and type not in types:
        hint = did_you_mean(nearest(type, types), "")
        ctx.warn(
            "No object has the type '{}'. Types here: {}. {}".format(
                type, ", ".join(sorted(types)), hint
            ).rstrip()
        )
    items = [{name: row[name] for name in chosen} for row in found.items]
    return {"items": items, "total": found.total, "next_cursor": found.next_cursor}


@tool(
    title="Get object",
    tags=("inspect", "show", "transform", "material"),
    read_only=True,
    idempotent=True,
    input_schema=s.schema(
        {
            "path": s.PATH,
            "include": s.some_of(OBJECT_PARTS, "Which parts to add. Default: all of them."),
        },
        required=("path",),
    ),
)
def get_object(
    ctx: ToolContext, path: str, include: Optional[Sequence[str]] = None
) -> Dict[str, Any]:
    """Describe one object: its row, transform (local and world: translate in scene units,
    rotate in XYZ degrees, scale, matrix), world bounding box, attributes, materials, history,
    children. A part that this host lacks stands in errors.
    """
    full = ctx.scene.resolve(path)
    card: Dict[str, Any] = dict(ctx.scene.row(full))
    errors: Dict[str, str] = {}
    for part in s.choices("include", include, OBJECT_PARTS):
        try:
            card[part] = _part(ctx, full, part)
        except Unsupported as error:
            errors[part] = error.message
    if errors:
        card["errors"] = errors
    return card


def _part(ctx: ToolContext, path: str, part: str) -> Any:
    if part == "transform":
        return {space: ctx.scene.transform(path, space) for space in ("local", "world")}
    value = ctx.scene.detail(path, part)
    if part == "children" and len(value) > MAX_CHILDREN:
        ctx.warn(
            "{} of {} children are shown; list_objects with parent='{}' pages through all.".format(
                MAX_CHILDREN, len(value), path
            )
        )
        return value[:MAX_CHILDREN]
    return value


@tool(
    title="Get selection",
    tags=("selected",),
    read_only=True,
    idempotent=True,
    input_schema=s.schema({}),
)
def get_selection(ctx: ToolContext) -> Dict[str, Any]:
    """List the selected objects in the order the host keeps them, at most 500; total counts
    all. For more, list_objects with selected_only pages through them.
    """
    return selected(ctx)


def selected(ctx: ToolContext) -> Dict[str, Any]:
    """Return the selection as items and total, with a warning when it is cut."""
    paths = ctx.scene.selection()
    if len(paths) > MAX_LIMIT:
        ctx.warn("{} of {} selected objects are shown.".format(MAX_LIMIT, len(paths)))
    items = [ctx.scene.row(path) for path in paths[:MAX_LIMIT]]
    return {"items": items, "total": len(paths)}
