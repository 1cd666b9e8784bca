"""The files that a scene refers to and that are not there. Main thread."""

from __future__ import annotations

import os
from typing import Iterator, List, Optional, Tuple

from ...tools.backend import SceneError
from .runtime import Runtime, items

__all__ = ["missing_files"]


def missing_files(runtime: Runtime) -> Iterator[Optional[SceneError]]:
    """Yield an error for each file that is not there, and None for each that is.

    Bitmaps (those of the material editor too) and scenes that are referred to.
    """
    # All of it first, as text: what 3ds Max gave out may be gone at the next step.
    for kind, name, file in _references(runtime):
        if _exists(runtime, file):
            yield None
            continue
        yield {
            "kind": "missing_file",
            "name": name,
            "file": file,
            "message": "The {} '{}' needs {}, which is not there.".format(kind, name, file),
        }


def _exists(runtime: Runtime, file: str) -> bool:
    # 3ds Max finds a file in other places, too: beside the scene, and where its paths lead.
    return os.path.exists(file) or bool(runtime.rt.mapPaths.getFullFilePath(file))


def _references(runtime: Runtime) -> List[Tuple[str, str, str]]:
    rt = runtime.rt
    found = []
    for map_ in items(rt.getClassInstances(rt.BitmapTexture)):
        file = map_.filename
        if file:
            found.append(("bitmap", str(map_.name), str(file)))
    for number in range(1, int(rt.xrefs.getXRefFileCount()) + 1):
        file = rt.xrefs.getXRefFile(number).filename
        found.append(("scene", os.path.basename(str(file)), str(file)))
    return found
