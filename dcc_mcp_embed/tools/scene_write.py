"""The scene tools that change things, written once for all hosts.

Each is one undo step, which the dispatcher opens and closes. Arguments are checked as far as
possible before the first change. Afterwards the result is read back from the host, and where it
is not what was asked for, a warning says so.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..errors import InvalidArgument, NotFound, Unsupported
from . import matrix as m
from . import scene_schema as s
from .backend import SceneBackend, Transform
from .context import ToolContext
from .declare import Tool, declared, tool
from .scene_read import selected

__all__ = [
    "create_object",
    "creating",
    "delete_objects",
    "rename_object",
    "set_selection",
    "set_transform",
]

SPACES = ("world", "local")
MODES = ("replace", "add", "remove")
PARTS = ("translate", "rotate", "scale")

#: What is below so many is asked of the host for each; it may walk the whole scene each time.
FEW = 8
#: Hosts keep transforms in single precision: its rounding is no difference worth a warning.
TOLERANCE = 1e-4

TRANSFORM: Dict[str, Any] = {
    "type": "object",
    "properties": {
        "translate": s.triple("[x, y, z] in scene units. Default [0, 0, 0]."),
        "rotate": s.triple("[x, y, z] in degrees, XYZ order. Default [0, 0, 0]."),
        "scale": s.triple("[x, y, z] factors. Default [1, 1, 1]."),
    },
    "additionalProperties": False,
    "description": "Where it stands, in its parent's space. Default: at the parent's origin.",
}


@tool(
    title="Create object",
    tags=("add", "make", "new", "primitive", "cube", "sphere", "light", "camera"),
    input_schema=s.schema(
        {
            # What there is differs from host to host; see creating().
            "kind": s.text("What to make. A wrong one is answered with the list."),
            "name": s.text("Its name. Default: one after its kind. A taken name is changed."),
            "parent": s.text("Path of the object to put it below. Default: the top level."),
            "transform": TRANSFORM,
            "params": s.free_map(
                "Of the kind: cube and plane size; sphere radius; cylinder and cone radius, "
                "height; torus radius, minor_radius; camera focal_length (mm); light type, "
                "intensity, color. Lengths in scene units. Default: about one unit across."
            ),
        },
        required=("kind",),
    ),
)
def create_object(
    ctx: ToolContext,
    kind: str,
    name: Optional[str] = None,
    parent: Optional[str] = None,
    transform: Optional[Dict[str, Any]] = None,
    params: Optional[Dict[str, Any]] = None,
) -> Dict[str, Any]:
    """Create one object and return its path, type and world bounding box. Lengths are in
    scene units, rotations in degrees; the transform is in the parent's space.
    """
    scene = ctx.scene
    s.choice("kind", kind, scene.kinds)
    above = None if parent in (None, "", "/") else scene.resolve(parent)
    parts = s.vectors(transform or {})
    path = scene.create(kind, name or None, above, dict(params or {}))
    if any(part is not None for part in parts):
        before = scene.transform(path, "local")
        scene.set_transform(path, parts[0], parts[1], parts[2], "local")
        _compare(ctx, before, scene.transform(path, "local"), parts)
    row = scene.row(path)
    if name and row["name"] != name:
        ctx.warn("The name '{}' became '{}'.".format(name, row["name"]))
    local = scene.transform(path, "local")
    ctx.evidence(exists=row["path"] == path, transform={part: local[part] for part in PARTS})
    bbox = _bbox(ctx, path)
    return {"path": path, "id": row["id"], "name": row["name"], "type": row["type"], "bbox": bbox}


def creating(kinds: Sequence[str]) -> Tool:
    """Return :func:`create_object` for a host, which shows what can be made there."""
    plain = declared(create_object)
    assert isinstance(plain, Tool)
    properties = plain.input_schema["properties"]
    kind = dict(properties["kind"], enum=list(kinds))
    return plain.shown_with(dict(plain.input_schema, properties=dict(properties, kind=kind)))


@tool(
    title="Set transform",
    tags=("move", "rotate", "scale", "place", "position"),
    input_schema=s.schema(
        {
            "path": s.PATH,
            "translate": s.triple("[x, y, z] in scene units."),
            "rotate": s.triple("[x, y, z] in degrees, XYZ order."),
            "scale": s.triple("[x, y, z] factors."),
            "space": s.one_of(SPACES, "world, or local: below its parent. Default world.", "world"),
            "relative": s.flag(
                "Add to translate, multiply scale, and turn by rotate about the world's axes "
                "(space=local: the object's own). Default false: set these values.",
                False,
            ),
            "frame": s.number("Also set keys on this frame, where the host supports it."),
        },
        required=("path",),
    ),
)
def set_transform(
    ctx: ToolContext,
    path: str,
    translate: Optional[Sequence[float]] = None,
    rotate: Optional[Sequence[float]] = None,
    scale: Optional[Sequence[float]] = None,
    space: str = "world",
    relative: bool = False,
    frame: Optional[float] = None,
) -> Dict[str, Any]:
    """Move, turn or scale one object; parts not given stay. Scene units and degrees (XYZ
    order). Default space world, relative false. Returns the transform in that space before and
    after.
    """
    s.choice("space", space, SPACES)
    asked = s.vectors({"translate": translate, "rotate": rotate, "scale": scale})
    given = [part for part, value in zip(PARTS, asked) if value is not None]
    if not given:
        raise InvalidArgument("Nothing to set.", hint="Pass translate, rotate or scale.")
    scene = ctx.scene
    if frame is not None and not scene.keys:
        raise Unsupported(
            "This host sets no keyframes through set_transform; nothing was changed.",
            hint="Leave out 'frame'.",
            state="not_started",
        )
    full = scene.resolve(path)
    before = scene.transform(full, space)
    wanted = _relative(before, asked, space == "local") if relative else asked
    scene.set_transform(full, wanted[0], wanted[1], wanted[2], space)
    if frame is not None:
        scene.key_transform(full, given, frame)
    after = scene.transform(full, space)
    _compare(ctx, before, after, wanted)
    ctx.evidence(changed=before != after)
    return {"path": full, "space": space, "before": before, "after": after}


@tool(
    title="Rename object",
    tags=("name",),
    input_schema=s.schema(
        {"path": s.PATH, "new_name": s.text("The new name, not a path.")},
        required=("path", "new_name"),
    ),
)
def rename_object(ctx: ToolContext, path: str, new_name: str) -> Dict[str, Any]:
    """Rename one object. Where the name is taken the host makes one of them unique; collisions
    lists the others concerned, as they are called now. Paths of everything below change too.
    """
    scene = ctx.scene
    if not new_name.strip():
        raise InvalidArgument("'new_name' is empty.")
    old = scene.resolve(path)
    before = {row["id"]: (row["path"], row["name"]) for row in scene.rows()}
    new = scene.rename(old, new_name)
    row = scene.row(new)
    below = set(scene.descendants(new))
    own, name = row["id"], row["name"]
    collisions: List[str] = []
    changes: List[str] = []
    for other in scene.rows():
        if other["id"] == own or other["id"] not in before:
            continue
        was_path, was_name = before[other["id"]]
        # Blender gives the name and takes it from the object that had it, wherever that stands.
        moved = other["path"] != was_path and other["path"] not in below
        if moved or other["name"] != was_name:
            changes.append("{} is now {}".format(was_path, other["path"]))
            collisions.append(other["path"])
        elif name != new_name == other["name"]:
            collisions.append(other["path"])
    if name != new_name:
        ctx.warn("The name '{}' became '{}'.".format(new_name, name))
    if changes:
        ctx.warn("The host renamed others for it: {}.".format("; ".join(changes[:20])))
    ctx.evidence(name=name)
    return {"old": old, "new": new, "collisions": collisions}


@tool(
    title="Delete objects",
    tags=("remove", "erase"),
    destructive=True,
    input_schema=s.schema(
        {
            "paths": s.PATHS,
            "dry_run": s.flag("Only say what would go. Default false.", False),
        },
        required=("paths",),
    ),
)
def delete_objects(ctx: ToolContext, paths: Sequence[str], dry_run: bool = False) -> Dict[str, Any]:
    """Delete objects with everything below them (also_deleted). Names that fit nothing are
    listed in missing and fail the call only if all do. dry_run (default false) deletes nothing.
    """
    scene = ctx.scene
    found: Dict[str, None] = {}
    # Path -> why it is not there, in words: a kept error would keep this very frame.
    missing: Dict[str, Tuple[str, Optional[str]]] = {}
    asked = s.paths_of(paths)
    for path in asked:
        try:
            found[scene.resolve(path)] = None
        except NotFound as error:
            if len(asked) == 1:
                raise
            missing[path] = (error.message, error.hint)
    if not found:
        raise NotFound(
            "None of these exists: {}. Nothing was deleted.".format(", ".join(missing)),
            hint=missing[asked[0]][1],
            details={"missing": list(missing)},
        )
    expected = [*found, *_below(scene, list(found))]
    gone = list(dict.fromkeys(expected if dry_run else scene.delete(list(found))))
    result: Dict[str, Any] = {
        "deleted": [path for path in gone if path in found],
        "also_deleted": [path for path in gone if path not in found],
        "missing": list(missing),
        "dry_run": dry_run,
    }
    for message, hint in missing.values():
        ctx.warn("{} {}".format(message, hint or "").rstrip())
    if not dry_run:
        left = {row["path"] for row in scene.rows()}
        still_there = [path for path in dict.fromkeys(expected) if path in left]
        if still_there:
            ctx.warn("Still there: {}.".format(", ".join(still_there[:20])))
        ctx.evidence(still_there=still_there, objects_left=len(left))
    return result


@tool(
    title="Set selection",
    tags=("select", "deselect", "pick"),
    input_schema=s.schema(
        {
            "paths": s.PATHS,
            "mode": s.one_of(
                MODES,
                "replace the selection, add to it or remove from it. Default replace.",
                "replace",
            ),
        },
        required=("paths",),
    ),
    idempotent=True,
)
def set_selection(ctx: ToolContext, paths: Sequence[str], mode: str = "replace") -> Dict[str, Any]:
    """Select objects: mode replace (default; no paths clears the selection), add or remove.
    Returns the selection afterwards. If one path fits nothing, nothing is changed.
    """
    s.choice("mode", mode, MODES)
    scene = ctx.scene
    named = list(dict.fromkeys(scene.resolve(path) for path in paths))
    before = scene.selection()
    wanted = named
    if mode == "add":
        wanted = before + [path for path in named if path not in set(before)]
    elif mode == "remove":
        wanted = [path for path in before if path not in set(named)]
    scene.select(wanted)
    after = scene.selection()
    left_out = sorted(set(wanted) - set(after))
    if left_out:
        ctx.warn("The host did not select: {}.".format(", ".join(left_out[:20])))
    ctx.evidence(selected_before=len(before), selected_after=len(after))
    return selected(ctx)


def _relative(before: Transform, asked: s.Given, own: bool) -> s.Given:
    translate, rotate, scale = asked
    t, r, k = before["translate"], before["rotate"], before["scale"]
    return (
        translate and (t[0] + translate[0], t[1] + translate[1], t[2] + translate[2]),
        rotate and m.turn(r, rotate, own),
        scale and (k[0] * scale[0], k[1] * scale[1], k[2] * scale[2]),
    )


def _compare(ctx: ToolContext, before: Transform, after: Transform, wanted: s.Given) -> None:
    """Warn if the host holds another transform than was asked for.

    Matrices are compared, because one rotation has many angles.
    """
    parts = [wanted[i] if wanted[i] is not None else before[part] for i, part in enumerate(PARTS)]
    expected = m.compose(*parts)
    columns = [3] if wanted[0] is not None else []
    if wanted[1] is not None or wanted[2] is not None:
        columns += [0, 1, 2]
    off = m.deviation(expected, after["matrix"], columns)
    # Not a plain comparison, so that a NaN counts as off.
    if not off <= TOLERANCE:
        ctx.warn(
            "The host holds another transform than asked for (see 'after'): something limits "
            "this object, such as a lock, a constraint, or a turned parent with uneven scale."
        )


def _bbox(ctx: ToolContext, path: str) -> Any:
    try:
        return ctx.scene.detail(path, "bbox")
    except Unsupported:
        return None


def _below(scene: SceneBackend, paths: Sequence[str]) -> List[str]:
    """Return the paths of what is below any of these."""
    if len(paths) <= FEW:
        return [below for path in paths for below in scene.descendants(path)]
    above, found = set(paths), []
    # Parents come first.
    for row in scene.rows():
        if row["parent"] in above:
            above.add(row["path"])
            found.append(row["path"])
    return found
