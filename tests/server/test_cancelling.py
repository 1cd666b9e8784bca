"""Whoever cancels is answered exactly once, in both eras, whatever the call was doing.

Earlier revisions send ``notifications/cancelled``. In 2026-07-28 a client ends its side of the
connection; one that goes on listening shows how often it is answered.
"""

from __future__ import annotations

import json
import socket
import threading

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import DEADLINE, tries
from fakes.stage import Stage
from fakes.streaming import Streaming, initialize

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
KINDS = ["handshake", "handshake events", "stateless", "stateless events"]


@pytest.fixture
def stage():
    with Stage() as one:
        one.step = threading.Semaphore(0)

        @dcc_mcp_embed.tool
        def block() -> str:
            """Keep the main thread."""
            one.entered.release()
            assert one.leave.wait(DEADLINE)
            one.ran.append("block")
            return "block"

        @dcc_mcp_embed.tool
        def act(name: str = "act") -> str:
            """Note that it ran."""
            one.ran.append(name)
            return name

        @dcc_mcp_embed.tool
        def walk():
            """Take steps that the test allows."""
            try:
                for number in range(5):
                    one.entered.release()
                    assert one.step.acquire(timeout=DEADLINE)
                    one.ran.append(number)
                    yield Progress(number + 1, 5)
                return "walked"
            finally:
                one.ran.append("left")

        one.add(block, act, walk)
        yield one
        for _ in range(5):
            one.step.release()


@pytest.fixture
def start(tmp_path, monkeypatch, stage):
    with stage.servers(str(tmp_path), monkeypatch, limits=Limits()) as start:
        yield start
        for _ in range(5):
            stage.step.release()


@pytest.fixture
def send():
    """Return what sends a call; at the end all connections are closed."""
    calls = []

    def send(*args, **arguments):
        calls.append(Call(*args, **arguments))
        return calls[-1]

    yield send
    for call in calls:
        call.leave()


