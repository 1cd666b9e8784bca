"""The end of the application's loop, told once."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .binding import Qt

__all__ = ["OnQuit"]


class OnQuit:
    """Call back once when the application is about to quit. Main thread."""

    def __init__(self, qt: Qt, callback: Callable[[], None]) -> None:
        """Raises StartError without an application."""
        self._callback: Optional[Callable[[], None]] = callback
        self._application = qt.QtCore.QCoreApplication.instance()

        # A function, not a method: Qt would hold it weakly, and miss its end.
        def quitting() -> None:
            self._fire()

        self._slot: Any = quitting
        self._application.aboutToQuit.connect(quitting)

    def close(self) -> None:
        """Take it back. Twice is fine."""
        self._callback = None
        slot, self._slot = self._slot, None
        if slot is None:
            return
        try:
            self._application.aboutToQuit.disconnect(slot)
        except (RuntimeError, TypeError):
            # The application is gone, or on its way.
            pass
        self._application = None

    def _fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()
