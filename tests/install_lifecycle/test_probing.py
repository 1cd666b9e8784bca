"""One call through a sidecar: every kind of answer, and every way to get none."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

import helpers
from dcc_mcp_embed.install_lifecycle import probe_sidecar_tool
from dcc_mcp_embed.install_lifecycle import probing as module
from fakes.answering import Answering, http

ID = "sidecar-ready-probe-1"


def judge(answer, status=200):
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode("utf-8")
    return module.judge_reply(status, body, ID)


def told(result):
    assert json.loads(json.dumps(result)) == result
    assert None not in result.values()
    assert result["success"] is (result["status"] == "probe_ok")
    assert result["message"] and isinstance(result["message"], str)
    return result["status"]


def answered(result, **more):
    return dict({"jsonrpc": "2.0", "id": ID, "result": result}, **more)


@pytest.mark.parametrize(
    "result",
    [{"content": [], "isError": False}, {}, None, [], "pong", {"success": True}, {"isError": 0}],
)
def test_a_result_is_a_proof(result):
    found = judge(answered(result, error={}))
    assert told(found) == "probe_ok"
    assert (found.get("result"), found["http_status"]) == (result, 200)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"isError": True}, "The tool says that it failed."),
        ({"success": False, "why": "busy", "message": "Too busy"}, "Too busy"),
        ({"success": False, "error": ["x"]}, "['x']"),
    ],
)
def test_a_tool_may_say_that_it_failed(result, words):
    found = judge(answered(result))
    assert (told(found), found["message"]) == ("probe_failed", words)
    assert (found["result"], found["http_status"]) == (result, 200)


@pytest.mark.parametrize(
    ("error", "told_as", "words"),
    [
        ({"code": -32000, "message": "transport-error"}, None, "transport-error"),
        ({"code": -32000}, None, "The sidecar answered with an error."),
        ("gone", {"message": "gone"}, "gone"),
        (7, {"message": 7}, "7"),
    ],
)
def test_so_may_the_sidecar(error, told_as, words):
    found = judge({"jsonrpc": "2.0", "id": None, "error": error})
    assert (told(found), found["message"]) == ("probe_failed", words)
    assert (found["error"], found["http_status"]) == (told_as or error, 200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"[" * 100000,
        b"[1]",
        b"5",
        b"null",
        b"event: message\ndata: {}\n\n",
        {},
        {"jsonrpc": "2.0", "id": ID},
        {"jsonrpc": "2.0", "id": "another", "result": {}},
    ],
    ids=lambda body: repr(body)[:30],
)
def test_what_answers_nothing_proves_nothing(body):
    found = judge(body)
    assert told(found) == "probe_bad_response"
    assert found["http_status"] == 200


@pytest.mark.parametrize("status", [199, 302, 404, 503])
def test_a_refusal_is_told_with_its_number(status):
    found = judge(answered({}), status)
    assert (told(found), found["http_status"]) == ("probe_http_error", status)
    assert found["response"] == answered({})
    assert judge(b"gone", status)["response"] == "gone"


@pytest.mark.parametrize("url", [None, "", " "])
def test_no_address(url):
    found = probe_sidecar_tool(url, "ping")
    assert (told(found), found["tool_name"]) == ("probe_missing_url", "ping")
    assert "mcp_url" not in found


@pytest.mark.parametrize("tool", [None, "", " "])
def test_no_tool(tool):
    found = probe_sidecar_tool("http://127.0.0.1:1/mcp", tool)
    assert (told(found), found["mcp_url"]) == ("probe_missing_tool", "http://127.0.0.1:1/mcp")
    assert "tool_name" not in found


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://127.0.0.1:1/mcp\r\nX: y",
        "http://127.0.0.1:1/ mcp",
    ],
)
def test_what_is_no_address_reaches_nobody(url):
    found = probe_sidecar_tool(url, "ping", timeout_secs=5.0)
    assert told(found) == "probe_unreachable"
    assert found["error"] and found["request_id"].startswith("sidecar-ready-probe-")


def nested(levels):
    found = {}
    for _ in range(levels):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    ("arguments", "timeout"),
    [
        ({"path": object()}, 5.0),
        ({"set": {1}}, 5.0),
        ({"no number": float("nan")}, 5.0),
        ([1], 5.0),
        (7, 5.0),
        (nested(100000), 5.0),
        ({}, "soon"),
        ({}, None),
    ],
    ids=lambda value: repr(type(value)),
)
def test_what_cannot_be_asked_is_told_not_raised(arguments, timeout):
    with Answering() as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        found = probe_sidecar_tool(url, "ping", arguments, timeout_secs=timeout)
    assert told(found) == "probe_unreachable"
    assert found["error"] and server.heard in ([], [b""])


class Sidecar(Answering):
    """One that answers the request it has heard."""

    def __init__(self, result, host="127.0.0.1"):
        self.result = result
        super().__init__(self.answer, host)

    def answer(self, peer):
        while b"}}" not in b"".join(self.heard):
            self.heard.append(peer.recv(65536))
        head, _, body = b"".join(self.heard).partition(b"\r\n\r\n")
        self.head, self.request = head.decode("latin-1"), json.loads(body.decode("utf-8"))
        reply = {"jsonrpc": "2.0", "id": self.request["id"], "result": self.result}
        peer.sendall(http(json.dumps(reply).encode("utf-8")))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_request_is_one_call_and_goes_straight_to_the_address(host, monkeypatch):
    if host == "::1":
        helpers.require(helpers.has_ipv6(), "IPv6")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Sidecar({"content": []}, host) as sidecar:
        shown = "[::1]" if ":" in host else host
        url = "http://{}:{}/mcp?x=1#y".format(shown, sidecar.port)
        found = probe_sidecar_tool(url, "diagnostics__ping", {"deep": True}, timeout_secs=30.0)
    assert told(found) == "probe_ok", found
    assert found["mcp_url"] == url and found["result"] == {"content": []}
    lines = sidecar.head.split("\r\n")
    assert lines[0] == "POST /mcp?x=1 HTTP/1.1"
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["host"] == "{}:{}".format(shown, sidecar.port)
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert sidecar.request == {
        "jsonrpc": "2.0",
        "id": found["request_id"],
        "method": "tools/call",
        "params": {"name": "diagnostics__ping", "arguments": {"deep": True}},
    }


@pytest.mark.parametrize("timeout", [float("inf"), 1e300])
def test_a_time_without_end_is_a_long_one(timeout):
    with Sidecar({}) as sidecar:
        url = "http://127.0.0.1:{}/mcp".format(sidecar.port)
        assert told(probe_sidecar_tool(url, "ping", timeout_secs=timeout)) == "probe_ok"


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:{}/mcp".format(unused.getsockname()[1])
        assert told(probe_sidecar_tool(url, "ping", timeout_secs=30.0)) == "probe_unreachable"


@pytest.mark.parametrize(
    "reply", [b"HELLO\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"]
)
def test_what_is_no_http_is_no_answer(reply):
    def answer(peer):
        peer.sendall(reply)

    with Answering(answer) as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        assert told(probe_sidecar_tool(url, "ping", timeout_secs=30.0)) == "probe_unreachable"


def test_a_redirect_is_not_followed():
    with Answering(http(b"", "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/")) as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        found = probe_sidecar_tool(url, "ping", timeout_secs=30.0)
    assert (told(found), found["http_status"]) == ("probe_http_error", 307)


def test_an_answer_without_end_is_none(monkeypatch):
    monkeypatch.setattr(module, "MAX_REPLY", 1000)
    with Answering(http(b" " * 2000)) as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        found = probe_sidecar_tool(url, "ping", timeout_secs=30.0)
    assert told(found) == "probe_unreachable"
    assert "longer than 1000" in found["error"]


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_drops_now_and_then_buy_no_time(head):
    over = threading.Event()

    def drip(peer):
        peer.sendall(head)
        while not over.wait(0.05):
            peer.sendall(b"X")

    with Answering(drip) as server:
        url = "http://127.0.0.1:{}/mcp".format(server.port)
        began = time.monotonic()
        found = probe_sidecar_tool(url, "ping", timeout_secs=0.4)
        took = time.monotonic() - began
        over.set()
    assert told(found) == "probe_unreachable"
    assert 0.35 < took < 10.0
