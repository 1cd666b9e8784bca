"""Pushes that come before their client is told of its connection: it hears of them then. Pure."""

from __future__ import annotations

from typing import List

from .actions import Pushed
from .limits import MAX_FRAME

__all__ = ["Early"]

#: Bytes of them: no server that answers to ``resume`` at all pushes so much before it does.
_MOST = 4 * MAX_FRAME
#: What a push takes up beside its data, about.
_BESIDE = 200


class Early:
    """Those of one connection."""

    def __init__(self) -> None:
        self._pushes: List[Pushed] = []
        self._size = 0

    def add(self, pushed: Pushed) -> bool:
        """Keep one; False: there are too many."""
        self._pushes.append(pushed)
        self._size += len(pushed.data) + _BESIDE
        return self._size <= _MOST

    def take(self) -> List[Pushed]:
        """Return them in order, and forget them."""
        pushes, self._pushes, self._size = self._pushes, [], 0
        return pushes
