"""A row of our own, and the lock that proves that its owner lives."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Mapping, Optional

from . import rows
from .draft import Draft
from .liveness import LOCKS, sentinel_name
from .locking import Sentinel

__all__ = ["OwnRow"]

#: Says what a row is in the eyes of whoever looks for its owner; put back if another program, which
#: does not know these fields, has dropped them.
_IDENTITY = ("pid", "host_pid", "sentinel_path")


class OwnRow:
    """One row that this process keeps alive. Whoever holds the registry's mutex."""

    def __init__(self, key: rows.Key, row: Dict[str, Any], log: Callable[[str, str], None]) -> None:
        self.key = key
        #: As it stood in the file last; replaced, never changed.
        self.row = row
        self._log = log
        #: Whether it was given up, perhaps by a thread that could not wait for the mutex.
        self.left = False
        self._sentinel: Optional[Sentinel] = None
        self._complaint = ""

    def guard(self, directory: str, folder_mode: int, mode: int) -> None:
        """Hold the sentinel, again if somebody deleted it. Where that fails, the pid counts."""
        if self.left or (self._sentinel is not None and self._sentinel.intact()):
            return
        self._let_go()
        row = {name: value for name, value in self.row.items() if name != "sentinel_path"}
        folder = os.path.join(directory, LOCKS)
        path = os.path.join(folder, sentinel_name(self.key))
        try:
            os.makedirs(folder, mode=folder_mode, exist_ok=True)
            if os.path.islink(folder):
                raise OSError("{} is a link".format(folder))
            self._sentinel = Sentinel.hold(path, mode)
            row["sentinel_path"] = path
            self._complain("")
        except OSError as error:
            self._complain("has no sentinel: {}".format(error))
        self.row = row
        if self.left:
            # Looked at after the sentinel is there to be found: one of the two lets go of it.
            self._let_go()

    def _complain(self, text: str) -> None:
        """Log what is wrong, once and not with every beat."""
        if text and text != self._complaint:
            self._log("warning", "{}:{} {}".format(*self.key, text))
        self._complaint = text

    def renewed(self, draft: Draft, wall: float) -> Dict[str, Any]:
        """Put the row with a new heartbeat into ``draft``; return it, to be ``row`` once written.

        It is as others have left it (they may change its status), if all can read that, else as it
        was; and it comes back if it has vanished.
        """
        now = rows.timestamp(wall)
        row = self.row
        there = draft.get(self.key)
        if there is not None:
            row = {name: value for name, value in there.items() if name not in _IDENTITY}
            row.update((name, self.row[name]) for name in _IDENTITY if name in self.row)
        row = {**row, "last_heartbeat": now}
        try:
            draft.put(self.key, row)
        except ValueError as error:
            self._log("warning", "{}:{} was spoilt by somebody: {}".format(*self.key, error))
            row = {**self.row, "last_heartbeat": now}
            draft.put(self.key, row)
        return row

    def leave(self, draft: Draft, deregister: bool) -> None:
        """Take the row out of ``draft``, or have it count for as long as its process lives."""
        there = draft.get(self.key)
        if deregister:
            draft.remove(self.key)
        elif there is not None:
            for row in (there, self.row):
                try:
                    draft.put(self.key, _without_sentinel(row))
                except ValueError as error:
                    self._log(
                        "warning", "{}:{} was spoilt by somebody: {}".format(*self.key, error)
                    )
                else:
                    return

    def release(self) -> None:
        """Let go of the sentinel and delete it: from now on the row has no owner. Any thread."""
        self.left = True
        self._let_go()

    def _let_go(self) -> None:
        sentinel, self._sentinel = self._sentinel, None
        if sentinel is not None:
            try:
                sentinel.release()
            except OSError as error:
                self._log("warning", "{} stays: {}".format(sentinel.path, error))

    def disown(self) -> None:
        """Close the sentinel's descriptor in a forked child; the parent's lock stays."""
        sentinel, self._sentinel = self._sentinel, None
        if sentinel is not None:
            sentinel.disown()


def _without_sentinel(row: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in row.items() if name != "sentinel_path"}
