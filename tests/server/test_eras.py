"""Two eras on one endpoint: what belongs to one of them is not found in the other."""

from __future__ import annotations

import json

import pytest

from fakes.live import Live
from fakes.streaming import initialize

MODERN = "2026-07-28"
BATCHED = "2025-03-26"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
STATELESS = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}


@pytest.fixture
def live(tmp_path, monkeypatch):
    one = Live(str(tmp_path), monkeypatch)
    yield one
    one.close()


@pytest.fixture
def wire(connect):
    return connect()


def post(wire, messages, **headers):
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return wire.request("POST", "/mcp", found, json.dumps(messages).encode("utf-8"))


def ping(ident=1):
    return {"jsonrpc": "2.0", "id": ident, "method": "ping"}


def listen(ident, version=MODERN):
    meta = dict(META, **{"io.modelcontextprotocol/protocolVersion": version})
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": ident, "method": "subscriptions/listen", "params": params}


# -- batches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [MODERN, "bogus", "2024-11-05", "2025-06-18", "2025-11-25"])
def test_a_batch_under_the_name_of_another_revision_is_refused(wire, version):
    answer = post(wire, [ping(1), ping(2)], MCP_Protocol_Version=version)
    assert (answer.status, answer.code) == (400, -32600)
    assert BATCHED in answer.json["error"]["message"]


def test_a_batch_without_a_name_belongs_to_its_session_or_to_the_revision_that_is_assumed(wire):
    assert len(post(wire, [ping(1), ping(2)]).json) == 2
    for version in ("2024-11-05", BATCHED, "2025-11-25"):
        answer = post(wire, [ping(1)], **initialize(wire, version=version))
        assert answer.status == (200 if version == BATCHED else 400)


@pytest.mark.parametrize("version", [MODERN, BATCHED, "bogus"])
def test_no_message_of_the_stateless_era_gets_into_a_batch(live, wire, version):
    sent = [listen(1, version), ping(2), listen(3, version)]
    headers = {"MCP_Protocol_Version": BATCHED, "Mcp_Method": "subscriptions/listen"}
    for more in (headers, {}):
        answers = {one["id"]: one for one in post(wire, sent, **more).json}
        assert answers[2]["result"] == {}
        assert answers[1]["error"]["code"] == answers[3]["error"]["code"]
        assert answers[1]["error"]["code"] in (-32020, -32022)
    assert len(live.server._server.subscriptions) == 0


# -- sessions -----------------------------------------------------------------------------------


def test_a_request_of_the_stateless_era_is_served_whatever_session_it_names(wire):
    session = initialize(wire)
    assert wire.request("DELETE", "/mcp", session).status == 200
    answer = wire.rpc("tools/list", {"_meta": META}, headers=dict(STATELESS, **session))
    assert answer.status == 200
    assert answer.json["result"]["resultType"] == "complete"
    # In the other era it has ended.
    assert wire.rpc("tools/list", headers=session).status == 404


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_in_the_stateless_era_there_is_nothing_but_post(wire, method):
    session = initialize(wire)
    headers = dict(session, **{"MCP-Protocol-Version": MODERN})
    for one in (headers, {"MCP-Protocol-Version": MODERN}):
        answer = wire.request(method, "/mcp", one)
        assert answer.status == 405
        assert "POST" in answer.headers["allow"]
    assert wire.request("DELETE", "/mcp", session).status == 200
