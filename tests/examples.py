"""How many examples a property is tried with, and how much of a long list is gone through."""

from __future__ import annotations

import os
from typing import List, TypeVar

T = TypeVar("T")
#: Set by tox: "wheel" or "checkout".
EXPECT = "DCC_MCP_EMBED_EXPECT"
#: What hypothesis does by itself.
DEFAULT = 100


#: The checkout's environments run the code that the wheel's run, on the same Pythons, and CI draws
#: no lots: its examples would be the very same. What is tried there is whether anything differs.
SHARE = 10 if os.environ.get(EXPECT) == "checkout" else 1


def examples(number: int = DEFAULT) -> int:
    """Return ``number``, or a tenth in the checkout."""
    return number if SHARE == 1 else max(5, number // SHARE)


def some(cases: List[T]) -> List[T]:
    """Return ``cases``, or every tenth in the checkout."""
    return cases[::SHARE]
