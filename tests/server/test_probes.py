"""Edge requests against a real server: status, JSON-RPC code, and that the next one is answered.

The table is the verdict on the differential oracle (what the official SDKs and dcc-mcp-core answer,
and what we chose where they disagree).
"""

from __future__ import annotations

import json

import pytest

from fakes.live import Live

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    one = Live(str(tmp_path_factory.mktemp("home")), patch)
    yield one
    one.close()
    patch.undo()


def post(body=PING, path="/mcp", method="POST", version="1.1", **headers):
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda wire: wire.request(method, path, shown, body, version)


def rpc(method, params=None, ident=7, **headers):
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda wire: wire.rpc(method, params, ident, shown)


def modern(method, params=None, drop=(), **changed):
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    if params and "name" in params:
        headers["Mcp-Name"] = params["name"]
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    shown = {name: value for name, value in headers.items() if name not in drop}
    return lambda wire: wire.rpc(method, dict(params or {}, _meta=META), 7, shown)


CALL = {"name": "get_status", "arguments": {}}
PROBES = [
    ("initialize 2024-11-05", rpc("initialize", {"protocolVersion": "2024-11-05"}), 200, None),
    ("initialize 2026-07-28", rpc("initialize", {"protocolVersion": MODERN}), 200, None),
    ("initialized", rpc("notifications/initialized", ident=None), 202, "empty"),
    ("ping", rpc("ping"), 200, None),
    ("ping id 0", rpc("ping", ident=0), 200, None),
    ("tools/call", rpc("tools/call", CALL), 200, None),
    ("tools/call string id", rpc("tools/call", CALL, ident="x"), 200, None),
    ("unknown tool", rpc("tools/call", {"name": "nope"}), 200, "isError"),
    (
        "wrong argument type",
        rpc("tools/call", {"name": "get_log", "arguments": {"lines": "many"}}),
        200,
        "isError",
    ),
    ("missing arguments", rpc("tools/call", {"name": "get_object"}), 200, "isError"),
    ("no params", rpc("tools/call"), 200, -32602),
    ("arguments is a list", rpc("tools/call", {"name": "get_log", "arguments": []}), 200, -32602),
    ("unknown method", rpc("nope"), 200, -32601),
    (
        "unknown task",
        rpc("tasks/get", {"taskId": "0"}, MCP_Protocol_Version="2025-11-25"),
        200,
        -32602,
    ),
    ("unknown notification", rpc("notifications/nope", ident=None), 202, "empty"),
    ("a response", post(b'{"jsonrpc":"2.0","id":1,"result":{}}'), 202, "empty"),
    ("cancelled, unknown", rpc("notifications/cancelled", {"requestId": 9}, None), 202, "empty"),
    ("bad JSON", post(b'{"jsonrpc": '), 400, -32700),
    ("empty body", post(b""), 400, -32700),
    ("JSON but no message", post(b'{"a":1}'), 400, -32600),
    ("jsonrpc 1.0", post(b'{"jsonrpc":"1.0","id":7,"method":"ping"}'), 400, -32600),
    ("id null", post(b'{"jsonrpc":"2.0","id":null,"method":"ping"}'), 400, -32600),
    ("id float", post(b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}'), 400, -32600),
    (
        "batch, revision without",
        post(b"[" + PING + b"]", MCP_Protocol_Version="2025-11-25"),
        400,
        -32600,
    ),
    (
        "batch, 2025-03-26",
        post(b"[" + PING + b"," + PING + b"]", MCP_Protocol_Version="2025-03-26"),
        200,
        "batch",
    ),
    ("empty batch", post(b"[]"), 400, -32600),
    (
        "initialize in a batch",
        post(
            b'[{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}]',
            MCP_Protocol_Version="2025-03-26",
        ),
        200,
        "batch of errors",
    ),
    ("not UTF-8", post(b'{"jsonrpc":"2.0","id":7,"method":"\xff"}'), 400, -32700),
    ("Accept */*", rpc("ping", Accept="*/*"), 200, None),
    ("Accept json only", rpc("ping", Accept="application/json"), 200, None),
    ("Accept events only", rpc("ping", Accept="text/event-stream"), 406, "error"),
    ("Accept missing", rpc("ping", Accept=None), 200, None),
    ("Content-Type text/plain", rpc("ping", Content_Type="text/plain"), 415, "error"),
    ("Content-Type missing", rpc("ping", Content_Type=None), 415, "error"),
    ("charset", rpc("ping", Content_Type="application/json; charset=utf-8"), 200, None),
    ("Origin evil", rpc("ping", Origin="http://evil.example.com"), 403, "error"),
    ("Origin null", rpc("ping", Origin="null"), 403, "error"),
    ("Origin localhost", rpc("ping", Origin="http://localhost:3000"), 200, None),
    ("Host evil", rpc("ping", Host="evil.example.com"), 421, "error"),
    ("Host localhost", rpc("ping", Host="localhost"), 200, None),
    ("no token", rpc("ping", Authorization=None), 401, "error"),
    ("wrong token", rpc("ping", Authorization="Bearer " + "0" * 40), 401, "error"),
    ("version bogus", rpc("ping", MCP_Protocol_Version="bogus"), 400, -32602),
    ("unknown session", rpc("ping", Mcp_Session_Id="f" * 32), 200, None),
    ("GET", post(b"", method="GET"), 405, "error"),
    ("GET without MCP headers", post(b"", method="GET", Accept=None), 405, "error"),
    ("PUT", post(b"{}", method="PUT"), 405, "error"),
    ("HEAD", post(b"", method="HEAD"), 405, "empty"),
    ("OPTIONS", post(b"", method="OPTIONS", Origin="http://localhost:1"), 405, "error"),
    ("other path", post(path="/nope"), 404, "error"),
    ("path with slash", post(path="/mcp/"), 200, None),
    (
        "well-known",
        post(b"", "/.well-known/oauth-protected-resource", "GET", Authorization=None),
        404,
        "error",
    ),
    ("register", post(b"{}", "/register", Authorization=None), 404, "error"),
    ("HTTP/1.0", post(version="1.0"), 200, None),
    ("DELETE, unknown session", post(b"", method="DELETE", Mcp_Session_Id="a"), 404, "error"),
    ("M discover", modern("server/discover"), 200, None),
    ("M tools/list", modern("tools/list"), 200, None),
    ("M tools/call", modern("tools/call", CALL), 200, None),
    ("M unknown tool", modern("tools/call", {"name": "nope"}), 400, -32602),
    ("M name mismatch", modern("tools/call", CALL, Mcp_Name="x"), 400, -32020),
    ("M name missing", modern("tools/call", CALL, ["Mcp-Name"]), 400, -32020),
    ("M method missing", modern("tools/list", None, ["Mcp-Method"]), 400, -32020),
    ("M version header missing", modern("tools/list", None, ["MCP-Protocol-Version"]), 400, -32020),
    (
        "M legacy version header",
        modern("tools/list", MCP_Protocol_Version="2025-11-25"),
        400,
        -32020,
    ),
    ("M header without _meta", rpc("tools/list", MCP_Protocol_Version=MODERN), 400, -32602),
    ("M ping", modern("ping"), 404, -32601),
    ("M initialize", modern("initialize"), 404, -32601),
    ("M session header is ignored", modern("tools/list", Mcp_Session_Id="x"), 200, None),
]


@pytest.mark.parametrize(
    ("name", "send", "status", "wanted"), PROBES, ids=[row[0] for row in PROBES]
)
def test_probe(live, name, send, status, wanted):
    with live.connect() as wire:
        answer = send(wire)
        assert answer.status == status, answer
        if wanted is None:
            assert "result" in answer.json, answer
            assert not answer.json["result"].get("isError"), answer
        elif wanted == "isError":
            assert answer.json["result"]["isError"] is True
            assert answer.json["result"]["structuredContent"]["ok"] is False
        elif wanted == "error":
            assert len(answer.json["error"]) > 20, "an error says what to change"
        elif wanted == "empty":
            assert answer.body == b""
        elif wanted == "batch of errors":
            assert [one["error"]["code"] for one in answer.json] == [-32600]
            assert "mcp-session-id" not in answer.headers
        elif wanted == "batch":
            assert [one["id"] for one in answer.json] == [7, 7]
        else:
            assert answer.code == wanted, answer
            assert answer.json.get("id", 7) == 7
            assert answer.json.get("id", "absent") is not None
    with live.connect() as wire:
        assert wire.rpc("ping").status == 200


def test_a_refusal_without_a_body_keeps_the_connection_and_one_with_a_body_ends_it(live):
    with live.connect() as wire:
        assert wire.request("GET", "/.well-known/x").status == 404
        assert wire.rpc("ping").status == 200
        answer = wire.rpc("ping", headers={"Authorization": "Bearer no"})
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["connection"] == "close"
        assert wire.at_end()


def test_a_session_is_opened_used_and_ended(live):
    with live.connect() as wire:
        answer = wire.rpc(
            "initialize", {"protocolVersion": "2025-11-25", "clientInfo": {"name": "t"}}
        )
        ident = answer.headers["mcp-session-id"]
        assert wire.rpc("ping", headers={"Mcp-Session-Id": ident}).status == 200
        assert wire.request("DELETE", "/mcp", {"Mcp-Session-Id": ident}).status == 200
        assert wire.rpc("ping", headers={"Mcp-Session-Id": ident}).status == 404
        assert wire.rpc("ping").status == 200


def test_the_root_says_what_this_is_without_a_token_and_proves_itself_to_one_of_ours(live):
    with live.connect() as wire:
        answer = wire.request("GET", "/", {"Authorization": None, "X-DCC-MCP-Challenge": "c" * 32})
        assert answer.status == 200
        assert answer.body.count(b"\n") == 1
        assert b"standalone" in answer.body
        assert answer.headers["x-dcc-mcp-proof"]
        assert live.server.token not in repr(answer.headers) + repr(answer.body)


def test_requests_sent_ahead_are_answered_in_order(live):
    lines = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    lines += "Authorization: {}\r\n".format(live.authorization["Authorization"])
    with live.connect() as wire:
        for number in range(100):
            body = json.dumps(
                {
                    "jsonrpc": "2.0",
                    "id": number,
                    "method": "tools/call",
                    "params": {"name": "get_selection" if number % 3 else "get_status"},
                }
            )
            wire.send("{}Content-Length: {}\r\n\r\n{}".format(lines, len(body), body).encode())
        assert [wire.read().json["id"] for _ in range(100)] == list(range(100))


def test_a_hundred_continue_is_sent_before_the_body_is_wanted(live):
    with live.connect() as wire:
        head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += "Authorization: {}\r\nExpect: 100-continue\r\n".format(
            live.authorization["Authorization"]
        )
        wire.send("{}Content-Length: {}\r\n\r\n".format(head, len(PING)).encode())
        assert wire.read().status == 100
        wire.send(PING)
        assert wire.read().status == 200
