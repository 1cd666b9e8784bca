"""Lists of tools that need not be asked for again. Any thread."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, List, Optional, Tuple

from .records import ToolCacheEntry

__all__ = ["ToolCache"]

Key = Tuple[str, str]
Tools = List[Dict[str, Any]]


class ToolCache:
    """Lists by user and plugin, each good for ``ttl``. ``now()`` is local time."""

    def __init__(self, ttl: timedelta, now: Callable[[], datetime]) -> None:
        self._ttl = ttl
        self._now = now
        self._lock = threading.Lock()
        self._entries: Dict[Key, ToolCacheEntry] = {}
        #: Key -> how often its list has become a wrong one.
        self._versions: Dict[Key, int] = {}

    def get(self, key: Key) -> Optional[Tools]:
        """Return a list that is still good, and count that."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if self._now() >= entry.expire_time:
                del self._entries[key]
                return None
            entry.hit_count += 1
            return [dict(one) for one in entry.tools]

    def version(self, key: Key) -> int:
        """Return a number that is another one once the list is not good any more."""
        with self._lock:
            return self._versions.get(key, 0)

    def put(self, key: Key, tools: Tools, version: int) -> None:
        """Keep a list that was asked for when the version was this."""
        with self._lock:
            if self._versions.get(key, 0) == version:
                self._entries[key] = ToolCacheEntry(tools, self._now() + self._ttl)

    def drop(self, key: Key) -> None:
        """Forget a list, also one that is being asked for just now."""
        with self._lock:
            self._versions[key] = self._versions.get(key, 0) + 1
            self._entries.pop(key, None)

    def clear(self, user_id: Optional[str] = None) -> None:
        """Forget the lists of a user, or all."""
        with self._lock:
            keys = [key for key in self._entries if user_id is None or key[0] == user_id]
        for key in keys:
            self.drop(key)

    def pairs(self) -> List[Tuple[str, str]]:
        """Return (plugin, tool) of all that is known."""
        with self._lock:
            return [
                (key[1], str(tool.get("name")))
                for key, entry in self._entries.items()
                for tool in entry.tools
            ]

    def stats(self) -> Dict[str, Any]:
        """Return what is in it."""
        with self._lock:
            entries = list(self._entries.items())
        return {
            "total_entries": len(entries),
            "total_hits": sum(entry.hit_count for _, entry in entries),
            "cache_ttl_minutes": self._ttl.total_seconds() / 60,
            "entries": [
                {
                    "key": "{}:{}".format(*key),
                    "tools_count": len(entry.tools),
                    "hit_count": entry.hit_count,
                    "expire_time": entry.expire_time.isoformat(),
                }
                for key, entry in entries
            ],
        }
