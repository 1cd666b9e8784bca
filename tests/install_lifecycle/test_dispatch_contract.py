"""What a host RPC address promises, address by address."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.install_lifecycle import sidecar_host_rpc_dispatch_contract as contract

KEYS = set(
    "host_rpc scheme supported_schemes test_only_schemes uri_valid validation_error status"
    " dispatch_ready_capable test_only reason message".split()
)
CAPABLE = [
    "commandport://127.0.0.1:6000",
    "qtserver://127.0.0.1:7001",
    "qtserver://[::1]:7001",
    "QtServer://localhost:65535",
    "qtserver://h:007001",
    "ws://somebody@h:1",
    "ws://127.0.0.1:9000",
    "ws://h",
    "ws://h:",
    "ws://[::1]/path",
    "wss://h/path?query=1#fragment",
    "  qtserver://h:1\n",
]
INVALID = [
    "qtserver://",
    "qtserver://:1",
    "qtserver://h",
    "qtserver://h:",
    "qtserver://h:0",
    "qtserver://h:-1",
    "qtserver://h:+5",
    "qtserver://h: 5",
    "qtserver://h:65536",
    "qtserver://h:٥",
    "qtserver://h:1:2",
    "qtserver://h:" + "9" * 5000,
    "qtserver://h:1/",
    "qtserver://h:1/x",
    "qtserver://h:1?",
    "qtserver://h:1#",
    "qtserver://somebody@h:1",
    "qtserver://h:1?x",
    "qtserver://h:1#x",
    "qtserver://h\n:1",
    "qtserver://[::1:5",
    "qtserver://[::1]5",
    "qtserver://[]:5",
    "commandport://127.0.0.1",
    "commandport://127.0.0.1:port",
    "ws://",
    "ws://:80",
    "ws://h:0",
    "wss://h:x/",
    "wss://h:65536",
]


def told(host_rpc):
    result = contract(host_rpc)
    assert set(result) == KEYS
    assert json.loads(json.dumps(result)) == result
    assert result["supported_schemes"] == ["commandport", "qtserver", "ws", "wss"]
    assert result["test_only_schemes"] == ["stub"]
    assert isinstance(result["message"], str) and result["message"].endswith(".")
    return result


def judged(result):
    names = ("status", "reason", "dispatch_ready_capable", "uri_valid", "test_only")
    return tuple(result[name] for name in names)


@pytest.mark.parametrize("host_rpc", CAPABLE)
def test_a_good_address_can_become_ready(host_rpc):
    result = told(host_rpc)
    assert judged(result) == ("dispatch_capable", None, True, True, False)
    assert result["host_rpc"] == host_rpc.strip()
    assert result["scheme"] == host_rpc.strip().split(":")[0].lower()
    assert result["validation_error"] is None


@pytest.mark.parametrize("host_rpc", INVALID)
def test_an_address_that_is_not_well_formed_cannot(host_rpc):
    result = told(host_rpc)
    assert judged(result) == ("invalid", "invalid_host_rpc_uri", False, False, False)
    assert result["validation_error"] == result["message"]
    assert result["scheme"] in result["message"]


@pytest.mark.parametrize("host_rpc", [None, "", " ", "\t\n"])
def test_none_is_missing(host_rpc):
    result = told(host_rpc)
    assert judged(result) == ("invalid", "missing_host_rpc", False, False, False)
    assert (result["host_rpc"], result["scheme"], result["validation_error"]) == ("", None, None)


@pytest.mark.parametrize("host_rpc", ["127.0.0.1:7001", "qtserver:/h:1", 5, object()])
def test_without_a_scheme_it_says_so(host_rpc):
    result = told(host_rpc)
    assert judged(result) == ("invalid", "missing_scheme", False, False, False)
    assert result["scheme"] is None
    assert result["validation_error"] == result["message"]


@pytest.mark.parametrize("host_rpc", ["stub://", "stub://anything at all", "STUB://h:0"])
def test_the_stub_is_for_tests(host_rpc):
    result = told(host_rpc)
    assert judged(result) == ("test_only", "test_only_host_rpc", False, True, True)
    assert result["scheme"] == "stub"


@pytest.mark.parametrize("host_rpc", ["http://h:1/", "foo://x", "://x", "qt server://h:1"])
def test_other_schemes_are_for_looking_at(host_rpc):
    result = told(host_rpc)
    assert judged(result) == ("unsupported", "unsupported_host_rpc_scheme", False, False, False)
    assert result["scheme"] == host_rpc.split(":")[0]


@given(
    st.one_of(
        st.text(),
        st.builds("{}://{}".format, st.sampled_from(["qtserver", "ws", "commandport"]), st.text()),
    )
)
def test_whatever_is_given_there_is_one_verdict(host_rpc):
    result = told(host_rpc)
    assert result["dispatch_ready_capable"] == (result["status"] == "dispatch_capable")
    assert (result["reason"] is None) == result["dispatch_ready_capable"]
