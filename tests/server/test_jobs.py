"""Calls that outlive their time, and results that are too large to be sent, over the wire."""

from __future__ import annotations

import json
import threading
import time
import weakref

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.errors import HostError, TimeoutRunning
from dcc_mcp_embed.server import control
from dcc_mcp_embed.tools import jobs
from fakes.live import Live, tries
from fakes.stage import declared_among


class Stage:
    def __init__(self):
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()
        self.next = threading.Semaphore(0)
        entered, leave, go_on = self.entered, self.leave, self.next

        @dcc_mcp_embed.tool(timeout=0.3)
        def block() -> dict:
            """Keep the main thread until the test lets go."""
            entered.release()
            assert leave.wait(20)
            return {"blocked": True}

        @dcc_mcp_embed.tool(read_only=True, thread="worker", timeout=0.3)
        def walk() -> dict:
            """Report each step; the test allows each."""
            for step in range(3):
                entered.release()
                assert go_on.acquire(timeout=20)
                yield dcc_mcp_embed.Progress(step + 1, 3, "step")
            return {"walked": True}

        @dcc_mcp_embed.tool
        def act() -> dict:
            """Do something."""
            return {"acted": True}

        @dcc_mcp_embed.tool(read_only=True, thread="worker")
        def list_many(count: int) -> list:
            """Return many items."""
            return ["item {}".format(number) for number in range(count)]

        @dcc_mcp_embed.tool(read_only=True, thread="loop")
        def list_here(count: int) -> list:
            """Return many items."""
            return ["item {}".format(number) for number in range(count)]

        @dcc_mcp_embed.tool(read_only=True, thread="loop")
        def repeat(text: str, count: int) -> list:
            """Return a text many times."""
            return [text * 3] * count

        self.tools = declared_among(locals())


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def live(tmp_path, monkeypatch, stage):
    one = Live(str(tmp_path), monkeypatch, tools=[stage.tools])
    yield one
    stage.leave.set()
    for _ in range(50):
        stage.next.release()
    one.close()


def ask(live, tool, **arguments):
    with live.connect() as wire:
        return wire.tool(tool, arguments)


def data(result):
    assert result["isError"] is False, result
    return result["structuredContent"]["data"]


def late(live, stage, tool="block"):
    """Return the job of a call that ran out of its time while it runs."""
    found = ask(live, tool)["structuredContent"]["error"]
    assert found["code"] == "timeout_running"
    assert stage.entered.acquire(timeout=20)
    job: str = found["details"]["job_id"]
    return job


def read(live, uri):
    with live.connect() as wire:
        return wire.rpc("resources/read", {"uri": uri})


def started(target):
    found = []
    thread = threading.Thread(target=lambda: found.append(target()))
    thread.start()
    return thread, found


# -- get_job ----------------------------------------------------------------------------------


def test_the_result_of_a_call_that_outlived_its_time_can_be_waited_for(live, stage):
    job = late(live, stage)
    assert data(ask(live, "get_job", job_id=job))["state"] == "running"
    thread, found = started(lambda: ask(live, "get_job", job_id=job, wait_ms=20000))
    # The server answers others while somebody waits.
    assert data(ask(live, "get_status"))["holder"]["job_id"] == job
    assert found == []
    stage.leave.set()
    thread.join(20)
    assert data(found[0]) == {"blocked": True}
    assert found[0]["_meta"]["dcc-mcp-embed/job"]["state"] == "finished"
    assert data(ask(live, "get_job", job_id=job, wait_ms=20000)) == {"blocked": True}


def test_a_wait_that_is_over_says_how_far_the_job_is(live, stage):
    job = late(live, stage)
    begun = time.monotonic()
    assert data(ask(live, "get_job", job_id=job, wait_ms=120))["state"] == "running"
    assert time.monotonic() - begun >= 0.12


def test_nothing_is_waited_for_that_is_not_there(live):
    for wait in (0, 20000):
        error = ask(live, "get_job", job_id="nope", wait_ms=wait)["structuredContent"]["error"]
        assert error["code"] == "not_found"


def test_progress_of_a_job_is_told(live, stage):
    job = late(live, stage, "walk")
    stage.next.release()
    assert stage.entered.acquire(timeout=20)
    state = data(ask(live, "get_job", job_id=job))
    assert state["progress"] == {"done": 1, "total": 3, "message": "step"}


