"""Names and paths of Maya: ``|group|ns:cube``, unique only together with what is above.

A path that is given may be written with ``/`` as well, as in other hosts: no name holds one.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ...errors import Ambiguous, InvalidArgument, NotFound, ToolError
from ...tools.backend import find_path
from .session import api, cmds

__all__ = [
    "dag_path",
    "kinds",
    "leaf",
    "listed",
    "parent_of",
    "pairs",
    "paths",
    "paths_below",
    "resolve",
    "shapes_of",
    "top_level_of",
    "usable_name",
]

SEPARATOR = "|"
#: Between a surface and the curves on it; those are no objects of their own here.
UNDERWORLD = "->"
#: What ``ls`` takes for a plain name: no pattern, no component, no UUID.
_PLAIN = re.compile(r"\|?[A-Za-z0-9_:]+(\|[A-Za-z0-9_:]+)*\Z")
_NAME = re.compile(r"(:?[A-Za-z_][A-Za-z0-9_]*)(:[A-Za-z_][A-Za-z0-9_]*)*\Z")

#: How every listing of objects asks: in the order of the outliner, an instance once per place.
ALL: Dict[str, Any] = {"dag": True, "long": True, "allPaths": True}


def listed(found: Optional[List[str]]) -> List[str]:
    """Return what a command lists: some return None instead of an empty list."""
    return found or []


def parent_of(path: str) -> Optional[str]:
    """Return the path above, None at the top level."""
    return path.rpartition(SEPARATOR)[0] or None


def leaf(path: str) -> str:
    """Return the name at the end of a path, with its namespace."""
    return path.rpartition(SEPARATOR)[2]


def pairs(found: List[str]) -> Iterator[Tuple[str, str]]:
    """Yield (path, type) of a list with ``showType``."""
    for path, kind in zip(found[::2], found[1::2]):
        if UNDERWORLD not in path:
            yield path, kind


def paths() -> List[str]:
    """Return the path of every object (transforms, joints and what is like them)."""
    found = listed(cmds().ls(type="transform", **ALL))
    return [path for path in found if UNDERWORLD not in path]


def paths_below(path: str) -> List[str]:
    """Return the path of every object below one, parents first."""
    # Of what is instanced below it, the places elsewhere come with it.
    found = listed(cmds().ls(path, type="transform", **ALL))
    below = path + SEPARATOR
    return [one for one in found if one.startswith(below) and UNDERWORLD not in one]


def kinds() -> Iterator[Tuple[str, str]]:
    """Yield (path, type) of every object: its first shape's type, or its own without one."""
    shapes: Dict[Optional[str], str] = {}
    found = listed(cmds().ls(shapes=True, noIntermediate=True, showType=True, **ALL))
    for path, kind in pairs(found):
        shapes.setdefault(parent_of(path), kind)
    for path, kind in pairs(listed(cmds().ls(type="transform", showType=True, **ALL))):
        yield path, shapes.get(path, kind)


def shapes_of(path: str) -> List[str]:
    """Return the shapes right below an object, without those that only feed others."""
    found = cmds().listRelatives(path, shapes=True, fullPath=True, noIntermediate=True)
    return listed(found)


def dag_path(path: str) -> Any:
    """Return the ``MDagPath`` of a full path. Raises NotFound if it has gone since."""
    try:
        return api().MSelectionList().add(path).getDagPath(0)
    except (RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, ToolError):
            raise
        raise NotFound("No object '{}'.".format(path)) from None


def resolve(path: str) -> str:
    """Return the full path that ``path`` names. Raises NotFound or Ambiguous."""
    wanted = path.replace("/", SEPARATOR)
    if _PLAIN.match(wanted):
        # The common case without listing the scene.
        found = cmds().ls(wanted, long=True, allPaths=True, type="transform")
        if found and len(found) == 1:
            return str(found[0])
    try:
        return _piped(find_path(_slashed(wanted), [_slashed(one) for one in paths()]))
    except (Ambiguous, NotFound) as error:
        raise _in_pipes(error, wanted) from None


def _in_pipes(error: ToolError, wanted: str) -> ToolError:
    """Return the same error with the paths written as Maya does."""
    hint = None if error.hint is None else _piped(error.hint)
    details = error.details
    if details and "candidates" in details:
        details = {"candidates": [_piped(one) for one in details["candidates"]]}
    if isinstance(error, NotFound) and _PLAIN.match(wanted):
        shapes = [one for one in listed(cmds().ls(wanted, long=True)) if parent_of(one)]
        if shapes:
            hint = "That is a shape; the object that holds it is '{}'.".format(parent_of(shapes[0]))
    return type(error)(_piped(error.message), hint=hint, details=details)


def _slashed(path: str) -> str:
    return path.replace(SEPARATOR, "/")


def _piped(text: str) -> str:
    return text.replace("/", SEPARATOR)


def top_level_of(wanted: List[str]) -> List[str]:
    """Return those of the paths that are not below another of them, each once."""
    chosen = set(wanted)

    def is_below(path: str) -> bool:
        above = parent_of(path)
        while above is not None:
            if above in chosen:
                return True
            above = parent_of(above)
        return False

    return [path for path in dict.fromkeys(wanted) if not is_below(path)]


def usable_name(name: str) -> str:
    """Return ``name`` as ``rename`` takes it. Raises InvalidArgument where Maya would bend it."""
    if not _NAME.match(name):
        raise InvalidArgument(
            "Maya cannot hold the name {!r}.".format(name),
            hint="Use letters a to z, digits and '_', not beginning with a digit; "
            "'space:name' puts it into a namespace.",
        )
    space = name.rpartition(":")[0]
    if space and not cmds().namespace(exists=":" + space.lstrip(":")):
        raise InvalidArgument(
            "There is no namespace '{}'.".format(space),
            hint="Leave it out, or make it first.",
        )
    # A bare name would go into whatever namespace is the current one.
    if name.startswith(":") or cmds().namespaceInfo(currentNamespace=True) == ":":
        return name
    return ":" + name
