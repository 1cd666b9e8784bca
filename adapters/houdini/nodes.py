"""Which nodes are the scene's objects, and how they hang together. Main thread.

Objects are the object nodes in ``/obj`` and in the subnetworks there; a path is the node's own.
The parent of an object is the object that its first input is wired to, because that is what moves
it; without such a wire it is the subnetwork that contains it. What is inside a locked asset is the
asset's own business: it is neither listed nor walked through, but can be read by its full path.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional

from ...errors import NotFound
from ...tools.backend import find_path

__all__ = ["ROOT", "Tree", "container_of", "is_open", "object_at", "parent_of", "resolve"]

ROOT = "/obj"


class Tree:
    """All objects at one moment; only for use within one call."""

    def __init__(self, hou: Any) -> None:
        self._below: Dict[Optional[str], List[Any]] = {}
        #: Path of an object -> that of the one above it, None if nothing is.
        self.parents: Dict[str, Optional[str]] = {}
        found = list(_listed(hou))
        paths = [node.path() for node in found]
        for own, node in zip(paths, found):
            above = parent_of(hou, node)
            self.parents[own] = None if above is None else above.path()
        for own, node in zip(paths, found):
            path = self.parents[own]
            self._below.setdefault(path if path in self.parents else None, []).append(node)

    def children(self, path: str) -> List[Any]:
        """Return what is right below an object."""
        return self._below.get(path, [])

    def below(self, path: Optional[str]) -> Iterator[Any]:
        """Yield everything below an object, parents first; below None everything."""
        waiting = list(reversed(self._below.get(path, [])))
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(self._below.get(node.path(), [])))


def parent_of(hou: Any, node: Any) -> Any:
    """Return the object that moves ``node``, None if nothing does."""
    for one in node.inputs()[:1]:
        if isinstance(one, hou.ObjNode):
            return one
    return container_of(hou, node)


def container_of(hou: Any, node: Any) -> Any:
    """Return the object that ``node`` is inside of, None at the top."""
    holder = node.parent()
    return holder if isinstance(holder, hou.ObjNode) else None


def object_at(hou: Any, path: str) -> Any:
    """Return the object at a resolved path. Raises NotFound if it has gone since."""
    node = hou.node(path) if path.startswith("/") else None
    if not isinstance(node, hou.ObjNode):
        raise NotFound("No object '{}'.".format(path))
    return node


def resolve(hou: Any, path: str) -> str:
    """Return the full path that ``path`` names. Raises NotFound or Ambiguous."""
    # The common case without walking the scene; "/obj/a/../b" is one of Houdini's own ways.
    node = hou.node(path) if path.startswith("/") else None
    if isinstance(node, hou.ObjNode):
        return str(node.path())
    if node is not None and node.path() != ROOT:
        raise NotFound(
            "'{}' is a node, but no object in {}.".format(path, ROOT),
            hint="Use get_parms, set_parms or execute_python for other nodes.",
        )
    return find_path(path, [one.path() for one in _listed(hou)])


def _listed(hou: Any) -> Iterator[Any]:
    """Yield the objects, containers before what they contain, in the order of the user's list."""
    waiting = list(reversed(hou.node(ROOT).children()))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, hou.ObjNode):
            continue  # a manager, such as a network of outputs or materials
        yield node
        if is_open(hou, node):
            waiting.extend(reversed(node.children()))


def is_open(hou: Any, node: Any) -> bool:
    """Return whether an object contains objects that may be seen and changed."""
    return node.childTypeCategory() == hou.objNodeTypeCategory() and not node.isLockedHDA()
