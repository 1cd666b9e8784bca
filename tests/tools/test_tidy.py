"""Whatever a tool returns becomes JSON, or the place where it cannot is named."""

from __future__ import annotations

import collections
import enum
import json
import math
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import HostError
from dcc_mcp_embed.tools.content import Image
from dcc_mcp_embed.tools.tidy import tidy

LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(blacklist_categories=()))
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4)
    | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=4)
    | st.dictionaries(st.text(), inner, max_size=3).map(types.MappingProxyType),
    max_leaves=15,
)  # fmt: skip


class Node:
    pass


class Proxy(str):
    def __str__(self):
        raise RuntimeError("the host object is gone")


class Number(enum.IntEnum):
    ONE = 1


@given(VALUE)
def test_the_copy_is_strict_json(value):
    clean = tidy(value, "result")
    text = json.dumps(clean.value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert json.loads(text.decode("utf-8")) == clean.value


@given(st.lists(st.floats(allow_nan=True), max_size=8))
def test_every_number_that_is_not_finite_is_named(numbers):
    clean = tidy({"n": numbers}, "result")
    wrong = [place for place, number in enumerate(numbers) if not math.isfinite(number)]
    assert clean.not_finite == ["result.n[{}]".format(place) for place in wrong]
    assert [place for place, number in enumerate(clean.value["n"]) if number is None] == wrong


def test_nothing_of_the_hosts_own_classes_is_left():
    row = collections.namedtuple("row", "a b")
    value = {
        Proxy("k"): Proxy("v"),
        "n": Number.ONE,
        "r": row(1, 2),
        "o": collections.OrderedDict(),
    }
    clean = tidy(value, "result").value
    assert clean == {"k": "v", "n": 1, "r": [1, 2], "o": {}}
    assert {type(one) for one in [*clean, *clean.values()]} == {str, int, list, dict}


def test_lone_surrogates_become_the_replacement_character():
    assert tidy({"a\udc80": "b\udcff?"}, "result").value == {"a\ufffd": "b\ufffd?"}


@pytest.mark.parametrize(
    ("value", "words", "advice"),
    [
        (Node(), "Node at result,", "path, name"),
        ({"a": [1, {"b": Node()}]}, "Node at result.a[1].b,", "path, name"),
        ({"a": b"x"}, "bytes at result.a,", "Image, Audio or Resource"),
        ({"a": Image(b"x", mime_type="a/b")}, "Image at result.a,", "itself or in a list"),
        ({"a": {1}}, "set at result.a,", "sorted list"),
        ({"a": {(1, 2): 3}}, "key of type tuple in result.a;", "text keys"),
    ],
)
def test_the_place_and_the_type_are_named(value, words, advice):
    with pytest.raises(HostError) as caught:
        tidy(value, "result")
    assert words in caught.value.message
    assert advice in caught.value.hint


def test_a_value_that_holds_itself_ends():
    loop = []
    loop.append(loop)
    with pytest.raises(HostError, match="nested deeper"):
        tidy(loop, "result")
