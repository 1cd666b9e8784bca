"""The place of the one server that a process has."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, Iterator

from ..errors import StartError

__all__ = ["PLACE", "Place"]


class Place:
    """Who has the place: ``server``, or None. Whoever looks or changes it holds ``lock``."""

    def __init__(self) -> None:
        self.server: Any = None
        self._begin()

    def _begin(self) -> None:
        # Reentrant: what start() calls may stop the server before there is one.
        self.lock = threading.RLock()
        self._starting = False

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Start a server inside this context. With the lock. Raises StartError.

        What a start loads is anybody's code. If that started another server, it would be loaded for
        that one too, and so on.
        """
        if self._starting:
            raise StartError(
                "start() was called by what start() loads: a file with tools starts no server."
            )
        self._starting = True
        try:
            yield
        finally:
            self._starting = False

    def leave(self, server: Any) -> None:
        """Make room for another server, if it is this one that has the place. With the lock."""
        if self.server is server:
            self.server = None

    def disown(self, server: Any) -> None:
        """Do so in a forked child, where nobody is who may have held the lock."""
        self._begin()
        self.leave(server)


PLACE = Place()
