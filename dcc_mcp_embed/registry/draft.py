"""What a file will say: changes to single rows, everything else as it was. No input or output."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional

from . import rows
from .document import Row, row_of

__all__ = ["Draft"]


class Draft:
    """Rows of a file in their order, to be changed by key.

    Of two rows with one key the later counts, as for every other reader; changing or removing it
    takes both away.
    """

    def __init__(self, found: Iterable[Row]) -> None:
        self._rows: List[Row] = list(found)
        self._keys: List[Optional[rows.Key]] = [rows.key_of(row.value) for row in self._rows]
        self.changed = False

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def get(self, key: rows.Key) -> Optional[Mapping[str, Any]]:
        """Return the row with this key, not to be changed; None if there is none."""
        for index in range(len(self._rows) - 1, -1, -1):
            if self._keys[index] == key:
                return self._rows[index].value
        return None

    def put(self, key: rows.Key, value: Dict[str, Any]) -> None:
        """Write a row in its old place, or at the end. Raises ValueError if it is not fit."""
        rows.check(value)
        if self.get(key) == value:
            return
        fresh = row_of(value)
        place = self._keys.index(key) if key in self._keys else len(self._keys)
        self._drop(key)
        self._rows.insert(place, fresh)
        self._keys.insert(place, key)
        self.changed = True

    def remove(self, key: rows.Key) -> bool:
        """Take a row away; return whether there was one."""
        found = key in self._keys
        if found:
            self._drop(key)
            self.changed = True
        return found

    def _drop(self, key: rows.Key) -> None:
        left = [(row, other) for row, other in zip(self._rows, self._keys) if other != key]
        self._rows = [row for row, _ in left]
        self._keys = [other for _, other in left]
