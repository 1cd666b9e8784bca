"""Near names are offered, within bounds, and values are shown in few words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.hints import MAX_COMPARED, kind_of, meant, show


def test_near_names():
    assert meant("Translat", ["translate", "rotate"]) == "Did you mean 'translate'?"
    assert meant("rot", ["translate", "rotate"]) == "Did you mean 'rotate'?"
    assert meant("cubs", ["cube", "cubs1"]) == "Did you mean 'cubs1' or 'cube'?"
    assert meant("xyz", ["translate"]) is None
    assert meant("x", []) is None


def test_names_that_are_too_long_to_compare_are_not():
    known = ["a" * MAX_COMPARED]
    assert meant("a" * MAX_COMPARED, known) is not None
    assert meant("a" * (MAX_COMPARED + 1), known) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "null"),
        (True, "true"),
        (5, "5"),
        (2.5, "2.5"),
        ("a", "the text 'a'"),
        ([1, 2], "a list of 2"),
        ({"a": 1}, "an object"),
        pytest.param(10**5000, "a number of many digits", id="many digits"),
    ],
)
def test_values_are_shown(value, word):
    assert show(value) == word


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()))
def test_what_is_shown_is_short(value):
    assert len(show(value)) <= 200
    assert kind_of(value)
