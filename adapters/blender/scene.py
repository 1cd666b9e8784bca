"""Blender's scene as the scene tools see it. Main thread; ``bpy`` objects never leave a call."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ...errors import InvalidArgument, NotFound, Unsupported
from ...tools.backend import Row, SceneBackend, SceneError, Transform, find_path
from .attributes import attributes_of
from .geometry import KINDS, make_data
from .identities import Identities
from .missing import missing_files
from .placing import local_of, place_local, place_world, world_of
from .unsaved import Unsaved

__all__ = ["BlenderScene"]

#: The longest name Blender keeps, in bytes of UTF-8; longer ones are cut by it without a word.
MAX_NAME = 63
_SOLID = frozenset(("MESH", "CURVE", "CURVES", "SURFACE", "META", "FONT", "GPENCIL", "VOLUME"))


class BlenderScene(SceneBackend):
    """The scene of the first window, or the current one in background mode.

    Object names are unique in Blender; a path is the names of all parents, ``/parent/child``.
    Z is up. ``undoable`` is False in background mode, where Blender offers no undo; ``unsaved``
    tells there whether there is anything to be saved.
    """

    kinds: Tuple[str, ...] = KINDS

    def __init__(self, undoable: bool, unsaved: Optional[Unsaved] = None) -> None:
        self._undoable = undoable
        self._unsaved = unsaved
        #: Set by every write of ours; the undo step asks whether there is anything to push.
        self.touched = False
        self._ids = Identities()
        self._parts: Dict[str, Callable[[Any], Any]] = {
            "bbox": self._box,
            "attributes": attributes_of,
            "materials": lambda item: [
                slot.material.name for slot in item.material_slots if slot.material is not None
            ],
            "history": lambda item: [
                {"name": modifier.name, "type": modifier.type.lower()}
                for modifier in item.modifiers
            ],
            "children": lambda item: [_path(child) for child in _tree().get(item.name, ())],
        }

    # -- reading ------------------------------------------------------------------------------

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        import bpy

        scene = _scene()
        units = scene.unit_settings
        metric = units.system == "METRIC" and abs(units.scale_length - 1.0) < 1e-9
        shape: Dict[str, Any] = {
            "file": bpy.data.filepath,
            "dirty": self._is_dirty(),
            "up_axis": "z",
            "units": {
                "linear": "m" if metric else "{:g} m".format(units.scale_length),
                "angle": "deg",
            },
            "selection_count": len(self.selection()),
        }
        if "counts" in include:
            counts: Dict[str, int] = {}
            for item in scene.objects:
                kind = item.type.lower()
                counts[kind] = counts.get(kind, 0) + 1
            shape["counts"] = counts
        if "time" in include:
            shape["time"] = {
                "fps": scene.render.fps / scene.render.fps_base,
                "start": scene.frame_start,
                "end": scene.frame_end,
                "current": scene.frame_current,
            }
        if "render" in include:
            shape["render"] = {
                "engine": scene.render.engine,
                "width": scene.render.resolution_x,
                "height": scene.render.resolution_y,
                "camera": _path(scene.camera) if scene.camera is not None else None,
            }
        if "plugins" in include:
            shape["plugins"] = sorted(bpy.context.preferences.addons.keys())
        return shape

    def _is_dirty(self) -> bool:
        import bpy

        if self._unsaved is None:
            return bool(bpy.data.is_dirty)
        self.settle()
        return bool(bpy.data.is_dirty) or self._unsaved.changed

    def rows(self) -> Iterator[Row]:
        self._ids.begin()
        tree = _tree()
        # Parents in another scene are not walked through; their children are listed at the top.
        inside = {item.name for item in _scene().objects}
        tops = [one for name, found in tree.items() if name not in inside for one in found]
        for top in sorted(tops, key=_name_of):
            yield self._row(top)
            for item in _below(top, tree):
                yield self._row(item)

    def resolve(self, path: str) -> str:
        # The common case without walking the scene: the last part is a name, and names are unique.
        item = _scene().objects.get(path.rsplit("/", 1)[-1])
        if item is not None and (_path(item) == path or item.name == path):
            return _path(item)
        return find_path(path, (_path(item) for item in _scene().objects))

    def row(self, path: str) -> Row:
        self._ids.begin()
        return self._row(_item(path))

    def _row(self, item: Any) -> Row:
        return {
            "id": self._ids.of(item),
            "path": _path(item),
            "name": item.name,
            "type": item.type.lower(),
            "parent": _path(item.parent) if item.parent is not None else None,
            "visible": bool(item.visible_get(view_layer=_layer())),
        }

    def transform(self, path: str, space: str) -> Transform:
        self.settle()
        item = _item(path)
        return world_of(item) if space == "world" else local_of(item)

    def detail(self, path: str, part: str) -> Any:
        self.settle()
        return self._parts[part](_item(path))

    def _box(self, item: Any) -> Optional[Dict[str, List[float]]]:
        import bpy
        import mathutils

        graph = bpy.context.evaluated_depsgraph_get()
        corners: List[Any] = []
        for one in [item, *_below(item, _tree())]:
            # Blender gives a mesh without any vertices a box of two units.
            if one.type in _SOLID and not (one.type == "MESH" and not _has_vertices(one, graph)):
                seen = one.evaluated_get(graph)
                corners += [seen.matrix_world @ mathutils.Vector(c) for c in seen.bound_box]
        if not corners:
            return None
        return {
            "min": [min(corner[axis] for corner in corners) for axis in range(3)],
            "max": [max(corner[axis] for corner in corners) for axis in range(3)],
        }

    def descendants(self, path: str) -> List[str]:
        return [_path(item) for item in _below(_item(path), _tree())]

    def selection(self) -> List[str]:
        layer = _layer()
        return [_path(item) for item in layer.objects if item.select_get(view_layer=layer)]

    def namespace(self) -> Dict[str, Any]:
        import bpy

        return {"bpy": bpy}

    def errors(self) -> Iterator[Optional[SceneError]]:
        return missing_files()

    # -- writing ------------------------------------------------------------------------------

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        self.settle()
        place = place_world if space == "world" else place_local
        place(_item(path), translate, rotate, scale)
        self.touched = True

    def create(
        self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]
    ) -> str:
        import bpy

        wanted = kind.capitalize() if name is None else _checked_name(name)
        above = None if parent is None else _item(parent)
        data = make_data(kind, wanted, params)
        item = bpy.data.objects.new(wanted, data)
        self.touched = True
        _home().objects.link(item)
        if above is not None:
            item.parent = above
        self.settle()
        return _path(item)

    def rename(self, path: str, new_name: str) -> str:
        item = _item(path)
        item.name = _checked_name(new_name)
        self._ids.of(item)
        self.touched = True
        return _path(item)

    def delete(self, paths: Sequence[str]) -> List[str]:
        import bpy

        tree = _tree()
        doomed: Dict[str, Any] = {}
        for item in [_item(path) for path in paths]:
            for one in [item, *_below(item, tree)]:
                doomed[_path(one)] = one
        for item in doomed.values():
            self._ids.forget(item)
        # By place in memory: two objects may share a datablock, which goes with the last of them.
        held = [item.data for item in doomed.values() if item.data is not None]
        # All at once: one by one, Blender walks through the whole file for each.
        bpy.data.batch_remove(list(doomed.values()))
        left = {data.as_pointer(): data for data in held if data.users == 0}
        bpy.data.batch_remove(list(left.values()))
        self.touched = True
        self.settle()
        return list(doomed)

    def select(self, paths: Sequence[str]) -> None:
        layer = _layer()
        wanted = [_item(path) for path in paths]
        for item in wanted:
            if layer.objects.get(item.name) is None:
                raise InvalidArgument(
                    "{!r} is in an excluded collection and cannot be selected.".format(item.name),
                    hint="Include its collection in the view layer first.",
                )
        for item in layer.objects:
            item.select_set(False, view_layer=layer)
        for item in wanted:
            item.select_set(True, view_layer=layer)
        if wanted:
            layer.objects.active = wanted[-1]
        self.touched = True

    def undo(self) -> bool:
        return self._travel("undo")

    def redo(self) -> bool:
        return self._travel("redo")

    def _travel(self, direction: str) -> bool:
        import bpy

        if not self._undoable:
            raise Unsupported(
                "Blender in background mode has no undo.",
                hint="Work on a copy of the file, or in a Blender with a window.",
                state="not_started",
            )
        operator = getattr(bpy.ops.ed, direction)
        with _window():
            if not operator.poll():
                return False
            done = "FINISHED" in operator()
        self.settle()
        return done

    def new_scene(self) -> None:
        import bpy

        # The user's windows stay as they are.
        bpy.ops.wm.read_homefile(use_empty=True, load_ui=False)

    def open_scene(self, path: str) -> None:
        import bpy

        try:
            bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=False)
        except RuntimeError as error:
            # What the operator reports, such as that there is no such file.
            raise NotFound("Blender cannot open '{}': {}".format(path, error)) from None

    def settle(self) -> None:
        """Have Blender evaluate what was changed, so that reads show it."""
        _layer().update()


def _scene() -> Any:
    """Return the scene of the first window: a timer has no window, so the context may lack it."""
    import bpy

    windows = bpy.context.window_manager.windows
    return windows[0].scene if len(windows) else bpy.context.scene


def _layer() -> Any:
    import bpy

    windows = bpy.context.window_manager.windows
    return windows[0].view_layer if len(windows) else bpy.context.view_layer


def _window() -> Any:
    """Return a context in which operators have a window and a 3D view, if there is one."""
    import bpy

    window = bpy.context.window_manager.windows[0]
    members = {"window": window, "screen": window.screen}
    for area in window.screen.areas:
        if area.type == "VIEW_3D":
            members["area"] = area
            members["region"] = next(r for r in area.regions if r.type == "WINDOW")
            break
    if not hasattr(bpy.context, "temp_override"):
        raise Unsupported("Undo by an agent needs Blender 3.2 or newer.", state="not_started")
    return bpy.context.temp_override(**members)


def _home() -> Any:
    """Return where new objects go: the active collection if it shows, else the scene's own."""
    active = _layer().active_layer_collection
    shows = active is not None and active.is_visible and not active.exclude
    # A collection linked from another file cannot be changed here.
    usable = shows and active.collection.library is None
    return active.collection if usable else _scene().collection


