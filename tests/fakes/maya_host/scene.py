"""Maya's scene in memory: nodes, names, the selection. Plain data, so that a state can be kept."""

from __future__ import annotations

import fnmatch
import pickle
import re
import uuid
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .node_types import is_a, own

__all__ = ["Path", "Scene", "legal"]

Node = Dict[str, Any]

#: The UUIDs from the top of the DAG down to a node, one alone for a node that is not in it. A node
#: that is instanced has several.
Path = Tuple[str, ...]

#: The cameras that each scene begins with, their eyes, and whether they are orthographic.
_CAMERAS = (("persp", False), ("top", True), ("front", True), ("side", True))


class Scene:
    """``state`` is what undo brings back; ``file`` and ``modified`` are not part of it."""

    def __init__(self) -> None:
        self.file = ""
        self.modified = False
        self.state: Dict[str, Any] = {}
        self.clear()

    def clear(self) -> None:
        """Begin an empty scene, as File > New does."""
        self.file, self.modified = "", False
        self.state = {
            "nodes": {},
            "top": [],
            "selection": [],
            "connections": [],
            "sets": {},
            "namespaces": [],
            "time": 1.0,
            "range": {"minTime": 1.0, "maxTime": 120.0, "ast": 1.0, "aet": 200.0},
            "linear": "cm",
            "angle": "deg",
            "fps": "film",
            "up": "y",
        }
        for name, flat in _CAMERAS:
            transform = self.add("transform", name, default=True)
            shape = self.add("camera", name + "Shape", transform, default=True)
            self.node(shape)["attrs"]["orthographic"] = flat
            self.node(shape)["attrs"]["renderable"] = not flat
            self.node(transform)["attrs"]["visibility"] = False
        made = {}
        for kind, name in (
            ("time", "time1"),
            ("lambert", "lambert1"),
            ("shadingEngine", "initialShadingGroup"),
            ("renderGlobals", "defaultRenderGlobals"),
            ("resolution", "defaultResolution"),
            ("objectSet", "defaultObjectSet"),
        ):
            made[name] = self.add(kind, name, default=True)[-1]
        self.connect(made["lambert1"], "outColor", made["initialShadingGroup"], "surfaceShader")
        self.state["sets"] = {made["initialShadingGroup"]: []}

    def snapshot(self) -> bytes:
        return pickle.dumps(self.state, 4)

    def restore(self, state: bytes) -> None:
        self.state = pickle.loads(state)
        self.modified = True

    # -- nodes --------------------------------------------------------------------------------

    @property
    def nodes(self) -> Dict[str, Node]:
        found: Dict[str, Node] = self.state["nodes"]
        return found

    def node(self, path: Path) -> Node:
        return self.nodes[path[-1]]

    def add(self, kind: str, name: str, parent: Path = (), default: bool = False) -> Path:
        dag = is_a(kind, "dagNode")
        node: Node = {
            "uuid": str(uuid.uuid4()).upper(),
            "name": self.unique(name, parent, dag),
            "type": kind,
            "dag": dag,
            "children": [],
            "default": default,
            "attrs": {one.name: _copy(one.default) for one in own(kind)},
            "extra": {},
            "keys": {},
            "locks": [],
        }
        self.nodes[node["uuid"]] = node
        if not dag:
            return (node["uuid"],)
        self.children(parent).append(node["uuid"])
        return (*parent, node["uuid"])

    def children(self, parent: Path) -> List[str]:
        """Return the UUIDs below a node, the list itself; ``()`` is the world."""
        found: List[str] = self.nodes[parent[-1]]["children"] if parent else self.state["top"]
        return found

    def below(self, path: Path) -> Iterator[Path]:
        """Yield the paths below one, parents first."""
        for ident in list(self.children(path)):
            yield (*path, ident)
            yield from self.below((*path, ident))

    def in_order(self) -> Iterator[Path]:
        """Yield all paths of the DAG as Maya's outliner has them, then what is not in it."""
        yield from self.below(())
        for ident, node in list(self.nodes.items()):
            if not node["dag"]:
                yield (ident,)

    def paths(self, ident: str) -> List[Path]:
        """Return every path to a node: more than one where it is instanced."""
        return [path for path in self.in_order() if path[-1] == ident]

    def remove(self, path: Path) -> None:
        """Delete one path; with its last path the node, all below it, and its history."""
        node = self.node(path)
        if node["dag"]:
            self.children(path[:-1]).remove(path[-1])
            if self.paths(path[-1]):
                return
            for one in list(self.below(path)):
                if one[-1] in self.nodes and len(one) == len(path) + 1:
                    self.remove(one)
        for maker in self.inputs(path[-1]):
            if is_a(maker["type"], "polyPrimitive") or is_a(maker["type"], "animCurve"):
                self._forget(maker["uuid"])
        self._forget(path[-1])

    def _forget(self, ident: str) -> None:
        state = self.state
        self.nodes.pop(ident, None)
        state["selection"] = [one for one in state["selection"] if ident not in one]
        state["connections"] = [c for c in state["connections"] if ident not in (c[0], c[2])]
        for members in state["sets"].values():
            if ident in members:
                members.remove(ident)

    def freeze_history(self, shape: Path, maker: Node) -> None:
        """Delete what made a shape; the shape keeps what it looks like."""
        self.node(shape)["attrs"]["made"] = dict(maker["attrs"], kind=maker["type"])
        self._forget(maker["uuid"])

    def move(self, path: Path, parent: Path) -> Path:
        node = self.node(path)
        name = node["name"]
        self.children(path[:-1]).remove(path[-1])
        node["name"] = self.unique(name, parent, True)
        self.children(parent).append(path[-1])
        return (*parent, path[-1])

    # -- connections --------------------------------------------------------------------------

    def connect(self, source: str, out: str, target: str, into: str) -> None:
        """Connect two plugs of the nodes with these UUIDs."""
        self.state["connections"].append((source, out, target, into))

    def inputs(self, ident: str) -> List[Node]:
        return [self.nodes[c[0]] for c in self.state["connections"] if c[2] == ident]

    # -- names --------------------------------------------------------------------------------

    def unique(self, name: str, parent: Path, dag: bool, but: Optional[str] = None) -> str:
        """Return ``name``, with the next number where it is taken beside it."""
        if dag:
            taken = {self.nodes[one]["name"] for one in self.children(parent) if one != but}
            taken |= {n["name"] for n in self.nodes.values() if not n["dag"]}
        else:
            taken = {n["name"] for n in self.nodes.values() if n["uuid"] != but}
        stem, number = re.match(r"(.*?)(\d*)\Z", name, re.S).groups()  # type: ignore[union-attr]
        count = int(number or 0)
        while name in taken:
            count += 1
            name = "{}{}".format(stem, count)
        return name

    def long(self, path: Path) -> str:
        """Return the full path of a DAG node, the name of another."""
        names = [str(self.nodes[ident]["name"]) for ident in path]
        return "|" + "|".join(names) if self.node(path)["dag"] else names[0]

    def short(self, path: Path) -> str:
        """Return the shortest path that names only this node, as Maya's commands return it."""
        parts = self.long(path).strip("|").split("|")
        for count in range(1, len(parts) + 1):
            name = "|".join(parts[-count:])
            if len(self.matching(name)) == 1:
                return name
        return self.long(path)

    def matching(self, name: str) -> List[Path]:
        """Return the paths that a name, a partial path, a pattern or a UUID fits."""
        if name.upper() in self.nodes:
            return self.paths(name.upper())
        wanted = [one.lstrip(":") for one in name.strip("|").split("|")]
        match = _pattern(wanted)
        whole = name.startswith("|")
        found = []
        for path in self.in_order():
            if len(path) < len(wanted) or not match(self.node(path)["name"], wanted[-1]):
                continue
            if whole and (len(path) != len(wanted) or not self.node(path)["dag"]):
                continue
            names = [self.nodes[ident]["name"] for ident in path[-len(wanted) :]]
            if all(match(*pair) for pair in zip(names, wanted)):
                found.append(path)
        return found

    def named(self, name: str) -> Path:
        """Return the one path that ``name`` names; raises ValueError as Maya's commands do."""
        found = self.matching(name) if name else []
        if not found:
            raise ValueError("No object matches name: {}".format(name))
        if len({one[-1] for one in found}) > 1:
            raise ValueError("More than one object matches name: {}".format(name))
        return found[0]


def _pattern(wanted: List[str]) -> Callable[[str, str], bool]:
    if any("*" in one or "?" in one for one in wanted):
        return fnmatch.fnmatchcase
    return str.__eq__


def _copy(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def legal(name: str) -> Tuple[str, str]:
    """Return (namespace, what Maya makes of the rest of a name); raises where nothing is left."""
    space, _, leaf = name.rpartition(":")
    leaf = re.sub(r"[^A-Za-z0-9_]", "_", leaf.lstrip("0123456789"))
    if not leaf.strip("_"):
        raise RuntimeError("New name has no legal characters.")
    return space, leaf
