"""The place of the one server that a process has."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["PLACE", "Place"]


class Place:
    """Who has the place: ``server``, or None. Whoever looks or changes it holds ``lock``."""

    def __init__(self) -> None:
        self.server: Any = None
        self._begin()

    def _begin(self) -> None:
        # Reentrant: what start() calls may stop the server before there is one.
        self.lock = threading.RLock()

    def leave(self, server: Any) -> None:
        """Make room for another server, if it is this one that has the place. With the lock."""
        if self.server is server:
            self.server = None

    def disown(self, server: Any) -> None:
        """Do so in a forked child, where nobody is who may have held the lock."""
        self._begin()
        self.leave(server)


PLACE = Place()
