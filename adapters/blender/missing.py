"""The files that a Blender file refers to and that are not there. Main thread."""

from __future__ import annotations

import os
from typing import Any, Iterator, List, Optional, Tuple

from ...tools.backend import SceneError

__all__ = ["missing_files"]

#: Collection of ``bpy.data`` whose members may refer to a file -> what a member is.
_HOLDERS = (
    ("libraries", "library"),
    ("images", "image"),
    ("movieclips", "movie clip"),
    ("sounds", "sound"),
    ("fonts", "font"),
    ("cache_files", "cache"),
    ("volumes", "volume"),
)
#: Sources of images that no file is read for.
_MADE = ("GENERATED", "VIEWER")
_BUILT_IN = "<builtin>"


def missing_files() -> Iterator[Optional[SceneError]]:
    """Yield an error for each file that is not there, and None for each that is.

    Packed files are there; of a sequence the one file is looked for that is named.
    """
    # All of it first, as text: what Blender gave out may be gone at the next step.
    for kind, name, file, place in list(_references()):
        if os.path.exists(place):
            yield None
            continue
        why = "is not there" if place else "is beside a Blender file that was never saved"
        yield {
            "kind": "missing_file",
            "name": name,
            "file": file,
            "message": "The {} '{}' needs {}, which {}.".format(kind, name, file, why),
        }


def _references() -> Iterator[Tuple[str, str, str, str]]:
    """Yield (kind, name, path in the Blender file, absolute path or "") of what is not packed."""
    import bpy

    for collection, kind in _HOLDERS:
        # Older versions do not have all of them.
        for item in getattr(bpy.data, collection, ()):
            for file in _files(item):
                nowhere = file.startswith("//") and not (item.library or bpy.data.filepath)
                place = "" if nowhere else bpy.path.abspath(file, library=item.library)
                yield kind, item.name, file, place


def _files(item: Any) -> List[str]:
    file: str = item.filepath
    source = getattr(item, "source", None)
    if not file or file == _BUILT_IN or source in _MADE or _is_packed(item):
        return []
    if source == "TILED":
        return sorted({_tile(file, tile.number) for tile in item.tiles})
    return [file]


def _is_packed(item: Any) -> bool:
    # A packed image of many tiles or layers has the second only.
    packed = getattr(item, "packed_file", None) is not None
    return packed or len(getattr(item, "packed_files", ())) > 0


def _tile(file: str, number: int) -> str:
    """Return the file of one UDIM tile: 1001 is the first of ten in the first row."""
    across, up = (number - 1001) % 10 + 1, (number - 1001) // 10 + 1
    return file.replace("<UDIM>", str(number)).replace("<UVTILE>", "u{}_v{}".format(across, up))
