"""What a tool returns whose work goes on by itself: a render, a simulation, a process."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .entries import Progress

__all__ = ["Poll"]


class Poll:
    """Ask ``check()`` on the tool's own thread every ``every`` seconds until it has the result.

    It returns None or :class:`Progress` for as long as there is none; the host is free meanwhile.
    ``close()``, if given, ends the work: it is called there, once, when the call is cancelled or
    fails, or the server ends. A plain callable does as well, is asked every 0.05 s and cannot
    report. What the work changes in the scene meanwhile is no part of the call's undo step.
    """

    __slots__ = ("_close", "check", "every", "latest")

    def __init__(
        self,
        check: Callable[[], Any],
        every: float = 0.25,
        close: Optional[Callable[[], Any]] = None,
    ) -> None:
        if not callable(check) or not (close is None or callable(close)):
            raise TypeError("Poll takes functions: Poll(check, every=0.25, close=None)")
        if not 0.01 <= every <= 60:
            raise ValueError("Poll: every is {!r}; it takes 0.01 to 60 seconds".format(every))
        self.check = check
        self.every = every
        self._close = close
        self.latest: Optional[Progress] = None

    def close(self) -> None:
        """End the work; twice is once. The tool's own thread."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def __call__(self) -> Any:
        """Return the result, None as long as there is none. The tool's own thread."""
        value = self.check()
        if type(value) is Progress:
            self.latest = value
            return None
        return value
