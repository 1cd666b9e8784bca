"""What is wrong with a hip file: nodes that do not cook, files that are not there. Main thread."""

from __future__ import annotations

import os
from typing import Any, Iterator, List, Optional, Tuple

from ...tools.backend import SceneError
from .hom import Hom

__all__ = ["faults"]

#: Paths that are none: nodes, tables inside assets, libraries, addresses.
_NOT_FILES = ("op:", "opdef:", "oplib:", "temp:", "http:", "https:", "anon:", "db:")
#: One path for many files; which of them are meant only the reader knows.
_MANY = ("<udim>", "<uvtile>", "%(udim)d", "*")


def faults(hom: Hom) -> Iterator[Optional[SceneError]]:
    """Yield an error for each message of a node and each missing file, None for what is in order.

    Errors of nodes are those of their last cook: nothing is cooked for it.
    """
    # Numbers, not nodes: what Houdini gave out may be gone at the next step.
    waiting = [hom().root().sessionId()]
    while waiting:
        found, below = _look(hom(), waiting.pop())
        if not found:
            yield None
        yield from found
        waiting.extend(reversed(below))
    for name, file, place in _references(hom()):
        if os.path.exists(place):
            yield None
            continue
        yield {
            "kind": "missing_file",
            "name": name,
            "file": file,
            "message": "The parameter {} refers to {}, which is not there.".format(name, place),
        }


def _look(hou: Any, ident: int) -> Tuple[List[SceneError], List[int]]:
    """Return the errors of a node, and what is inside of it unless it is a locked asset."""
    node = hou.nodeBySessionId(ident)
    if node is None:
        return [], []
    path = node.path()
    found: List[SceneError] = [
        {"kind": "node_error", "name": path, "file": "", "message": " ".join(text.split())}
        for text in node.errors()
    ]
    # Nodes that are none of operators' lack it; their class has a name of its own from 20.5 on.
    is_locked = getattr(node, "isLockedHDA", None)
    locked = is_locked is not None and is_locked()
    return found, [] if locked else [child.sessionId() for child in node.children()]


def _references(hou: Any) -> List[Tuple[str, str, str]]:
    """Return (parameter, path in the file, path on the disk) of what is read from files."""
    found: List[Tuple[str, str, str]] = []
    for parm, file in hou.fileReferences():
        # Without a parameter it is a library of assets that Houdini itself has loaded.
        if parm is None or parm.parmTemplate().tags().get("filechooser_mode") == "write":
            continue
        lowered = file.lower()
        if not file or lowered.startswith(_NOT_FILES) or any(one in lowered for one in _MANY):
            continue
        try:
            place = hou.text.expandString(file)
        except hou.OperationFailed:
            place = file
        found.append((parm.path(), file, place))
    return found
