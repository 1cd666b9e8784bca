"""Percentiles: close to the exact ones, whatever was recorded, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.transport.latency import LONGEST_MS, Latencies, bucket_of

latency = st.one_of(
    st.floats(min_value=0, max_value=1e6),
    st.integers(min_value=0, max_value=LONGEST_MS),
)


def exact(values, share):
    ordered = sorted(values)
    return ordered[max(0, -(-share * len(ordered) // 100) - 1)]


@given(st.lists(latency, min_size=1, max_size=60))
def test_percentiles_are_within_two_percent_of_the_exact_ones(values):
    histogram = Latencies()
    for value in values:
        histogram.add(bucket_of(value))
    for share, found in zip((50, 95, 99), histogram.percentiles((50, 95, 99))):
        # Half a microsecond: what is recorded is cut to whole ones.
        assert found == pytest.approx(exact(values, share), rel=0.017, abs=0.001)


@given(latency, latency)
def test_longer_is_never_in_an_earlier_bucket(one, other):
    low, high = sorted((one, other))
    assert bucket_of(low) <= bucket_of(high)


def test_nothing_recorded_is_zero():
    assert Latencies().percentiles((50, 95, 99)) == (0.0, 0.0, 0.0)


def test_memory_is_bounded_by_the_range_not_by_the_count():
    histogram = Latencies()
    for exponent in range(75):
        for fraction in range(64):
            histogram.add(bucket_of(min(LONGEST_MS, (1 + fraction / 64) * 2**exponent / 1000)))
    assert len(histogram._counts) <= 2300


@pytest.mark.parametrize("bad", [-1, -0.001, 2**64, float("inf"), float("nan")])
def test_what_is_no_span_of_time_is_refused(bad):
    with pytest.raises(OverflowError, match="takes 0 to"):
        bucket_of(bad)


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError):
        bucket_of("12")
