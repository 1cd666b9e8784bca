"""Names of hosts and of their tools: valid, short, stable, and never two for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.bridge.naming import Route, expose, label_for, split

VALID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
names = st.one_of(
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.text(max_size=80),
    st.sampled_from(["a.b", "a_b", "a/b", "x" * 63, "x" * 64, "x" * 65, "x" * 66]),
)
labels = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)


@pytest.mark.parametrize(
    ("kind", "taken", "label"),
    [
        ("maya", [], "maya"),
        ("maya", ["maya"], "maya2"),
        ("maya", ["maya", "maya2"], "maya3"),
        ("maya", ["maya2"], "maya"),
        ("3dsmax", [], "max"),
        ("Unreal Engine_5", [], "unrealengine"),
        ("4d", [], "host4d"),
        ("映画", [], "host"),
        ("", ["host"], "host2"),
    ],
)
def test_labels(kind, taken, label):
    assert label_for(kind, taken) == label


@given(st.text(max_size=30), st.sets(labels, max_size=5))
def test_a_label_is_free_and_ends_at_the_first_underline(kind, taken):
    label = label_for(kind, taken)
    assert label not in taken
    assert re.fullmatch(r"[a-z][a-z0-9]*", label, re.ASCII) and len(label) <= 20


def test_good_names_stay_as_they_are():
    assert expose({"maya": ["undo", "get_object"]}, True) == {
        "undo": Route("maya", "undo"),
        "get_object": Route("maya", "get_object"),
    }
    assert expose({"maya": ["undo"], "max": ["undo"]}, False) == {
        "maya_undo": Route("maya", "undo"),
        "max_undo": Route("max", "undo"),
    }


@given(st.dictionaries(labels, st.lists(names, max_size=8), max_size=3), st.booleans())
def test_every_tool_has_one_valid_name(tools, plain):
    if plain and len(tools) != 1:
        return
    found = expose(tools, plain)
    assert all(VALID.fullmatch(name) for name in found)
    wanted = {Route(label, tool) for label, names in tools.items() for tool in names}
    assert set(found.values()) == wanted and len(found) == len(wanted)
    shuffled = {label: list(reversed(names)) for label, names in reversed(list(tools.items()))}
    assert expose(shuffled, plain) == found


@given(st.dictionaries(labels, st.lists(names, min_size=1, max_size=8), min_size=2, max_size=3))
def test_a_name_that_says_its_label_leads_there(tools):
    for name, route in expose(tools, False).items():
        assert split(name, tools).label in (route.label, "")


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("maya_undo", ("maya", "undo")),
        ("maya_a_b", ("maya", "a_b")),
        ("maya2_undo", ("", "maya2_undo")),
        ("maya_", ("", "maya_")),
        ("maya", ("", "maya")),
        ("", ("", "")),
    ],
)
def test_splitting(name, route):
    assert split(name, {"maya": 1}) == route
