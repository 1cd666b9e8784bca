"""Tools that ask, through the bridge over HTTP: on the call's stream, or by calling again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bridge.web_stage import LOGIN, NAME, appears, asking, greet, sign_in
from fakes.live import DEADLINE
from fakes.streaming import initialize


@pytest.fixture
def host(serve):
    return serve(SimpleNamespace(greet=greet, sign_in=sign_in))


def test_a_client_is_asked_on_the_stream_of_its_call(connect, host):
    wire, other = connect(), connect()
    session = initialize(wire, {"elicitation": {}})
    appears(other, "greet")
    call = {"name": "greet", "arguments": {}}
    wire.rpc("tools/call", call, headers=session)
    asked = wire.message()
    assert asked["method"] == "elicitation/create"
    named = {"action": "accept", "content": {"name": "Ann"}}
    # From another session it is nobody's answer.
    assert other.answer(asked["id"], named, headers=initialize(other)).status == 202
    assert other.answer(asked["id"], named, headers=session).status == 202
    assert wire.message()["result"]["content"][0]["text"] == "Hello, Ann!"
    # Who takes no stream cannot be asked.
    plain = dict(session, Accept="application/json")
    refused = other.rpc("tools/call", call, headers=plain).json["result"]
    assert refused["structuredContent"]["error"]["code"] == "permission_denied"


def test_a_client_hears_on_that_stream_that_its_answer_is_not_needed_any_more(connect, host):
    wire, other = connect(), connect()
    session = initialize(wire, {"elicitation": {}})
    appears(other, "greet")
    wire.rpc("tools/call", {"name": "greet", "arguments": {}}, ident=7, headers=session)
    asked = wire.message()
    other.rpc("notifications/cancelled", {"requestId": 7}, None, session)
    taken_back, result = wire.messages()
    assert taken_back["method"] == "notifications/cancelled"
    assert taken_back["params"]["requestId"] == asked["id"]
    assert result["result"]["structuredContent"]["error"]["code"] == "cancelled"


def test_a_person_is_sent_to_a_page_in_both_eras(connect, host):
    wire, other = connect(), connect()
    session = initialize(wire, {"elicitation": {"url": {}}})
    appears(other, "sign_in")
    wire.rpc("tools/call", {"name": "sign_in", "arguments": {}}, headers=session)
    asked = wire.message()
    assert asked["method"] == "elicitation/create"
    assert asked["params"].pop("elicitationId")
    page = {"mode": "url", "message": "Sign in", "url": LOGIN}
    assert asked["params"] == page
    other.answer(asked["id"], {"action": "accept"}, headers=session)
    assert wire.message()["result"]["content"][0]["text"] == "accept"
    # The other era has no name for it.
    pages = {"elicitation": {"url": {}}}
    first = asking(other, "sign_in", pages)
    assert first["resultType"] == "input_required"
    assert first["inputRequests"] == {"login": {"method": "elicitation/create", "params": page}}
    state, given = first["requestState"], {"login": {"action": "accept"}}
    done = asking(other, "sign_in", pages, requestState=state, inputResponses=given)
    assert (done["resultType"], done["content"][0]["text"]) == ("complete", "accept")


def test_a_form_is_filled_in_by_calling_again(connect, host):
    wire = connect()
    appears(wire, "greet")
    first = asking(wire, "greet", {"elicitation": {}})
    assert first["resultType"] == "input_required"
    asked = first["inputRequests"]["user_name"]
    assert asked["method"] == "elicitation/create" and asked["params"]["requestedSchema"] == NAME
    given = {"user_name": {"action": "accept", "content": {"name": "Ann"}}}
    state = first["requestState"]
    done = asking(wire, "greet", {"elicitation": {}}, requestState=state, inputResponses=given)
    assert (done["resultType"], done["content"][0]["text"]) == ("complete", "Hello, Ann!")


def test_who_takes_no_stream_is_asked_on_that_of_its_session(connect, host, later):
    wire, ears, other = connect(), connect(), connect()
    session = initialize(wire, {"elicitation": {}})
    assert ears.listen(session).status == 200
    appears(other, "greet")
    plain = dict(session, Accept="application/json")

    def called():
        """Call the tool; return what its answer comes to, and the question."""
        call = later(wire.rpc, "tools/call", {"name": "greet", "arguments": {}}, 7, plain)
        asked = ears.message()
        assert asked["method"] == "elicitation/create"
        return call, asked["id"]

    call, ident = called()
    named = {"action": "accept", "content": {"name": "Ann"}}
    assert other.answer(ident, named, headers=session).status == 202
    assert call.result(DEADLINE).json["result"]["content"][0]["text"] == "Hello, Ann!"
    call, ident = called()
    other.rpc("notifications/cancelled", {"requestId": 7}, None, session)
    taken_back = ears.message()
    assert taken_back["method"] == "notifications/cancelled"
    assert taken_back["params"]["requestId"] == ident
    error = call.result(DEADLINE).json["result"]["structuredContent"]["error"]
    assert error["code"] == "cancelled"
