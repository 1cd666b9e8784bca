"""HTTP+SSE, the transport of 2024-11-05: one stream, messages posted beside it, and its end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from fakes.live import DEADLINE, on_loop, starting, tries
from fakes.streaming import Streaming

CAPABILITIES = {"elicitation": {}}


@dcc_mcp_embed.tool(read_only=True, thread="worker")
def count(ctx) -> str:
    """Count to two, and say so."""
    ctx.log("info", "counting")
    yield dcc_mcp_embed.Progress(1, 2, "one")
    return "two"


@dcc_mcp_embed.tool
def ask(ctx) -> str:
    """Ask for a name."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = yield ctx.elicit("Your name?", schema)
    return "hello {}".format(answer["content"]["name"])


@dcc_mcp_embed.tool(read_only=True, thread="loop")
def media() -> list:
    """Return what the oldest clients do not know."""
    return [
        dcc_mcp_embed.Link("file:///a.ma", "a.ma", "the scene"),
        dcc_mcp_embed.Audio(b"OggS" + bytes(4), annotations={"audience": ["user"]}),
    ]


TOOLS = [count, ask, media]


class Client:
    """One session: its stream, and a connection for what it posts."""

    def __init__(self, live, path="/sse", **headers):
        self.live = live
        self.stream = Streaming(live)
        self.headers = headers
        answer = self.stream.request("GET", path, dict({"Accept": "text/event-stream"}, **headers))
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        event = self.stream.event()
        assert event.event == "endpoint"
        self.place = event.data
        self.post = Streaming(live)

    def send(self, value):
        body = value if type(value) is bytes else json.dumps(value).encode("utf-8")
        return self.post.request("POST", self.place, self.headers, body)

    def rpc(self, method, params=None, ident=1):
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if ident is not None:
            message["id"] = ident
        return self.send(message)

    def ask(self, method, params=None, ident=1):
        answer = self.rpc(method, params, ident)
        assert (answer.status, answer.body) == (202, b"")
        return self.stream.message()

    def initialize(self, version="2024-11-05"):
        params = {
            "protocolVersion": version,
            "capabilities": CAPABILITIES,
            "clientInfo": {"name": "old", "version": "1"},
        }
        opened = self.ask("initialize", params)["result"]
        self.rpc("notifications/initialized", ident=None)
        return opened

    def close(self):
        self.stream.close()
        self.post.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch, registered=False, tools=TOOLS) as begin:
        yield begin


@pytest.fixture
def client(live):
    with Client(live) as one:
        yield one


def test_a_conversation(client):
    assert client.initialize()["protocolVersion"] == "2024-11-05"
    assert client.ask("ping", ident="p") == {"jsonrpc": "2.0", "id": "p", "result": {}}
    assert {"count", "ask"} <= {one["name"] for one in client.ask("tools/list")["result"]["tools"]}
    params = {"name": "count", "arguments": {}, "_meta": {"progressToken": 7}}
    client.rpc("tools/call", params, 2)
    said = [client.stream.message() for _ in range(3)]
    assert [one.get("method") for one in said] == [
        "notifications/message",
        "notifications/progress",
        None,
    ]
    assert said[1]["params"] == {"progressToken": 7, "progress": 1, "total": 2, "message": "one"}
    assert (said[2]["id"], said[2]["result"]["content"][0]["text"]) == (2, "two")


def test_events_have_no_ids(client):
    client.initialize()
    assert {event.id for event in client.stream.seen} == {None}


def test_a_tool_asks_on_the_stream(client):
    client.initialize("2025-06-18")
    question = client.ask("tools/call", {"name": "ask"}, "call")
    assert question["method"] == "elicitation/create"
    result = {"action": "accept", "content": {"name": "Ann"}}
    client.send({"jsonrpc": "2.0", "id": question["id"], "result": result})
    assert client.stream.message()["result"]["content"][0]["text"] == "hello Ann"


def test_a_question_whose_stream_ends_is_answered_by_nobody(live, client):
    client.initialize("2025-06-18")
    assert client.ask("tools/call", {"name": "ask"}, "call")["method"] == "elicitation/create"
    assert len(live.server._server.questions) == 1
    client.close()
    for _ in tries():
        if on_loop(live, lambda: (len(live.server._server.questions),)) == (0,):
            return
    raise AssertionError("the call still waits")


