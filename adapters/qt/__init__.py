"""Qt, whichever binding the host has: the parts its adapters share, and an adapter for any host.

The parts: which binding (:func:`binding`), the main thread woken by an event (:class:`Wake`), the
open modal dialog (:func:`modal_title`), questions (:class:`Questions`) and the application's end
(:class:`OnQuit`). Nothing of Qt is imported before one of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .binding import Qt, application, binding, on_main_thread
from .modal import modal_title
from .questions import Questions
from .quitting import OnQuit
from .wake import Wake

if TYPE_CHECKING:
    from ...host.adapter import HostAdapter
    from .adapter import QtAdapter

__all__ = [
    "OnQuit",
    "Qt",
    "QtAdapter",
    "Questions",
    "Wake",
    "application",
    "binding",
    "create",
    "detect",
    "modal_title",
    "on_main_thread",
]


def detect() -> bool:
    """Return False: many hosts have Qt, so this one is only used when it is asked for by name."""
    return False


def create() -> HostAdapter:
    """Return the adapter, without a scene. On the application's main thread."""
    from .adapter import QtAdapter

    return QtAdapter()


def __getattr__(name: str) -> type:
    """Load the adapter when it is asked for: adapters of hosts only need the parts."""
    if name != "QtAdapter":
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from .adapter import QtAdapter

    return QtAdapter
