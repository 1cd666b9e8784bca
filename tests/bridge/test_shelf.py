"""Resources and prompts of one host, of several, of none: what is listed, and where it leads."""

from __future__ import annotations

import pytest

from dcc_mcp_embed.bridge.shelf import Shelf, asked, marked, request
from dcc_mcp_embed.errors import Ambiguous, NoHost
from dcc_mcp_embed.wire import jsonrpc
from dcc_mcp_embed.wire.mcp.work import Completion, PromptGet, ResourceRead

STATUS = {"uri": "dcc://status", "name": "status", "description": "How it is."}
PROMPT = {"name": "review", "title": "Review"}


@pytest.fixture
def shelf():
    return Shelf(lambda: NoHost("nobody"))


def filled(shelf, *labels):
    shelf.set_running(labels)
    for label in labels:
        shelf.take(label, "resources", [{"uri": "a://b"}, STATUS])
        shelf.take(label, "prompts", [PROMPT])


def test_one_hosts_are_listed_as_they_are(shelf):
    filled(shelf, "maya")
    assert shelf.listing("resources") == [{"uri": "a://b"}, STATUS]
    assert shelf.listing("prompts") == [PROMPT]
    assert shelf.listing("resourceTemplates") == []
    assert shelf.route("resources", "dcc://status") == ("maya", "dcc://status")
    assert shelf.route("resources", "maya+dcc://status") == ("maya", "dcc://status")
    # What is not listed may be there all the same: templates are.
    assert shelf.route("resources", "dcc://object/x+y") == ("maya", "dcc://object/x+y")
    assert shelf.route("prompts", "blender_review") == ("maya", "blender_review")
    assert shelf.route("prompts", "maya_review") == ("maya", "review")
    shelf.take("maya", "prompts", [{"name": "maya_review"}])
    assert shelf.route("prompts", "maya_review") == ("maya", "maya_review")


def test_several_hosts_are_told_apart(shelf):
    filled(shelf, "maya", "blender")
    listed = shelf.listing("resources")
    assert [one["uri"] for one in listed] == [
        "blender+a://b",
        "blender+dcc://status",
        "maya+a://b",
        "maya+dcc://status",
    ]
    assert listed[1]["description"] == "[blender] How it is."
    assert [one["name"] for one in shelf.listing("prompts")] == ["blender_review", "maya_review"]
    assert shelf.listing("prompts")[0]["title"] == "blender: Review"
    assert shelf.route("resources", "maya+a://b") == ("maya", "a://b")
    assert shelf.route("resourceTemplates", "maya+a://{b}") == ("maya", "a://{b}")
    assert shelf.route("prompts", "blender_review") == ("blender", "review")
    for member, name in (("resources", "a://b"), ("prompts", "review"), ("prompts", "maya_")):
        with pytest.raises(Ambiguous) as caught:
            shelf.route(member, name)
        assert caught.value.state == "not_started"
    shelf.set_running(["maya"])
    assert shelf.listing("prompts") == [PROMPT]
    shelf.set_running(["maya", "blender"])
    assert not shelf.has("blender", "prompts"), "another one may have its label"


def test_nobody_has_nothing(shelf):
    assert shelf.listing("resources") == []
    with pytest.raises(NoHost):
        shelf.route("resources", "dcc://status")
    shelf.take("maya", "prompts", [PROMPT])
    assert shelf.listing("prompts") == []


@pytest.mark.parametrize("odd", [None, {}, [1, {}, {"name": 1}, {"uri": "x"}]])
def test_lists_that_are_none(shelf, odd):
    shelf.set_running(["maya"])
    shelf.take("maya", "prompts", odd)
    assert shelf.listing("prompts") == []


def test_hosts_are_asked_by_their_own_names():
    def work(kind, **params):
        message = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": params}
        return kind(jsonrpc.classify(message), True, "c")

    read = work(ResourceRead, uri="maya+a://b", _meta={})
    assert asked(read) == ("resources", "maya+a://b")
    assert request(read, "a://b") == ("resources/read", {"uri": "a://b"})
    get = work(PromptGet, name="maya_p", arguments={"x": "1"})
    assert asked(get) == ("prompts", "maya_p")
    assert request(get, "p") == ("prompts/get", {"name": "p", "arguments": {"x": "1"}})
    params = {
        "ref": {"type": "ref/resource", "uri": "maya+a://{b}"},
        "argument": {"name": "b", "value": "x"},
        "context": {"arguments": {}},
        "_meta": {},
    }
    complete = work(Completion, **params)
    assert asked(complete) == ("resourceTemplates", "maya+a://{b}")
    method, sent = request(complete, "a://{b}")
    assert method == "completion/complete"
    assert sent["ref"] == {"type": "ref/resource", "uri": "a://{b}"}
    assert sorted(sent) == ["argument", "context", "ref"]


def test_uris_in_results_begin_with_the_label():
    link = {"type": "resource_link", "uri": "a://b"}
    held = {"type": "resource", "resource": {"uri": "a://c", "text": ""}}
    text = {"type": "text", "text": "a://d"}
    found = marked({"content": [link, held, text, 1], "isError": False}, "maya")
    assert found["content"] == [
        dict(link, uri="maya+a://b"),
        dict(held, resource={"uri": "maya+a://c", "text": ""}),
        text,
        1,
    ]
    assert marked({"contents": [{"uri": "a://b"}]}, "maya")["contents"] == [{"uri": "maya+a://b"}]
    said = marked({"messages": [{"role": "user", "content": link}, 1]}, "maya")["messages"]
    assert said == [{"role": "user", "content": dict(link, uri="maya+a://b")}, 1]
    assert link["uri"] == "a://b", "what it was made of is left as it was"
