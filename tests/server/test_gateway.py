"""With the setting ``gateway`` the row tells a token; what it opens, and what stays shut."""

from __future__ import annotations

import json
import os
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import PermissionDenied
from dcc_mcp_embed.host import dispatch
from dcc_mcp_embed.registry.file_registry import open_registry
from dcc_mcp_embed.server.gateway import Guest, admit, make_token
from dcc_mcp_embed.tools.declare import declared
from fakes.live import starting

RAN = []


@dcc_mcp_embed.tool(capabilities=("file_write",))
def write_file(path: str) -> str:
    """Write a file."""
    RAN.append(path)
    return "written"


@dcc_mcp_embed.tool(capabilities=("code",))
def evaluate(code: str) -> str:
    """Evaluate code."""
    RAN.append(code)
    return "ran"


@dcc_mcp_embed.tool
def harmless() -> str:
    """Do nothing."""
    return "done"


@dcc_mcp_embed.tool
def confess(ctx) -> str:
    """Ask the person at the client."""
    answer = yield ctx.elicit("What is it?", {"type": "object", "properties": {}}, key="it")
    RAN.append(answer["action"])
    return "told"


@pytest.fixture
def start(tmp_path, monkeypatch):
    tools = [
        SimpleNamespace(
            write_file=write_file, evaluate=evaluate, harmless=harmless, confess=confess
        )
    ]
    usual = {"exec_mode": "on", "profile": "full", "gateway": True}
    del RAN[:]
    with starting(str(tmp_path), monkeypatch, tools=tools, **usual) as one_more:
        yield one_more


def row(live):
    registry = open_registry(live.registry_dir, {}, SystemClock())
    return registry.get("standalone", live.server.instance_id)


def entrance(live):
    """Return what the gateway puts before every path: the path of the row's URL without its end."""
    place = "http://127.0.0.1:{}".format(live.port)
    url = row(live).metadata["mcp_url"]
    assert url.startswith(place) and url.endswith("/mcp")
    return url[len(place) : -len("/mcp")]


def through(live, path, body, **headers):
    with live.connect() as wire:
        data = json.dumps(body).encode("utf-8")
        return wire.request(
            "POST", entrance(live) + path, dict({"Authorization": None}, **headers), data
        )


def call(live, name, arguments, **headers):
    """Return the error code of a call by /v1/call and by /mcp, None where there is none."""
    output = through(live, "/v1/call", {"tool_slug": name, "arguments": arguments}, **headers)
    params = {"name": name, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    result = through(live, "/mcp", message, **headers).json["result"]
    shapes = (output.json["output"], result.get("structuredContent") or {})
    codes = {(shape.get("error") or {}).get("code") for shape in shapes}
    assert len(codes) == 1, codes
    return codes.pop()


def test_a_guest_calls_whatever_runs_no_code_and_writes_no_file_of_its_choice(start):
    live = start()
    assert call(live, "harmless", {}) is None
    assert call(live, "create_object", {"kind": "cube"}) is None
    for name, arguments in (("evaluate", {"code": "1"}), ("write_file", {"path": "/tmp/x"})):
        assert call(live, name, arguments) == "permission_denied"
        assert call(live, "call_tool", {"name": name, "arguments": arguments}) == (
            "permission_denied"
        )
        calls = [{"tool": "harmless"}, {"tool": name, "arguments": arguments}]
        assert call(live, "batch", {"calls": calls}) == "permission_denied"
    assert call(live, "execute_python", {"code": "1"}) == "permission_denied"
    assert call(live, "run_selftest", {}) == "permission_denied"
    assert RAN == []
    with live.connect() as wire:
        assert not wire.tool("evaluate", {"code": "1"})["isError"], "the user's own client may"
    assert RAN == ["1"]


def test_a_session_of_somebody_who_may_lets_no_guest_run_code(start):
    live = start()
    with live.connect() as wire:
        hello = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "t"}, "capabilities": {}}
        session = wire.rpc("initialize", hello).headers["mcp-session-id"]
    headers = {"Mcp-Session-Id": session}
    assert call(live, "evaluate", {"code": "1"}, **headers) == "permission_denied"
    assert RAN == []


