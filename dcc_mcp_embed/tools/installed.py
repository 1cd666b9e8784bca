"""Entry points of installed distributions, read from their files.

``importlib.metadata`` does the same and more; it loads the email package, which costs a host's
start more than all of this, and Python 3.7 has none. What is looked at here is what pip and
setuptools write: folders of metadata beside the packages, in the folders of the import path.
"""

from __future__ import annotations

import os
from typing import Iterable, Iterator, List, Optional, Set, Tuple

from ..records import NamedTuple

__all__ = ["Point", "entry_points"]

_KINDS = (".dist-info", ".egg-info")
_FILE = "entry_points.txt"
#: Bytes of a file that is read; the longest that are known have a hundredth of it.
_LIMIT = 1024 * 1024


class Point(NamedTuple):
    """One entry point: ``name = module`` or ``name = module:attribute``, and whose it is."""

    name: str
    value: str
    distribution: str


def entry_points(path: Iterable[str], group: str) -> List[Point]:
    """Return the entry points of ``group``, by name, that distributions on ``path`` have.

    Of several distributions with one name the first counts, whose code is imported too. What
    cannot be read is passed over. Any thread; reads one folder for each of ``path``, one file for
    each distribution.
    """
    found: List[Point] = []
    taken: Set[str] = set()
    for place in path:
        for distribution, folder in _distributions(place):
            key = _normal(distribution)
            if key in taken:
                continue
            taken.add(key)
            text = _read(os.path.join(folder, _FILE))
            if text is not None:
                found.extend(Point(*one, distribution) for one in _parse(text, group))
    return sorted(found)


def _distributions(place: object) -> Iterator[Tuple[str, str]]:
    """Yield (name, folder of its metadata) of what is installed in one folder of the path."""
    # The path belongs to the host: imports pass over what is no text there, too.
    if not isinstance(place, str):
        return
    try:
        names = sorted(os.listdir(place or os.curdir))
    except (OSError, ValueError):
        # Not there, or an archive.
        return
    for name in names:
        if name.endswith(_KINDS):
            yield os.path.splitext(name)[0].partition("-")[0], os.path.join(place, name)


def _normal(name: str) -> str:
    """Return by what names of distributions are compared (PEP 503)."""
    words = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(word for word in words if word)


def _read(file: str) -> Optional[str]:
    try:
        with open(file, "rb") as stream:
            return stream.read(_LIMIT).decode("utf-8")
    except (OSError, ValueError):
        # Most have no such file.
        return None


def _parse(text: str, group: str) -> Iterator[Tuple[str, str]]:
    """Yield (name, value) of one section of an ``entry_points.txt``, extras left out."""
    inside = False
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line[1:].partition("]")[0].strip() == group
        elif inside and not line.startswith(("#", ";")):
            name, equals, value = line.partition("=")
            if equals:
                yield name.strip(), value.partition("[")[0].strip()
