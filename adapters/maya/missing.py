"""What a Maya scene refers to and that is not there: files, references, plug-ins. Main thread."""

from __future__ import annotations

import glob
import os
import re
from typing import Iterator, List, Optional, Tuple

from ...tools.backend import SceneError
from .naming import listed
from .session import cmds

__all__ = ["scene_errors"]

#: Node type -> the attribute that names a file, what that is.
HOLDERS = (
    ("file", "fileTextureName", "texture"),
    ("imagePlane", "imageName", "image plane"),
    ("audio", "filename", "sound"),
    ("AlembicNode", "abc_File", "cache"),
    ("gpuCache", "cacheFileName", "cache"),
)
#: What stands in a name for the number of a tile or a frame.
TOKEN = re.compile(r"<[A-Za-z]+>")


def scene_errors() -> Iterator[Optional[SceneError]]:
    """Yield an error for each thing that is missing, and None for each that is there."""
    # All of it first, as text: nodes may be gone at the next step.
    lost = [_unknown(node) for node in listed(cmds().ls(type="unknown"))]
    files = [(kind, name, file, _place(file)) for kind, name, file in _files()]
    yield from lost
    for kind, name, file, place in files:
        if _is_there(place):
            yield None
            continue
        yield {
            "kind": "missing_file",
            "name": name,
            "file": file,
            "message": "The {} '{}' needs {}, which is not there.".format(kind, name, file),
        }


def _unknown(node: str) -> SceneError:
    plugin = str(cmds().unknownNode(node, query=True, plugin=True) or "")
    return {
        "kind": "unknown_node",
        "name": str(node),
        "file": "",
        "message": "The node '{}' is of a type that is not known here{}.".format(
            node, "; it needs the plug-in '{}'".format(plugin) if plugin else ""
        ),
    }


def _files() -> Iterator[Tuple[str, str, str]]:
    """Yield (what it is, name, file) of everything that refers to a file."""
    for reference in listed(cmds().file(query=True, reference=True)):
        file = str(cmds().referenceQuery(reference, filename=True, withoutCopyNumber=True))
        yield "reference", os.path.basename(file), file
    known = set(cmds().allNodeTypes())
    for node_type, attribute, kind in HOLDERS:
        # Of a plug-in that is not loaded there is no such type, and asking for it is an error.
        if node_type not in known:
            continue
        for node in listed(cmds().ls(type=node_type)):
            file = cmds().getAttr("{}.{}".format(node, attribute))
            if file:
                yield kind, str(node), str(file)


def _place(file: str) -> str:
    """Return the full path of a file: what is none stands below the folder of the project."""
    place = os.path.expandvars(file)
    if os.path.isabs(place):
        return place
    return os.path.join(str(cmds().workspace(query=True, rootDirectory=True) or ""), place)


def _is_there(place: str) -> bool:
    if not TOKEN.search(place):
        return os.path.exists(place)
    parts: List[str] = [glob.escape(part) for part in TOKEN.split(place)]
    # The first that is found will do: a tile that is not there need not be.
    return any(True for _ in glob.iglob("*".join(parts)))
