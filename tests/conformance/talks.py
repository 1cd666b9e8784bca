"""Clients that talk about everything there is, in each revision and by each way to a server.

What is said is held to the specification's schemas (see ``watch``); here it is only said.
"""

from __future__ import annotations

import json

from conformance.specification import REVISIONS
from conformance.watch import Watch
from dcc_mcp_embed.server.framed_mcp import MCP
from dcc_mcp_embed.wire.mcp.routing import NAMED
from dcc_mcp_embed.wire.messages import Notify
from fakes.framed import FramedWire, wire_key
from fakes.streaming import Streaming

__all__ = [
    "ANSWERS",
    "HANDSHAKE",
    "OFFERED",
    "STATELESS",
    "Framed",
    "Legacy",
    "Modern",
    "ModernPiped",
    "Piped",
    "Talk",
    "converse",
]

HANDSHAKE, STATELESS = REVISIONS[:4], REVISIONS[4]
OFFERED = {"elicitation": {}, "sampling": {}, "roots": {}}
#: What every form of the fixture finds its members in.
FILLED = {
    "username": "u",
    "email": "e@x",
    "name": "Ann",
    "color": "blue",
    "ok": True,
    "context": "c",
}
ANSWERS = {
    "elicitation/create": {"action": "accept", "content": FILLED},
    "sampling/createMessage": {
        "role": "assistant",
        "content": {"type": "text", "text": "thought"},
        "model": "m",
    },
    "roots/list": {"roots": [{"uri": "file:///a"}]},
}
META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientCapabilities": OFFERED,
    "io.modelcontextprotocol/logLevel": "debug",
}
#: Arguments of tools that must have some to do anything; the others are called without, and all of
#: them are told what was wrong with that, if it was.
ARGUMENTS = {
    "test_sampling": {"prompt": "p"},
    "test_elicitation": {"message": "m"},
    "region_by_header": {"region": "eu"},
    "create_object": {"kind": "cube"},
    "batch": {"calls": [{"tool": "test_simple_text"}]},
    "describe_tool": {"name": "batch"},
    "search_tools": {"query": "object"},
    "call_tool": {"name": "test_simple_text"},
}
#: It would take the server away.
NOT_CALLED = {"stop_server"}
PROMPTS = {
    "test_prompt_with_arguments": {"arg1": "a", "arg2": "b"},
    "test_prompt_with_embedded_resource": {"resourceUri": "test://example"},
}
#: What may be asked, and refused, in every revision.
ASKED = [
    ("tools/list", {"cursor": "nonsense"}),
    ("tools/call", {"name": "no such"}),
    ("tools/call", {"name": "create_object", "arguments": {"kind": 1}}),
    ("tools/call", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "test://template/1/data"}),
    ("resources/read", {"uri": "test://nowhere"}),
    ("resources/read", {}),
    ("prompts/get", {"name": "no such"}),
    ("prompts/get", {"name": "test_prompt_with_arguments"}),
    (
        "completion/complete",
        {
            "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
            "argument": {"name": "arg1", "value": "pa"},
        },
    ),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "no such"}}),
    ("no/such", {}),
]


