"""The MCP machine, message by message, in both eras."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.wire.mcp import machine as mcp
from dcc_mcp_embed.wire.mcp import revisions
from dcc_mcp_embed.wire.mcp.work import READERS

TOOLS = [{"name": "echo", "inputSchema": {"type": "object", "properties": {}}}]
LISTS = {
    "tools": TOOLS,
    "resources": [{"uri": "a://1", "name": "one"}, {"uri": "a://2", "name": "two"}],
    "resourceTemplates": [{"uriTemplate": "a://{x}", "name": "any"}],
    "prompts": [{"name": "p{}".format(number)} for number in range(5)],
}
METHODS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
SERVER = {"name": "test", "version": "1"}
INTRODUCED = dict(SERVER, description="What it is for.")
MODERN = revisions.STATELESS[-1]


class Headers:
    def __init__(self, *pairs):
        self.pairs = [(name.lower(), value) for name, value in pairs]

    def get_all(self, name):
        return [value for key, value in self.pairs if key == name.lower()]

    def get(self, name, default=None):
        return ", ".join(self.get_all(name)) or default


def make(size=1000):
    return mcp.McpMachine(INTRODUCED, LISTS.__getitem__, "Be kind.", size)


def ask(method, params=None, headers=(), ident=1, machine=None):
    message = {"jsonrpc": "2.0", "id": ident, "method": method}
    if params is not None:
        message["params"] = params
    return (machine or make()).receive(message, Headers(*headers))


def modern(method, params=None, drop=(), headers=(), meta=None, ident=1, machine=None):
    params = dict(params or {})
    params["_meta"] = (
        {revisions.META_VERSION: MODERN, revisions.META_CAPABILITIES: {}} if meta is None else meta
    )
    found = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    for member in ("name", "uri"):
        if type(params.get(member)) is str:
            found["Mcp-Name"] = params[member]
    found.update(headers)
    pairs = [(name, value) for name, value in found.items() if name not in drop]
    return ask(method, params, pairs, ident, machine)


def told(outcome):
    """Return what an outcome says, by name: not the params it was read from, nor who it is from."""
    slots = [slot for kind in type(outcome).__mro__[:-1] for slot in kind.__slots__]
    return {slot: getattr(outcome, slot) for slot in slots if slot not in ("params", "principal")}


BOTH = pytest.mark.parametrize("era", [ask, modern], ids=["handshake", "stateless"])


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
    assert result["serverInfo"] == (INTRODUCED if given_back == "2025-11-25" else SERVER)
    assert "tools" in result["capabilities"]
    assert result["instructions"]


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        ({"elicitation": {}, "roots": {"listChanged": True}}, {"elicitation": {}, "roots": {}}),
        ({"elicitation": {"form": {"x": 1}, "url": {}}}, {"elicitation": {"form": {}, "url": {}}}),
        ({"elicitation": {"url": {}}, "roots": None}, {"elicitation": {"url": {}}}),
        ({"sampling": {"tools": {}, "more": [[]] * 99}}, {"sampling": {"tools": {}}}),
        ({"experimental": {"x": [[]] * 99}, "sampling": {}}, {"sampling": {}}),
        ({"elicitation": True}, {}),
        (["elicitation"], {}),
        (None, {}),
    ],
)
def test_of_what_a_client_offers_that_is_kept_which_is_asked_for(offered, kept):
    assert ask("initialize", {"capabilities": offered}).capabilities == kept


def test_methods_of_the_handshake_era():
    assert ask("ping").message["result"] == {}
    assert ask("tools/list").message["result"]["tools"] == TOOLS
    assert ask("tools/list", {"cursor": "x"}).status == 200
    assert code(ask("tools/list", {"cursor": "x"})) == -32602
    assert (ask("nonsense").status, code(ask("nonsense"))) == (200, -32601)
    assert (ask("server/discover").status, code(ask("server/discover"))) == (200, -32601)


def test_a_tool_call_is_handed_over():
    call = ask("tools/call", {"name": "echo", "arguments": {"a": 1}, "_meta": {"progressToken": 0}})
    assert type(call) is mcp.ToolCall
    assert told(call) == {
        "id": 1,
        "name": "echo",
        "arguments": {"a": 1},
        "stateless": False,
        "token": 0,
        "client": "",
    }
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
    ):
        assert type(machine.receive(message, headers)) is mcp.Accepted


def test_the_response_of_a_client_is_handed_over():
    machine, headers = make(), Headers()
    error = {"code": 1, "message": "x"}
    for more, result, failure in (({"result": {}}, {}, None), ({"error": error}, None, error)):
        message = dict({"jsonrpc": "2.0", "id": "a"}, **more)
        found = machine.receive(message, headers)
        assert type(found) is mcp.Answered
        assert (found.id, found.result, found.error) == ("a", result, failure)


def test_what_a_client_cancels_is_handed_over():
    machine, headers = make(), Headers()
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 0}}
    assert told(machine.receive(cancel, headers)) == {"id": 0}


def test_a_handshake_request_with_modern_routing_headers_stays_a_handshake_request():
    reply = ask("ping", headers=[("Mcp-Method", "ping"), ("MCP-Protocol-Version", "2025-06-18")])
    assert reply.message["result"] == {}


# -- both eras --------------------------------------------------------------------------------


def test_the_handshake_era_is_told_what_there_is():
    result = ask("initialize", {"protocolVersion": "2025-11-25"}).message["result"]
    assert result["capabilities"] == {
        "tools": {"listChanged": True},
        "resources": {"subscribe": True, "listChanged": True},
        "prompts": {"listChanged": True},
        "completions": {},
        "logging": {},
    }


def test_the_stateless_era_has_no_level_to_set():
    result = modern("server/discover").message["result"]
    there = ["completions", "logging", "prompts", "resources", "tools"]
    assert sorted(result["capabilities"]) == there
    assert code(modern("logging/setLevel", {"level": "info"})) == -32601


def test_a_level_is_one_of_eight():
    outcome = ask("logging/setLevel", {"level": "notice"})
    assert outcome.level == "notice"
    assert outcome.status == 200
    assert outcome.message == {"jsonrpc": "2.0", "id": 1, "result": {}}
    for wrong in ("loud", None, 3, ["info"], {}):
        assert code(ask("logging/setLevel", {"level": wrong})) == -32602


@BOTH
@pytest.mark.parametrize("method", sorted(METHODS))
def test_each_list_is_shown_whole(era, method):
    member = METHODS[method]
    result = era(method).message["result"]
    # The very same object: nothing is copied for the usual answer.
    assert result[member] is LISTS[member]
    assert "nextCursor" not in result
    if era is modern:
        assert (result["resultType"], result["ttlMs"]) == ("complete", 0)
        assert result["cacheScope"] == "private"
        assert result["_meta"][revisions.META_SERVER] == SERVER
    else:
        assert list(result) == [member]


@BOTH
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_follow_each_other_to_the_end(era, size):
    machine, cursor, seen = make(size), None, []
    for _ in range(6):
        params = {} if cursor is None else {"cursor": cursor}
        result = era("prompts/list", params, machine=machine).message["result"]
        assert 1 <= len(result["prompts"]) <= size
        seen += result["prompts"]
        cursor = result.get("nextCursor")
        if cursor is None:
            break
    assert seen == LISTS["prompts"]


@BOTH
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("cursor", ["x", "", 1, [], "!!", "bnVsbA==", "A" * 30000, "\u00e9"])
def test_a_bad_cursor_is_told(era, method, cursor):
    reply = era(method, {"cursor": cursor})
    assert code(reply) == -32602
    assert reply.status == (400 if era is modern else 200)


def test_a_cursor_of_another_list_is_told():
    cursor = ask("prompts/list", machine=make(2)).message["result"]["nextCursor"]
    assert code(ask("tools/list", {"cursor": cursor})) == -32602


@BOTH
def test_work_is_handed_over(era):
    every = {"id": 1, "stateless": era is modern, "token": None, "client": ""}
    reading = era("resources/read", {"uri": "a://1"})
    assert type(reading) is mcp.ResourceRead
    assert told(reading) == dict(every, uri="a://1")
    rendering = era("prompts/get", {"name": "p", "arguments": {"a": "b"}})
    assert type(rendering) is mcp.PromptGet
    assert told(rendering) == dict(every, name="p", arguments={"a": "b"})
    assert era("prompts/get", {"name": "p"}).arguments == {}
    for reference, kind, of in (
        ({"type": "ref/prompt", "name": "p"}, "prompt", "p"),
        ({"type": "ref/resource", "uri": "a://{x}"}, "resource", "a://{x}"),
    ):
        params = {
            "ref": reference,
            "argument": {"name": "x", "value": "ab"},
            "context": {"arguments": {"y": "1"}},
        }
        completing = era("completion/complete", params)
        assert type(completing) is mcp.Completion
        wanted = {"kind": kind, "of": of, "argument": "x", "value": "ab", "given": {"y": "1"}}
        assert told(completing) == dict(every, **wanted)
        del params["context"]
        assert era("completion/complete", params).given == {}


@BOTH
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {}),
        ("resources/read", {"uri": 5}),
        ("prompts/get", {}),
        ("prompts/get", {"name": "p", "arguments": "a"}),
        ("completion/complete", {}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "p"}}),
        ("completion/complete", {"ref": "p", "argument": {"name": "a", "value": ""}}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt"}, "argument": {"name": "a", "value": ""}},
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/tool", "name": "p"}, "argument": {"name": "a", "value": ""}},
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": 1}},
        ),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/prompt", "name": "p"},
                "argument": {"name": "a", "value": ""},
                "context": {"arguments": {"b": 1}},
            },
        ),
    ],
)
def test_work_with_bad_params_is_invalid(era, method, params):
    reply = era(method, params)
    assert code(reply) == -32602
    assert reply.message["id"] == 1


def test_a_result_is_marked_as_its_era_wants():
    machine = make()
    old, new = ask("resources/read", {"uri": "a://1"}), modern("resources/read", {"uri": "a://1"})
    given = {"contents": [], "_meta": {"x": 1}}
    assert machine.answer(old, given).message["result"] is given
    assert machine.answer(new, given).message["result"] == {
        "contents": [],
        "_meta": {"x": 1, revisions.META_SERVER: SERVER},
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
    }
    assert given == {"contents": [], "_meta": {"x": 1}}
    # Only lists and resources can be kept.
    prompt = machine.answer(modern("prompts/get", {"name": "p"}), {"messages": []})
    assert sorted(prompt.message["result"]) == ["_meta", "messages", "resultType"]


def test_what_is_not_there_has_the_code_of_its_era():
    machine = make()
    for era, method, params, wanted in (
        (ask, "resources/read", {"uri": "a://1"}, (200, -32002)),
        (modern, "resources/read", {"uri": "a://1"}, (400, -32602)),
        (ask, "prompts/get", {"name": "p"}, (200, -32602)),
        (modern, "prompts/get", {"name": "p"}, (400, -32602)),
        (modern, "tools/call", {"name": "p"}, (400, -32602)),
    ):
        reply = machine.not_found(era(method, params), "No.", {"uri": "a://1"})
        assert (reply.status, code(reply)) == wanted
        assert reply.message["error"]["data"] == {"uri": "a://1"}
    failed = machine.fail(modern("prompts/get", {"name": "p"}), -32603, "Broken.")
    assert (failed.status, code(failed)) == (200, -32603)


@BOTH
def test_a_resource_in_the_stateless_era_has_its_uri_in_a_header(era):
    reply = era("resources/read", {"uri": "a://1"}, headers={"Mcp-Name": "a://2"}.items())
    if era is modern:
        assert code(reply) == revisions.HEADER_MISMATCH
    else:
        assert reply.uri == "a://1"


# -- stateless --------------------------------------------------------------------------------


def test_discovery_and_lists_carry_what_the_revision_demands():
    for method, server in (("server/discover", INTRODUCED), ("tools/list", SERVER)):
        result = modern(method).message["result"]
        assert result["resultType"] == "complete"
        assert result["ttlMs"] >= 0
        assert result["cacheScope"] in ("public", "private")
        assert result["_meta"][revisions.META_SERVER] == server
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
                [
                    *("jsonrpc", "id", "method", "params", "_meta", "name", "arguments"),
                    *("cursor", "uri", "ref", "argument", "context", "type", "value", "level"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


KNOWN = sorted([*METHODS, *READERS, "initialize", "ping", "logging/setLevel", "server/discover"])


@given(ANY, st.sampled_from(["2025-11-25", MODERN, "x", None]), st.sampled_from([*KNOWN, None]))
def test_nothing_a_peer_says_raises(message, version, method):
    headers = Headers() if version is None else Headers(("MCP-Protocol-Version", version))
    if isinstance(message, dict):
        message.setdefault("jsonrpc", "2.0")
        if method is not None:
            message["method"] = method
    outcome = make().receive(message, headers)
    if isinstance(outcome, mcp.Reply):
        assert outcome.status in (200, 400, 404)
