"""The end of the application's loop, told once."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .binding import Qt

__all__ = ["OnQuit"]


class OnQuit:
    """Call back once when the application is about to quit. There has to be one. Main thread."""

    def __init__(self, qt: Qt, callback: Callable[[], None]) -> None:
        self._callback: Optional[Callable[[], None]] = callback
        self._application = qt.QtCore.QCoreApplication.instance()

        # A function, not a method: Qt would hold that weakly, and not tell what nobody holds.
        def quitting() -> None:
            self._fire()

        self._slot: Any = quitting
        self._application.aboutToQuit.connect(quitting)

    def close(self) -> None:
        """Take it back. Twice is fine."""
        slot, self._slot = self._slot, None
        application, self._application = self._application, None
        if slot is None:
            return
        try:
            application.aboutToQuit.disconnect(slot)
        except (RuntimeError, TypeError):
            # The application is gone, and the connection with it.
            return

    def _fire(self) -> None:
        callback, self._callback = self._callback, None
        # What Qt is calling is not to be taken away from it meanwhile.
        self._slot = None
        if callback is not None:
            callback()
