"""Names of functions for OpenAI: each leads back to its plugin and tool, whatever these are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp import names as module
from dcc_mcp_embed.mcp.names import Names, joined

OPENAI = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
#: Few letters, so that one name could be several; and whatever else there is.
LIKELY = st.text("ab_.-1", max_size=8)
ANY = LIKELY | st.text(max_size=20) | st.text("ab_", min_size=50, max_size=70)
PAIRS = st.lists(st.tuples(ANY, ANY), max_size=6)


@given(PAIRS)
def test_every_name_leads_back(pairs):
    names = Names()
    given_out = [names.give(*pair) for pair in pairs]
    assert all(OPENAI.match(name) for name in given_out)
    assert len(set(given_out)) == len(set(pairs))
    plugins = {plugin for plugin, _ in pairs}
    assert [names.parse(name, plugins) for name in given_out] == pairs
    # Whoever asks again gets the same ones.
    assert [names.give(*pair) for pair in pairs] == given_out


@given(ANY, ANY)
def test_a_name_leads_back_though_nothing_is_registered(plugin, tool):
    names = Names()
    assert names.parse(names.give(plugin, tool)) == (plugin, tool)


@given(PAIRS)
def test_a_name_leads_back_elsewhere_by_the_tools_that_are_known_there(pairs):
    tools = {joined(*pair): pair for pair in pairs}
    plugins = {plugin for plugin, _ in pairs}
    for name, pair in tools.items():
        if name != "{}_{}".format(*pair):
            assert Names().parse(name, plugins, tools.values) == pair


@given(LIKELY, LIKELY)
def test_what_fits_is_left_as_it_is(plugin, tool):
    plain = "{}_{}".format(plugin, tool)
    assert (joined(plugin, tool) == plain) == ("." not in plain)


@pytest.mark.parametrize(
    ("plugin", "tool"),
    [("a", "x" * 80), ("p" * 80, "t"), ("dotted.plugin", "t"), ("a", "read.file"), ("é", "ü")],
)
def test_what_does_not_fit_is_made_to(plugin, tool):
    name = joined(plugin, tool)
    assert OPENAI.match(name)
    assert re.search(r"_[0-9a-f]{8}\Z", name)


def test_long_names_that_begin_alike_are_told_apart():
    assert joined("a", "x" * 80) != joined("a", "x" * 81)


def test_where_the_plugin_ends_counts():
    assert joined("a.", "b") != joined("a", ".b")


def test_two_tools_never_share_a_name():
    names = Names()
    first, second = names.give("a", "b_c"), names.give("a_b", "c")
    assert first == "a_b_c"
    assert second != first
    assert names.parse(second, ["a", "a_b"]) == ("a_b", "c")
    assert names.parse(first, ["a", "a_b"]) == ("a", "b_c")


PARSED = [
    # The longest plugin that is registered.
    ("a_b_c", ["a"], ("a", "b_c")),
    ("a_b_c", ["a", "a_b"], ("a_b", "c")),
    ("a_b_c", ["a_b", "a_b_c"], ("a_b", "c")),
    ("a.b_c", ["a"], ("a", "b_c")),
    ("my-server_read", ["my-server", "my"], ("my-server", "read")),
    # A part of a word is none.
    ("abc_d", ["ab"], ("abc", "d")),
    # As the seed has it: the first underscore, then the first dot.
    ("a_b_c", [], ("a", "b_c")),
    ("a.b.c", [], ("a", "b.c")),
    ("a.b_c", [], ("a.b", "c")),
    ("_a.b", [], ("_a", "b")),
    ("a_b", ["other"], ("a", "b")),
]


@pytest.mark.parametrize(("name", "plugins", "wanted"), PARSED)
def test_parsing(name, plugins, wanted):
    assert Names().parse(name, plugins) == wanted


@pytest.mark.parametrize("name", ["", "a", "_a", "a_", "_", ".", "a.", ".a", "a-b"])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="plugin_tool"):
        Names().parse(name, [])


@given(st.text("ab_.", max_size=10), st.sets(st.text("ab_", min_size=1, max_size=4)))
def test_parsing_splits_a_name_at_one_character(name, plugins):
    try:
        plugin, tool = Names().parse(name, plugins)
    except ValueError:
        return
    assert plugin
    assert tool
    assert name in ("{}_{}".format(plugin, tool), "{}.{}".format(plugin, tool))
    longer = [one for one in plugins if len(one) > len(plugin)]
    if plugin in plugins:
        assert not [one for one in longer if name.startswith((one + "_", one + ".")) and
                    len(name) > len(one) + 1]  # fmt: skip
    else:
        assert not [one for one in plugins if name.startswith((one + "_", one + ".")) and
                    len(name) > len(one) + 1]  # fmt: skip


def test_a_registered_plugin_counts_more_than_one_that_is_gone():
    names = Names()
    names.give("a", "b_c")
    assert names.parse("a_b_c", ["a_b"]) == ("a_b", "c")
    assert names.parse("a_b_c", []) == ("a", "b_c")


def test_the_oldest_names_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    names = Names()
    first = names.give("a", "x.0")
    for number in range(3):
        names.give("a", "x.{}".format(number))
    assert names.parse(first) == ("a", "x.0")
    names.give("a", "x.3")
    names.give("a", "x.4")
    assert len(names._given) == 3
    assert names.parse(first) == ("a", "x_0_" + first[-8:])


def test_what_is_given_again_is_not_the_oldest(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    names = Names()
    first, second = (names.give("a", "x.{}".format(number)) for number in range(2))
    assert names.give("a", "x.0") == first
    names.give("a", "x.2")
    assert names.parse(first) == ("a", "x.0")
    assert names.parse(second) != ("a", "x.1")


def test_known_tools_are_looked_at_only_for_names_that_were_made():
    def tools():
        raise AssertionError("nobody needs them")

    assert Names().parse("a_b", ["a"], tools) == ("a", "b")
