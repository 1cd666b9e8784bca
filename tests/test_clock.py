"""What the real clock makes up is of the shape that others expect."""

from __future__ import annotations

import uuid

from dcc_mcp_embed.clock import SystemClock
from fakes.clock import FakeClock


def test_uuid_is_the_random_kind_in_its_usual_form() -> None:
    for bytes_ in (b"\0" * 16, b"\xff" * 16, bytes(range(16))):
        clock = FakeClock()
        clock.token_bytes = lambda count, value=bytes_: value[:count]  # type: ignore[method-assign]
        assert clock.uuid() == str(uuid.UUID(bytes=bytes_, version=4))


def test_jitter_differs_between_clocks_and_stays_below_one() -> None:
    drawn = [SystemClock().jitter() for _ in range(100)]
    assert all(0.0 <= value < 1.0 for value in drawn)
    assert len(set(drawn)) > 90