def test_a_call_is_cancelled(client):
    client.initialize("2025-06-18")
    client.ask("tools/call", {"name": "ask"}, "call")
    client.rpc("notifications/cancelled", {"requestId": "call"}, None)
    said = [client.stream.message(), client.stream.message()]
    (answer,) = [one for one in said if one.get("id") == "call"]
    assert answer["result"]["structuredContent"]["error"]["code"] == "cancelled"


def test_changes_are_told_of(live, client):
    client.initialize()
    live.server.add_tools([lambda_tool()])
    assert client.stream.message()["method"] == "notifications/tools/list_changed"
    assert client.ask("resources/subscribe", {"uri": "dcc://status"})["result"] == {}
    live.server.resource_updated("dcc://status")
    assert client.stream.message()["params"] == {"uri": "dcc://status"}


def lambda_tool():
    @dcc_mcp_embed.tool(name="later", read_only=True)
    def later() -> str:
        """Come later."""
        return "later"

    return later


@pytest.mark.parametrize(
    ("version", "types"),
    [
        ("2024-11-05", ["text", "resource"]),
        ("2025-03-26", ["text", "audio"]),
        ("2025-06-18", ["resource_link", "audio"]),
    ],
)
def test_content_is_what_the_revision_knows(client, version, types):
    client.initialize(version)
    content = client.ask("tools/call", {"name": "media"})["result"]["content"]
    assert [one["type"] for one in content] == types
    assert content[1]["annotations"] == {"audience": ["user"]}
    if types[0] == "text":
        assert content[0]["text"] == "a.ma: file:///a.ma (the scene)"
    if types[1] == "resource":
        assert content[1]["resource"] == {
            "uri": "content://audio/2",
            "mimeType": "audio/ogg",
            "blob": "T2dnUwAAAAA=",
        }


def test_a_batch_of_the_revision_that_has_them(client):
    batch = [{"jsonrpc": "2.0", "id": ident, "method": "ping"} for ident in ("a", "b")]
    client.initialize("2025-03-26")
    assert client.send(batch).status == 202
    assert {client.stream.message()["id"] for _ in batch} == {"a", "b"}
    client.initialize()
    client.send(batch)
    assert client.stream.message()["error"]["code"] == -32600


def test_the_stateless_revision_is_not_spoken_here(client):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    assert client.ask("server/discover", {"_meta": meta})["error"]["code"] == -32020


REFUSED = [
    ("POST", "/sse", {}, 405),
    ("GET", "/messages?sessionId=x", {}, 405),
    ("GET", "/sse", {"Accept": "application/json"}, 406),
    ("POST", "/messages", {}, 404),
    ("POST", "/messages?sessionId=", {}, 404),
    ("POST", "/messages?sessionId=strange", {}, 404),
    ("POST", "/messages?sessionId=x", {"Content-Type": "text/plain"}, 415),
    ("GET", "/sse", {"Authorization": None}, 401),
    ("POST", "/messages?sessionId=x", {"Authorization": None}, 401),
    ("GET", "/sse", {"Origin": "http://evil.example"}, 403),
    ("POST", "/messages?sessionId=x", {"Origin": "http://evil.example"}, 403),
    ("GET", "/sse", {"Host": "evil.example"}, 421),
]


def test_what_is_refused(live):
    found = []
    for method, path, headers, _ in REFUSED:
        with Streaming(live) as wire:
            answer = wire.request(method, path, headers, b"{}" if method == "POST" else b"")
        assert answer.headers["content-type"] == "application/json"
        found.append((method, path, headers, answer.status))
    assert found == REFUSED


def test_http_1_0_has_no_stream(live):
    with Streaming(live) as wire:
        assert wire.request("GET", "/sse", version="1.0").status == 406


def test_a_body_that_is_no_json(client):
    answer = client.send(b"{")
    assert (answer.status, answer.code) == (400, -32700)


