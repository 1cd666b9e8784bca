"""The MCP machine, message by message, in both eras."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.wire.mcp import machine as mcp
from dcc_mcp_embed.wire.mcp import revisions

TOOLS = [{"name": "echo", "inputSchema": {"type": "object", "properties": {}}}]
SERVER = {"name": "test", "version": "1"}
MODERN = revisions.STATELESS[-1]


class Headers:
    def __init__(self, *pairs):
        self.pairs = [(name.lower(), value) for name, value in pairs]

    def get_all(self, name):
        return [value for key, value in self.pairs if key == name.lower()]

    def get(self, name, default=None):
        return ", ".join(self.get_all(name)) or default


def make():
    return mcp.McpMachine(SERVER, lambda: TOOLS, "Be kind.")


def ask(method, params=None, headers=(), ident=1):
    message = {"jsonrpc": "2.0", "id": ident, "method": method}
    if params is not None:
        message["params"] = params
    return make().receive(message, Headers(*headers))


def modern(method, params=None, drop=(), headers=(), meta=None, ident=1):
    params = dict(params or {})
    params["_meta"] = (
        {revisions.META_VERSION: MODERN, revisions.META_CAPABILITIES: {}} if meta is None else meta
    )
    found = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if "name" in params:
        found["Mcp-Name"] = params["name"]
    found.update(headers)
    pairs = [(name, value) for name, value in found.items() if name not in drop]
    return ask(method, params, pairs, ident)


def code(reply):
    return reply.message["error"]["code"]


# -- handshake --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "given_back"),
    [(version, version) for version in revisions.HANDSHAKE]
    + [(MODERN, "2025-11-25"), ("1.0.0", "2025-11-25"), (None, "2025-11-25"), (7, "2025-11-25")],
)
def test_initialize_echoes_what_it_knows_and_else_offers_its_latest(wanted, given_back):
    reply = ask(
        "initialize", {"protocolVersion": wanted, "clientInfo": {"name": "c", "version": "2"}}
    )
    assert isinstance(reply, mcp.Opened)
    assert reply.status == 200
    assert reply.version == given_back
    assert reply.client == "c 2"
    result = reply.message["result"]
    assert result["protocolVersion"] == given_back
    assert result["serverInfo"] == SERVER
    assert "tools" in result["capabilities"]
    assert result["instructions"]


def test_methods_of_the_handshake_era():
    assert ask("ping").message["result"] == {}
    assert ask("tools/list").message["result"]["tools"] == TOOLS
    assert ask("tools/list", {"cursor": "x"}).status == 200
    assert code(ask("tools/list", {"cursor": "x"})) == -32602
    assert (ask("nonsense").status, code(ask("nonsense"))) == (200, -32601)
    assert (ask("server/discover").status, code(ask("server/discover"))) == (200, -32601)


def test_a_tool_call_is_handed_over():
    call = ask("tools/call", {"name": "echo", "arguments": {"a": 1}, "_meta": {"progressToken": 0}})
    assert call == mcp.ToolCall(1, "echo", {"a": 1}, False, 0, "")
    assert ask("tools/call", {"name": "echo"}).arguments == {}
    reply = make().answer(call, {"content": []})
    assert reply.message == {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}


@pytest.mark.parametrize("params", [None, {}, {"name": 1}, {"name": "echo", "arguments": []}])
def test_a_tool_call_with_bad_params_is_invalid(params):
    assert code(ask("tools/call", params)) == -32602


def test_what_needs_no_answer_gets_none():
    machine, headers = make(), Headers()
    for message in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/from/the/future", "params": {}},
        {"jsonrpc": "2.0", "id": 4, "result": {}},
        {"jsonrpc": "2.0", "id": 4, "error": {"code": 1, "message": "x"}},
    ):
        assert machine.receive(message, headers) == mcp.Accepted()
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 0}}
    assert machine.receive(cancel, headers) == mcp.Cancel(0)


def test_a_handshake_request_with_modern_routing_headers_stays_a_handshake_request():
    reply = ask("ping", headers=[("Mcp-Method", "ping"), ("MCP-Protocol-Version", "2025-06-18")])
    assert reply.message["result"] == {}


# -- stateless --------------------------------------------------------------------------------


def test_discovery_and_lists_carry_what_the_revision_demands():
    for reply in (modern("server/discover"), modern("tools/list")):
        result = reply.message["result"]
        assert result["resultType"] == "complete"
        assert result["ttlMs"] >= 0
        assert result["cacheScope"] in ("public", "private")
        assert result["_meta"][revisions.META_SERVER] == SERVER
    assert modern("server/discover").message["result"]["supportedVersions"] == [MODERN]


def test_a_modern_tool_call_is_marked_complete():
    call = modern("tools/call", {"name": "echo"})
    assert call.stateless
    result = make().answer(call, {"content": []}).message["result"]
    assert result["resultType"] == "complete"
    assert result["_meta"][revisions.META_SERVER] == SERVER


@pytest.mark.parametrize(
    ("reply", "status", "wanted"),
    [
        (modern("ping"), 404, -32601),
        (modern("initialize"), 404, -32601),
        (modern("nonsense"), 404, -32601),
        (modern("tools/list", meta={}), 400, -32602),
        (modern("tools/list", meta={revisions.META_VERSION: MODERN}), 400, -32602),
        (modern("tools/list", drop=["MCP-Protocol-Version"]), 400, -32020),
        (modern("tools/list", headers={"MCP-Protocol-Version": "2025-11-25"}), 400, -32020),
        (modern("tools/list", drop=["Mcp-Method"]), 400, -32020),
        (modern("tools/list", headers={"Mcp-Method": "tools/LIST"}), 400, -32020),
        (modern("tools/call", {"name": "echo"}, drop=["Mcp-Name"]), 400, -32020),
        (modern("tools/call", {"name": "echo"}, headers={"Mcp-Name": "Echo"}), 400, -32020),
        (modern("tools/call", {"name": "e"}, headers={"Mcp-Name": "=?base64?!?="}), 400, -32020),
        (ask("ping", headers=[("MCP-Protocol-Version", "bogus")]), 400, -32602),
    ],
)
def test_the_ladder(reply, status, wanted):
    assert (reply.status, code(reply)) == (status, wanted)
    assert reply.message["id"] == 1


def test_an_unknown_version_is_answered_with_the_known_ones():
    meta = {revisions.META_VERSION: "2099-01-01", revisions.META_CAPABILITIES: {}}
    reply = modern("tools/list", meta=meta, headers={"MCP-Protocol-Version": "2099-01-01"})
    assert (reply.status, code(reply)) == (400, revisions.UNSUPPORTED_VERSION)
    assert reply.message["error"]["data"] == {"supported": [MODERN], "requested": "2099-01-01"}


def test_a_header_that_stands_twice_is_a_mismatch():
    pairs = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list"), ("mcp-method", "x")]
    meta = {revisions.META_VERSION: MODERN, revisions.META_CAPABILITIES: {}}
    assert code(ask("tools/list", {"_meta": meta}, pairs)) == revisions.HEADER_MISMATCH


@given(st.text(min_size=1))
def test_names_of_any_script_pass_in_base64(name):
    try:
        encoded = base64.b64encode(name.encode("utf-8")).decode("ascii")
    except UnicodeEncodeError:
        return
    call = modern("tools/call", {"name": name}, headers={"Mcp-Name": "=?base64?" + encoded + "?="})
    assert isinstance(call, mcp.ToolCall)
    assert call.name == name


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["jsonrpc", "id", "method", "params", "_meta", "name", "arguments", "cursor"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


@given(ANY, st.sampled_from(["2025-11-25", MODERN, "x", None]))
def test_nothing_a_peer_says_raises(message, version):
    headers = Headers() if version is None else Headers(("MCP-Protocol-Version", version))
    if isinstance(message, dict):
        message.setdefault("jsonrpc", "2.0")
    outcome = make().receive(message, headers)
    if isinstance(outcome, mcp.Reply):
        assert outcome.status in (200, 400, 404)
