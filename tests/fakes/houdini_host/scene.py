"""What is in the open scene: nodes as plain data, so that undo can bring any moment back."""

from __future__ import annotations

import itertools
import re
from typing import Any, Dict, Iterator, List, Optional

from .errors import ObjectWasDeleted, OperationFailed, PermissionError
from .kinds import CATEGORIES, Kind
from .undo import Undos
from .vectors import Matrix4

__all__ = ["Data", "Scene", "current", "use_scene"]

_NAME = re.compile(r"[A-Za-z0-9._-]+\Z")


class Data:
    """One node. ``keys``: parm -> {frame: value}."""

    __slots__ = (
        "asset", "display", "errors", "expressions", "id", "inputs", "keys", "kind", "locked",
        "name", "parent", "pre", "shown", "user", "values",
    )  # fmt: skip

    def __init__(self, ident: int, kind: Kind, name: str, parent: Optional[int]) -> None:
        self.id = ident
        self.kind = kind
        self.name = name
        self.parent = parent
        self.inputs: Dict[int, int] = {}
        self.values: Dict[str, Any] = {}
        for spec in kind.specs:
            self.values.update(zip(spec.names, spec.defaults))
        self.keys: Dict[str, Dict[float, float]] = {}
        self.expressions: Dict[str, str] = {}
        self.locked: List[str] = []
        self.pre = Matrix4(1)
        #: The display flag of an object; which child is displayed, for a network of SOPs.
        self.shown = True
        #: Whether it is a locked digital asset.
        self.asset = False
        self.display: Optional[int] = None
        self.user: Dict[str, str] = {}
        self.errors: List[str] = []

    def copy(self) -> Data:
        twin = Data.__new__(Data)
        for slot in Data.__slots__:
            value = getattr(self, slot)
            if isinstance(value, dict):
                value = {k: dict(v) if isinstance(v, dict) else v for k, v in value.items()}
            elif isinstance(value, list):
                value = list(value)
            setattr(twin, slot, value)
        return twin


