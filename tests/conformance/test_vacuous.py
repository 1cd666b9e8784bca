"""Our own word where the official suite lets pass what proves nothing: the fixture, asked strictly.

Where the suite is content with any text, any error, any values or no evidence at all. The texts of
tools, resources, prompts and completions are in ``test_fixture.py``; that nothing was skipped is
seen by the counts in ``test_suite.py``; hosts and origins, which the suite has refused in any way,
are in ``tests/server/test_admission.py``.
"""

from __future__ import annotations

import json
import os

import pytest

from fakes.live import starting
from fakes.streaming import connecting, initialize

pytestmark = pytest.mark.heavy

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixture.py")
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
LOG_LEVEL = "io.modelcontextprotocol/logLevel"
WATCHED = "test://watched-resource"
OTHER = "test://static-text"


@pytest.fixture
def live(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch, registered=False, auth=False) as start:
        yield start(tools=[FIXTURE], profile="full")


@pytest.fixture
def connect(live):
    with connecting(live) as connect:
        yield connect


def called(wire, name, session, ident=1):
    """Call a tool in a session; return the messages of the answer, the response last."""
    answer = wire.rpc("tools/call", {"name": name}, ident, session)
    return [answer.json] if answer.body else wire.messages()


def asked(connect, name, capabilities=None, meta=None, **params):
    """Call a tool of the stateless era; return (HTTP status, messages of the answer)."""
    offered = {"io.modelcontextprotocol/clientCapabilities": capabilities or {}}
    params = dict({"name": name, "_meta": dict(META, **offered, **(meta or {}))}, **params)
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": name}
    wire = connect()
    answer = wire.rpc("tools/call", params, headers=headers)
    return answer.status, [answer.json] if answer.body else wire.messages()


# -- "logging-set-level" does not look at what is logged ----------------------------------------


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 3), ("notice", 0)])
def test_the_level_of_a_session_decides(connect, level, count):
    wire = connect()
    session = initialize(wire)
    assert wire.rpc("logging/setLevel", {"level": level}, headers=session).json["result"] == {}
    *told, _ = called(wire, "test_tool_with_logging", session)
    assert [one["params"]["level"] for one in told] == ["info"] * count


# -- "resources-subscribe" never sees an update, "-unsubscribe" never that there is none --------


def test_an_update_comes_to_who_has_subscribed_and_for_as_long(live, connect):
    wire, stream = connect(), connect()
    session = initialize(wire)
    stream.listen(session)
    for uri in (WATCHED, OTHER):
        answer = wire.rpc("resources/subscribe", {"uri": uri}, headers=session)
        assert answer.json["result"] == {}
    live.server.resource_updated(WATCHED)
    assert stream.message() == {
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": {"uri": WATCHED},
    }
    answer = wire.rpc("resources/unsubscribe", {"uri": WATCHED}, headers=session)
    assert answer.json["result"] == {}
    live.server.resource_updated(WATCHED)
    # What is told together may come in any order; what was not told by the second time was not.
    for _ in range(2):
        live.server.resource_updated(OTHER)
        assert stream.message()["params"] == {"uri": OTHER}


# -- a server without sessions gets a green tick for all of these -------------------------------


def test_a_session_ends_for_good(connect):
    wire = connect()
    session = initialize(wire)
    assert wire.rpc("ping", headers=session).json["result"] == {}
    assert wire.request("DELETE", "/mcp", session).status == 200
    assert wire.rpc("ping", headers=session).status == 404
    assert connect().listen(session).status == 404
    assert wire.request("DELETE", "/mcp", session).status == 404
    assert initialize(wire) != session


def test_streams_of_one_session_carry_each_their_own(connect):
    wires = [connect() for _ in range(3)]
    session = initialize(wires[0])
    for ident, wire in enumerate(wires):
        params = {"name": "test_tool_with_progress", "_meta": {"progressToken": ident}}
        wire.rpc("tools/call", params, ident, session)
    for ident, wire in enumerate(wires):
        *told, answer = wire.messages()
        assert [one["params"]["progressToken"] for one in told] == [ident] * 3
        assert answer["id"] == ident
        ids = [event.id for event in wire.seen]
        assert len(set(ids)) == len(ids)


def test_a_result_is_fetched_from_a_stream_that_was_closed(connect):
    wire, other = connect(), connect()
    session = initialize(wire)
    wire.rpc("tools/call", {"name": "test_reconnection"}, "call", session)
    first = wire.event()
    assert first.id and first.data == "" and first.retry is not None
    assert wire.event() is None
    other.listen(session, last=first.id)
    (answer,) = other.messages()
    assert answer["id"] == "call"
    text = answer["result"]["content"][0]["text"]
    assert text == "Reconnection test completed successfully"


# -- "sep-2575-..." pass if the tool is missing -------------------------------------------------


