"""Maya: with its window, in batch mode (``maya -batch``), and ``mayapy``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter

__all__ = ["create", "detect", "start_when_idle"]


def detect() -> bool:
    """Return whether this interpreter is Maya's, not one with stubs or a package called ``maya``.

    One that is still to be begun by ``maya.standalone.initialize()`` is Maya's, too.
    """
    if "maya" not in sys.modules:
        return False
    from .session import is_maya

    return is_maya()


def create() -> HostAdapter:
    """Return the adapter. On Maya's main thread.

    Raises StartError where there is no Maya, or ``mayapy`` has not been initialised.
    """
    from .adapter import MayaAdapter

    return MayaAdapter()


def start_when_idle(start: Callable[..., Any], **options: Any) -> None:
    """Call ``start(**options)`` on the main thread once Maya is idle. Main thread.

    For what Maya runs while it starts: ``userSetup.py`` and a plug-in's ``initializePlugin``.
    Without a window Maya is never idle, so there ``start`` runs at once.
    """
    from .idle import when_idle

    when_idle(start, options)
