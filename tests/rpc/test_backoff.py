"""Back-off: doubling, capped, spread by chance, never negative and never an overflow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.rpc.backoff import Backoff


def test_delays_double_up_to_the_cap():
    plain = Backoff(base=1.0, cap=30.0, jitter=0.0)
    assert [plain.delay(attempt, 0.9) for attempt in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(("random", "delay"), [(0.0, 4.0), (0.5, 3.0), (0.999999, 2.0)])
def test_chance_takes_off_up_to_the_jitter(random, delay):
    assert Backoff(1.0, 30.0, 0.5).delay(3, random) == pytest.approx(delay, rel=1e-5)


@given(
    st.floats(0.001, 10),
    st.floats(0.001, 1000),
    st.floats(0, 1),
    st.integers(-5, 10**9),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_within_bounds(base, cap, jitter, attempt, random):
    delay = Backoff(base, cap, jitter).delay(attempt, random)
    assert 0 <= delay <= cap
    if attempt >= 1:
        assert delay >= min(base, cap) * (1 - jitter) * 0.999
