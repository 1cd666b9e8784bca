"""Lists of tools that need not be asked for again. Any thread."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional, Tuple

from ..clock import Clock
from .records import ToolCacheEntry

__all__ = ["ToolCache", "copied"]

Key = Tuple[str, str]
Tools = List[Dict[str, Any]]
#: Which state of a list was asked for: see :meth:`ToolCache.version`.
Version = Tuple[int, int]


def copied(value: Any) -> Any:
    """Return a copy of what JSON can say: whoever is given it may change it."""
    if type(value) is dict:
        return {name: copied(one) for name, one in value.items()}
    if type(value) is list:
        return [copied(one) for one in value]
    return value


class ToolCache:
    """Lists by user and plugin, each good for ``minutes``."""

    def __init__(self, minutes: float, clock: Clock) -> None:
        self._ttl = timedelta(minutes=minutes)
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: Dict[Key, ToolCacheEntry] = {}
        #: How often all lists have become wrong ones, and which one how often.
        self._cleared = 0
        self._dropped: Dict[Key, int] = {}

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
        found: Tools = copied(entry.tools)
        return found

    def version(self, key: Key) -> Version:
        """Return what is another one once the list is not good any more."""
        with self._lock:
            return self._cleared, self._dropped.get(key, 0)

    def put(self, key: Key, tools: Tools, version: Version) -> None:
        """Keep a list that was asked for when the version was this."""
        with self._lock:
            if (self._cleared, self._dropped.get(key, 0)) == version:
                self._entries[key] = ToolCacheEntry(copied(tools), self._now() + self._ttl)

    def drop(self, key: Key) -> None:
        """Forget a list, also one that is being asked for just now."""
        with self._lock:
            self._dropped[key] = self._dropped.get(key, 0) + 1
            self._entries.pop(key, None)

    def clear(self, user_id: Optional[str] = None) -> None:
        """Forget the lists of a user, or all; also those that are being asked for just now."""
        with self._lock:
            self._cleared += 1
            self._entries = {
                key: entry
                for key, entry in self._entries.items()
                if user_id is not None and key[0] != user_id
            }

    def pairs(self) -> List[Tuple[str, str]]:
        """Return (plugin, tool) of all that is known."""
        with self._lock:
            entries = list(self._entries.items())
        return [(key[1], tool["name"]) for key, entry in entries for tool in entry.tools]

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

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall())
