"""Names of nodes as paths, which in 3ds Max they are not: names need not be unique there.

A path is the names of all parents and the node's own, ``/parent/child``. A name that does not tell
a node from another gets its handle, ``/parent/child#57``: where children of one parent share a
name, where a name holds the separator, and where it ends as a handle does.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Optional

from ...errors import Ambiguous, NotFound
from ...records import NamedTuple
from ...tools.backend import find_path
from .runtime import items

__all__ = ["Found", "below", "children", "find", "handle_of", "named", "node_at", "path_of", "walk"]

_WITH_HANDLE = re.compile(r".*#(\d{1,10})\Z", re.DOTALL)


class Found(NamedTuple):
    """A node on the way through the scene; ``parent`` is a path, "" at the top."""

    node: Any
    path: str
    parent: str
    name: str


def handle_of(node: Any) -> int:
    """Return what stays the same for a node whatever becomes of it."""
    # Not node.handle: the objects of some nodes have a property of that name (a teapot for one).
    return int(node.inode.handle)


def named(rt: Any, name: str) -> List[Any]:
    """Return all nodes that are called exactly so."""
    return items(rt.getNodeByName(name, exact=True, ignoreCase=False, all=True))


def path_of(rt: Any, node: Any) -> str:
    """Return the path of a node."""
    labels = []
    while node is not None:
        parent = node.parent
        name = str(node.name)
        if not _is_plain(name) or _has_namesake(rt, node, name, parent):
            name = _with_handle(name, node)
        labels.append(name)
        node = parent
    return "/" + "/".join(reversed(labels))


def node_at(rt: Any, path: str) -> Any:
    """Return the node at a full path. Raises NotFound if there is none (any more)."""
    told = _WITH_HANDLE.match(path)
    if told is not None:
        node = rt.maxOps.getNodeByHandle(int(told.group(1)))
        candidates = [] if node is None else [node]
    else:
        candidates = named(rt, path.rsplit("/", 1)[-1])
    for node in candidates:
        if path_of(rt, node) == path:
            return node
    raise NotFound("No object '{}'.".format(path))


def walk(rt: Any) -> Iterator[Found]:
    """Yield every node of the scene, parents before children, in the order of 3ds Max."""
    return below(rt.rootNode, "")


def below(node: Any, path: str) -> Iterator[Found]:
    """Yield every node below ``node``, which is at ``path``, parents first."""
    waiting = [children(node, path)]
    while waiting:
        for found in waiting[-1]:
            yield found
            waiting.append(children(found.node, found.path))
            break
        else:
            waiting.pop()


def children(node: Any, path: str) -> Iterator[Found]:
    """Yield the nodes right below ``node``, which is at ``path``."""
    found = [(child, str(child.name)) for child in items(node.children)]
    counts: Dict[str, int] = {}
    for _, name in found:
        counts[name] = counts.get(name, 0) + 1
    for child, name in found:
        plain = counts[name] == 1 and _is_plain(name)
        label = name if plain else _with_handle(name, child)
        yield Found(child, "{}/{}".format(path, label), path, name)


def find(rt: Any, path: str) -> str:
    """Return the full path of the node that ``path`` names.

    Also its names alone do that as long as they fit one node only. Raises NotFound or Ambiguous.
    """
    names = {"": ""}
    for one in walk(rt):
        names[one.path] = "{}/{}".format(names[one.parent], one.name)
    del names[""]
    if path and path not in names:
        tail = "/" + path
        fits = [f for f, plain in names.items() if plain == path or plain.endswith(tail)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            shown = ", ".join("'{}'".format(full) for full in fits[:5])
            more = " and {} more".format(len(fits) - 5) if len(fits) > 5 else ""
            raise Ambiguous(
                "'{}' fits {} objects: {}{}.".format(path, len(fits), shown, more),
                hint="Pass the full path of the one you mean.",
                details={"candidates": fits[:20]},
            )
    return find_path(path, names)


def _is_plain(name: str) -> bool:
    return "/" not in name and _WITH_HANDLE.match(name) is None


def _with_handle(name: str, node: Any) -> str:
    return "{}#{}".format(name, handle_of(node))


def _has_namesake(rt: Any, node: Any, name: str, parent: Any) -> bool:
    same = named(rt, name)
    if len(same) < 2:
        return False
    own, place = handle_of(node), _place(parent)
    return any(handle_of(one) != own and _place(one.parent) == place for one in same)


def _place(parent: Optional[Any]) -> Optional[int]:
    return None if parent is None else handle_of(parent)
