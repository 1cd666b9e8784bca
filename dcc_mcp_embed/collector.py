"""Keep the cyclic garbage collector off our threads.

A host with Qt holds cyclic objects whose finalisers belong to its main thread; one collected on
another thread takes the process down. Automatic collection runs on whichever thread happens to
cross the allocation threshold, so it is off while one of our threads runs a slice of work, and the
host's own setting is back before that thread blocks. The setting is process-wide: a host that
switches collection off during such a slice finds its wish undone at the end of that slice.
"""

from __future__ import annotations

import gc
import threading

__all__ = ["CollectorPause"]

_lock = threading.Lock()
_pausing = 0
_was_enabled = False


class CollectorPause:
    """A slice during which no automatic collection runs. Any thread but the host's; nests."""

    @staticmethod
    def begin() -> None:
        """Enter a slice: the first of all threads' slices switches collection off."""
        global _pausing, _was_enabled
        with _lock:
            if not _pausing:
                _was_enabled = gc.isenabled()
                if _was_enabled:
                    gc.disable()
            _pausing += 1

    @staticmethod
    def end() -> None:
        """Leave a slice: the last of all threads' slices restores the host's setting."""
        global _pausing
        with _lock:
            _pausing -= 1
            if not _pausing and _was_enabled:
                gc.enable()
