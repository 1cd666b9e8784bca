"""How many examples a property is tried with."""

from __future__ import annotations

import os

#: Set by tox: "wheel" or "checkout".
EXPECT = "DCC_MCP_EMBED_EXPECT"
#: What hypothesis does by itself.
DEFAULT = 100


def examples(number: int = DEFAULT) -> int:
    """Return ``number``, or a tenth where the same Python tries them all elsewhere.

    The environments of the checkout run the code that those of the wheel run, and CI draws no lots:
    their examples would be the very same.
    """
    return max(5, number // 10) if os.environ.get(EXPECT) == "checkout" else number
