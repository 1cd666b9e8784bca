"""3ds Max 2021 and later: with its window, and as ``3dsmaxbatch``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect"]


def detect() -> bool:
    """Return whether this interpreter is that of 3ds Max (not one with a stub called ``pymxs``)."""
    pymxs = sys.modules.get("pymxs")
    runtime = getattr(pymxs, "runtime", None)
    return hasattr(pymxs, "run_undo") and callable(getattr(runtime, "maxVersion", None))


def create() -> HostAdapter:
    """Return the adapter. On the main thread of 3ds Max."""
    from .adapter import MaxAdapter

    return MaxAdapter()
