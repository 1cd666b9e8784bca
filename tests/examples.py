"""How many examples a property is tried with, and how much of a long list is gone through."""

from __future__ import annotations

import os
import sys
from typing import List, TypeVar

from pythons import SUPPORTED

T = TypeVar("T")
#: Set by tox: "wheel" or "checkout".
EXPECT = "DCC_MCP_EMBED_EXPECT"
#: What hypothesis does by itself.
DEFAULT = 100


#: The checkout's environments run the code that the wheel's run, on the same Pythons, and CI draws
#: no lots: its examples would be the very same. What is tried there is whether anything differs.
#: So it is with the Pythons between the oldest and the newest: what differs between any two of them
#: differs between those mostly.
_EDGES = (SUPPORTED[0], SUPPORTED[-1])
_SHARES = {"checkout": 10, "wheel": 1 if sys.version_info[:2] in _EDGES else 10}
SHARE = _SHARES.get(os.environ.get(EXPECT, ""), 1)


def examples(number: int = DEFAULT) -> int:
    """Return ``number``, or a part of it: see SHARE."""
    return number if SHARE == 1 else max(5, number // SHARE)


def some(cases: List[T]) -> List[T]:
    """Return ``cases``, or every tenth of them: see SHARE."""
    return cases[::SHARE]
