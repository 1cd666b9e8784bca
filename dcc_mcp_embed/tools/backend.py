"""What a host's scene must be able to do, so that the scene tools are written only once.

The tools in ``scene.py`` do the arguments, the paging, the filters, the evidence and the wording;
a backend does what only the host can. All methods run on the host's main thread, inside the undo
chunk that the dispatcher opened for a write. Objects are named by *path*, the host's own full
name; a backend also takes a short name as long as it fits one object only.

Shapes. A *row* is ``{"id", "path", "name", "type", "parent", "visible"}``: ``id`` is text that
stays the same for one object as long as the host runs, ``parent`` a path or None. A *transform* is
``{"translate": [x, y, z], "rotate": [x, y, z], "scale": [x, y, z], "matrix": [[4]*4]}`` with
rotation in degrees about X, then Y, then Z, and a matrix of four rows that multiplies column
vectors (translation in the last column). Lengths are in the scene's own linear unit.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

__all__ = ["SceneBackend"]

Row = Dict[str, Any]
Transform = Dict[str, Any]


class SceneBackend:
    """The contract. The in-memory scene of the standalone adapter is its reference."""

    #: What ``create_object`` can make here, as the shared tool spells it.
    kinds: Tuple[str, ...] = ()

    def info(self, include: Sequence[str]) -> Dict[str, Any]:
        """Describe the scene.

        Always: ``file`` ("" if never saved), ``dirty``, ``up_axis`` ("y" or "z"),
        ``units`` ({"linear", "angle"}), ``selection_count``. By ``include``: ``counts`` (type ->
        number), ``time`` ({"fps", "start", "end", "current"}), ``render`` ({"engine", "width",
        "height", "camera"}), ``plugins`` (names).
        """
        raise NotImplementedError

    def rows(self) -> Iterator[Row]:
        """Yield a row for each object of the scene, parents before children, in a stable order."""
        raise NotImplementedError

    def resolve(self, path: str) -> str:
        """Return the full path of the object that ``path`` names.

        Raises NotFound (with the nearest names as hint) or Ambiguous (naming the candidates).
        """
        raise NotImplementedError

    def row(self, path: str) -> Row:
        """Return one object's row. ``path`` is resolved."""
        raise NotImplementedError

    def transform(self, path: str, space: str) -> Transform:
        """Return the transform of a resolved ``path`` in ``space`` ("local" or "world")."""
        raise NotImplementedError

    def set_transform(
        self,
        path: str,
        translate: Optional[Sequence[float]],
        rotate: Optional[Sequence[float]],
        scale: Optional[Sequence[float]],
        space: str,
    ) -> None:
        """Set the given parts of a transform, leaving the others of that space as they are."""
        raise NotImplementedError

    def detail(self, path: str, part: str) -> Any:
        """Return one part of an object's card.

        ``bbox``: {"min": [3], "max": [3]} in world space or None; ``attributes``: name -> value;
        ``materials``: names; ``history``: [{"name", "type"}] (modifiers, construction history);
        ``children``: paths. Raises Unsupported for a part the host has no notion of.
        """
        raise NotImplementedError

    def create(self, kind: str, name: Optional[str], parent: Optional[str], params: Dict[str, Any]) -> str:
        """Make one object and return its path. ``kind`` is one of :attr:`kinds`; ``parent`` is resolved.

        Raises InvalidArgument for params the kind does not take, naming those it does.
        """
        raise NotImplementedError

    def rename(self, path: str, new_name: str) -> str:
        """Rename a resolved object and return its new path; the host may make the name unique."""
        raise NotImplementedError

    def delete(self, paths: Sequence[str]) -> List[str]:
        """Delete resolved objects and everything below them; return every path that went."""
        raise NotImplementedError

    def descendants(self, path: str) -> List[str]:
        """Return the paths below a resolved object, what :meth:`delete` would take with it."""
        raise NotImplementedError

    def selection(self) -> List[str]:
        """Return the selected paths in the host's order."""
        raise NotImplementedError

    def select(self, paths: Sequence[str]) -> None:
        """Make exactly these resolved objects the selection."""
        raise NotImplementedError

    def undo_label(self) -> Optional[str]:
        """Return the label of the step that undo would take back, None if none or not known."""
        return None

    def redo_label(self) -> Optional[str]:
        """Return the label of the step that redo would bring back, None if none or not known."""
        return None

    def undo(self) -> bool:
        """Take back one step; False when there is none. Raises Unsupported without an undo stack."""
        raise NotImplementedError

    def redo(self) -> bool:
        """Bring back one step; False when there is none. Raises Unsupported without an undo stack."""
        raise NotImplementedError

    def namespace(self) -> Dict[str, Any]:
        """Return the names that ``execute_python`` starts with (the host's modules)."""
        return {}
