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
#: So it is with all Pythons but the newest, of which the oldest differs most.
_WHEEL = {SUPPORTED[0]: 5, SUPPORTED[-1]: 1}
_SHARES = {"checkout": 10, "wheel": _WHEEL.get(sys.version_info[:2], 10)}
SHARE = _SHARES.get(os.environ.get(EXPECT, ""), 1)
#: Whether tox has this run on a Python that is neither the oldest nor the newest.
BETWEEN = os.environ.get(EXPECT, "") in _SHARES and sys.version_info[:2] not in _WHEEL


def examples(number: int = DEFAULT) -> int:
    """Return ``number``, or a part of it: see SHARE."""
    return number if SHARE == 1 else max(5, number // SHARE)


def some(cases: List[T]) -> List[T]:
    """Return ``cases``, or one in SHARE of them."""
    return cases[::SHARE]
