"""Messages of a client that has no headers, and word of changes in both eras."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.bridge import dialect
from dcc_mcp_embed.bridge.dialect import Implied, Listening
from dcc_mcp_embed.wire.jsonrpc import Fault
from dcc_mcp_embed.wire.mcp.machine import McpMachine, Reply, ToolCall
from fakes.bridged import MODERN

KEY = "io.modelcontextprotocol/subscriptionId"


def request(method, **params):
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


@pytest.fixture(scope="module")
def machine():
    return McpMachine({"name": "n", "version": "1"}, lambda member: [], "")


@given(st.text())
def test_a_call_agrees_with_its_own_headers_whatever_its_name(name):
    machine = McpMachine({"name": "n", "version": "1"}, lambda member: [], "")
    value = request("tools/call", name=name, arguments={}, _meta=MODERN)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return
    outcome = machine.receive(value, Implied(value))
    assert type(outcome) is ToolCall and outcome.name == name and outcome.stateless


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["jsonrpc", "id", "method", "params", "_meta", *MODERN]), inner
            )
        ),
        max_leaves=10,
    )
)
def test_nothing_that_a_client_says_raises(value):
    machine = McpMachine({"name": "n", "version": "1"}, lambda member: [], "")
    try:
        dialect.listening(value)
    except Fault:
        pass
    machine.receive(value, Implied(value))


def test_the_eras_are_told_apart_by_the_message(machine):
    value = request("tools/list", _meta={})
    assert "ttlMs" not in machine.receive(value, Implied(value)).message["result"]
    value = request("tools/list", _meta=MODERN)
    assert "ttlMs" in machine.receive(value, Implied(value)).message["result"]
    value = request("tools/list", _meta=dict(MODERN))
    value["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "1999-01-01"
    outcome = machine.receive(value, Implied(value))
    assert type(outcome) is Reply and outcome.message["error"]["code"] == -32022


def test_what_is_offered_is_what_there_is(machine):
    value = request("initialize", protocolVersion="2025-06-18", capabilities={})
    message = machine.receive(value, Implied(value)).message
    offered = dict(dialect.offer(message)["result"]["capabilities"])
    assert offered.pop("tools") == {"listChanged": True}
    assert offered == {"resources": {}, "prompts": {}, "completions": {}, "logging": {}}
    # The machine's own answer is not touched.
    assert message["result"]["capabilities"] != offered


@pytest.mark.parametrize(
    ("wanted", "tools"),
    [({"toolsListChanged": True}, True), ({"toolsListChanged": 1}, False), ({}, False)],
)
def test_listening(wanted, tools):
    value = request("subscriptions/listen", notifications=wanted, _meta=MODERN)
    found = dialect.listening(value)
    assert found == Listening(7, tools)
    said = dialect.acknowledged(found)["params"]
    assert said["_meta"] == {KEY: 7}
    assert said["notifications"] == ({"toolsListChanged": True} if tools else {})
    assert dialect.changed(found)["params"]["_meta"] == {KEY: 7}
    assert dialect.ended(found, {})["result"]["_meta"][KEY] == 7


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        request("tools/list", _meta=MODERN),
        request("subscriptions/listen", notifications={}),
        {"jsonrpc": "2.0", "method": "subscriptions/listen", "params": {"_meta": MODERN}},
    ],
)
def test_what_is_not_listening(value):
    assert dialect.listening(value) is None


@pytest.mark.parametrize("notifications", [None, [], "all"])
def test_listening_to_what_is_nothing(notifications):
    value = request("subscriptions/listen", notifications=notifications, _meta=MODERN)
    with pytest.raises(Fault) as fault:
        dialect.listening(value)
    assert fault.value.code == -32602 and fault.value.id == 7
