"""Telling clients what has changed: lists that grew, resources that are new, and to whom."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from dcc_mcp_embed.adapters.standalone.adapter import StandaloneAdapter

import dcc_mcp_embed
from fakes.live import Live, on_loop
from fakes.streaming import initialize

MODERN = "2026-07-28"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class TellingAdapter(StandaloneAdapter):
    """A host that tells when it has opened a file."""

    def __init__(self):
        super().__init__()
        self.opened = None

    def on_scene_change(self, callback):
        self.opened = callback


@pytest.fixture
def live(tmp_path, monkeypatch):
    @dcc_mcp_embed.resource("test://watched", thread="loop")
    def watched():
        """Something to watch."""
        return "x"

    @dcc_mcp_embed.tool(read_only=True)
    def open_file(ctx):
        """Have the host tell that it has opened a file."""
        ctx.host.opened()

    things = SimpleNamespace(watched=watched, open_file=open_file)
    one = Live(str(tmp_path), monkeypatch, TellingAdapter, tools=[things])
    yield one
    one.close()


def something(kind, name):
    """Return a module with one new tool, resource or prompt."""

    def function():
        """Be new."""
        return "x"

    if kind == "tools":
        found = dcc_mcp_embed.tool(name=name, read_only=True)(function)
    elif kind == "resources":
        found = dcc_mcp_embed.resource("test://" + name)(function)
    elif kind == "templates":

        def about(x: str):
            """Be new."""
            return x

        found = dcc_mcp_embed.resource_template("test://" + name + "/{x}")(about)
    else:
        found = dcc_mcp_embed.prompt(name=name)(function)
    return SimpleNamespace(found=found)


def listen(wire, ident=9, **wishes):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
    params = {"notifications": wishes, "_meta": META}
    return wire.rpc("subscriptions/listen", params, ident, headers)


def acknowledged(wire):
    first = wire.message()
    assert first["method"] == "notifications/subscriptions/acknowledged"
    return first["params"]


def mark(live, ears):
    """Return what came on a stream until now, by making one more change that it hears of."""
    live.server.resource_updated("test://watched")
    found = []
    while True:
        message = ears.message()
        if message["params"].get("uri") == "test://watched":
            return found
        found.append(message)


def watching(wire, uri="test://watched"):
    session = initialize(wire)
    assert wire.rpc("resources/subscribe", {"uri": uri}, headers=session).json["result"] == {}
    return session


# -- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("tools", "tools"),
        ("resources", "resources"),
        ("templates", "resources"),
        ("prompts", "prompts"),
    ],
)
def test_sessions_are_told_that_a_list_has_grown(live, connect, kind, told):
    wire, ears, other = connect(), connect(), connect()
    session = watching(wire)
    ears.listen(session)
    # A session without a stream is no obstacle.
    initialize(other)
    module = something(kind, "fresh")
    live.server.register_tools(module)
    method = "notifications/{}/list_changed".format(told)
    assert mark(live, ears) == [{"jsonrpc": "2.0", "method": method, "params": {}}]
    # The same again is no change.
    live.server.register_tools(module)
    assert mark(live, ears) == []


def test_many_additions_at_once_are_told_once(live, connect):
    wire, ears = connect(), connect()
    ears.listen(watching(wire))
    names = ["fresh_{}".format(number) for number in range(50)]
    tools = {name: something("tools", name).found for name in names}
    live.server.register_tools(SimpleNamespace(**tools))
    for number in range(5):
        live.server.register_tools(something("tools", "more_{}".format(number)))
    told = [one["method"] for one in mark(live, ears)]
    assert set(told) == {"notifications/tools/list_changed"}
    assert len(told) <= 2


def test_a_stateless_client_hears_what_it_asked_for(live, connect):
    tools, both, none = connect(), connect(), connect()
    watched = {"resourceSubscriptions": ["test://watched"]}
    listen(tools, "id-1", toolsListChanged=True, promptsListChanged=False, **watched)
    listen(both, 2, promptsListChanged=True, resourcesListChanged=True, **watched)
    listen(none, 3, somethingElse=True, toolsListChanged=None, **watched)
    agreed = acknowledged(tools)
    assert agreed == {
        "notifications": dict(watched, toolsListChanged=True),
        "_meta": {SUBSCRIPTION: "id-1"},
    }
    assert acknowledged(both)["notifications"] == dict(
        watched, promptsListChanged=True, resourcesListChanged=True
    )
    assert acknowledged(none)["notifications"] == watched
    for kind in ("tools", "resources", "prompts"):
        live.server.register_tools(something(kind, "fresh"))

    def told(wire):
        return [(one["method"], one["params"]) for one in mark(live, wire)]

    assert told(tools) == [("notifications/tools/list_changed", {"_meta": {SUBSCRIPTION: "id-1"}})]
    meta = {"_meta": {SUBSCRIPTION: 2}}
    assert told(both) == [
        ("notifications/prompts/list_changed", meta),
        ("notifications/resources/list_changed", meta),
    ]
    assert told(none) == []


def test_a_listener_that_leaves_is_forgotten(live, connect):
    wire = connect()
    listen(wire, toolsListChanged=True)
    acknowledged(wire)
    assert len(live.server._server.subscriptions) == 1
    wire.close()
    other = connect()
    for number in range(1000):
        if not len(live.server._server.subscriptions):
            return
        other.rpc("ping", ident=number)
    raise AssertionError("it is still there")


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 400, -32602),
        ({"notifications": []}, 400, -32602),
        ({"notifications": {"resourceSubscriptions": "x"}}, 400, -32602),
        ({"notifications": {"resourceSubscriptions": [1]}}, 400, -32602),
        ({"notifications": {"toolsListChanged": 1}}, 400, -32602),
        ({"notifications": {"resourceSubscriptions": ["x"] * 257}}, 400, -32602),
        ({"notifications": {"resourceSubscriptions": ["x" * 100000]}}, 400, -32602),
    ],
)
def test_a_filter_that_is_none_is_refused(connect, params, status, code):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
    answer = connect().rpc("subscriptions/listen", dict(params, _meta=META), headers=headers)
    assert (answer.status, answer.code, answer.json["id"]) == (status, code, 1)


def test_who_takes_no_stream_cannot_listen(connect):
    headers = {
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "subscriptions/listen",
        "Accept": "application/json",
    }
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}
    answer = connect().rpc("subscriptions/listen", params, headers=headers)
    assert (answer.status, answer.code) == (400, -32600)


def test_stopping_ends_listening_with_a_result(live, connect):
    wire = connect()
    listen(wire, 12, toolsListChanged=True)
    acknowledged(wire)
    live.close()
    (result,) = wire.messages()
    assert (result["id"], result["result"]["resultType"]) == (12, "complete")
    assert result["result"]["_meta"][SUBSCRIPTION] == 12


def test_a_listener_that_does_not_read_is_let_go(live, connect):
    wire = connect()
    uri = "test://" + "x" * 2000
    listen(wire, toolsListChanged=True, resourceSubscriptions=[uri])
    acknowledged(wire)
    subscriptions = live.server._server.subscriptions

    def flood():
        stream = subscriptions._listeners[0].way._exchange._connection.stream
        most = 0
        for _ in range(5000):
            subscriptions._uris.add(uri)
            subscriptions._flush()
            most = max(most, stream.unsent)
        return most

    assert on_loop(live, flood) < 1024 * 1024 + 10000
    assert len(subscriptions) == 0
    assert len(wire.messages()) < 5000


# -- resources ----------------------------------------------------------------------------------


def test_a_session_hears_of_the_resources_it_watches(live, connect):
    wire, ears = connect(), connect()
    session = watching(wire)
    ears.listen(session)
    live.server.resource_updated("test://other")
    assert mark(live, ears) == []
    wire.rpc("resources/subscribe", {"uri": "scene://info"}, headers=session)
    live.server.resource_updated("scene://info")
    (told,) = mark(live, ears)
    assert told["params"] == {"uri": "scene://info"}
    answer = wire.rpc("resources/unsubscribe", {"uri": "scene://info"}, headers=session)
    assert answer.json["result"] == {}
    live.server.resource_updated("scene://info")
    assert mark(live, ears) == []
    # Of what it never watched, too.
    answer = wire.rpc("resources/unsubscribe", {"uri": "no://such"}, headers=session)
    assert answer.json["result"] == {}


@pytest.mark.parametrize("era", ["handshake", "stateless"])
@pytest.mark.parametrize("cause", ["host", "write"])
def test_a_new_scene_makes_its_resources_new(live, connect, era, cause):
    wire, ears = connect(), connect()
    uris = ["scene://info", "scene://object//a", "test://watched"]
    if era == "handshake":
        session = watching(wire)
        for uri in uris[:2]:
            wire.rpc("resources/subscribe", {"uri": uri}, headers=session)
        ears.listen(session)
    else:
        listen(ears, resourceSubscriptions=uris)
        acknowledged(ears)
    if cause == "host":
        wire.tool("open_file")
    else:
        assert not wire.tool("create_object", {"kind": "cube"})["isError"]
    assert [one["params"]["uri"] for one in mark(live, ears)] == uris[:2]
    wire.tool("get_scene_info")
    assert mark(live, ears) == []


def test_watching_needs_a_session_and_a_resource(connect):
    wire = connect()
    answer = wire.rpc("resources/subscribe", {"uri": "test://watched"})
    assert answer.code == -32600
    session = initialize(wire)
    answer = wire.rpc("resources/subscribe", {"uri": "test://none"}, headers=session)
    assert answer.code == -32002
    assert wire.rpc("resources/subscribe", {"uri": 5}, headers=session).code == -32602
    assert wire.rpc("resources/subscribe", {}, headers=session).code == -32602


def test_a_session_of_an_earlier_process_can_watch(live, connect):
    wire, ears = connect(), connect()
    session = {"Mcp-Session-Id": "from-before", "MCP-Protocol-Version": "2025-11-25"}
    answer = wire.rpc("resources/subscribe", {"uri": "test://watched"}, headers=session)
    assert answer.json["result"] == {}
    ears.listen(session)
    assert ears.message()["method"] == "notifications/message"
    assert mark(live, ears) == []


def test_the_uris_that_one_client_watches_have_a_size(live, connect):
    wire = connect()
    session = initialize(wire)
    long = "scene://object//" + "x" * 2000
    answers = [
        wire.rpc("resources/subscribe", {"uri": long + str(n)}, headers=session) for n in range(20)
    ]
    taken = [one.json.get("error") is None for one in answers]
    assert taken == [True] * 16 + [False] * 4
    assert "characters" in answers[-1].json["error"]["message"]
    # What it watches already it may name again, and others watch as before.
    again = wire.rpc("resources/subscribe", {"uri": long + "0"}, headers=session)
    assert again.json["result"] == {}
    assert wire.rpc("resources/unsubscribe", {"uri": long + "0"}, headers=session).status == 200
    assert (
        wire.rpc("resources/subscribe", {"uri": long + "a"}, headers=session).json["result"] == {}
    )
    assert listen(wire, resourceSubscriptions=[long + str(n) for n in range(20)]).status == 400
    assert listen(wire, "x" * 40000, resourceSubscriptions=[long]).status == 400


def test_a_session_watches_a_bounded_number(connect):
    wire = connect()
    session = initialize(wire)
    answers = [
        wire.rpc("resources/subscribe", {"uri": "scene://object//{}".format(n)}, headers=session)
        for n in range(257)
    ]
    assert [json.loads(one.body).get("error") is None for one in answers] == [True] * 256 + [False]
