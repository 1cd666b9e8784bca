"""Changes of status, and whom they are told to: once each, in order, and whatever comes of it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import datetime
from typing import Any, Deque, Dict, List, Tuple

from .calling import run_here
from .records import StatusCallback

__all__ = ["Events"]

Event = Dict[str, Any]


class Events:
    """Holds what has happened until somebody tells it. Any thread."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._callbacks: List[StatusCallback] = []
        self._waiting: Deque[Tuple[Event, List[StatusCallback]]] = deque()

    def add(self, callback: StatusCallback) -> None:
        """Tell ``callback(event)`` too, a function or a coroutine function; twice is once."""
        with self._lock:
            if callback not in self._callbacks:
                self._callbacks.append(callback)

    def remove(self, callback: StatusCallback) -> None:
        """Tell it no more; one that is not told is fine."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def happened(self, key: Tuple[str, str], old: str, new: str, reason: str) -> None:
        """Take note of a change."""
        if old == new:
            return
        event = {
            "user_id": key[0],
            "plugin_name": key[1],
            "old_status": old,
            "new_status": new,
            "reason": reason,
            "timestamp": datetime.now().isoformat(),
        }
        self._logger.info("%s: %s -> %s %s", key[1], old, new, reason)
        with self._lock:
            if self._callbacks:
                self._waiting.append((event, list(self._callbacks)))

    def take(self) -> List[Tuple[StatusCallback, Event]]:
        """Return who is to be told what, each once."""
        with self._lock:
            found = [
                (callback, dict(event))
                for event, callbacks in self._waiting
                for callback in callbacks
            ]
            self._waiting.clear()
        return found

    def tell(self) -> None:
        """Tell all of it, on this thread; coroutines get an asyncio loop of their own."""
        for callback, event in self.take():
            try:
                run_here(callback, (event,))
            except Exception as error:
                self.broke(error)

    async def tell_here(self) -> None:
        """Tell all of it, on the asyncio loop that runs this."""
        for callback, event in self.take():
            try:
                value: Any = callback(event)
                if hasattr(type(value), "__await__"):
                    await value
            except Exception as error:
                self.broke(error)

    def broke(self, error: Exception) -> None:
        """Log what a callback has raised: it is a user's, and may raise anything."""
        self._logger.error("a callback failed: %r", error, exc_info=error)
