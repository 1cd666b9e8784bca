"""The TransportManager for the code in a host: made when it is asked for, ended with the server."""

from __future__ import annotations

import threading
from typing import Any, Callable

from .registration import Registrar

__all__ = ["SharedTransport"]


class SharedTransport:
    """One manager at a time; ``make(registrar)`` returns it. Any thread."""

    def __init__(self, make: Callable[[Registrar], Any]) -> None:
        self._make = make
        self._over = False
        self._begin()

    def _begin(self) -> None:
        # Reentrant: a signal handler may stop the server in the middle of :meth:`get`.
        self._lock = threading.RLock()
        self._manager: Any = None

    def get(self, registrar: Registrar) -> Any:
        """Return the manager, another one if it was shut down; None after :meth:`end`."""
        with self._lock:
            if self._over:
                return None
            if self._manager is None or self._manager.is_shutdown():
                fresh = self._make(registrar)
                if self._over:
                    # Meanwhile, and by this very thread: the lock lets it in again.
                    fresh.shutdown()
                    return None
                self._manager = fresh
            return self._manager

    def end(self) -> None:
        """Shut the manager down, and make no more. Twice is fine."""
        self._over = True
        with self._lock:
            manager = self._manager
        if manager is not None:
            manager.shutdown()

    def disown(self) -> None:
        """Be ended in a forked child, whose parent goes on with the manager."""
        self._over = True
        self._begin()
