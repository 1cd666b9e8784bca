"""Resources, prompts and completions through the bridge, of one host, of two and of none."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.wire.mcp.listing import PAGE
from fakes import other_kinds
from fakes.bridged import MODERN, Web
from fakes.live import tries
from fakes.served import Served
from fakes.streaming import connecting, initialize


def uris(bridge):
    return [one["uri"] for one in bridge.ask("resources/list")["resources"]]


def prompts(bridge):
    return [one["name"] for one in bridge.ask("prompts/list")["prompts"]]


def refusal(bridge, method, params):
    return bridge.answer(bridge.begin(method, params))["error"]


def completed(bridge, ref, value):
    params = {"ref": ref, "argument": {"name": "who", "value": value}}
    return bridge.ask("completion/complete", params)["completion"]["values"]


def test_without_a_host_there_is_nothing_and_that_is_said(bridge):
    assert {"resources", "prompts", "completions"} <= set(bridge.initialize()["capabilities"])
    assert uris(bridge) == [] and prompts(bridge) == []
    assert bridge.ask("resources/templates/list")["resourceTemplates"] == []
    for method, params in (
        ("resources/read", {"uri": "dcc://status"}),
        ("resources/subscribe", {"uri": "dcc://status"}),
        ("prompts/get", {"name": "greet"}),
    ):
        error = refusal(bridge, method, params)
        assert error["data"]["code"] == "no_host"
        assert "No host is running" in error["message"]


def test_one_hosts_are_as_it_has_them(bridge, serve):
    serve(other_kinds)
    bridge.initialize()
    bridge.until(lambda: "dcc://status" in uris(bridge))
    assert "greet" in prompts(bridge)
    (template,) = [
        one["uriTemplate"]
        for one in bridge.ask("resources/templates/list")["resourceTemplates"]
        if "greeting" in one["uriTemplate"]
    ]
    assert template == "test://greeting/{who}"
    (status,) = bridge.ask("resources/read", {"uri": "dcc://status"})["contents"]
    assert status["uri"] == "dcc://status"
    assert json.loads(status["text"])["verdict"] == "healthy"
    read = bridge.ask("resources/read", {"uri": "test://greeting/anna"})
    assert read["contents"][0]["text"] == "Hello anna"
    assert "resultType" not in read and "ttlMs" not in read
    got = bridge.ask("prompts/get", {"name": "greet", "arguments": {"who": "anna"}})
    assert got["messages"][0]["content"]["text"] == "Hello anna"
    assert completed(bridge, {"type": "ref/prompt", "name": "greet"}, "an") == ["anna", "anton"]
    assert completed(bridge, {"type": "ref/resource", "uri": template}, "b") == ["berta"]
    params = {"uri": "test://slow", "_meta": {"progressToken": "mine"}}
    assert bridge.ask("resources/read", params)["contents"][0]["text"] == "slow"
    (step,) = [one for one in bridge.notices if one["method"] == "notifications/progress"]
    assert step["params"]["progressToken"] == "mine"
    # Each era has its own number for what is not there.
    assert refusal(bridge, "resources/read", {"uri": "test://no"})["code"] == -32002
    modern = refusal(bridge, "resources/read", {"uri": "test://no", "_meta": MODERN})
    assert modern["code"] == -32602
    assert refusal(bridge, "prompts/get", {"name": "no"})["code"] == -32602
    modern = bridge.ask("resources/list", {"_meta": MODERN})
    assert modern["resultType"] == "complete" and modern["resources"]
    read = bridge.ask("resources/read", {"uri": "dcc://status", "_meta": MODERN})
    assert read["resultType"] == "complete" and "ttlMs" in read


def pointed(result):
    """Return the kinds of content that tell where the resource is which a tool points to."""
    return [one["type"] for one in result["content"] if "test://pid" in json.dumps(one)]


@pytest.mark.parametrize(
    ("version", "kind"),
    [("2024-11-05", "text"), ("2025-03-26", "text"), ("2025-06-18", "resource_link")],
)
def test_older_clients_are_told_of_links_in_words(home, monkeypatch, bridge, serve, version, kind):
    serve(other_kinds)
    bridge.initialize(version)
    bridge.appears("points")
    call = {"name": "points", "arguments": {}}
    assert pointed(bridge.ask("tools/call", call)) == [kind]
    assert pointed(bridge.ask("tools/call", dict(call, _meta=MODERN))) == ["resource_link"]
    with Web(home, monkeypatch) as web, connecting(web) as connect:
        wire = connect()
        session = initialize(wire, version=version)
        for _ in tries():
            if "points" in str(wire.rpc("tools/list", headers=session).json):
                break
        for headers in (session, {"MCP-Protocol-Version": version}):
            assert pointed(wire.tool("points", headers=headers)) == [kind]
        assert pointed(wire.tool("points")) == ["resource_link"]


def test_lists_of_many_pages_are_listed_to_their_end(bridge, serve):
    def numbered(number):
        @dcc_mcp_embed.resource("test://shot{:04}".format(number))
        def one():
            """One shot of many."""
            return "it"

        return one

    many = {"shot{}".format(number): numbered(number) for number in range(PAGE + 1)}
    serve(SimpleNamespace(**many))
    bridge.initialize()
    bridge.appears("create_object")
    found, params = [], {}
    while params is not None:
        listed = bridge.ask("resources/list", params)
        found += [one["uri"] for one in listed["resources"]]
        params = {"cursor": listed["nextCursor"]} if "nextCursor" in listed else None
    assert len(set(found)) == len(found) > PAGE + 1
    assert {"test://shot{:04}".format(number) for number in range(PAGE + 1)} < set(found)


def test_two_hosts_are_told_apart(home, bridge, serve):
    serve(other_kinds)
    with Served(home, "--tools", other_kinds.__file__) as two:
        bridge.initialize()
        bridge.until(lambda: "standalone2+dcc://status" in uris(bridge))
        assert "standalone+dcc://status" in uris(bridge)
        assert {"standalone_greet", "standalone2_greet"} <= set(prompts(bridge))
        assert "dcc://status" not in uris(bridge) and "greet" not in prompts(bridge)
        both = {"standalone_points", "standalone2_points"}
        bridge.until(lambda: both <= set(bridge.names()))
        for label, process in (("standalone", os.getpid()), ("standalone2", two.process.pid)):
            uri = label + "+test://pid"
            (read,) = bridge.ask("resources/read", {"uri": uri})["contents"]
            assert (read["uri"], read["text"]) == (uri, str(process))
            call = {"name": label + "_points", "arguments": {}}
            content = bridge.ask("tools/call", call)["content"]
            assert [one["uri"] for one in content if "uri" in one] == [uri]
            get = {"name": label + "_greet", "arguments": {"who": "x"}}
            got = bridge.ask("prompts/get", get)
            assert got["messages"][0]["content"]["text"] == "Hello x"
            ref = {"type": "ref/prompt", "name": label + "_greet"}
            assert completed(bridge, ref, "b") == ["berta"]
        error = refusal(bridge, "resources/read", {"uri": "dcc://status"})
        assert error["data"]["code"] == "ambiguous"
        assert "standalone2+" in error["message"]
        assert refusal(bridge, "prompts/get", {"name": "greet"})["data"]["code"] == "ambiguous"