def _item(path: str) -> Any:
    """Return the object at a resolved path. Raises NotFound if it has gone since."""
    objects = _scene().objects
    item = objects.get(path.rsplit("/", 1)[-1])
    if item is not None and _path(item) == path:
        return item
    # A name of the user's may hold the separator itself.
    for item in objects:
        if _path(item) == path:
            return item
    raise NotFound("No object '{}'.".format(path))


def _path(item: Any) -> str:
    names = []
    while item is not None:
        names.append(item.name)
        item = item.parent
    return "/" + "/".join(reversed(names))


def _name_of(item: Any) -> str:
    return str(item.name)


def _tree() -> Dict[Optional[str], List[Any]]:
    """Return parent's name -> its children in this scene by name, None -> those without one.

    ``Object.children`` walks through all objects of the file for each parent.
    """
    tree: Dict[Optional[str], List[Any]] = {}
    for item in sorted(_scene().objects, key=_name_of):
        parent = item.parent
        tree.setdefault(None if parent is None else parent.name, []).append(item)
    return tree


def _below(item: Any, tree: Dict[Optional[str], List[Any]]) -> Iterator[Any]:
    """Yield everything below ``item``, parents first."""
    waiting = list(reversed(tree.get(item.name, [])))
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(reversed(tree.get(one.name, [])))


def _has_vertices(item: Any, graph: Any) -> bool:
    seen = item.evaluated_get(graph)
    return len(seen.data.vertices) > 0


def _checked_name(name: str) -> str:
    if "/" in name:
        raise InvalidArgument(
            "A name with '/' cannot be told from a path: {!r}.".format(name),
            hint="Use another character.",
        )
    if len(name.encode("utf-8", "replace")) > MAX_NAME:
        raise InvalidArgument(
            "The name has more than {} bytes of UTF-8, and Blender would cut it.".format(MAX_NAME)
        )
    return name
