"""Locks that whoever holds them cannot wait for again.

A signal handler, or a finaliser that the collector runs, may call us in the middle of one of our
own changes, on the very thread that makes it. It cannot wait for that change to end, and it must
not find it half done: so it gets an error at once, as does a listener that calls back. The locks
are reentrant ones because these know their owner; nobody ever enters one twice.
"""

from __future__ import annotations

from typing import Any

from ..transport_errors import Internal

__all__ = ["alone", "reentered"]


def alone(lock: Any, inside: bool = False) -> Any:
    """Return ``lock``, an RLock, to be entered. Raises Internal if this thread holds it already.

    Also if it is ``inside`` another lock, one that whoever has this one may be waiting for.
    """
    if inside or lock._is_owned():
        raise reentered()
    return lock


def reentered() -> Internal:
    """Return the error for a thread that holds the lock already; for where each step counts."""
    return Internal(
        "called in the middle of another call of this thread, by a signal handler, a finaliser or "
        "a listener; do it later, or on another thread"
    )
