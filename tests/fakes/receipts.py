"""What a store of receipts has inside, for tests that prove that nothing is left in it."""

from __future__ import annotations

from typing import FrozenSet

from dcc_mcp_embed.rpc.receipts import Receipts


def lines_of(store: Receipts) -> FrozenSet[bytes]:
    """Return the lines that have been opened and not been forgotten."""
    return frozenset(store._lines)