def test_what_the_user_is_asked_no_guest_answers(start):
    live = start()
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "the very same", "version": "1"},
    }
    params = {"name": "confess", "arguments": {}, "_meta": meta}
    headers = {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "confess",
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    with live.connect() as wire:
        asked = wire.rpc("tools/call", params, headers=headers).json["result"]
        params["requestState"] = asked["requestState"]
        params["inputResponses"] = {"it": {"action": "accept"}}
        refused = through(live, "/mcp", message, **headers).json["error"]
        assert (refused["code"], RAN) == (-32602, [])
        assert "none that was given out here" in refused["message"]
        # It was not even spent.
        assert not wire.rpc("tools/call", params, headers=headers).json["result"]["isError"]
    assert RAN == ["accept"]


def test_the_gateways_token_does_as_a_header_too_and_a_keep_alive_connection_stays_apart(start):
    live = start()
    token = entrance(live)[1:]
    body = json.dumps({"tool_slug": "evaluate", "arguments": {"code": "1"}}).encode()
    with live.connect() as wire:
        codes = []
        for headers in ({"Authorization": "Bearer " + token}, {}, {"Authorization": None}):
            answer = wire.request("POST", "/v1/call", headers, body)
            codes.append(answer.status)
            if answer.status == 200:
                codes.append(answer.json["output"]["success"])
    assert codes == [200, False, 200, True, 401]


def test_a_guest_finds_what_it_may_not_call_and_is_told_so(start):
    live = start()
    hits = through(live, "/v1/search", {}).json["hits"]
    refused = [one["action"] for one in hits if one["summary"].startswith("Refused through")]
    assert sorted(refused) == ["evaluate", "execute_python", "write_file"]
    found = through(live, "/v1/describe", {"tool_slug": "execute_python"}).json
    assert found["description"].startswith("Refused through")


def test_without_the_setting_the_row_lets_nobody_in(start):
    live = start(gateway=False)
    assert entrance(live) == ""
    for path in ("/v1/call", "/v1/search", "/v1/describe", "/mcp"):
        assert through(live, path, {"tool_slug": "harmless"}).status == 401
    told = repr(row(live).to_dict())
    assert live.server.token not in told


def test_the_token_is_random_for_each_run_and_nothing_of_the_users(start):
    live = start()
    token = entrance(live)[1:]
    assert len(token) == 40
    assert token != live.server.token
    assert live.server.token not in repr(row(live).to_dict())
    assert make_token(SystemClock()) != make_token(SystemClock())
    log = json.dumps([line.to_dict() for line in live.server.logbook.read(1000, "debug")])
    assert token not in log
    # Only the row has it: no other file, and nothing that is told to those who have none.
    for folder, _, names in os.walk(os.path.dirname(live.registry_dir)):
        # A heartbeat writes it anew under another name, and renames that.
        for name in [one for one in names if not one.endswith(".services.json")]:
            with open(os.path.join(folder, name), "rb") as file:
                assert (token.encode() in file.read()) == (name == "services.json"), name
    with live.connect() as wire:
        for path in ("/", "/v1/readyz", "/health", "/nope", "/v1/context"):
            answer = wire.request("GET", path, {"Authorization": None})
            assert token not in repr((answer.headers, answer.body))


def test_where_no_token_is_needed_a_guest_is_one_all_the_same(start):
    live = start(auth=False)
    assert call(live, "evaluate", {"code": "1"}) == "permission_denied"
    assert call(live, "harmless", {}) is None
    with live.connect() as wire:
        assert not wire.tool("evaluate", {"code": "1"})["isError"]


def test_readiness_and_the_safe_stop_are_there_behind_the_token_too(start):
    live = start()
    with live.connect() as wire:
        path = entrance(live) + "/v1/readyz"
        assert wire.request("GET", path, {"Authorization": None}).status == 200
    assert row(live).metadata["safe_stop_url"] == "http://127.0.0.1:{}/safe-stop".format(live.port)


@pytest.mark.parametrize("one", [write_file, evaluate])
def test_only_guests_are_refused(one):
    tool = declared(one)
    for identity in (None, (), (("127.0.0.1", 1), 0.5), "session"):
        admit(tool, identity)
    with pytest.raises(PermissionDenied) as refused:
        admit(tool, Guest(()))
    assert tool.name in str(refused.value)
    admit(declared(harmless), Guest(()))


def proxied(live, name, arguments, **headers):
    params = {"name": name, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return through(live, "/mcp", message, **headers).json["result"]


def test_a_guest_is_told_that_the_one_skill_is_loaded(start):
    live = start()
    for name, given in (
        ("search_skills", {"query": "x", "kind": "skill"}),
        ("list_skills", {"a": 1}),
    ):
        found = json.loads(proxied(live, name, given)["content"][0]["text"])
        assert [(one["name"], one["loaded"]) for one in found["skills"]] == [
            ("dcc-mcp-embed", True)
        ]
    for names in ({"skill_name": "dcc-mcp-embed"}, {"skill_names": ["dcc-mcp-embed"]}, {}):
        found = proxied(live, "load_skill", dict(names, activate_groups=True))
        assert "harmless" in json.loads(found["content"][0]["text"])["registered_tools"]
    found = proxied(live, "load_skill", {"skill_names": ["other"]})
    assert found["structuredContent"]["error"]["code"] == "not_found"


def test_skills_are_nothing_to_others_and_a_tool_of_that_name_goes_first(start):
    live = start()
    with live.connect() as wire:
        assert wire.tool("load_skill", {})["isError"]
        listed = wire.rpc("tools/list").json["result"]["tools"]
        assert "load_skill" not in [one["name"] for one in listed]

    @dcc_mcp_embed.tool
    def load_skill() -> str:
        """Be a tool of the user's own."""
        return "mine"

    live.server.register_tools(SimpleNamespace(load_skill=load_skill))
    assert proxied(live, "load_skill", {})["content"][0]["text"] == "mine"


# -- what others do ---------------------------------------------------------------------------


class Busy:
    """Tools that go on past their time, until the test lets them go."""

    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        entered, leave = self.entered, self.leave

        @dcc_mcp_embed.tool(timeout=0.3, thread="worker")
        def long(secret: str) -> str:
            """Go on for long."""
            entered.release()
            assert leave.wait(20)
            return "the " + secret

        @dcc_mcp_embed.tool(capabilities=("code",), timeout=20)
        def run(code: str):
            """Run code in steps."""
            entered.release()
            while not leave.is_set():
                yield
                leave.wait(0.01)
            return code

        self.tools = SimpleNamespace(long=long, run=run)


@pytest.fixture
def busy():
    one = Busy()
    yield one
    one.leave.set()


def asked(live, tool, **arguments):
    """Return what a tool of the server gives to the user's own client."""
    with live.connect() as wire:
        return wire.tool(tool, arguments)


def late(live, busy, ask):
    """Return the job of a call that has outlived its time; ``ask`` makes it."""
    found = ask(live, "long", secret="secret")["structuredContent"]["error"]
    assert found["code"] == "timeout_running"
    assert busy.entered.acquire(timeout=20)
    return found["details"]["job_id"]


def as_guest(live, tool, **arguments):
    return proxied(live, tool, arguments)


def read_as_guest(live, uri):
    message = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
    return through(live, "/mcp", message).json


def items(result):
    return [one["job_id"] for one in result["structuredContent"]["data"]["items"]]


def code(result):
    return result["structuredContent"]["error"]["code"]


def test_a_guest_sees_nothing_of_the_users_calls_and_ends_none(start, busy):
    live = start()
    live.server.register_tools(busy.tools)
    job = late(live, busy, asked)
    assert items(asked(live, "list_jobs")) == [job]
    assert items(as_guest(live, "list_jobs")) == []
    for wait in (0, 5000):
        assert code(as_guest(live, "get_job", job_id=job, wait_ms=wait)) == "not_found"
    assert code(as_guest(live, "call_tool", name="get_job", arguments={"job_id": job})) == (
        "not_found"
    )
    assert code(as_guest(live, "cancel_job", job_id=job)) == "not_found"
    assert "error" in read_as_guest(live, "job://{}/result".format(job))
    busy.leave.set()
    found = asked(live, "get_job", job_id=job, wait_ms=20000)
    assert found["content"][0]["text"] == "the secret"
    assert items(as_guest(live, "list_jobs")) == []
    assert code(as_guest(live, "get_job", job_id=job)) == "not_found"
    told = read_as_guest(live, "job://{}/result".format(job))
    assert "error" in told
    assert "the secret" not in repr(told)


def test_a_guest_does_not_end_code_that_runs(start, busy):
    live = start()
    live.server.register_tools(busy.tools)
    answers = []
    running = threading.Thread(target=lambda: answers.append(asked(live, "run", code="x = 1")))
    running.start()
    assert busy.entered.acquire(timeout=20)
    (job,) = items(asked(live, "list_jobs"))
    assert items(as_guest(live, "list_jobs")) == []
    assert code(as_guest(live, "cancel_job", job_id=job)) == "not_found"
    busy.leave.set()
    running.join(20)
    assert answers[0]["content"][0]["text"] == "x = 1"


def test_guests_have_jobs_of_their_own(start, busy):
    live = start()
    live.server.register_tools(busy.tools)
    job = late(live, busy, as_guest)
    assert items(as_guest(live, "list_jobs")) == [job]
    assert items(asked(live, "list_jobs")) == [job], "the user sees everything"
    cancelled = as_guest(live, "cancel_job", job_id=job)["structuredContent"]["data"]
    assert cancelled["effect"] == "cancel_requested"
    busy.leave.set()
    found = as_guest(live, "get_job", job_id=job, wait_ms=20000)
    assert found["content"][0]["text"] == "the secret"


def test_a_guest_reads_no_log_and_no_stack(start, busy, monkeypatch):
    monkeypatch.setattr(dispatch, "STACK_AFTER", 0.0)
    live = start()
    live.server.register_tools(busy.tools)
    job = late(live, busy, asked)
    live.server.logbook.error("dispatch", "run did not end cleanly: KeyError('my code')")
    assert code(as_guest(live, "get_log")) == "permission_denied"
    assert "my code" not in repr(read_as_guest(live, "log://recent"))
    assert "my code" in repr(asked(live, "get_log"))
    for name, stack in ((asked, True), (as_guest, False)):
        holder = name(live, "get_status")["structuredContent"]["data"]["worker"]["holder"]
        assert holder["job_id"] == job
        assert ("stack" in holder) == stack
    assert "stack" not in repr(read_as_guest(live, "dcc://status"))
