"""A host without an application: a real scene in memory, for scripts, demos and tests.

It is the reference that the other hosts are compared with, and the one to try tools against
where no Maya, Houdini, 3ds Max or Blender is at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect", "when_ready"]


def detect() -> bool:
    """Return False: this host is only used when it is asked for by name."""
    return False


def create() -> HostAdapter:
    """Return a new adapter with an empty scene. The calling thread becomes the main thread."""
    from .adapter import StandaloneAdapter

    return StandaloneAdapter()


def when_ready(start: Callable[[], None]) -> bool:
    """Call ``start`` now; return True. The calling thread becomes the main thread."""
    start()
    return True
