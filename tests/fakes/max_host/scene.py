"""The scene in memory: plain data in the hold's table, nothing of pymxs.

Nodes are stored with the transform below their parent, as 3ds Max's controllers hold it; whoever
sets one in world space has it worked out.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import rows
from .classes import CLASSES, Box
from .faults import MaxError
from .hold import Hold

__all__ = ["SELECTION", "Scene"]

SELECTION = "selection"
Data = Dict[str, Any]
#: What helpers, cameras and lights show of themselves: their box is no geometry's.
_ICON: Box = ((-10.0, -10.0, -10.0), (10.0, 10.0, 10.0))


class Scene:
    """The nodes by handle, and what the scene has besides."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        #: Handles are never used again, not even in another scene.
        self._last = 0
        self.settings: Dict[str, Any] = {}
        self.reset()

    def reset(self) -> None:
        """Be empty and unsaved."""
        self.hold.replace({SELECTION: ()})
        self.file = ""
        self.settings = {
            "unit": "inches",
            "scale": 1.0,
            "rate": 30,
            "range": (0.0, 100.0),
            "time": 0.0,
            "size": (640, 480),
        }
        #: Files of scenes that are referred to; those that are switched off.
        self.xrefs: List[str] = []
        self.xrefs_off: List[str] = []

    @property
    def frame_rate(self) -> int:
        return int(self.settings["rate"])

    # -- nodes --------------------------------------------------------------------------------

    def new_key(self) -> int:
        self._last += 1
        return self._last

    def add(self, class_name: str, name: str, params: Dict[str, Any]) -> int:
        """Make a node or, with another kind of class, a material, a map or a modifier."""
        key = self.new_key()
        data = {
            "class": class_name,
            "name": name,
            "parent": None,
            "local": rows.IDENTITY,
            "params": dict(params),
            "hidden": False,
            "material": None,
            "modifiers": (),
            "offset": (0.0, 0.0, 0.0),
            "wire": (88.0, 144.0, 225.0),
            "keys": {},
        }
        self.hold.put(key, data)
        return key

    def is_node(self, key: int) -> bool:
        data = self.hold.table.get(key)
        return data is not None and CLASSES[data["class"]].superclass in _OF_NODES

    def data(self, key: int) -> Data:
        found = self.hold.table.get(key)
        if found is None:
            raise MaxError("Attempt to access deleted scene object")
        return dict(found)

    def change(self, key: int, **values: Any) -> None:
        self.hold.put(key, dict(self.data(key), **values))

    def nodes(self) -> Iterator[int]:
        """Yield all nodes in the order of their making."""
        return (
            key for key in sorted(k for k in self.hold.table if k != SELECTION) if self.is_node(key)
        )

    def things(self, class_name: str) -> List[int]:
        return [k for k, d in sorted(self._rows()) if d["class"] == class_name]

    def _rows(self) -> Iterator[Tuple[int, Data]]:
        return ((k, d) for k, d in self.hold.table.items() if k != SELECTION)

    def children(self, parent: Optional[int]) -> List[int]:
        return [key for key in self.nodes() if self.data(key)["parent"] == parent]

    def world(self, key: Optional[int]) -> rows.Rows:
        if key is None:
            return rows.IDENTITY
        data = self.data(key)
        return rows.multiply(data["local"], self.world(data["parent"]))

    def move(self, key: int, world: rows.Rows) -> None:
        try:
            back = rows.inverse(self.world(self.data(key)["parent"]))
        except ZeroDivisionError:
            raise MaxError("a parent's scale is zero") from None
        self.change(key, local=rows.multiply(world, back))

    def attach(self, key: int, parent: Optional[int]) -> None:
        """Link a node to another; it stays where it is in the world."""
        above = parent
        while above is not None:
            if above == key:
                raise MaxError("A node cannot be linked to what is below it")
            above = self.data(above)["parent"]
        world = self.world(key)
        self.change(key, parent=parent)
        self.move(key, world)

    def delete(self, key: int) -> None:
        """Delete a node; its children stay, linked to nothing.

        The SDK's documentation of INode::Delete: they are attached to the root.
        """
        for child in self.children(key):
            self.attach(child, None)
        self.hold.put(SELECTION, tuple(k for k in self.selection if k != key))
        self.hold.put(key, None)

    @property
    def selection(self) -> Tuple[int, ...]:
        return tuple(self.hold.table[SELECTION])

    def box(self, key: int) -> Box:
        """Return the box in the world of a node without its children."""
        data = self.data(key)
        bounds = CLASSES[data["class"]].bounds
        low, high = _ICON if bounds is None else bounds(data["params"])
        shift = (*rows.IDENTITY[:3], data["offset"])
        return rows.box_of(low, high, rows.multiply(shift, self.world(key)))  # type: ignore[arg-type]

    def unique_name(self, prefix: str) -> str:
        taken = {self.data(key)["name"].lower() for key in self.nodes()}
        stem = prefix.rstrip("0123456789")
        number = 1
        while "{}{:03}".format(stem, number).lower() in taken:
            number += 1
        return "{}{:03}".format(stem, number)


_OF_NODES = ("GeometryClass", "helper", "camera", "light", "shape")