def test_who_waits_and_leaves_harms_nobody(live, stage):
    job = late(live, stage)
    message = {"name": "get_job", "arguments": {"job_id": job, "wait_ms": 20000}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": message})
    with live.connect() as wire:
        lines = ["POST /mcp HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        lines += ["Content-Length: {}".format(len(body))]
        lines += ["{}: {}".format(*one) for one in live.authorization.items()]
        wire.send("\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body.encode("ascii"))
        ask(live, "get_status")
    stage.leave.set()
    assert data(ask(live, "get_job", job_id=job, wait_ms=20000)) == {"blocked": True}


def test_only_so_many_calls_wait_at_once_and_the_others_are_told(live, stage, monkeypatch):
    monkeypatch.setattr(control, "MOST_WAITING", 2)
    job = late(live, stage)
    arguments = {"job_id": job, "wait_ms": 20000}
    params = {"name": "get_job", "arguments": arguments}
    messages = [
        {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        for number in range(3)
    ]
    headers = {"MCP-Protocol-Version": "2025-03-26"}
    body = json.dumps(messages).encode("ascii")
    monkeypatch.setattr(jobs, "MAX_WAIT_MS", 100)
    with live.connect() as wire:
        answers = wire.request("POST", "/mcp", headers, body).json
    results = [one["result"] for one in sorted(answers, key=lambda one: one["id"])]
    assert [data(one)["state"] for one in results[:2]] == ["running"] * 2
    error = results[2]["structuredContent"]["error"]
    assert (error["code"], error["retry_after_ms"]) == ("host_busy", 5000)
    assert "2 calls wait for the end of jobs" in error["message"]
    # Those two have gone, and left room.
    assert data(ask(live, "get_job", job_id=job, wait_ms=1))["state"] == "running"


MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def calling(arguments, ident=1, **params):
    params = dict({"name": "get_job", "arguments": arguments}, **params)
    return {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}


#: How it comes -> path, headers, and the body for some arguments.
WAITS = {
    "stateless": (
        "/mcp",
        {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "get_job"},
        lambda arguments: calling(arguments, _meta=META),
    ),
    "handshake": ("/mcp", {}, calling),
    "session": ("/mcp", {"Mcp-Session-Id": "from-before"}, calling),
    "with events": (
        "/mcp",
        {},
        lambda arguments: calling(arguments, _meta={"progressToken": "p"}),
    ),
    "batch": ("/mcp", {}, lambda arguments: [calling(arguments, n) for n in range(2)]),
    "REST": ("/v1/call", {}, lambda found: {"tool_slug": "get_job", "arguments": found}),
}


@pytest.mark.parametrize("kind", WAITS)
def test_a_wait_ends_with_its_connection(live, stage, monkeypatch, kind):
    path, headers, message = WAITS[kind]
    monkeypatch.setattr(control, "MOST_WAITING", 2 if kind == "batch" else 1)
    job = late(live, stage)
    body = json.dumps(message({"job_id": job, "wait_ms": 30000})).encode("ascii")

    def full():
        return ask(live, "get_job", job_id=job, wait_ms=1)["isError"]

    with live.connect() as wire:
        head = ["POST {} HTTP/1.1".format(path), "Host: localhost"]
        head += ["Content-Type: application/json", "Content-Length: {}".format(len(body))]
        head += ["{}: {}".format(*one) for one in (*live.authorization.items(), *headers.items())]
        wire.send("\r\n".join(head).encode("ascii") + b"\r\n\r\n" + body)
        for _ in tries():
            if full():
                break
    # None of them is left.
    monkeypatch.setattr(control, "MOST_WAITING", 1)
    for _ in tries():
        if not full():
            return
    raise AssertionError("it still waits")


def test_the_end_of_the_server_is_the_end_of_waiting(live, stage):
    job = late(live, stage, "walk")
    sent = threading.Event()

    def wait():
        with live.connect() as wire:
            params = {"name": "get_job", "arguments": {"job_id": job, "wait_ms": 30000}}
            sent.set()
            try:
                return wire.rpc("tools/call", params).status
            except (EOFError, ConnectionError):
                return "closed"

    thread, found = started(wait)
    assert sent.wait(20)
    begun = time.monotonic()
    live.adapter.close()
    thread.join(20)
    assert found in ([200], ["closed"])
    assert time.monotonic() - begun < 10
    # The worker's thread ends with its tool.
    for _ in range(3):
        stage.next.release()


def test_code_in_this_process_does_not_wait(live, stage):
    job = late(live, stage)
    found = live.server.call("get_job", {"job_id": job, "wait_ms": 20000})
    assert found["structuredContent"]["data"]["state"] == "running"


def test_of_a_call_in_this_process_that_outlived_its_time_nothing_is_kept(live, stage):
    class Own:
        """What the host gives out."""

    gone = threading.Event()

    @dcc_mcp_embed.tool(thread="worker", read_only=True)
    def hand_out() -> None:
        """Return what is the host's own."""
        one = Own()
        weakref.finalize(one, gone.set)
        stage.entered.release()
        assert stage.leave.wait(20)
        return one

    live.server.register_tools(declared_among(locals()))
    with pytest.raises(TimeoutRunning) as raised:
        live.server.call("hand_out", timeout=0.3)
    job = raised.value.details["job_id"]
    assert stage.entered.acquire(timeout=20)
    stage.leave.set()
    assert data(ask(live, "get_job", job_id=job, wait_ms=20000))["state"] == "finished"
    assert gone.wait(20)


def test_a_call_in_this_process_reports_what_can_be_told(live):
    @dcc_mcp_embed.tool(thread="worker", read_only=True)
    def wrong():
        """Report."""
        yield dcc_mcp_embed.Progress("half")

    live.server.register_tools(declared_among(locals()))
    with pytest.raises(HostError) as raised:
        live.server.call("wrong")
    assert "whose done is a str" in raised.value.message


# -- list_jobs --------------------------------------------------------------------------------


def test_jobs_that_wait_run_and_ended_late_are_listed(live, stage):
    assert data(ask(live, "list_jobs")) == {"items": []}
    walking = late(live, stage, "walk")
    for _ in range(3):
        stage.next.release()
    ask(live, "get_job", job_id=walking, wait_ms=20000)
    blocking = late(live, stage)
    thread, found = started(lambda: ask(live, "act"))
    for _ in tries():
        items = data(ask(live, "list_jobs"))["items"]
        if len(items) == 3:
            break
    assert [(one["tool"], one["state"]) for one in items] == [
        ("walk", "finished"),
        ("block", "running"),
        ("act", "queued"),
    ]
    assert [one["job_id"] for one in items][:2] == [walking, blocking]
    for state, tool in (("finished", "walk"), ("running", "block"), ("queued", "act")):
        shown = data(ask(live, "list_jobs", state=state))["items"]
        assert [one["tool"] for one in shown] == [tool]
    cancelled = data(ask(live, "cancel_job", job_id=items[2]["job_id"]))
    assert cancelled["effect"] == "removed_from_queue"
    thread.join(20)
    assert found[0]["structuredContent"]["error"]["code"] == "cancelled"
    # A call that was answered in time is nobody's business any more.
    stage.leave.set()
    ask(live, "get_job", job_id=blocking, wait_ms=20000)
    assert data(ask(live, "act")) == {"acted": True}
    assert [one["tool"] for one in data(ask(live, "list_jobs"))["items"]] == ["walk", "block"]


# -- job://{job}/result -----------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["list_many", "list_here"])
def test_a_result_that_was_cut_is_read_whole(live, tool):
    result = ask(live, tool, count=20000)
    told = result["structuredContent"]
    assert told["truncated"] is True
    (link,) = [one for one in result["content"] if one["type"] == "resource_link"]
    answer = read(live, link["uri"]).json["result"]
    (content,) = answer["contents"]
    assert content["uri"] == link["uri"]
    assert content["mimeType"] == "application/json"
    items = json.loads(content["text"])["items"]
    assert items == ["item {}".format(number) for number in range(20000)]
    assert items[: len(told["data"]["items"])] == told["data"]["items"]


@pytest.mark.parametrize("kind", ["item", "\u4e2d\U0001f600", '"\\'])
def test_a_result_that_was_cut_is_read_in_parts_by_a_tool(live, kind):
    result = ask(live, "repeat", text=kind, count=8000)
    (link,) = [one for one in result["content"] if one["type"] == "resource_link"]
    job = link["uri"][len("job://") : -len("/result")]
    parts, offset = [], 0
    while offset is not None:
        answer = ask(live, "get_job", job_id=job, offset=offset, wait_ms=20000)
        assert len(answer["content"][0]["text"].encode("utf-8")) < 48 * 1024
        part = data(answer)
        assert (part["offset"], part["state"]) == (offset, "finished")
        parts.append(part["text"])
        offset = part["next_offset"]
    assert len("".join(parts)) == part["characters"]
    (content,) = read(live, link["uri"]).json["result"]["contents"]
    assert "".join(parts) == content["text"]
    assert json.loads("".join(parts)) == {"items": [kind * 3] * 8000}
    beyond = data(ask(live, "get_job", job_id=job, offset=10**9))
    assert (beyond["text"], beyond["next_offset"]) == ("", None)


def test_the_result_of_a_job_is_read_once_it_has_one(live, stage):
    job = late(live, stage)
    uri = "job://{}/result".format(job)
    refused = read(live, uri).json["error"]
    assert refused["code"] == -32002
    assert "no result yet: it is running" in refused["message"]
    stage.leave.set()
    ask(live, "get_job", job_id=job, wait_ms=20000)
    (content,) = read(live, uri).json["result"]["contents"]
    assert data(json.loads(content["text"])) == {"blocked": True}


def test_what_is_not_kept_is_not_found(live):
    refused = read(live, "job://nope/result").json["error"]
    assert refused["code"] == -32002
    assert "make the call again" in refused["message"]


def test_it_is_one_of_the_templates(live):
    with live.connect() as wire:
        found = wire.rpc("resources/templates/list").json["result"]["resourceTemplates"]
    assert "job://{job}/result" in [one["uriTemplate"] for one in found]