class Talk:
    """A client of the handshake era at ``/mcp``, which answers what it is asked."""

    def __init__(self, server, revision):
        self.revision = revision
        self.wire, self.other, self.ear = Streaming(server), Streaming(server), Streaming(server)
        self.ids = 0
        self.headers = {}

    def post(self, message):
        """Send a message; return what comes until its answer is there, the answer last."""
        answer = self.wire.request("POST", "/mcp", self.headers, json.dumps(message).encode())
        if answer.headers.get("content-type") != "text/event-stream":
            yield from [answer.json] if answer.body else []
            return
        said = {}
        while "id" not in message or said.get("id") != message["id"] or "method" in said:
            found = self.wire.message()
            if found is None:
                # The server has stepped out, and has the client come for the rest.
                self.wire.listen(self.headers, self.wire.seen[-1].id)
            else:
                said = found
                yield said
        while self.wire.message() is not None:
            raise AssertionError("more after the answer")

    def answer(self, message):
        self.other.request("POST", "/mcp", self.headers, json.dumps(message).encode())

    def open(self):
        params = {
            "protocolVersion": self.revision,
            "capabilities": OFFERED,
            "clientInfo": {"name": "talk", "version": "1"},
        }
        answer = self.wire.rpc("initialize", params)
        self.headers = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
        if answer.headers["content-type"] == "text/event-stream":
            assert self.wire.messages()
        if self.revision >= "2025-06-18":
            self.headers["MCP-Protocol-Version"] = self.revision
        assert not list(self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        assert self.ear.listen(self.headers).status == 200

    def ask(self, method, params=None):
        """Return the response to a request."""
        self.ids += 1
        message = {"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params or {}}
        for said in self.post(message):
            if said.get("id") == self.ids and "method" not in said:
                last = said
            elif "id" in said:
                found = ANSWERS[said["method"]]
                self.answer({"jsonrpc": "2.0", "id": said["id"], "result": found})
        return last

    def hear(self):
        """Wait until the changes that the fixture makes were told of."""
        heard = set()
        while not heard >= CHANGED:
            heard.add(self.ear.message()["method"])

    def close(self):
        for wire in (self.wire, self.other, self.ear):
            wire.close()


class Legacy(Talk):
    """The same over HTTP+SSE."""

    def open(self):
        self.wire.request("GET", "/sse", {"Accept": "text/event-stream"})
        self.place = self.wire.event().data
        params = {"protocolVersion": self.revision, "capabilities": OFFERED}
        self.ask("initialize", params)

    def post(self, message):
        self.answer(message)
        said = {}
        while said.get("id") != message["id"] or "method" in said:
            said = self.wire.message()
            yield said

    def hear(self):
        # It has heard of them on its only stream, between all the rest.
        pass

    def answer(self, message):
        body = json.dumps(message).encode()
        assert self.other.request("POST", self.place, {}, body).status == 202


class Modern(Talk):
    """A client of the stateless era: it calls again with what it was asked for."""

    def open(self):
        self.ask("server/discover")
        wishes = {
            "toolsListChanged": True,
            "promptsListChanged": True,
            "resourceSubscriptions": ["test://watched-resource"],
        }
        params = {"notifications": wishes, "_meta": META}
        headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "subscriptions/listen"}
        self.ear.rpc("subscriptions/listen", params, "ear", headers)

    def ask(self, method, params=None):
        params = dict(params or {})
        meta = dict(META, **params.pop("_meta", {}))
        self.headers = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
        name = params.get(NAMED.get(method, ""))
        if name is not None:
            self.headers["Mcp-Name"] = name
        if name == "region_by_header":
            self.headers["Mcp-Param-Region"] = "eu"
        for _ in range(5):
            answer = super().ask(method, dict(params, _meta=meta))
            asked = answer.get("result", {}).get("inputRequests")
            if asked is None:
                return answer
            params["inputResponses"] = {key: ANSWERS[one["method"]] for key, one in asked.items()}
            params["requestState"] = answer["result"]["requestState"]
        raise AssertionError("it asks and asks: {}".format(answer))


class Framed(Modern):
    """The same over the framed wire, as a bridge talks to hosts: ids are texts."""

    def __init__(self, server):
        self.revision = STATELESS
        self.ids = 0
        self.wire = _Hearing(server.port, wire_key())
        self.wire.greet()

    def open(self):
        self.ask("server/discover")
        wishes = {"toolsListChanged": True, "promptsListChanged": True}
        params = {"notifications": wishes, "_meta": META}
        message = {"jsonrpc": "2.0", "id": "ear", "method": "subscriptions/listen"}
        self.wire.ask(MCP, dict(message, params=params))

    def post(self, message):
        yield dict(self.wire.call(MCP, dict(message, id=str(message["id"]))), id=message["id"])

    def hear(self):
        while not {one["method"] for one in self.wire.heard} >= CHANGED:
            self.wire.read()

    def close(self):
        self.wire.close()


class _Hearing(FramedWire):
    """A connection that keeps what it is told besides answers."""

    def __init__(self, *where):
        super().__init__(*where)
        self.heard = []

    def take(self, event):
        if isinstance(event, Notify):
            self.heard.append(json.loads(event.data.decode("utf-8")))
        else:
            super().take(event)


class Piped(Talk):
    """The same as a client that has started a bridge, at its pipes."""

    def __init__(self, bridge, revision):
        self.revision = revision
        self.bridge = bridge
        self.ids = 0
        #: How many of the bridge's notices and requests.
        self.heard = 0

    def open(self):
        params = {"protocolVersion": self.revision, "capabilities": OFFERED}
        self.ask("initialize", dict(params, clientInfo={"name": "talk", "version": "1"}))
        self.bridge.notify("notifications/initialized")

    def post(self, message):
        bridge, ident = self.bridge, message["id"]
        bridge.send(message)
        while ident not in bridge.answers:
            bridge.until(lambda: ident in bridge.answers or len(bridge.notices) > self.heard)
            more = bridge.notices[self.heard :]
            self.heard += len(more)
            yield from more
        yield bridge.answers[ident]

    def answer(self, message):
        self.bridge.send(message)

    def hear(self):
        self.bridge.until(lambda: {one["method"] for one in self.bridge.notices} >= CHANGED)

    def close(self):
        self.bridge.end()


class ModernPiped(Piped, Modern):
    """The same in the stateless era."""

    def open(self):
        self.ask("server/discover")
        wishes = {"toolsListChanged": True, "promptsListChanged": True}
        params = {"notifications": wishes, "_meta": META}
        message = {"jsonrpc": "2.0", "id": "ear", "method": "subscriptions/listen"}
        self.bridge.send(dict(message, params=params))

    def ask(self, method, params=None):
        return Modern.ask(self, method, params)


def everything(talk):
    """Ask for all that there is to ask for."""
    talk.open()
    # Changes are told to those who know what there was.
    talk.ask("prompts/list")
    for tool in talk.ask("tools/list")["result"]["tools"]:
        if tool["name"] in NOT_CALLED:
            continue
        arguments = ARGUMENTS.get(tool["name"], {})
        params = {"name": tool["name"], "arguments": arguments, "_meta": {"progressToken": "p"}}
        assert "result" in talk.ask("tools/call", params)
    # Before the lists are asked for again: who has the newest needs no word of it.
    talk.hear()
    for resource in talk.ask("resources/list")["result"]["resources"]:
        talk.ask("resources/read", {"uri": resource["uri"]})
    for one in talk.ask("prompts/list")["result"]["prompts"]:
        params = {"name": one["name"], "arguments": PROMPTS.get(one["name"], {})}
        talk.ask("prompts/get", params)
    for method, params in ASKED:
        talk.ask(method, params)
    for method, params in (
        ("ping", {}),
        ("logging/setLevel", {"level": "debug"}),
        ("logging/setLevel", {"level": "loud"}),
        ("resources/subscribe", {"uri": "test://watched-resource"}),
        ("resources/subscribe", {"uri": "test://nowhere"}),
        ("resources/unsubscribe", {"uri": "test://watched-resource"}),
    ):
        talk.ask(method, params)


#: What a conversation has at least heard.
RESULTS = {
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
}
CHANGED = {"notifications/tools/list_changed", "notifications/prompts/list_changed"}
NOTICES = CHANGED | {"notifications/message", "notifications/progress"}


def converse(monkeypatch, talk, *heard):
    """Have a conversation and return the watch over it, which has found nothing wrong."""
    watch = Watch(monkeypatch)
    try:
        everything(talk)
    finally:
        talk.close()
    assert watch.problems == []
    said = {what for revision, what in set(watch.kinds) if revision == talk.revision}
    assert NOTICES | {"result of " + one for one in RESULTS} | set(heard) <= said
    assert watch.count > 100
    return watch
