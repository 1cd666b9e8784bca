"""The standard streams, which whoever starts a program may have closed."""

from __future__ import annotations

import io
import os
import sys

__all__ = ["complete"]

_TOLD = {1: "stdout", 2: "stderr"}


def complete() -> None:
    """Put what leads nowhere in place of each standard stream that is closed.

    Else the next file or socket would get its number, and what is printed would go into that. That
    nothing can be asked for stays known: ``sys.stdin`` is then None.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            # What is started from here would miss it in the same way.
            os.set_inheritable(number, True)
    for number, name in _TOLD.items():
        if getattr(sys, name) is None:
            plain = io.FileIO(number, "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(plain, encoding="utf-8", write_through=True))
