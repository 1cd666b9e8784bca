"""Ctrl-C at a line of one's choice: what a signal does by chance, on purpose."""

from __future__ import annotations

import linecache
import os
import sys
from typing import Any, Sequence, Set

__all__ = ["Interrupt"]


class Interrupt:
    """Raises KeyboardInterrupt at the n-th line that this thread runs in ``modules``.

    ``left`` is negative once it has. The end of a ``with`` for a lock is left out: there the
    interpreter does not look for signals.
    """

    def __init__(self, number: int, modules: Sequence[Any]) -> None:
        self.left = number
        self._files = {os.path.abspath(module.__file__) for module in modules}

    def __enter__(self) -> Interrupt:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if os.path.abspath(frame.f_code.co_filename) not in self._files:
            return None
        locks: Set[int] = set()

        def line(frame: Any, event: str, argument: Any) -> Any:
            if event != "line":
                return line
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
            if "lock" in text and text.strip().startswith("with "):
                if frame.f_lineno in locks:
                    return line
                locks.add(frame.f_lineno)
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                frame.f_trace = None
                raise KeyboardInterrupt
            return line

        return line
