"""Maya's scene as the scene tools see it. Main thread.

An object is a transform, or what is like one (a joint). Its shapes stand below it in Maya; here
they are part of it, and the first of them says what type it is.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ...errors import HostError, InvalidArgument, NotFound, Unsupported
from ...tools.backend import LazyRow, Row, SceneBackend, SceneError, Transform
from . import naming
from .details import attributes_of, box_of, history_of, materials_of
from .facts import scene_info
from .making import KINDS, make
from .missing import scene_errors
from .placing import PARTS, check_settable, place, transform_of
from .session import api, cmds
from .undo import last_label

__all__ = ["MayaScene"]


class MayaScene(SceneBackend):
    """The open scene. A path is Maya's own full one, ``|group|cube``; an id is a node's UUID."""

    kinds: Tuple[str, ...] = KINDS
    keys = True

    def __init__(self) -> None:
        self._parts: Dict[str, Callable[[str], Any]] = {
            "bbox": box_of,
            "attributes": attributes_of,
            "materials": materials_of,
            "history": history_of,
            "children": lambda path: [
                one for one in naming.paths_below(path) if naming.parent_of(one) == path
            ],
        }

    # -- reading ------------------------------------------------------------------------------

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        return scene_info(include, len(self.selection()))

    def rows(self) -> Iterator[Row]:
        for path, kind in naming.kinds():
            known = {
                "path": path,
                "name": naming.leaf(path),
                "type": kind,
                "parent": naming.parent_of(path),
            }
            yield LazyRow(known, partial(_row, path, kind))

    def resolve(self, path: str) -> str:
        return naming.resolve(path)

    def row(self, path: str) -> Row:
        naming.dag_path(path)
        shapes = naming.shapes_of(path)
        return _row(path, str(cmds().nodeType(shapes[0] if shapes else path)))

    def transform(self, path: str, space: str) -> Transform:
        return transform_of(path, space)

    def detail(self, path: str, part: str) -> Any:
        return self._parts[part](path)

    def descendants(self, path: str) -> List[str]:
        return naming.paths_below(path)

    def selection(self) -> List[str]:
        chosen = naming.listed(cmds().ls(selection=True, long=True, objectsOnly=True))
        if not chosen:
            return []
        objects = set(naming.listed(cmds().ls(chosen, long=True, type="transform")))
        found: Dict[str, None] = {}
        for path in chosen:
            # Of a shape, or of vertices of it, the object is the one above.
            owner = path if path in objects else naming.parent_of(path)
            if owner is not None:
                found[owner] = None
        return list(found)

    def namespace(self) -> Dict[str, Any]:
        import maya
        import maya.mel

        return {"maya": maya, "cmds": cmds(), "mel": maya.mel, "om": api()}

    def errors(self) -> Iterator[Optional[SceneError]]:
        return scene_errors()

    # -- writing ------------------------------------------------------------------------------

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        place(path, translate, rotate, scale, space)

    def key_transform(self, path: str, parts: Sequence[str], frame: float) -> None:
        channels = [part + axis for part in PARTS if part in parts for axis in "XYZ"]
        for channel in channels:
            check_settable("{}.{}".format(path, channel))
        cmds().setKeyframe(path, attribute=channels, time=frame)

    def create(
        self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]
    ) -> str:
        return make(kind, None if name is None else naming.usable_name(name), parent, params)

    def rename(self, path: str, new_name: str) -> str:
        name = naming.usable_name(new_name)
        _refuse_fixed(path, "renamed")
        renamed = naming.leaf(str(cmds().rename(path, name)))
        return (naming.parent_of(path) or "") + naming.SEPARATOR + renamed

    def delete(self, paths: Sequence[str]) -> List[str]:
        tops = naming.top_level_of(list(paths))
        doomed: Dict[str, None] = {}
        for path in tops:
            _refuse_fixed(path, "deleted")
            doomed[path] = None
            doomed.update(dict.fromkeys(self.descendants(path)))
        cmds().delete(tops)
        left = set(naming.paths())
        return [path for path in doomed if path not in left]

    def select(self, paths: Sequence[str]) -> None:
        if paths:
            cmds().select(list(paths), replace=True, noExpand=True)
        else:
            cmds().select(clear=True)

    def undo_label(self) -> Optional[str]:
        return last_label("undo")

    def redo_label(self) -> Optional[str]:
        return last_label("redo")

    def undo(self) -> bool:
        return _travel("undo")

    def redo(self) -> bool:
        return _travel("redo")

    # -- files --------------------------------------------------------------------------------

    def new_scene(self) -> None:
        cmds().file(new=True, force=True)

    def open_scene(self, path: str) -> None:
        if not os.path.isfile(path):
            raise NotFound("There is no file '{}'.".format(path))
        try:
            cmds().file(path, open=True, force=True, prompt=False, executeScriptNodes=False)
        except RuntimeError as error:
            # Maya also raises where it opened the scene without a part of it.
            raise HostError(
                "Maya reports about '{}': {}".format(path, error),
                hint="Call get_scene_info to see what is open now.",
            ) from None


def _row(path: str, kind: str) -> Row:
    dag = naming.dag_path(path)
    ident = api().MFnDependencyNode(dag.node()).uuid().asString()
    number = dag.instanceNumber()
    return {
        # An instance is the same node at another place.
        "id": ident if number == 0 else "{}/{}".format(ident, number),
        "path": path,
        "name": naming.leaf(path),
        "type": kind,
        "parent": naming.parent_of(path),
        "visible": bool(dag.isVisible()),
    }


def _refuse_fixed(path: str, what: str) -> None:
    """Raise InvalidArgument for what Maya lets nobody rename or delete."""
    node = api().MFnDependencyNode(naming.dag_path(path).node())
    if node.isFromReferencedFile:
        why = "is in a referenced file"
    elif node.isLocked:
        why = "is locked"
    else:
        return
    raise InvalidArgument("'{}' {} and cannot be {}.".format(path, why, what))


def _travel(direction: str) -> bool:
    if not cmds().undoInfo(query=True, state=True):
        raise Unsupported(
            "Undo is switched off in this Maya.",
            hint="The user can switch it on in the preferences; in mayapy it is off until "
            "cmds.undoInfo(state=True).",
            state="not_started",
        )
    if cmds().undoInfo(query=True, **{direction + "QueueEmpty": True}):
        return False
    getattr(cmds(), direction)()
    return True
