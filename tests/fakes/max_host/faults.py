"""What a caller of the fake has done wrong: kept, so that swallowing the error does not help."""

from __future__ import annotations

import threading
import traceback
from typing import List

__all__ = ["Faults", "MaxError"]


class MaxError(RuntimeError):
    """What a call of MAXScript raises in Python."""


class Faults:
    """The list. Any thread."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self.found: List[str] = []

    def wrong(self, text: str) -> MaxError:
        """Keep a fault with the place it came from; return the error to raise."""
        frames = [
            "{}:{}".format(frame.filename, frame.lineno)
            for frame in traceback.extract_stack()
            if "max_host" not in frame.filename
        ]
        self.found.append("{} ({})".format(text, " < ".join(reversed(frames[-3:]))))
        return MaxError(text)

    def on_main_thread(self, what: str) -> None:
        """Raise unless the caller runs on 3ds Max's main thread.

        Autodesk's documentation of Python threading in 3ds Max: no call of pymxs may come from
        a Python thread.
        """
        if threading.get_ident() != self._main:
            name = threading.current_thread().name
            raise self.wrong("{} was used on the thread '{}'".format(what, name))

    def check(self) -> None:
        """Fail the test that has made a mistake."""
        found, self.found = self.found, []
        assert not found, "3ds Max was used wrongly:\n  " + "\n  ".join(found)