class Scene:
    """The open scene of one Houdini."""

    def __init__(self, interactive: bool, default_path: str) -> None:
        self.interactive = interactive
        self.undos = Undos(self)
        self._numbers = itertools.count(1)
        self.default_path = default_path
        #: How often a node was made or changed: what tests count effects by.
        self.made: List[str] = []
        self.clear()

    def clear(self) -> None:
        self.nodes: Dict[int, Data] = {}
        self.selected: List[int] = []
        self.path = self.default_path
        self.dirty = False
        self.frame, self.fps, self.range = 1.0, 24.0, (1.0, 240.0)
        #: Files that no parameter refers to, an asset library for one.
        self.libraries: List[str] = []
        self.cwd = 0
        self.undos.clear()
        root = self._add(CATEGORIES["Director"]["root"], "/", None)
        self.cwd = root.id
        for kind in CATEGORIES["Manager"].values():
            self._add(kind, kind.name, root.id)

    def _add(self, kind: Kind, name: str, parent: Optional[int]) -> Data:
        data = Data(next(self._numbers), kind, name, parent)
        self.nodes[data.id] = data
        return data

    # -- reading ------------------------------------------------------------------------------

    def get(self, ident: int) -> Data:
        data = self.nodes.get(ident)
        if data is None:
            raise ObjectWasDeleted()
        return data

    def children(self, ident: int) -> List[Data]:
        return [one for one in self.nodes.values() if one.parent == ident]

    def below(self, ident: int) -> Iterator[Data]:
        for child in self.children(ident):
            yield child
            yield from self.below(child.id)

    def path_of(self, ident: int) -> str:
        parts: List[str] = []
        data = self.get(ident)
        while data.parent is not None:
            parts.append(data.name)
            data = self.get(data.parent)
        return "/" + "/".join(reversed(parts))

    def find(self, path: str, start: Optional[int] = None) -> Optional[Data]:
        at = self.cwd if start is None else start
        if path.startswith("/"):
            at = next(iter(self.nodes))
        data: Optional[Data] = self.get(at)
        for part in path.split("/"):
            if data is None:
                return None
            if part == "..":
                data = self.nodes.get(data.parent) if data.parent is not None else None
            elif part not in ("", "."):
                data = next((one for one in self.children(data.id) if one.name == part), None)
        return data

    def in_asset(self, ident: Optional[int]) -> bool:
        """Return whether this node or one above it is a locked asset."""
        while ident is not None:
            data = self.get(ident)
            if data.asset:
                return True
            ident = data.parent
        return False

    # -- writing ------------------------------------------------------------------------------

    def change(self, label: str, inside: Optional[int] = None) -> None:
        """What follows changes the scene, for a node that is ``inside`` another: not of an asset.

        "Raises hou.PermissionError if this node is inside a locked asset" (Node.createNode).
        """
        if inside is not None and self.in_asset(self.get(inside).parent):
            raise PermissionError("The node is inside a locked asset")
        self.undos.before(label)
        self.dirty = True

    def make(self, kind: Kind, name: str, parent: int) -> Data:
        if self.in_asset(parent):
            raise PermissionError("The node is inside a locked asset")
        self.change("Create {}".format(name))
        data = self._add(kind, self.unique(name, parent), parent)
        self.made.append(data.name)
        home = self.get(parent)
        if home.kind.inside == "Sop" and home.display is None:
            home.display = data.id
        return data

    def unique(self, name: str, parent: int) -> str:
        """Houdini appends a number to a name that is taken, or counts its number up."""
        if not _NAME.match(name):
            raise OperationFailed("Invalid node name: {!r}".format(name))
        taken = {one.name for one in self.children(parent)}
        if name not in taken:
            return name
        stem = re.sub(r"\d+\Z", "", name)
        return next(
            n for n in ("{}{}".format(stem, i) for i in itertools.count(1)) if n not in taken
        )

    def rename(self, ident: int, name: str, unique: bool) -> None:
        data = self.get(ident)
        if data.kind.category in ("Manager", "Director") or not _NAME.match(name):
            raise OperationFailed("The node cannot be called {!r}".format(name))
        others = {one.name for one in self.children(int(data.parent or 0)) if one is not data}
        if name in others:
            if not unique:
                raise OperationFailed("Another node is called {!r}".format(name))
            name = self.unique(name, int(data.parent or 0))
        self.change("Rename {}".format(data.name), ident)
        data.name = name

    def destroy(self, ident: int) -> None:
        data = self.get(ident)
        if data.kind.category in ("Manager", "Director"):
            raise OperationFailed("Cannot delete {}".format(self.path_of(ident)))
        self.change("Delete {}".format(data.name), ident)
        gone = {data.id} | {one.id for one in self.below(ident)}
        home = self.get(int(data.parent or 0))
        self.nodes = {i: one for i, one in self.nodes.items() if i not in gone}
        self.selected = [i for i in self.selected if i not in gone]
        for one in self.nodes.values():
            one.inputs = {n: i for n, i in one.inputs.items() if i not in gone}
        if home.display in gone:
            left = self.children(home.id)
            home.display = left[-1].id if left else None

    # -- undo ---------------------------------------------------------------------------------

    def snapshot(self) -> Dict[int, Data]:
        return {ident: data.copy() for ident, data in self.nodes.items()}

    def restore(self, moment: Dict[int, Data]) -> Dict[int, int]:
        """Bring a moment back; return old -> new id of the nodes that came back to life with it.

        SideFX promises no more than that an id is unique in a process: one that was deleted gets a
        new one, so that nothing is built on more than that.
        """
        born = {i: next(self._numbers) for i in moment if i not in self.nodes}
        self.nodes = renumbered(moment, born)
        self.selected = [i for i in self.selected if i in self.nodes]
        self.dirty = True
        return born


def renumbered(moment: Dict[int, Data], born: Dict[int, int]) -> Dict[int, Data]:
    """Return a copy of a moment in which some nodes have other ids."""

    def new(ident: Any) -> Any:
        return born.get(ident, ident)

    found = {}
    for ident, data in moment.items():
        twin = data.copy()
        twin.id, twin.parent, twin.display = new(ident), new(data.parent), new(data.display)
        twin.inputs = {number: new(other) for number, other in data.inputs.items()}
        found[twin.id] = twin
    return found


_scene: Optional[Scene] = None


def use_scene(one: Optional[Scene]) -> None:
    """Make ``one`` the scene that is open."""
    global _scene
    _scene = one


def current() -> Scene:
    """Return the scene that is open."""
    assert _scene is not None
    return _scene
