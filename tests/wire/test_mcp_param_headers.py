"""Arguments repeated in headers: which are declared so, and that both say the same."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.wire import http1
from dcc_mcp_embed.wire.jsonrpc import Fault
from dcc_mcp_embed.wire.mcp.param_headers import check_params, param_headers, repeated
from dcc_mcp_embed.wire.mcp.routing import decode_header, encode_header


def schema(**properties):
    return {"type": "object", "properties": properties}


def marked(header, type="string"):
    return {"type": type, "x-mcp-header": header}


class Headers:
    def __init__(self, **found):
        self._found = {name.replace("_", "-").lower(): one for name, one in found.items()}

    def get_all(self, name):
        found = self._found.get(name.lower(), [])
        return [found] if isinstance(found, str) else found


REGION = (("region",), "Mcp-Param-Region")


def test_annotated_properties_are_found_in_objects_too():
    inner = schema(deep=marked("Deep", "integer"), other={"type": "string"})
    found = param_headers(schema(region=marked("Region"), inner=inner, plain={"type": "string"}))
    assert found == (REGION, (("inner", "deep"), "Mcp-Param-Deep"))
    assert param_headers({"type": "object"}) == ()
    assert param_headers(schema(any=True)) == ()


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"a": marked("")}, "name of a header"),
        ({"a": marked("a b")}, "name of a header"),
        ({"a": marked("a:b")}, "name of a header"),
        ({"a": marked("a\n")}, "name of a header"),
        ({"a": marked("\u00fc")}, "name of a header"),
        ({"a": marked(5)}, "name of a header"),
        ({"a": marked("A", "number")}, "type"),
        ({"a": marked("A", "object")}, "type"),
        ({"a": marked("A", ["string", "null"])}, "type"),
        ({"a": {"x-mcp-header": "A"}}, "type"),
        ({"a": marked("A"), "b": marked("a")}, "same"),
    ],
)
def test_what_clients_would_drop_is_refused(properties, told):
    with pytest.raises(ValueError, match=told):
        param_headers(schema(**properties))


def coded(text):
    return "=?base64?{}?=".format(base64.b64encode(text.encode("utf-8")).decode("ascii"))


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("eu", "eu"),
        ("eu", coded("eu")),
        ("\u00fc", coded("\u00fc")),
        ("=?base64?eu", "=?base64?eu"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (17, "17"),
        (-17, "-17"),
        # A number is the same however it is written.
        (17, "17.0"),
        (17, "+17"),
        (17, coded("17.0")),
        (17.0, "17"),
        (17.0, "17.0"),
        (0, "-0"),
        (1e21, "1e+21"),
        (2**63 + 1, str(2**63 + 1)),
        (None, None),
    ],
)
def test_both_say_the_same(value, header):
    headers = Headers(**({} if header is None else {"Mcp_Param_Region": header}))
    check_params([REGION], {"region": value}, headers, 1)
    if value is None:
        check_params([REGION], {}, headers, 1)


@pytest.mark.parametrize(
    ("arguments", "header", "told"),
    [
        ({"region": "eu"}, None, "is missing"),
        ({"region": "eu"}, [], "is missing"),
        ({"region": "eu"}, ["eu", "eu"], "more than once"),
        ({"region": "eu"}, "us", "something else"),
        ({"region": "eu"}, "EU", "something else"),
        ({"region": "Hello"}, "=?base64?SGVsbG8?=", "something else"),
        ({"region": "Hello"}, "=?base64?SGVs!!!bG8=?=", "something else"),
        ({}, "eu", "something else"),
        ({"region": None}, "eu", "something else"),
        ({"region": True}, "True", "something else"),
        ({"region": True}, "1", "something else"),
        ({"region": 17}, "18", "something else"),
        ({"region": 17}, "17.5", "something else"),
        ({"region": 17}, "", "something else"),
        ({"region": 17}, " 17", "something else"),
        ({"region": 17}, "1_7", "something else"),
        ({"region": 17}, "\u0661\u0667", "something else"),
        ({"region": 17}, "=?base64?!?=", "something else"),
        ({"region": 17}, "17" + "0" * 5000, "something else"),
        ({"region": 2**63 + 1}, str(2**63), "something else"),
        ({"region": float(2**63)}, str(2**63 + 1), "something else"),
        ({"region": 17.5}, "17", "something else"),
        ({"region": float("inf")}, "17", "something else"),
        ({"region": "17"}, "17.0", "something else"),
    ],
)
def test_what_does_not_agree_is_refused(arguments, header, told):
    headers = Headers(**({} if header is None else {"Mcp_Param_Region": header}))
    with pytest.raises(Fault, match=told) as caught:
        check_params([REGION], arguments, headers, 7)
    assert (caught.value.code, caught.value.id) == (-32020, 7)


def test_the_way_to_an_argument_may_end_early():
    pairs = [(("a", "b"), "Mcp-Param-B")]
    for arguments in ({}, {"a": 5}, {"a": {}}, {"a": {"b": None}}):
        check_params(pairs, arguments, Headers(), 1)
    check_params(pairs, {"a": {"b": "x"}}, Headers(Mcp_Param_B="x"), 1)


# -- what a client sends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("us-west1", "us-west1"),
        ("two words", "two words"),
        ("", ""),
        ("=?base64?", "=?base64?"),
        ("base64?=", "base64?="),
        ("Hello, \u4e16\u754c", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("a\tb", coded("a\tb")),
        ("\t", coded("\t")),
        (" ", coded(" ")),
        ("\0", coded("\0")),
        ("\x7f", coded("\x7f")),
        ("\xa0", coded("\xa0")),
        ("\u00fc", coded("\u00fc")),
        ("=?base64?SGVsbG8=?=", coded("=?base64?SGVsbG8=?=")),
        ("=?base64?=", coded("=?base64?=")),
        ("x\r\nEvil: 1", coded("x\r\nEvil: 1")),
    ],
)
def test_what_a_header_cannot_say_is_said_in_base64(text, header):
    assert encode_header(text) == header
    assert decode_header(header) == text


@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_every_text_can_be_said_and_is_read_as_it_was(text):
    header = encode_header(text)
    assert decode_header(header) == text
    assert header == header.strip() and header.isprintable() and header.isascii()
    http1.encode_headers([("X", header)])


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("eu", "eu"),
        ("\u00fc", coded("\u00fc")),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-17, "-17"),
        (17.0, "17"),
        (-0.0, "0"),
        (1e21, "1" + "0" * 21),
        (17.5, "17.5"),
        ("", ""),
        (None, None),
    ],
)
def test_arguments_are_repeated_in_their_headers(value, header):
    expected = [] if header is None else [("Mcp-Param-Region", header)]
    assert repeated([REGION], {"region": value, "other": "x"}) == expected


def test_only_those_that_are_there_are_repeated():
    pairs = [REGION, (("a", "b"), "Mcp-Param-B")]
    for arguments in ({}, {"a": 5}, {"a": None}, {"a": {"c": 1}}, {"a": [{"b": 1}]}):
        assert repeated(pairs, arguments) == []
    assert repeated(pairs, {"a": {"b": 2}, "region": "eu"}) == [
        ("Mcp-Param-Region", "eu"),
        ("Mcp-Param-B", "2"),
    ]
    assert repeated([], {"region": "eu"}) == []


simple = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(simple, st.none() | st.fixed_dictionaries({"b": simple}))
def test_a_server_takes_what_a_client_repeats(one, two):
    pairs = [REGION, (("a", "b"), "Mcp-Param-B")]
    arguments = {"region": one, "a": two}
    headers = dict(repeated(pairs, arguments))
    found = Headers(**{name.replace("-", "_"): value for name, value in headers.items()})
    check_params(pairs, arguments, found, 1)
