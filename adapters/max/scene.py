"""The scene of 3ds Max as the scene tools see it. Main thread; nodes never leave a call."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ...errors import HostError, InvalidArgument, NotFound
from ...tools.backend import Row, SceneBackend, SceneError, Transform
from . import history, nodes
from .attributes import attributes_of
from .describing import describe
from .keys import key_parts
from .kinds import KINDS, make
from .missing import missing_files
from .placing import local_of, place_local, place_world, world_of
from .runtime import Runtime, items, text

__all__ = ["MaxScene"]

#: What has a box of its own, but for the points that cameras and lights look at.
_SOLID = frozenset(("geometryclass", "shape"))
_TARGET = "targetobject"


class MaxScene(SceneBackend):
    """The open scene. Z is up, lengths are in system units.

    Nodes are known by their handles; ``nodes`` says how a path is made of names that need not be
    unique. An object is of the class that it was made as, whatever its modifiers make of it.
    ``batch``: this is 3dsmaxbatch.
    """

    kinds: Tuple[str, ...] = KINDS
    keys = True

    def __init__(self, runtime: Runtime, batch: bool) -> None:
        self._runtime = runtime
        self._batch = batch
        self._parts: Dict[str, Callable[[Any, str], Any]] = {
            "bbox": self._box,
            "attributes": lambda node, path: attributes_of(runtime.rt, node),
            "materials": lambda node, path: _materials(node),
            "history": lambda node, path: [
                {"name": str(one.name), "type": _class(runtime.rt, one)}
                for one in items(node.modifiers)
            ],
            "children": lambda node, path: [one.path for one in nodes.children(node, path)],
        }

    # -- reading ------------------------------------------------------------------------------

    def file(self) -> str:
        """Return the open file, "" if it was never saved."""
        rt = self._runtime.rt
        name = str(rt.maxFileName)
        return str(rt.maxFilePath) + name if name else ""

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        rt = self._runtime.rt
        shape = {"file": self.file(), "selection_count": len(items(rt.getCurrentSelection()))}
        shape.update(describe(rt, include))
        if "counts" in include:
            counts: Dict[str, int] = {}
            for one in nodes.walk(rt):
                kind = _kind(rt, one.node)
                counts[kind] = counts.get(kind, 0) + 1
            shape["counts"] = counts
        return shape

    def rows(self) -> Iterator[Row]:
        rt = self._runtime.rt
        return (_row(rt, one.node, one.path, one.parent or None) for one in nodes.walk(rt))

    def resolve(self, path: str) -> str:
        rt = self._runtime.rt
        try:
            # The common case without walking the scene: it is a full path.
            nodes.node_at(rt, path)
            return path
        except NotFound:
            return nodes.find(rt, path)

    def row(self, path: str) -> Row:
        rt = self._runtime.rt
        node = nodes.node_at(rt, path)
        return _row(rt, node, path, None if node.parent is None else nodes.path_of(rt, node.parent))

    def transform(self, path: str, space: str) -> Transform:
        node = nodes.node_at(self._runtime.rt, path)
        return world_of(node) if space == "world" else local_of(node)

    def detail(self, path: str, part: str) -> Any:
        return self._parts[part](nodes.node_at(self._runtime.rt, path), path)

    def _box(self, node: Any, path: str) -> Optional[Dict[str, List[float]]]:
        rt = self._runtime.rt
        all_ = [node, *(one.node for one in nodes.below(node, path))]
        solids = [one for one in all_ if _is_solid(rt, one)]
        if not solids:
            return None
        lows, highs = [one.min for one in solids], [one.max for one in solids]
        return {
            "min": [min(float(getattr(low, axis)) for low in lows) for axis in "xyz"],
            "max": [max(float(getattr(high, axis)) for high in highs) for axis in "xyz"],
        }

    def descendants(self, path: str) -> List[str]:
        node = nodes.node_at(self._runtime.rt, path)
        return [one.path for one in nodes.below(node, path)]

    def selection(self) -> List[str]:
        rt = self._runtime.rt
        return [nodes.path_of(rt, node) for node in items(rt.getCurrentSelection())]

    def namespace(self) -> Dict[str, Any]:
        pymxs = self._runtime.pymxs
        return {"pymxs": pymxs, "rt": pymxs.runtime}

    def errors(self) -> Iterator[Optional[SceneError]]:
        return missing_files(self._runtime)

    # -- writing ------------------------------------------------------------------------------

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        rt = self._runtime.rt
        place = place_world if space == "world" else place_local
        place(rt, nodes.node_at(rt, path), translate, rotate, scale)

    def key_transform(self, path: str, parts: Sequence[str], frame: float) -> None:
        key_parts(self._runtime, nodes.node_at(self._runtime.rt, path), parts, frame)

    def create(
        self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]
    ) -> str:
        rt = self._runtime.rt
        above = None if parent is None else nodes.node_at(rt, parent)
        node = make(rt, kind, params, {} if name is None else {"name": self._free(name, None)})
        if above is not None:
            node.parent = above
            # It keeps its place in the world; a new one begins at its parent's.
            node.transform = above.transform
        return nodes.path_of(rt, node)

    def rename(self, path: str, new_name: str) -> str:
        rt = self._runtime.rt
        node = nodes.node_at(rt, path)
        node.name = self._free(new_name, node)
        return nodes.path_of(rt, node)

    def _free(self, name: str, own: Any) -> str:
        """Return ``name``, with a number if a node other than ``own`` is called so."""
        if not name:
            raise InvalidArgument("A name cannot be empty.")
        if "/" in name:
            raise InvalidArgument(
                "A name with '/' cannot be told from a path: {!r}.".format(name),
                hint="Use another character.",
            )
        rt = self._runtime.rt
        handle = None if own is None else nodes.handle_of(own)
        taken = any(nodes.handle_of(one) != handle for one in nodes.named(rt, name))
        return str(rt.uniqueName(name)) if taken else name

    def delete(self, paths: Sequence[str]) -> List[str]:
        rt = self._runtime.rt
        doomed: Dict[str, Any] = {}
        for path in paths:
            node = nodes.node_at(rt, path)
            doomed[path] = node
            doomed.update((one.path, one.node) for one in nodes.below(node, path))
        for node in doomed.values():
            # Some take others with them: a camera its target.
            if rt.isValidNode(node):
                rt.delete(node)
        return list(doomed)

    def select(self, paths: Sequence[str]) -> None:
        rt = self._runtime.rt
        wanted = [nodes.node_at(rt, path) for path in paths]
        rt.clearSelection()
        for node in wanted:
            rt.selectMore(node)

    def undo(self) -> bool:
        return history.undo(self._runtime, self._batch)

    def redo(self) -> bool:
        return history.redo(self._runtime, self._batch)

    def new_scene(self) -> None:
        rt = self._runtime.rt
        rt.resetMaxFile(rt.Name("noPrompt"))

    def open_scene(self, path: str) -> None:
        """See SceneBackend. What the file's scripts may do is said by the user's settings.

        Since 2022 these ("Safe Scene Script Execution") are not for a plug-in to change.
        """
        if not os.path.isfile(path):
            raise NotFound("There is no file '{}'.".format(path))
        if not self._runtime.rt.loadMaxFile(path, useFileUnits=True, quiet=True):
            raise HostError("3ds Max could not open '{}'.".format(path))


def _row(rt: Any, node: Any, path: str, parent: Optional[str]) -> Row:
    return {
        "id": str(nodes.handle_of(node)),
        "path": path,
        "name": str(node.name),
        "type": _kind(rt, node),
        "parent": parent,
        # Its own switch, its layer's and its category's; a parent's hides nothing in 3ds Max.
        "visible": not node.isHiddenInVpt,
    }


def _class(rt: Any, value: Any) -> str:
    return text(rt.classOf(value)).lower()


def _kind(rt: Any, node: Any) -> str:
    return _class(rt, node.baseObject)


def _is_solid(rt: Any, node: Any) -> bool:
    return text(rt.superClassOf(node.baseObject)).lower() in _SOLID and _kind(rt, node) != _TARGET


def _materials(node: Any) -> List[str]:
    return [] if node.material is None else [str(node.material.name)]
