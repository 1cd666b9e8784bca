"""What failures make of a plugin's status: the table, and that it is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp import MCPSettings
from dcc_mcp_embed.mcp.health import judged

STATUSES = ("active", "degraded", "error")
USUAL = MCPSettings()

#: status, requests, failures -> status
TABLE = [
    # Fewer than ten: nothing is said.
    ("active", 0, 0, "active"),
    ("active", 9, 9, "active"),
    ("degraded", 9, 0, "degraded"),
    # Above the critical part: in error.
    ("active", 10, 6, "error"),
    ("degraded", 10, 6, "error"),
    ("active", 10, 10, "error"),
    # Just that is not above it.
    ("active", 10, 5, "degraded"),
    ("degraded", 10, 5, "degraded"),
    ("active", 20, 3, "degraded"),
    # Nor is this above the warning part.
    ("active", 10, 1, "active"),
    ("degraded", 10, 1, "active"),
    ("degraded", 30, 3, "active"),
    ("degraded", 30, 4, "degraded"),
    ("active", 10, 0, "active"),
    # Only a registration ends an error.
    ("error", 10, 0, "error"),
    ("error", 1000, 1, "error"),
    ("error", 10, 10, "error"),
    ("error", 0, 0, "error"),
]


@pytest.mark.parametrize(("status", "requests", "failures", "wanted"), TABLE)
def test_the_table(status, requests, failures, wanted):
    found, reason = judged(status, requests, failures, USUAL)
    assert found == wanted
    assert found == status or "%" in reason


SETTINGS = st.builds(
    MCPSettings,
    min_requests_for_health_check=st.integers(0, 20),
    error_rate_warning=st.floats(0, 1),
    error_rate_critical=st.floats(0, 1),
)


@given(
    st.sampled_from(STATUSES),
    st.integers(0, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    SETTINGS,
)
def test_the_status_is_what_the_issue_says(status, counts, settings):
    requests, failures = counts
    found, _ = judged(status, requests, failures, settings)
    if status == "error" or not requests or requests < settings.min_requests_for_health_check:
        assert found == status
    elif failures / requests > settings.error_rate_critical:
        assert found == "error"
    elif failures / requests > settings.error_rate_warning:
        assert found == "degraded"
    else:
        assert found == "active"


@given(st.sampled_from(STATUSES), st.integers(0, 40), st.integers(0, 40), SETTINGS)
def test_judging_again_changes_nothing(status, good, failures, settings):
    requests = good + failures
    once, _ = judged(status, requests, failures, settings)
    assert judged(once, requests, failures, settings)[0] == once


@given(st.integers(0, 40), st.integers(0, 40), SETTINGS)
def test_more_failures_never_make_it_better(good, failures, settings):
    requests = good + failures + 1
    order = [
        STATUSES.index(judged("active", requests, failed, settings)[0])
        for failed in range(requests + 1)
    ]
    if settings.error_rate_warning <= settings.error_rate_critical:
        assert order == sorted(order)
