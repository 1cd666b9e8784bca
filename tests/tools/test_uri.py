"""Templates of URIs: what they stand for, and that a client's URI costs no more than its length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.uri import Template


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("a://b", "a://b", {}),
        ("a://b", "a://c", None),
        ("a://{x}", "a://b", {"x": "b"}),
        ("a://{x}", "a://", None),
        ("a://{x}", "a://b/c", None),
        ("a://{x}", "a://b%2Fc", {"x": "b/c"}),
        ("a://{x}", "a://b%20c%C3%A4", {"x": "b c\u00e4"}),
        ("a://{x}", "a://%FF", None),
        ("a://{x}", "a://100%", {"x": "100%"}),
        ("a://{+x}", "a://b/c", {"x": "b/c"}),
        ("a://{+x}", "a:///b", {"x": "/b"}),
        ("a://{x}/data", "a://1/data", {"x": "1"}),
        ("a://{x}/data", "a:///data", None),
        ("a://{x}/data", "a://data", None),
        ("a://{x}/data", "a://1/date", None),
        ("a://{+x}/data", "a://1/data/data", {"x": "1/data"}),
        ("a://{x}/b/{y}", "a://1/b/2", {"x": "1", "y": "2"}),
        ("a://{x}/b/{y}", "a://1/c/2", None),
        ("a://{x}-{y}", "a://1-2-3", {"x": "1", "y": "2-3"}),
        ("a://aa{x}aa", "a://aaa", None),
    ],
)
def test_match(template, uri, values):
    assert Template(template).match(uri) == values


@pytest.mark.parametrize(
    "text",
    ["a://{x", "a://x}", "a://{}", "a://{1}", "a://{x}{y}", "a://{++x}", "a://{x*}", "{{x}}"],
)
def test_what_is_no_template(text):
    with pytest.raises(ValueError, match="has "):
        Template(text)


def test_the_weight_tells_which_of_two_is_meant():
    assert Template("a://{x}/data").weight > Template("a://{+x}").weight


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2))
def test_values_come_back_as_they_were(values):
    def quoted(text):
        return "".join("%{:02X}".format(octet) for octet in text.encode("utf-8"))

    uri = "a://{}/{}/end".format(*map(quoted, values))
    assert Template("a://{x}/{y}/end").match(uri) == dict(zip("xy", values))


def test_a_hostile_uri_takes_no_time():
    template = Template("a://{a}-{b}-{c}-{d}-{+e}x")
    # With a regular expression this would take until the end of the world.
    assert template.match("a://" + "-" * 2000) is None
