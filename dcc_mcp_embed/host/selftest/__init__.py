"""The suite that every host must pass: in our tests, and inside a user's real host.

A check is a function of a :class:`World`, called on any thread but the host's main one. What only
a test can play (open a dialog, quit the host) it asks of the world's stage, and is left out where
there is none. Checks of the scene run in a new scene; see :mod:`.keeping`.
"""

from __future__ import annotations

from .report import FAILED, LEFT_OUT, PASSED, Report, Result
from .suite import CHECKS, Check, perform, run
from .world import LeftOut, World

__all__ = [
    "CHECKS",
    "FAILED",
    "LEFT_OUT",
    "PASSED",
    "Check",
    "LeftOut",
    "Report",
    "Result",
    "World",
    "perform",
    "run",
]
