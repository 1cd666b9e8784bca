"""Word of changes through the bridge: lists that grow, resources that are watched, both eras."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.bridge.service import MOST_LISTENERS
from fakes.bridged import MODERN
from fakes.served import Served

pytestmark = pytest.mark.edges

ACKNOWLEDGED = "subscriptions/acknowledged"
KEY = "io.modelcontextprotocol/subscriptionId"
TOOLS = '''
import dcc_mcp_embed

@dcc_mcp_embed.tool()
def touch(uri: str) -> dict:
    """Say that a resource is new."""
    dcc_mcp_embed.start().resource_updated(uri)
    return {}
'''


@dcc_mcp_embed.tool()
def fresh_tool() -> str:
    """Be new."""
    return ""


@dcc_mcp_embed.prompt()
def fresh_prompt() -> str:
    """Be new."""
    return "new"


@dcc_mcp_embed.resource("test://fresh")
def fresh_resource() -> str:
    """Be new."""
    return "new"


FRESH = SimpleNamespace(one=fresh_tool, two=fresh_prompt, three=fresh_resource)


def said(bridge, method):
    wanted = "notifications/" + method
    return [one["params"] for one in bridge.notices if one["method"] == wanted]


def watched(bridge):
    """Return the uris that were said to be new."""
    return [one["uri"] for one in said(bridge, "resources/updated")]


def uris(bridge):
    return [one["uri"] for one in bridge.ask("resources/list")["resources"]]


def test_lists_that_grow_are_told_of_once_they_were_shown(bridge, serve):
    live = serve()
    bridge.initialize()
    bridge.appears("create_object")
    assert "test://fresh" not in uris(bridge)
    before = bridge.changes()
    live.server.register_tools(FRESH)
    bridge.until(lambda: bridge.changes() == before + 1)
    bridge.until(lambda: said(bridge, "resources/list_changed"))
    assert "fresh_tool" in bridge.names() and "test://fresh" in uris(bridge)
    # The prompts were never shown.
    assert said(bridge, "prompts/list_changed") == []
    assert [one["name"] for one in bridge.ask("prompts/list")["prompts"]]


def test_who_listens_is_told_of_what_it_listens_for(bridge, serve):
    wanted = {"toolsListChanged": True, "promptsListChanged": True, "else": True}
    params = {"notifications": wanted, "_meta": MODERN}
    ident = bridge.begin("subscriptions/listen", params)
    (first,) = bridge.until(lambda: bridge.notices)
    assert first["method"] == "notifications/subscriptions/acknowledged"
    assert first["params"]["_meta"][KEY] == ident
    agreed = {"toolsListChanged": True, "promptsListChanged": True}
    assert first["params"]["notifications"] == agreed
    live = serve()
    bridge.until(bridge.changes)
    bridge.until(lambda: said(bridge, "prompts/list_changed"))
    told = len(said(bridge, "prompts/list_changed"))
    live.server.register_tools(FRESH)
    bridge.until(lambda: len(said(bridge, "prompts/list_changed")) > told)
    assert said(bridge, "resources/list_changed") == []
    assert {one["params"]["_meta"][KEY] for one in bridge.notices} == {ident}
    bridge.notify("notifications/cancelled", {"requestId": ident})
    assert bridge.answer(ident)["result"]["_meta"][KEY] == ident


@pytest.mark.parametrize("notifications", [None, [], "all", {"resourceSubscriptions": ["x"] * 300}])
def test_listening_to_what_is_nothing(bridge, notifications):
    params = {"notifications": notifications, "_meta": MODERN}
    refused = bridge.answer(bridge.begin("subscriptions/listen", params))
    assert refused["error"]["code"] == -32602


def test_a_client_listens_as_often_as_it_needs_and_no_more(bridge):
    params = {"notifications": {"toolsListChanged": True}, "_meta": MODERN}
    idents = [bridge.begin("subscriptions/listen", params) for _ in range(MOST_LISTENERS)]
    refused = bridge.answer(bridge.begin("subscriptions/listen", params))["error"]
    assert refused["code"] == -32600 and "cancel" in refused["message"]
    bridge.notify("notifications/cancelled", {"requestId": idents[0]})
    assert bridge.answer(idents[0])["result"]
    idents.append(bridge.begin("subscriptions/listen", params))

    def heard():
        return {one["_meta"][KEY] for one in said(bridge, ACKNOWLEDGED)}

    bridge.until(lambda: heard() == set(idents))


def test_a_resource_is_watched_and_no_more(bridge, serve):
    live = serve()
    bridge.initialize()
    bridge.appears("create_object")
    assert bridge.ask("resources/subscribe", {"uri": "test://a"}) == {}
    assert bridge.ask("resources/subscribe", {"uri": "scene://info"}) == {}
    live.server.resource_updated("test://b")
    live.server.resource_updated("test://a")
    # Twice, if the one that listened until just now has heard of it as well.
    bridge.until(lambda: set(watched(bridge)) == {"test://a"})
    assert bridge.call("create_object", kind="cube")["ok"]
    bridge.until(lambda: "scene://info" in watched(bridge))
    assert bridge.ask("resources/unsubscribe", {"uri": "test://a"}) == {}
    assert bridge.ask("resources/subscribe", {"uri": "test://c"}) == {}
    del bridge.notices[:]
    live.server.resource_updated("test://a")
    live.server.resource_updated("test://c")
    bridge.until(lambda: "test://c" in watched(bridge))
    assert "test://a" not in watched(bridge)


def test_what_a_host_takes_is_watched_and_what_is_more_is_refused(bridge, serve):
    """All is told of that is agreed on, whatever else was asked for."""
    live = serve()
    bridge.initialize()
    bridge.appears("create_object")
    sizes = [2048] * 15 + [2016]
    uris = ["test://{:02}".format(n).ljust(size, "x") for n, size in enumerate(sizes)]
    for uri in uris:
        assert bridge.ask("resources/subscribe", {"uri": uri}) == {}
    for uri in ("t", "x" * 2049):
        refused = bridge.answer(bridge.begin("resources/subscribe", {"uri": uri}))
        assert refused["error"]["code"] == -32602
    listening = {"notifications": {"resourceSubscriptions": ["t"]}, "_meta": MODERN}
    refused = bridge.answer(bridge.begin("subscriptions/listen", listening))
    assert refused["error"]["code"] == -32602 and "256" in refused["error"]["message"]
    live.server.resource_updated(uris[-1])
    bridge.until(lambda: watched(bridge) == [uris[-1]])
    before = bridge.changes()
    live.server.register_tools(FRESH)
    bridge.until(lambda: bridge.changes() == before + 1)
    # There is room for as much as was let go.
    assert bridge.ask("resources/unsubscribe", {"uri": uris[0]}) == {}
    assert bridge.ask("resources/subscribe", {"uri": "t"}) == {}


def test_watching_outlives_the_host_and_is_told_apart_from_another(home, tmp_path, bridge, serve):
    path = tmp_path / "touching.py"
    path.write_text(TOOLS)
    bridge.initialize()
    listening = {"resourceSubscriptions": ["standalone+test://late"]}
    ident = bridge.begin("subscriptions/listen", {"notifications": listening, "_meta": MODERN})
    with Served(home, "--tools", str(path)) as first:
        bridge.appears("touch")
        assert bridge.ask("resources/subscribe", {"uri": "test://a"}) == {}
        assert bridge.call("touch", uri="test://a")["ok"]
        bridge.until(lambda: "test://a" in watched(bridge))
        first.end(signal.SIGKILL)
    del bridge.notices[:]
    with Served(home, "--tools", str(path)):
        # It is another one, so all of it is new.
        bridge.until(lambda: "test://a" in watched(bridge))
        bridge.until(lambda: "standalone+test://late" in watched(bridge))
        late = [one for one in said(bridge, "resources/updated") if one["uri"].endswith("late")]
        assert {one["_meta"][KEY] for one in late} == {ident}
        del bridge.notices[:]
        assert bridge.call("touch", uri="test://late")["ok"]
        bridge.until(lambda: "standalone+test://late" in watched(bridge))

        live = serve()
        bridge.appears("standalone2_create_object")
        assert bridge.ask("resources/subscribe", {"uri": "standalone2+test://a"}) == {}
        del bridge.notices[:]
        live.server.resource_updated("test://a")
        bridge.until(lambda: watched(bridge) == ["standalone2+test://a"])
        assert bridge.call("standalone_touch", uri="test://a")["ok"]
        # The name that it had then leads where it led.
        bridge.until(lambda: watched(bridge) == ["standalone2+test://a", "test://a"])
