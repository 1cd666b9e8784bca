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
        self._places = self._map()
        self.changed = False

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def get(self, key: rows.Key) -> Optional[Mapping[str, Any]]:
        """Return the row with this key, not to be changed; None if there is none."""
        place = self._places.get(key)
        return None if place is None else self._rows[place].value

    def put(self, key: rows.Key, value: Dict[str, Any]) -> None:
        """Write a row in its old place, or at the end. Raises ValueError if it is not fit."""
        fresh = row_of(value)
        place = self._places.get(key)
        if place is None:
            self._places[key] = len(self._rows)
            self._rows.append(fresh)
        elif self._rows[place].value == value:
            return
        else:
            self._rows[place] = fresh
        self.changed = True

    def remove(self, key: Optional[rows.Key]) -> bool:
        """Take a row away; return whether there was one."""
        if key is None or key not in self._places:
            return False
        self._rows = [row for row in self._rows if row.key != key]
        self._places = self._map()
        self.changed = True
        return True

    def _map(self) -> Dict[rows.Key, int]:
        return {row.key: place for place, row in enumerate(self._rows) if row.key is not None}
