"""What weak models send becomes what was asked for, and nothing else does."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.tools.coerce import CONVERTERS, Misfit, check_finite, json_type

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ANY = JSON | st.sampled_from([math.nan, math.inf, -math.inf, "nan", "inf", "1e999", "1_0", "٣"])
PYTHON = {
    "string": (str,),
    "integer": (int,),
    "number": (float,),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


@pytest.mark.parametrize(
    ("kind", "given_value", "wanted"),
    [
        ("integer", "5", 5),
        ("integer", " -7 ", -7),
        ("integer", "5.0", 5),
        ("integer", 5.0, 5),
        ("integer", "1e3", 1000),
        ("number", 5, 5.0),
        ("number", "2.5", 2.5),
        ("number", ".5", 0.5),
        ("number", "-1e-3", -0.001),
        ("boolean", "true", True),
        ("boolean", "False", False),
        ("array", "[1,2,3]", [1, 2, 3]),
        ("array", '["a", "b"]', ["a", "b"]),
        ("array", "a, b,c", ["a", "b", "c"]),
        ("array", "a", ["a"]),
        ("array", "", []),
        ("array", 3, [3]),
        ("array", {"a": 1}, [{"a": 1}]),
        ("array", "[left", ["[left"]),
        ("object", '{"a": 1}', {"a": 1}),
        ("object", ' {"a": {"b": []}} ', {"a": {"b": []}}),
    ],
)
def test_lenient_input_is_taken(kind, given_value, wanted):
    result = CONVERTERS[kind](given_value)
    assert result == wanted
    assert type(result) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 5),
        ("string", None),
        ("integer", True),
        ("integer", 5.5),
        ("integer", "5.5"),
        ("integer", "five"),
        ("integer", ""),
        ("integer", "1_000"),
        ("integer", "٣"),
        ("integer", math.nan),
        ("integer", math.inf),
        ("integer", [1]),
        ("number", True),
        ("number", "nan"),
        ("number", "Infinity"),
        ("number", "1e999"),
        ("number", 10**400),
        ("number", math.nan),
        ("number", -math.inf),
        ("boolean", 1),
        ("boolean", "yes"),
        ("boolean", None),
        ("array", None),
        ("array", "[1, oops]"),
        ("array", "[NaN]"),
        ("object", [1]),
        ("object", "[1]"),
        ("object", "{oops}"),
        ("object", None),
        ("null", 0),
    ],
)
def test_what_would_be_a_guess_is_refused(kind, value):
    with pytest.raises(Misfit) as caught:
        CONVERTERS[kind](value)
    assert caught.value.text.startswith("must be ")


@given(st.sampled_from(sorted(CONVERTERS)), ANY)
def test_a_converter_returns_its_type_or_refuses(kind, value):
    try:
        result = CONVERTERS[kind](value)
    except Misfit:
        return
    assert type(result) in PYTHON[kind]
    if kind == "number":
        assert math.isfinite(result)
    # What has the type already comes out as it is.
    assert CONVERTERS[kind](result) == result


@given(JSON)
def test_a_value_of_the_type_is_kept(value):
    kind = json_type(value)
    assert CONVERTERS[kind](value) == value


@given(JSON)
def test_finite_values_pass(value):
    assert check_finite(value) is value


@given(JSON, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_that_is_not_finite_is_found_anywhere(value, bad):
    with pytest.raises(Misfit):
        check_finite({"a": [value, {"b": [bad]}]})


def test_depth_is_no_danger():
    deep = []
    for _ in range(100000):
        deep = [deep]
    assert check_finite(deep) is deep
    with pytest.raises(Misfit):
        CONVERTERS["array"]("[" * 200000 + "]" * 200000)
    # Taken apart by hand: the interpreter's own destructor would be fine, a repr of it not.
    while deep:
        deep = deep.pop()


def test_the_message_shows_little_of_a_long_value():
    with pytest.raises(Misfit) as caught:
        CONVERTERS["integer"]("x" * 1000000)
    assert len(caught.value.text) < 200


@given(st.integers(-(2**53), 2**53))
def test_numbers_survive_as_text(number):
    assert CONVERTERS["integer"](json.dumps(number)) == number
    assert CONVERTERS["number"](json.dumps(number)) == number