def test_nothing_is_logged_unless_the_request_says_so(connect):
    status, (answer,) = asked(connect, "test_logging_tool")
    assert (status, answer["result"]["content"][0]["text"]) == (200, "Logged")
    _, (told, answer) = asked(connect, "test_logging_tool", meta={LOG_LEVEL: "info"})
    assert told["params"] == {"level": "info", "data": "This is a log message"}
    assert answer["result"]["content"][0]["text"] == "Logged"
    _, messages = asked(connect, "test_logging_tool", meta={LOG_LEVEL: "error"})
    assert len(messages) == 1


def test_who_is_asked_is_sent_no_request(connect):
    meta = {"progressToken": "p"}
    _, messages = asked(connect, "test_streaming_elicitation", {"elicitation": {}}, meta)
    told, answer = messages
    assert told["method"] == "notifications/progress"
    result = answer["result"]
    assert result["resultType"] == "input_required"
    (request,) = result["inputRequests"].values()
    assert request["method"] == "elicitation/create"


def test_what_the_client_lacks_is_named(connect):
    status, (answer,) = asked(connect, "test_missing_capability")
    assert (status, answer["error"]["code"]) == (400, -32021)
    assert answer["error"]["data"] == {"requiredCapabilities": {"sampling": {}}}


@pytest.mark.parametrize(
    ("offered", "methods"),
    [
        ({"elicitation": {}}, ["elicitation/create"]),
        ({"sampling": {}}, ["sampling/createMessage"]),
        ({"elicitation": {}, "sampling": {}}, ["elicitation/create", "sampling/createMessage"]),
    ],
)
def test_what_is_not_offered_is_not_asked_for(connect, offered, methods):
    _, (answer,) = asked(connect, "test_input_required_result_capabilities", offered)
    found = answer["result"]["inputRequests"].values()
    assert sorted(one["method"] for one in found) == methods


# -- "input-required-result-validate-input" and its like take any error -------------------------

NAME = "test_input_required_result_elicitation"
GOOD = {"user_name": {"action": "accept", "content": {"name": "Ann"}}}


@pytest.mark.parametrize(
    "given",
    [
        {"user_name": 12345},
        {"user_name": {"action": "shrug"}},
        {"user_name": {"action": "accept", "content": {"name": 1}}},
        {"wrong_key": GOOD["user_name"]},
        {},
        None,
    ],
    ids=["number", "no action", "wrong member", "wrong key", "nothing", "null"],
)
def test_what_is_no_answer_is_asked_for_again(connect, given):
    offered = {"elicitation": {}}
    _, (first,) = asked(connect, NAME, offered)
    for more in ({}, {"requestState": first["result"]["requestState"]}):
        status, (answer,) = asked(connect, NAME, offered, inputResponses=given, **more)
        assert (status, answer["result"]["resultType"]) == (200, "input_required")
        assert list(answer["result"]["inputRequests"]) == ["user_name"]
        # And it goes on from there.
        state = answer["result"]["requestState"]
        _, (answer,) = asked(connect, NAME, offered, inputResponses=GOOD, requestState=state)
        assert answer["result"]["content"][0]["text"] == "Hello, Ann!"


def test_more_answers_than_were_asked_for_do_no_harm(connect):
    given = dict(GOOD, another={"action": "accept"})
    _, (answer,) = asked(connect, NAME, {"elicitation": {}}, inputResponses=given)
    assert answer["result"]["content"][0]["text"] == "Hello, Ann!"


def test_a_spoilt_state_is_refused_and_the_true_one_stays_good(connect):
    name, offered = "test_input_required_result_tampered_state", {"elicitation": {}}
    given = {"confirm": {"action": "accept", "content": {"ok": True}}}
    _, (first,) = asked(connect, name, offered)
    state = first["result"]["requestState"]
    for spoilt in (state + "-TAMPERED", state[:-1], state[::-1], "", 7, {}):
        more = {"inputResponses": given, "requestState": spoilt}
        status, (answer,) = asked(connect, name, offered, **more)
        assert (status, answer["error"]["code"]) == (400, -32602), (spoilt, json.dumps(answer))
    _, (answer,) = asked(connect, name, offered, inputResponses=given, requestState=state)
    assert answer["result"]["content"][0]["text"] == "confirmed"


# -- changes are looked for where they should come, not where they should not -------------------


def test_changes_come_to_those_only_who_listen_for_them(connect):
    def listen(ident, **wishes):
        wire = connect()
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
        params = {"notifications": wishes, "_meta": META}
        wire.rpc("subscriptions/listen", params, ident, headers)
        assert wire.message()["params"]["notifications"] == wishes
        return wire

    tools = listen("a", toolsListChanged=True)
    prompts = listen("b", promptsListChanged=True)
    asked(connect, "test_trigger_tool_change")
    asked(connect, "test_trigger_prompt_change")
    for wire, ident, kind in ((tools, "a", "tools"), (prompts, "b", "prompts")):
        message = wire.message()
        assert message["method"] == "notifications/{}/list_changed".format(kind)
        meta = message["params"]["_meta"]
        assert meta == {"io.modelcontextprotocol/subscriptionId": ident}
