"""How often a tool was called and how long that took."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp import ToolMetrics, metrics

DURATIONS = st.lists(st.floats(0, 1e6), max_size=40)
CALLS = st.lists(st.tuples(st.booleans(), st.floats(0, 1e6)), max_size=40)


def recorded(calls):
    one = ToolMetrics()
    for good, duration in calls:
        (one.record_success if good else one.record_failure)(duration)
    return one


@given(CALLS)
def test_everything_adds_up(calls):
    one = recorded(calls)
    good = sum(1 for success, _ in calls if success)
    assert (one.total_calls, one.success_calls, one.failed_calls) == (
        len(calls),
        good,
        len(calls) - good,
    )
    assert one.total_duration_ms == pytest.approx(sum(duration for _, duration in calls))
    assert one.avg_duration_ms == (one.total_duration_ms / len(calls) if calls else 0.0)
    assert one.success_rate == (good / len(calls) if calls else 0.0)
    assert (one.last_call_time is None) == (not calls)
    assert json.loads(json.dumps(one.to_dict())) == one.to_dict()


@given(DURATIONS, st.floats(0, 1))
def test_a_percentile_is_the_least_that_so_many_keep_to(durations, part):
    found = recorded((True, one) for one in durations).percentile(part)
    if not durations:
        assert found == 0.0
        return
    assert found in durations

    def keeping_to(limit):
        return sum(1 for one in durations if one <= limit) / len(durations)

    assert keeping_to(found) >= part
    assert all(keeping_to(one) < part for one in durations if one < found) or part == 0


def test_percentiles_are_of_the_latest_calls():
    one = recorded((True, 1000.0) for _ in range(metrics._SAMPLE))
    for _ in range(metrics._SAMPLE):
        one.record_success(1.0)
    assert one.percentile(1.0) == 1.0
    assert one.total_calls == 2 * metrics._SAMPLE
    assert len(one._latest) == metrics._SAMPLE


def test_what_is_shown():
    one = recorded([(True, 10.004), (True, 20.0), (False, 40.0)])
    shown = one.to_dict()
    when = datetime.datetime.fromisoformat(shown.pop("last_call_time"))
    assert abs((datetime.datetime.now() - when).total_seconds()) < 60
    assert shown == {
        "total_calls": 3,
        "success_calls": 2,
        "failed_calls": 1,
        "success_rate": 0.667,
        "avg_duration_ms": 23.33,
        "p50_duration_ms": 20.0,
        "p95_duration_ms": 40.0,
        "p99_duration_ms": 40.0,
    }


def test_a_record_is_plain():
    assert ToolMetrics() == ToolMetrics(0, 0, 0, 0.0, None)
    one = recorded([(True, 1.0)])
    assert one == ToolMetrics(1, 1, 0, 1.0, one.last_call_time)
    assert "_latest" not in repr(one)
