"""Houdini's scene as the scene tools see it. Main thread; ``hou`` objects never leave a call."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ...errors import InvalidArgument, Unsupported
from ...tools.backend import LazyRow, Row, SceneBackend, SceneError, Transform
from . import describing
from .failures import Telling, text_of
from .faults import faults
from .hom import Hom
from .making import KINDS, checked_name, make
from .nodes import ROOT, Tree, container_of, object_at, parent_of, resolve
from .parms import key
from .placing import CHANNELS, local_of, place_local, place_world, world_of
from .undo import Stack

__all__ = ["HoudiniScene"]


class HoudiniScene(SceneBackend):
    """The objects in ``/obj`` (see ``nodes``). Y is up."""

    kinds: Tuple[str, ...] = KINDS
    keys = True

    def __init__(self, hom: Hom, stack: Stack) -> None:
        self._hom = hom
        self._stack = stack
        self._parts: Dict[str, Callable[[Any, Any], Any]] = {
            "bbox": lambda hou, node: describing.box_of(hou, node, Tree(hou)),
            "attributes": describing.attributes_of,
            "materials": describing.materials_of,
            "history": describing.history_of,
            "children": lambda hou, node: [one.path() for one in Tree(hou).children(node.path())],
        }

    # -- reading ------------------------------------------------------------------------------

    def file(self) -> str:
        """Return the open hip file, "" if it was never saved."""
        hou = self._hom()
        return "" if hou.hipFile.isNewFile() else str(hou.hipFile.path())

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        hou = self._hom()
        shape: Dict[str, Any] = {
            "file": self.file(),
            "dirty": self._is_dirty(hou),
            "up_axis": "y",
            "units": {"linear": _unit(hou), "angle": "deg"},
            "selection_count": len(self.selection()),
        }
        if "counts" in include:
            counts: Dict[str, int] = {}
            for node in Tree(hou).below(None):
                kind = node.type().name()
                counts[kind] = counts.get(kind, 0) + 1
            shape["counts"] = counts
        if "time" in include:
            start, end = hou.playbar.frameRange()
            shape["time"] = {
                "fps": float(hou.fps()),
                "start": float(start),
                "end": float(end),
                "current": float(hou.frame()),
            }
        if "render" in include:
            render = _render(hou)
            if render is not None:
                shape["render"] = render
        return shape

    def rows(self) -> Iterator[Row]:
        hou = self._hom()
        tree = Tree(hou)
        for node in tree.below(None):
            path = node.path()
            known = {"path": path, "parent": tree.parents[path]}
            yield LazyRow(known, partial(_row, hou, node))

    def resolve(self, path: str) -> str:
        return resolve(self._hom(), path)

    def row(self, path: str) -> Row:
        hou = self._hom()
        return _row(hou, object_at(hou, path))

    def transform(self, path: str, space: str) -> Transform:
        node = object_at(self._hom(), path)
        return world_of(node) if space == "world" else local_of(node)

    def detail(self, path: str, part: str) -> Any:
        hou = self._hom()
        if part not in self._parts:
            raise Unsupported("Houdini's objects have no {}.".format(part))
        return self._parts[part](hou, object_at(hou, path))

    def descendants(self, path: str) -> List[str]:
        hou = self._hom()
        return [node.path() for node in Tree(hou).below(object_at(hou, path).path())]

    def selection(self) -> List[str]:
        hou = self._hom()
        # The last one selected is the last one here, as Houdini has it.
        nodes = hou.selectedNodes(include_hidden=True)
        return [node.path() for node in nodes if isinstance(node, hou.ObjNode)]

    def namespace(self) -> Dict[str, Any]:
        return {"hou": self._hom()}

    def errors(self) -> Iterator[Optional[SceneError]]:
        return faults(self._hom)

    # -- writing ------------------------------------------------------------------------------

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        hou = self._hom()
        node = object_at(hou, path)
        place = place_world if space == "world" else place_local
        with Telling(hou, "'{}' could not be moved".format(path)):
            place(hou, node, (translate, rotate, scale))

    def key_transform(self, path: str, parts: Sequence[str], frame: float) -> None:
        hou = self._hom()
        node = object_at(hou, path)
        with Telling(hou, "No key could be set on '{}'".format(path)):
            key(hou, node, [CHANNELS[part] for part in parts], frame)

    def create(
        self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]
    ) -> str:
        hou = self._hom()
        above = None if parent is None else object_at(hou, parent)
        with Telling(hou, "The {} could not be made".format(kind)):
            return str(make(hou, kind, name, above, params).path())

    def rename(self, path: str, new_name: str) -> str:
        hou = self._hom()
        node = object_at(hou, path)
        checked_name(new_name)
        if node.name() != new_name:
            with Telling(hou, "'{}' could not be renamed".format(path)):
                node.setName(new_name, unique_name=True)
        return str(node.path())

    def delete(self, paths: Sequence[str]) -> List[str]:
        hou = self._hom()
        tree = Tree(hou)
        doomed: Dict[str, Any] = {}
        for node in [object_at(hou, path) for path in paths]:
            for one in [node, *tree.below(node.path())]:
                doomed[one.path()] = one
        # Found out first: a node that is gone cannot be asked any more.
        tops = [one for one in doomed.items() if not _goes_with_another(hou, one[1], doomed)]
        for path, node in tops:
            with Telling(hou, "'{}' could not be deleted".format(path)):
                node.destroy()
        return list(doomed)

    def select(self, paths: Sequence[str]) -> None:
        hou = self._hom()
        nodes = [object_at(hou, path) for path in paths]
        hou.clearAllSelected()
        for node in nodes:
            node.setSelected(True)

    def undo_label(self) -> Optional[str]:
        return self._stack.newest(self._hom().undos.undoLabels())

    def redo_label(self) -> Optional[str]:
        return self._stack.newest(self._hom().undos.redoLabels())

    def undo(self) -> bool:
        undos = self._undos()
        return bool(undos.undoLabels()) and bool(undos.performUndo())

    def redo(self) -> bool:
        undos = self._undos()
        return bool(undos.redoLabels()) and bool(undos.performRedo())

    def new_scene(self) -> None:
        hou = self._hom()
        with Telling(hou, "A new scene could not be opened"):
            hou.hipFile.clear(suppress_save_prompt=True)

    def open_scene(self, path: str) -> None:
        # Houdini has no way to open a file without the scripts in it.
        hou = self._hom()
        try:
            hou.hipFile.load(path, suppress_save_prompt=True, ignore_load_warnings=True)
        except hou.OperationFailed as error:
            raise InvalidArgument(
                "'{}' could not be opened: {}".format(path, text_of(error))
            ) from None

    # -- inside -------------------------------------------------------------------------------

    def _undos(self) -> Any:
        hou = self._hom()
        undos = hou.undos
        # hython says in some versions that they are enabled, and records nothing all the same.
        empty = not (hou.isUIAvailable() or undos.undoLabels() or undos.redoLabels())
        if not undos.areEnabled() or empty:
            raise Unsupported(
                "Undo is switched off in this Houdini, or not recorded.",
                hint="Work on a copy of the file. The HScript command 'undoctrl on' may switch "
                "undo on.",
                state="not_started",
            )
        return undos

    def _is_dirty(self, hou: Any) -> bool:
        if not hou.isUIAvailable() and hou.hipFile.isNewFile():
            # Without a user interface Houdini always says yes, also of an empty scene.
            return bool(hou.node(ROOT).children())
        return bool(hou.hipFile.hasUnsavedChanges())


def _row(hou: Any, node: Any) -> Row:
    above = parent_of(hou, node)
    return {
        "id": "n{}".format(node.sessionId()),
        "path": node.path(),
        "name": node.name(),
        "type": node.type().name(),
        "parent": None if above is None else above.path(),
        "visible": describing.visible(hou, node),
    }


def _goes_with_another(hou: Any, node: Any, doomed: Dict[str, Any]) -> bool:
    """Return whether a node is inside of another that is to be deleted."""
    holder = container_of(hou, node)
    while holder is not None:
        if holder.path() in doomed:
            return True
        holder = container_of(hou, holder)
    return False


def _unit(hou: Any) -> str:
    """Return the scene's unit of length."""
    # As SideFX's own exporters of cameras use it: metres per unit.
    metres = float(hou.scaleToMKS("m1"))
    names = {1.0: "m", 0.01: "cm", 0.001: "mm"}
    return names.get(round(metres, 9), "{:g} m".format(metres))


def _render(hou: Any) -> Optional[Dict[str, Any]]:
    """Return what the first output that renders through a camera is set to."""
    out = hou.node("/out")
    for node in () if out is None else out.children():
        parm = node.parm("camera")
        if parm is None:
            continue
        path = str(parm.evalAsString())
        camera = hou.node(path) if path else None
        size = [None if camera is None else camera.parm(name) for name in ("resx", "resy")]
        width, height = (None if one is None else int(one.eval()) for one in size)
        return {
            "engine": node.type().name(),
            "width": width,
            "height": height,
            "camera": path or None,
        }
    return None
