"""Ids that stay with an object through renaming, and through undo, which may move it in memory."""

from __future__ import annotations

import itertools
from typing import Any, Dict, FrozenSet, Optional

from ...records import NamedTuple

__all__ = ["Identities"]


class _Seen(NamedTuple):
    place: int
    name: str
    type: str
    data: Optional[str]


class Identities:
    """The ids of one Blender's objects. Main thread.

    Blender tells of an identity of its own only from 4.2 on (``session_uid``). Before, an object
    is known by its place in memory and its name together. If only one of them fits, it was renamed,
    or moved in memory by an undo.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._seen: Dict[str, _Seen] = {}
        self._by_place: Dict[int, str] = {}
        self._by_name: Dict[str, str] = {}
        self._now: Optional[FrozenSet[int]] = None

    def begin(self) -> None:
        """Objects may have been made, moved and renamed since the last question."""
        self._now = None

    def of(self, item: Any) -> str:
        """Return the id of an object."""
        uid = getattr(item, "session_uid", None)
        if uid is not None:
            return "o{}".format(uid)
        data = None if item.data is None else item.data.name
        seen = _Seen(item.as_pointer(), item.name, item.type, data)
        ident = self._find(seen)
        if ident is None:
            ident = "o{}".format(next(self._numbers))
        if self._seen.get(ident) != seen:
            self._drop(ident)
            self._seen[ident] = seen
            self._by_place[seen.place] = ident
            self._by_name[seen.name] = ident
        return ident

    def forget(self, item: Any) -> None:
        """An object goes away: its place and its name may soon be another's."""
        ident = self._by_place.get(item.as_pointer())
        if ident is not None and self._seen[ident].name == item.name:
            self._drop(ident)

    # -- inside -------------------------------------------------------------------------------

    def _find(self, now: _Seen) -> Optional[str]:
        here, called = self._by_place.get(now.place), self._by_name.get(now.name)
        if here == called:
            return here
        if here is not None:
            before = self._seen[here]
            # Another object may have got the place of one that was deleted, but not its data.
            if (before.type, before.data) == (now.type, now.data):
                return here
        if called is not None:
            before = self._seen[called]
            # Something is still where it was: it was renamed, and this one took its name.
            if before.type == now.type and before.place not in self._places():
                return called
        return None

    def _places(self) -> FrozenSet[int]:
        """Return where objects are now. Costs a walk through all of them, so once a question."""
        import bpy

        if self._now is None:
            self._now = frozenset(item.as_pointer() for item in bpy.data.objects)
        return self._now

    def _drop(self, ident: str) -> None:
        before = self._seen.pop(ident, None)
        if before is None:
            return
        if self._by_place.get(before.place) == ident:
            del self._by_place[before.place]
        if self._by_name.get(before.name) == ident:
            del self._by_name[before.name]
