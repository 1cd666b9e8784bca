"""Messages of a client that has no headers, and word of changes in both eras."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.bridge import dialect
from dcc_mcp_embed.bridge.dialect import Heard
from dcc_mcp_embed.wire import jsonrpc
from dcc_mcp_embed.wire.mcp.implied import Implied
from dcc_mcp_embed.wire.mcp.machine import McpMachine, Reply, ToolCall
from fakes.bridged import MODERN


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


def test_a_notification_says_under_which_subscription_it_is_sent():
    told = dialect.tagged(dialect.updated("a://b"), 7)
    assert told["params"] == {
        "uri": "a://b",
        "_meta": {"io.modelcontextprotocol/subscriptionId": 7},
    }


@pytest.mark.parametrize(
    ("method", "params", "heard"),
    [
        ("notifications/subscriptions/acknowledged", {"notifications": {}}, Heard(begins=True)),
        ("notifications/tools/list_changed", {}, Heard(kind="tools")),
        ("notifications/resources/list_changed", {}, Heard(kind="resources")),
        ("notifications/prompts/list_changed", {}, Heard(kind="prompts")),
        ("notifications/resources/updated", {"uri": "a://b"}, Heard(uri="a://b")),
        ("notifications/resources/updated", {"uri": 1}, Heard()),
        ("notifications/resources/updated", None, Heard()),
        ("notifications/else/list_changed", {}, Heard()),
        (1, {}, Heard()),
    ],
)
def test_what_a_host_says_of_changes(method, params, heard):
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    assert dialect.news(jsonrpc.encode(message)) == heard
    assert dialect.news(b"\xff") == dialect.news(b"[]") == Heard()


def test_a_template_is_a_resource_where_changes_are_told():
    assert dialect.list_changed("resourceTemplates") == dialect.list_changed("resources")
