"""The streams of a session: the standing one, those of calls, and coming back for what was lost."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.config import Limits
from dcc_mcp_embed.tools.declare import Progress
from fakes.live import Live, on_loop, tries
from fakes.streaming import initialize

DEADLINE = 10.0


@pytest.fixture
def stage():
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def walk(steps: int):
        """Report each step; the test allows each."""
        for step in range(steps):
            yield Progress(step + 1, steps)
            assert go_on.acquire(timeout=DEADLINE)
        return "walked"

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def step_out(ctx):
        """Have the client come back for the answer."""
        ctx.step_out()
        assert go_on.acquire(timeout=DEADLINE)
        return "stepped out"

    @dcc_mcp_embed.tool(read_only=True, thread="worker")
    def wait_and_walk():
        """Say nothing until the test allows it."""
        began.release()
        assert go_on.acquire(timeout=DEADLINE)
        yield Progress(1, 1)
        return "walked"

    tools = SimpleNamespace(walk=walk, step_out=step_out, wait_and_walk=wait_and_walk)
    yield SimpleNamespace(tools=tools, go_on=go_on, began=began)
    for _ in range(100):
        go_on.release()


@pytest.fixture
def live(tmp_path, monkeypatch, stage):
    one = Live(str(tmp_path), monkeypatch, tools=[stage.tools], limits=Limits(sessions=4))
    yield one
    one.close()


def tell(live, number):
    """Have the server say something of its own to every session."""
    text = '{{"jsonrpc":"2.0","method":"notifications/test","params":{{"n":{}}}}}'.format(number)

    def go():
        for session in live.server._server.sessions.all():
            session.streams().tell(text)

    on_loop(live, go)


def channel(live, session):
    return live.server._server.sessions._live[session["Mcp-Session-Id"]].streams()


def numbers(*messages):
    return [one["params"]["n"] for one in messages]


def test_a_session_has_a_standing_stream(live, connect):
    wire, ears = connect(), connect()
    session = initialize(wire)
    answer = ears.listen(session)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    first = ears.event()
    assert (first.data, first.retry) == ("", 1000)
    assert first.id
    tell(live, 1)
    tell(live, 2)
    assert numbers(ears.message(), ears.message()) == [1, 2]
    assert len({one.id for one in ears.seen}) == 3
    # The other connection is free for calls meanwhile.
    assert wire.rpc("ping", headers=session).json["result"] == {}


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18"])
def test_older_clients_get_no_event_without_data(live, connect, version):
    session = initialize(connect(), version=version)
    ears = connect()
    ears.listen(session)
    tell(live, 1)
    assert ears.event().data


def test_a_client_comes_back_for_what_it_missed(live, connect):
    session = initialize(connect())
    ears = connect()
    ears.listen(session)
    tell(live, 1)
    assert numbers(ears.message()) == [1]
    last = ears.seen[-1].id
    ears.close()
    for _ in tries():
        if not on_loop(live, lambda: channel(live, session).standing.attached):
            break
    tell(live, 2)
    again = connect()
    again.listen(session, last)
    tell(live, 3)
    assert numbers(again.message(), again.message()) == [2, 3]


def test_the_new_stream_takes_the_place_of_the_one_before(live, connect):
    session = initialize(connect())
    old, new = connect(), connect()
    old.listen(session)
    old.event()
    new.listen(session)
    assert old.event() is None
    tell(live, 1)
    assert numbers(new.message()) == [1]
    # Its connection has not ended with it.
    assert old.rpc("ping").status == 200


@pytest.mark.parametrize(
    "last", ["", "x", "1-2", "0-0-0", "beef-0-1", "{}-9-1", "{}-0-99", "{}-a-b"]
)
def test_an_event_id_of_a_stranger_means_a_new_stream(live, connect, last):
    session = initialize(connect())
    ears = connect()
    ears.listen(session, last.format(live.server._server.sessions._epoch))
    assert ears.event().data == ""
    tell(live, 1)
    assert numbers(ears.message()) == [1]


def test_what_is_no_stream_is_refused(connect):
    wire = connect()
    session = initialize(wire)
    assert wire.listen({}).status == 405
    assert wire.listen(session, **{"MCP-Protocol-Version": "2026-07-28"}).status == 405
    assert wire.listen(session, Accept="application/json").status == 406
    assert wire.listen({"Mcp-Session-Id": "x" * 129}).status == 405
    assert wire.request("PUT", "/mcp").status == 405
    other = connect()
    answer = other.request(
        "GET", "/mcp", dict({"Accept": "text/event-stream"}, **session), version="1.0"
    )
    assert answer.status == 406


def test_ending_the_session_ends_its_stream(live, connect):
    wire, ears = connect(), connect()
    session = initialize(wire)
    ears.listen(session)
    ears.event()
    assert wire.request("DELETE", "/mcp", session).status == 200
    assert ears.event() is None
    assert ears.listen(session).status == 404
    assert len(live.server._server.sessions._replays) == 0


def test_nothing_is_kept_of_a_call_that_speaks_when_its_session_has_ended(live, stage, connect):
    wire, other = connect(), connect()
    session = initialize(wire)
    heard = []

    def ask():
        call(wire, session, "wait_and_walk", {}, "p")
        heard.extend(wire.messages())

    asking = threading.Thread(target=ask)
    asking.start()
    assert stage.began.acquire(timeout=DEADLINE)
    assert other.request("DELETE", "/mcp", session).status == 200
    stage.go_on.release()
    asking.join(DEADLINE)
    # Its own connection is told all the same.
    assert [one.get("id") for one in heard] == [None, 7]
    assert len(live.server._server.sessions._replays) == 0


def test_a_session_that_makes_room_ends_its_stream(live, connect):
    wire, listening = connect(), []
    for _ in range(4):
        listening.append(connect())
        listening[-1].listen(initialize(wire))
        listening[-1].event()
    initialize(wire)
    assert listening[0].event() is None
    # Those that nobody listens to go first, from then on.
    others = [initialize(wire) for _ in range(4)]
    tell(live, 1)
    assert [numbers(ears.message()) for ears in listening[1:]] == [[1]] * 3
    assert wire.request("DELETE", "/mcp", others[-1]).status == 200


def test_a_session_of_an_earlier_process_lives_on_under_its_id(live, connect):
    session = {"Mcp-Session-Id": "from-before", "MCP-Protocol-Version": "2025-11-25"}
    wire, ears = connect(), connect()
    assert ears.listen(session, "beef-0-7").status == 200
    assert ears.event().data == ""
    # It is told that the server knows no more than its id.
    told = ears.message()
    assert told["method"] == "notifications/message"
    assert told["params"]["level"] == "warning"
    assert "subscribed to again" in told["params"]["data"]
    tell(live, 1)
    assert numbers(ears.message()) == [1]
    # Once, and not when it merely comes back.
    again = connect()
    again.listen(session, ears.seen[-1].id)
    tell(live, 2)
    assert numbers(again.message()) == [2]
    assert wire.request("DELETE", "/mcp", session).status == 200
    assert again.event() is None


def call(wire, session, name, arguments, token=None):
    params = {"name": name, "arguments": arguments}
    if token is not None:
        params["_meta"] = {"progressToken": token}
    return wire.rpc("tools/call", params, ident=7, headers=session)


def test_a_call_whose_connection_breaks_is_finished_on_another(live, stage, connect):
    wire, again = connect(), connect()
    session = initialize(connect())
    call(wire, session, "walk", {"steps": 3}, "p")
    assert wire.message()["params"]["progress"] == 1
    last = wire.seen[-1].id
    wire.close()
    stage.go_on.release()
    again.listen(session, last)
    assert again.message()["params"]["progress"] == 2
    for _ in range(2):
        stage.go_on.release()
    third, result = again.messages()
    assert third["params"]["progress"] == 3
    assert (result["id"], result["result"]["content"][0]["text"]) == (7, "walked")
    # It is over and still there for a while.
    once_more = connect()
    once_more.listen(session, last)
    assert len(once_more.messages()) == 3
    assert on_loop(live, lambda: channel(live, session)._open) == {}


def test_a_tool_may_have_its_client_come_back(stage, connect):
    wire = connect()
    session = initialize(wire)
    call(wire, session, "step_out", {})
    first = wire.event()
    assert (first.data, first.retry) == ("", 1000)
    assert wire.event() is None
    stage.go_on.release()
    wire.listen(session, first.id)
    (result,) = wire.messages()
    assert result["result"]["content"][0]["text"] == "stepped out"


@pytest.mark.parametrize("version", ["2025-06-18", None])
def test_others_are_not_made_to_come_back(stage, connect, version):
    wire = connect()
    session = {} if version is None else initialize(wire, version=version)
    stage.go_on.release()
    answer = call(wire, session, "step_out", {})
    result = wire.messages()[0] if "stream" in answer.headers["content-type"] else answer.json
    assert result["result"]["content"][0]["text"] == "stepped out"


def test_a_client_that_takes_no_stream_gets_none(stage, connect):
    wire = connect()
    session = dict(initialize(wire), Accept="application/json")
    for _ in range(2):
        stage.go_on.release()
    answer = call(wire, session, "walk", {"steps": 2}, "p")
    assert answer.json["result"]["content"][0]["text"] == "walked"


def test_a_peer_that_does_not_read_is_let_go_and_costs_a_bounded_amount(live, connect):
    session = initialize(connect())
    ears = connect()
    ears.listen(session)
    ears.event()
    text = '{{"jsonrpc":"2.0","method":"notifications/test","params":{{"n":{},"x":"{}"}}}}'
    size = 100 * 1024

    def flood():
        one = channel(live, session)
        stream = one.standing._exchange._connection.stream
        most = 0
        for number in range(200):
            one.tell(text.format(number, "x" * size))
            most = max(most, stream.unsent)
        return most, one.standing.attached, one.replays.held

    most, attached, held = on_loop(live, flood)
    assert not attached
    assert most < 1024 * 1024 + 2 * size
    assert held <= 2 * 1024 * 1024
    # What it got goes up to a point; from there on it comes back for what is still there.
    got = numbers(*ears.messages())
    assert got == list(range(len(got)))
    assert len(got) < 100
    ears.listen(session, ears.seen[-1].id)
    first = ears.message()
    assert first["params"]["n"] > got[-1]
