"""Our folder in a host's user folder: versions side by side, and a small file that names one.

::

    <root>/versions/<version>+<digest>/   payloads, never changed in place
    <root>/current.txt                    the name of the one that hosts start; switched as a whole
    <root>/bridge.py                      what client configurations name; reads current.txt

Reading raises nothing but OSError; what is damaged counts as not there.
"""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional, Tuple

from . import payload
from .manifest import NAME

__all__ = ["CURRENT", "FOLDER", "Root", "VERSIONS"]

#: Our folder's name, wherever it is put.
FOLDER = "dcc_mcp_embed"
VERSIONS = "versions"
CURRENT = "current.txt"
BRIDGE = "bridge.py"
#: A version that is being staged; nobody starts it. What follows is a process number.
STAGING = ".staging-"
_MOST = 4096


class Damage(NamedTuple):
    """A version that is not as it was made."""

    name: str
    problems: Tuple[str, ...]


class Root:
    """One root. Made without looking; ``path`` is absolute."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.versions = os.path.join(path, VERSIONS)
        self.current_file = os.path.join(path, CURRENT)
        self.bridge = os.path.join(path, BRIDGE)

    def folder_of(self, name: str) -> str:
        return os.path.join(self.versions, name)

    def staging(self) -> str:
        """Return where this process puts a version together. Its name is nobody else's."""
        return os.path.join(self.versions, STAGING + str(os.getpid()))

    def current(self) -> Optional[str]:
        """Return the name of the version that hosts start, None if there is none that could be."""
        try:
            with open(self.current_file, "rb") as stream:
                name = stream.read(_MOST).decode("utf-8", "replace").strip()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return name if NAME.match(name) and os.path.isdir(self.folder_of(name)) else None

    def installed(self) -> List[str]:
        """Return the names of the versions that are there, in no order that means anything."""
        return [name for name in self._entries() if NAME.match(name)]

    def staged(self) -> List[str]:
        """Return the folders that were being put together, by processes that may have ended."""
        return [name for name in self._entries() if name.startswith(STAGING)]

    def _entries(self) -> List[str]:
        try:
            return sorted(os.listdir(self.versions))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def damaged(self) -> List[Damage]:
        """Return the versions whose files are not what their manifests say. Reads every file."""
        found = []
        for name in self.installed():
            problems = payload.verify(self.folder_of(name))
            if problems:
                found.append(Damage(name, tuple(problems)))
        return found
