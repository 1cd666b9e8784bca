"""The standalone scene as the scene tools see it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ...errors import Unsupported
from ...tools.backend import Row, SceneBackend, SceneError, Transform
from ...tools.matrix import described
from .items import Seen
from .scene import ROOT, Scene
from .shapes import KINDS

__all__ = ["StandaloneBackend"]


class StandaloneBackend(SceneBackend):
    """The reference of the contract. Y is up, lengths are metres."""

    kinds: Tuple[str, ...] = tuple(KINDS)

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._parts: Dict[str, Callable[[str], Any]] = {
            "bbox": self._box,
            "attributes": self._attributes,
            "materials": lambda path: list(scene.look(path).item.materials),
            "history": lambda path: [],
            "children": scene.children,
        }

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        shape: Dict[str, Any] = {
            "file": self.scene.file,
            "dirty": self.scene.dirty,
            "up_axis": "y",
            "units": {"linear": "m", "angle": "deg"},
            "selection_count": len(self.scene.selection),
        }
        if "counts" in include:
            counts: Dict[str, int] = {}
            for seen in self.scene.walk():
                counts[seen.item.kind] = counts.get(seen.item.kind, 0) + 1
            shape["counts"] = counts
        if "plugins" in include:
            shape["plugins"] = []
        return shape

    def rows(self) -> Iterator[Row]:
        return (_row(seen) for seen in self.scene.walk())

    def resolve(self, path: str) -> str:
        return self.scene.find(path)

    def row(self, path: str) -> Row:
        return _row(self.scene.look(path))

    def transform(self, path: str, space: str) -> Transform:
        parts, matrix = self.scene.transform(path, space == "world")
        return described(parts, matrix)

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        self.scene.place(path, translate, rotate, scale, space == "world")

    def detail(self, path: str, part: str) -> Any:
        return self._parts[part](path)

    def create(
        self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]
    ) -> str:
        return self.scene.create(kind, name, parent, params)

    def rename(self, path: str, new_name: str) -> str:
        return self.scene.rename(path, new_name)

    def delete(self, paths: Sequence[str]) -> List[str]:
        return self.scene.delete(*paths)

    def descendants(self, path: str) -> List[str]:
        return self.scene.below(path)

    def selection(self) -> List[str]:
        return self.scene.selection

    def select(self, paths: Sequence[str]) -> None:
        self.scene.select(*paths)

    def undo_label(self) -> Optional[str]:
        labels = self.scene.undo_labels
        return labels[-1] if labels else None

    def redo_label(self) -> Optional[str]:
        labels = self.scene.redo_labels
        return labels[-1] if labels else None

    def undo(self) -> bool:
        return self.scene.undo() is not None

    def redo(self) -> bool:
        return self.scene.redo() is not None

    def new_scene(self) -> None:
        self.scene.clear()

    def open_scene(self, path: str) -> None:
        raise Unsupported(
            "A standalone scene is in no file that could be opened.", state="not_started"
        )

    def namespace(self) -> Dict[str, Any]:
        return {"scene": self.scene}

    def errors(self) -> Iterator[Optional[SceneError]]:
        # It refers to no files, and nothing in it can fail to load.
        return iter(())

    def _box(self, path: str) -> Optional[Dict[str, List[float]]]:
        box = self.scene.box(path)
        return None if box is None else {"min": list(box[0]), "max": list(box[1])}

    def _attributes(self, path: str) -> Dict[str, Any]:
        item = self.scene.look(path).item
        return dict(item.params, visible=item.visible)


def _row(seen: Seen) -> Row:
    parent = None if seen.item.parent == ROOT else seen.path.rsplit("/", 1)[0]
    return {
        "id": seen.key,
        "path": seen.path,
        "name": seen.item.name,
        "type": seen.item.kind,
        "parent": parent,
        "visible": seen.shown,
    }