def test_a_session_of_the_later_transport_is_none_here(live):
    params = {"protocolVersion": "2025-11-25", "capabilities": {}}
    with Streaming(live) as wire:
        ident = wire.rpc("initialize", params).headers["mcp-session-id"]
        answer = wire.request("POST", "/messages?sessionId=" + ident, {}, b"{}")
    assert answer.status == 404


def test_a_session_ends_with_its_stream(live, client):
    client.initialize()
    client.stream.close()
    for _ in tries():
        if client.rpc("ping").status == 404:
            break
    assert client.rpc("ping").status == 404
    assert on_loop(live, lambda: (len(live.server._server.sessions),)) == (0,)


def test_the_token_in_the_path_is_in_the_endpoint_too(live):
    token = live.server.token
    for path in ("/{}/sse", "/{}/sse/", "/{}/sse?x=1"):
        with Client(live, path.format(token), Authorization=None) as client:
            assert client.place.startswith("/{}/messages?sessionId=".format(token))
            assert client.initialize()["protocolVersion"] == "2024-11-05"


def test_who_does_not_read_is_not_served_more(start):
    live = start(limits=Limits()._replace(high_water=64 * 1024))
    with Client(live) as client:
        client.initialize()
        for _ in tries():
            answer = client.rpc("tools/list")
            if answer.status != 202:
                break
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        # It has not lost what it was promised.
        while client.rpc("ping", ident="last").status != 202:
            client.stream.message()
        for _ in tries():
            if client.stream.message()["id"] == "last":
                return
    raise AssertionError("no answer")


def test_the_streams_end_with_the_server(live, client):
    client.initialize()
    live.close()
    assert client.stream.message() is None


def test_two_sessions_use_the_same_ids(live, client):
    client.initialize("2025-06-18")
    with Client(live) as other:
        other.initialize("2025-06-18")
        for one in (client, other):
            assert one.ask("tools/call", {"name": "ask"}, "call")["method"] == "elicitation/create"
        client.rpc("notifications/cancelled", {"requestId": "call"}, None)
        said = [client.stream.message(), client.stream.message()]
        assert "call" in {one.get("id") for one in said}
        # The other one's goes on.
        assert other.ask("ping", ident="p")["id"] == "p"


# -- what it costs those who do not use it ------------------------------------------------------


def test_it_is_loaded_by_the_first_who_asks(tmp_path):
    code = (
        "import sys, os, http.client, json\n"
        "import dcc_mcp_embed\n"
        "server = dcc_mcp_embed.start(adapter='standalone', port=0)\n"
        "name = 'dcc_mcp_embed.server.legacy_sse'\n"
        "before = name in sys.modules\n"
        "line = http.client.HTTPConnection('127.0.0.1', server.port)\n"
        "line.request('GET', '/sse', headers={'Authorization': 'Bearer x'})\n"
        "refused, stranger = line.getresponse().status, name in sys.modules\n"
        "line = http.client.HTTPConnection('127.0.0.1', server.port)\n"
        "line.request('GET', '/' + server.token + '/sse')\n"
        "first = line.getresponse().readline().decode()\n"
        "print(json.dumps([before, refused, stranger, first, name in sys.modules]))\n"
        "line.close(); server.stop()\n"
    )
    from fakes.served import environment

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment(str(tmp_path)),
        stdout=subprocess.PIPE,
        timeout=DEADLINE,
    )
    assert json.loads(done.stdout.decode()) == [False, 401, False, "event: endpoint\n", True]


def test_a_part_that_cannot_be_loaded_is_tried_again(start, monkeypatch):
    from dcc_mcp_embed.server import legacy_sse

    live = start()
    broken = threading.Event()

    class Broken(legacy_sse.LegacySse):
        def __init__(self, *parts):
            if not broken.is_set():
                broken.set()
                raise ImportError("half there")
            super().__init__(*parts)

    monkeypatch.setattr(legacy_sse, "LegacySse", Broken)
    with Streaming(live) as wire:
        assert wire.request("GET", "/sse").status == 500
        assert "half there" in json.dumps([line.text for line in live.server.logbook.read(50)])
    with Client(live) as client:
        assert client.initialize()["protocolVersion"] == "2024-11-05"
