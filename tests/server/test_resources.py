"""Resources, prompts and completions end to end: a real server, both eras, seen on the wire."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.errors import HostBusy, NotFound
from dcc_mcp_embed.tools.results import META_INSTANCE
from fakes.live import Live, tries
from fakes.stage import declared_among

DEADLINE = 10.0
SOON = 0.4
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
#: The member that a request's Mcp-Name header repeats.
NAMED = {"resources/read": "uri", "prompts/get": "name", "tools/call": "name"}


def make_things():
    entered, leave = threading.Semaphore(0), threading.Event()

    @dcc_mcp_embed.resource("test://where/{thread}")
    def where(ctx, thread: str):
        """Say where it runs."""
        return {"name": threading.current_thread().name, "host": ctx.host is not None}

    @dcc_mcp_embed.resource("test://loop", thread="loop")
    def where_loop(ctx):
        """Say where it runs."""
        return {"name": threading.current_thread().name, "host": ctx.host is not None}

    @dcc_mcp_embed.resource("test://worker", thread="worker")
    def where_worker(ctx):
        """Say where it runs."""
        return {"name": threading.current_thread().name, "host": ctx.host is not None}

    @dcc_mcp_embed.resource("test://steps", thread="worker")
    def steps():
        """Take three steps."""
        for number in range(3):
            yield dcc_mcp_embed.Progress(number + 1, 3)
        return "done"

    @dcc_mcp_embed.resource("test://block")
    def block():
        """Keep the main thread until the test lets go."""
        entered.release()
        assert leave.wait(DEADLINE)
        return "left"

    @dcc_mcp_embed.resource("test://number/{n}")
    def number(n: int):
        """Take a number; there are three."""
        if n > 3:
            raise NotFound("There is no number {}.".format(n), hint="Take one up to 3.")
        return "n={}".format(n)

    @dcc_mcp_embed.resource("test://broken")
    def broken():
        """Fail."""
        raise ZeroDivisionError("nobody can do that")

    @dcc_mcp_embed.resource("test://busy")
    def busy():
        """Refuse."""
        raise HostBusy("Not now.", retry_after_ms=5)

    @dcc_mcp_embed.resource("test://\u00fcml\u00e4ut", thread="loop")
    def umlaut():
        """Have a uri that no header can hold as it is."""
        return "\u00fc"

    def words(ctx, value, arguments):
        found = [threading.current_thread().name, str(ctx.host is not None), value]
        return found + sorted(arguments.items() and arguments)

    def asking(ctx, value):
        answer = yield ctx.roots()
        return [one["uri"] for one in answer]

    @dcc_mcp_embed.prompt(complete={"style": ["clean", "cluttered"], "size": words, "root": asking})
    def build(ctx, style: str, size: str = "small", free: str = "", root: str = ""):
        """Ask for a scene."""
        return [
            "Build a {} {} scene.".format(size, style),
            {"role": "assistant", "content": threading.current_thread().name},
        ]

    @dcc_mcp_embed.tool(read_only=True)
    def look():
        """Be a tool beside them."""
        return "seen"

    return declared_among(locals()), SimpleNamespace(entered=entered, leave=leave)


@pytest.fixture
def start(tmp_path, monkeypatch):
    running = []

    def go(**limits):
        module, stage = make_things()
        live = Live(str(tmp_path), monkeypatch, tools=[module], limits=Limits()._replace(**limits))
        live.stage = stage
        running.append(live)
        return live

    yield go
    for live in running:
        live.stage.leave.set()
        live.close()


def old(live, method, params=None, **options):
    with live.connect() as wire:
        return wire.rpc(method, params, **options)


def quoted(text):
    if text.isascii():
        return text
    return "=?base64?" + dcc_mcp_embed.tools.content._base64(text.encode("utf-8")) + "?="


def new(live, method, params=None, **options):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if method in NAMED:
        headers["Mcp-Name"] = quoted((params or {}).get(NAMED[method], ""))
    headers.update(options.pop("headers", {}))
    return old(live, method, dict({"_meta": META}, **params or {}), headers=headers, **options)


BOTH = pytest.mark.parametrize("ask", [old, new], ids=["handshake", "stateless"])


def read(live, uri, ask=old):
    answer = ask(live, "resources/read", {"uri": uri})
    assert answer.status == 200, answer
    return answer.json["result"]


def text(result):
    (content,) = result["contents"]
    return content["text"]


# -- resources --------------------------------------------------------------------------------


@BOTH
def test_a_resource_is_read_on_its_thread(live, ask):
    assert json.loads(text(read(live, "test://where/x", ask))) == {
        "name": "test host main",
        "host": True,
    }
    assert json.loads(text(read(live, "test://worker", ask)))["name"] == "dcc-mcp-embed tools"
    assert json.loads(text(read(live, "test://loop", ask))) == {
        "name": "dcc-mcp-embed",
        "host": False,
    }


@BOTH
def test_the_result_is_what_its_era_wants(live, ask):
    result = read(live, "test://number/2", ask)
    assert result["contents"] == [
        {"uri": "test://number/2", "mimeType": "text/plain", "text": "n=2"}
    ]
    assert result["_meta"][META_INSTANCE]["dcc"] == "standalone"
    marks = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    assert {key: result.get(key) for key in marks} == (
        marks if ask is new else dict.fromkeys(marks)
    )


@BOTH
@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("nowhere:at-all", "resources/templates/list"),
        ("test://lop", "Did you mean 'test://loop'"),
        ("test://number/4", "Take one up to 3."),
        ("test://" + "x" * 5000, "resources/templates/list"),
    ],
)
def test_what_is_not_there(live, ask, uri, hint):
    answer = ask(live, "resources/read", {"uri": uri})
    assert (answer.status, answer.code) == ((400, -32602) if ask is new else (200, -32002))
    error = answer.json["error"]
    assert error["data"]["uri"] == uri[:2048]
    assert error["data"]["code"] == "not_found"
    assert hint in error["message"]


@BOTH
@pytest.mark.parametrize(
    ("uri", "code", "word"),
    [
        ("test://number/many", -32602, "invalid_argument"),
        ("test://broken", -32603, "host_error"),
        ("test://busy", -32603, "host_busy"),
    ],
)
def test_what_goes_wrong_is_a_protocol_error(live, ask, uri, code, word):
    answer = ask(live, "resources/read", {"uri": uri})
    assert (answer.status, answer.code) == (400 if ask is new and code == -32602 else 200, code)
    data = answer.json["error"]["data"]
    assert data["code"] == word
    # The server goes on.
    assert text(read(live, "test://number/1", ask)) == "n=1"


def test_a_uri_of_any_script(live):
    assert text(read(live, "test://\u00fcml\u00e4ut", new)) == "\u00fc"


def test_the_main_thread_is_not_needed_for_what_runs_on_the_loop(live):
    with live.connect() as wire:
        body = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "resources/read",
                "params": {"uri": "test://block"},
            }
        ).encode("ascii")
        head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += "".join("{}: {}\r\n".format(*one) for one in live.authorization.items())
        head += "Content-Length: {}\r\n\r\n".format(len(body))
        wire.send(head.encode("ascii") + body)
        assert live.stage.entered.acquire(timeout=DEADLINE)
        status = json.loads(text(read(live, "dcc://status")))
        # A resource has the main thread as a tool has it, under its name.
        assert status["holder"]["tool"] == "block"
        assert json.loads(text(read(live, "log://recent")))["items"]
        live.stage.leave.set()
        assert text(wire.read().json["result"]) == "left"


def test_a_reading_that_outlives_its_time_is_a_job(start):
    live = start(call_timeout=SOON)
    answer = old(live, "resources/read", {"uri": "test://block"})
    data = answer.json["error"]["data"]
    assert (answer.code, data["code"], data["state"]) == (-32603, "timeout_running", "running")
    live.stage.leave.set()
    job = {"job_id": data["details"]["job_id"]}
    for _ in tries():
        with live.connect() as wire:
            result = wire.tool("get_job", job)
        if result["content"][0]["type"] == "resource":
            break
    assert result["content"][0]["resource"]["text"] == "left"


def test_progress_of_a_reading_comes_as_events(live):
    answer = old(live, "resources/read", {"uri": "test://steps", "_meta": {"progressToken": "t"}})
    assert answer.headers["content-type"] == "text/event-stream"
    events = [
        json.loads(line[len("data: ") :])
        for line in answer.body.decode("utf-8").splitlines()
        if line.startswith("data: ")
    ]
    assert [one["params"]["progress"] for one in events[:-1]] == [1, 2, 3]
    assert text(events[-1]["result"]) == "done"
    assert text(read(live, "test://steps")) == "done"


# -- prompts ----------------------------------------------------------------------------------


@BOTH
def test_a_prompt_is_rendered_on_the_main_thread(live, ask):
    answer = ask(live, "prompts/get", {"name": "build", "arguments": {"style": "clean"}})
    result = answer.json["result"]
    assert result["description"] == "Ask for a scene."
    assert [(one["role"], one["content"]["text"]) for one in result["messages"]] == [
        ("user", "Build a small clean scene."),
        ("assistant", "test host main"),
    ]
    assert result.get("resultType") == ("complete" if ask is new else None)
    assert "ttlMs" not in result


@BOTH
@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"name": "biuld"}, "Did you mean 'build'?"),
        ({"name": "build"}, "needs 'style'"),
        ({"name": "build", "arguments": {"style": "clean", "colour": "red"}}, "colour"),
    ],
)
def test_a_prompt_that_cannot_be_rendered(live, ask, params, word):
    answer = ask(live, "prompts/get", params)
    assert (answer.status, answer.code) == (400 if ask is new else 200, -32602)
    assert word in answer.json["error"]["message"]


# -- completions ------------------------------------------------------------------------------


def complete(live, ask, reference, argument, value, **given):
    params = {"ref": reference, "argument": {"name": argument, "value": value}}
    if given:
        params["context"] = {"arguments": given}
    return ask(live, "completion/complete", params)


PROMPT = {"type": "ref/prompt", "name": "build"}


@BOTH
def test_completions(live, ask):
    answer = complete(live, ask, PROMPT, "style", "cl")
    completion = answer.json["result"]["completion"]
    assert completion == {"values": ["clean", "cluttered"], "total": 2, "hasMore": False}
    assert answer.json["result"].get("resultType") == ("complete" if ask is new else None)
    # A function, where its prompt runs, told of the rest.
    found = complete(live, ask, PROMPT, "size", "s", style="clean").json["result"]["completion"]
    assert found["values"] == ["test host main", "True", "s", "style"]
    # Nothing to say is an answer.
    nothing = complete(live, ask, PROMPT, "free", "x").json["result"]["completion"]
    assert nothing == {"values": [], "total": 0, "hasMore": False}
    template = {"type": "ref/resource", "uri": "scene://object/{+path}"}
    assert complete(live, ask, template, "path", "/").json["result"]["completion"]["total"] == 0


@BOTH
@pytest.mark.parametrize(
    ("reference", "argument"),
    [
        ({"type": "ref/prompt", "name": "biuld"}, "style"),
        (PROMPT, "colour"),
        ({"type": "ref/resource", "uri": "test://nowhere"}, "n"),
        ({"type": "ref/resource", "uri": "test://number/{n}"}, "m"),
    ],
)
def test_what_cannot_be_completed(live, ask, reference, argument):
    answer = complete(live, ask, reference, argument, "")
    assert (answer.status, answer.code) == (400 if ask is new else 200, -32602)


def test_nothing_is_asked_where_the_answer_would_have_no_way_back(live):
    """Of 2026-07-28 only tools/call, prompts/get and resources/read may demand input."""
    params = {
        "ref": PROMPT,
        "argument": {"name": "size", "value": "s"},
        "requestState": "none that means anything here",
    }
    found = new(live, "completion/complete", params).json["result"]["completion"]
    assert found["values"][2] == "s"
    capabilities = {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}}
    params = {
        "ref": PROMPT,
        "argument": {"name": "root", "value": ""},
        "_meta": dict(META, **capabilities),
    }
    error = new(live, "completion/complete", params).json["error"]
    assert error["data"]["code"] == "unsupported"
    assert "complet" in error["message"]
    assert [line.text for line in live.server.logbook.read(level="error")] == []


# -- lists and levels -------------------------------------------------------------------------


@BOTH
def test_lists_are_sorted_and_complete(live, ask):
    for method, member, key in (
        ("tools/list", "tools", "name"),
        ("resources/list", "resources", "uri"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate"),
        ("prompts/list", "prompts", "name"),
    ):
        entries = ask(live, method).json["result"][member]
        names = [one[key] for one in entries]
        assert names == sorted(names)
        assert all(one["description"] and one["title"] for one in entries)
    ours = ["debug_scene", "explore_scene", "look_dev", "model_from_reference", "prepare_export"]
    assert names == ["build", *ours]


def test_what_is_registered_later_is_there(live):
    @dcc_mcp_embed.resource("test://late", thread="loop")
    def late():
        """Come late."""
        return "late"

    assert old(live, "resources/read", {"uri": "test://late"}).code == -32002
    live.server.register_tools(SimpleNamespace(late=late))
    assert text(read(live, "test://late")) == "late"


def test_a_level_belongs_to_its_session(live):
    def begin():
        answer = old(live, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}})
        return answer.headers["mcp-session-id"]

    first, second = begin(), begin()
    answer = old(live, "logging/setLevel", {"level": "error"}, headers={"Mcp-Session-Id": first})
    assert answer.json["result"] == {}
    sessions = live.server._server.sessions
    assert (sessions.get(first).level, sessions.get(second).level) == ("error", None)
    # Also from clients whose session is not known.
    assert old(live, "logging/setLevel", {"level": "info"}).json["result"] == {}


def test_a_batch_may_hold_all_of_it(live):
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "test://loop"}},
        {"jsonrpc": "2.0", "id": 2, "method": "prompts/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "resources/read", "params": {"uri": "test://x"}},
    ]
    with live.connect() as wire:
        answer = wire.request("POST", "/mcp", body=json.dumps(messages).encode("ascii"))
    by_id = {one["id"]: one for one in answer.json}
    assert by_id[1]["result"]["contents"]
    assert by_id[2]["result"]["prompts"]
    assert by_id[3]["error"]["code"] == -32002
