"""What tests of a server have in common: how they reach it, and how it is watched.

Every message that a server sends in these tests is held to the specification's schemas.
"""

from __future__ import annotations

import pytest

from conformance.watch import as_the_specification_says  # noqa: F401
from fakes.streaming import connecting
from fakes.unhurried import no_beats  # noqa: F401


@pytest.fixture
def live(start):
    """Return a server as the file's own ``start`` makes it."""
    return start()


@pytest.fixture
def connect(live):
    """Return what makes one more connection to the server; at the end all are closed."""
    with connecting(live) as one_more:
        yield one_more