class Call:
    """One call on a connection of its own, which then brings all of its answers."""

    def __init__(self, live, kind, tool, ident=1, **arguments):
        self._live = live
        self._stateless = kind.startswith("stateless")
        self._ident = ident
        self._ended = False
        self._wire = wire = Streaming(live)
        wire.sock.settimeout(DEADLINE)
        params = {"name": tool, "arguments": arguments, "_meta": {}}
        if "events" in kind:
            params["_meta"]["progressToken"] = "token"
        headers = {"Host": "localhost", **live.authorization, "Content-Type": "application/json"}
        if self._stateless:
            params["_meta"].update(META)
            headers.update(
                {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
            )
        else:
            self.session = initialize(wire)
            headers.update(self.session)
        message = {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}
        body = json.dumps(message).encode("ascii")
        headers["Content-Length"] = str(len(body))
        lines = ["POST /mcp HTTP/1.1", *("{}: {}".format(*pair) for pair in headers.items())]
        wire.send("\r\n".join([*lines, "", ""]).encode("ascii") + body)

    def cancel(self):
        """Say that the answer is not wanted, as the era has it."""
        if self._stateless:
            self._wire.sock.shutdown(socket.SHUT_WR)
            self._ended = True
            return
        with self._live.connect() as other:
            params = {"requestId": self._ident}
            assert other.rpc("notifications/cancelled", params, None, self.session).status == 202

    def leave(self):
        self._wire.close()

    def result(self):
        """Return the result, having seen that there is one and that nothing comes after it."""
        wire = self._wire
        answer = wire.read()
        assert answer.status == 200, answer
        messages = [answer.json] if answer.body else wire.messages()
        answers = [one for one in messages if "id" in one]
        assert [one["id"] for one in answers] == [self._ident], messages
        if self._ended:
            assert wire.at_end()
        else:
            assert wire.rpc("ping", ident="next").json["id"] == "next"
        return answers[0]["result"]

    def error(self):
        result = self.result()
        assert result["isError"] is True, result
        return result["structuredContent"]["error"]


def status(live):
    with live.connect() as wire:
        return wire.tool("get_status")["structuredContent"]["data"]


def until_queued(live, depth):
    for _ in tries():
        if status(live)["queue_depth"] == depth:
            return
    raise AssertionError(status(live))


def blocked(live, send, stage):
    """Return a call that has the main thread."""
    pending = send(live, "handshake", "block")
    assert stage.entered.acquire(timeout=DEADLINE)
    return pending


@pytest.mark.parametrize("kind", KINDS)
def test_a_queued_call_is_removed_and_answered_once(start, send, stage, kind):
    live = start()
    holding = blocked(live, send, stage)
    gone, kept = send(live, kind, "act", name="gone"), send(live, kind, "act", name="kept")
    until_queued(live, 2)
    gone.cancel()
    found = gone.error()
    assert (found["code"], found["state"]) == ("cancelled", "not_started")
    until_queued(live, 1)
    stage.leave.set()
    assert holding.result()["isError"] is False
    assert kept.result()["isError"] is False
    assert stage.ran == ["block", "kept"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_running_generator_stops_at_its_next_step_and_is_answered_once(start, send, stage, kind):
    live = start()
    call = send(live, kind, "walk")
    assert stage.entered.acquire(timeout=DEADLINE)
    call.cancel()
    # Whoever comes later is answered later: by then the server knows.
    status(live)
    stage.step.release()
    assert call.error()["code"] == "cancelled"
    assert stage.ran == [0, "left"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_ends_just_then_is_answered_once_with_the_truth(start, send, stage, kind):
    live = start()
    for number in range(12):
        name = str(number)
        stage.leave.clear()
        holding = blocked(live, send, stage)
        call = send(live, kind, "act", name=name)
        until_queued(live, 1)
        free = threading.Thread(target=stage.leave.set)
        free.start()
        call.cancel()
        result = call.result()
        holding.result()
        free.join(DEADLINE)
        if result["isError"]:
            found = result["structuredContent"]["error"]
            assert (found["code"], found["state"]) == ("cancelled", "not_started")
        assert (name in stage.ran) == (not result["isError"])


@pytest.mark.parametrize("kind", ["stateless", "stateless events"])
def test_who_closes_takes_only_its_own_call_with_it(start, send, stage, kind):
    """Ids are of a client's own in that era; all of these have the same."""
    live = start()
    holding = blocked(live, send, stage)
    gone, kept = send(live, kind, "act", name="gone"), send(live, kind, "act", name="kept")
    until_queued(live, 2)
    gone.leave()
    until_queued(live, 1)
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "notifications/cancelled"}
    with live.connect() as wire:
        # Closing is the only sign; a notification would be anybody's.
        params = {"requestId": 1, "_meta": META}
        assert wire.rpc("notifications/cancelled", params, None, headers).status == 202
        assert wire.rpc("notifications/cancelled", {"requestId": 1}, None).status == 202
    stage.leave.set()
    assert holding.result()["isError"] is False
    assert kept.result()["isError"] is False
    assert stage.ran == ["block", "kept"]


def test_one_of_a_batch_is_cancelled_alone(start, send, stage):
    live = start()
    holding = blocked(live, send, stage)
    with Streaming(live) as wire:
        wire.sock.settimeout(DEADLINE)
        session = initialize(wire, version="2025-03-26")
        batch = [
            {
                "jsonrpc": "2.0",
                "id": name,
                "method": "tools/call",
                "params": {"name": "act", "arguments": {"name": name}},
            }
            for name in ("gone", "kept")
        ]
        answers = []
        body = json.dumps(batch).encode("ascii")

        def post():
            answers.append(wire.request("POST", "/mcp", session, body))

        poster = threading.Thread(target=post, name="poster")
        poster.start()
        until_queued(live, 2)
        with live.connect() as other:
            other.rpc("notifications/cancelled", {"requestId": "gone"}, None, session)
        until_queued(live, 1)
        stage.leave.set()
        poster.join(DEADLINE)
        found = {one["id"]: one["result"] for one in answers[0].json}
        assert len(answers[0].json) == 2
        assert wire.rpc("ping", ident="next", headers=session).json["id"] == "next"
    assert found["gone"]["content"][0]["text"].startswith("cancelled")
    assert found["kept"]["isError"] is False
    assert holding.result()["isError"] is False
    assert stage.ran == ["block", "kept"]
