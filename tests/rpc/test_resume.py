"""After a reconnect: the client's decisions on its calls in flight, the server's answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.errors import LocalProtocolError, RemoteProtocolError
from dcc_mcp_embed.rpc.hello import Facts
from dcc_mcp_embed.rpc.outbound import OutboundTracker, RouteKey, TrackerFull
from dcc_mcp_embed.rpc.receipts import (
    DROPPED,
    JOIN,
    REPLAY,
    RUN,
    UNKNOWN,
    Limits,
    Outcome,
    Receipts,
    split,
)
from dcc_mcp_embed.rpc.resume import (
    ACK_EVERY,
    SEND,
    SETTLE,
    WAIT,
    ResumeClient,
    lost_outcome,
)
from dcc_mcp_embed.rpc.resume_server import UNTRACKED, ResumeServer
from dcc_mcp_embed.wire.messages import id_text
from fakes.clock import FakeClock
from fakes.receipts import lines_of

EPOCH, NEXT_EPOCH = "epoch-1", "epoch-2"


class Pair:
    """A client and a server, and the messages between them carried at once."""

    def __init__(self, max_records=None, **limits):
        self.clock = FakeClock()
        self.tracker = OutboundTracker(1e9, clock=self.clock, max_records=max_records)
        self.client = ResumeClient(self.tracker, RouteKey("maya"), "driver", self.clock)
        self.receipts = Receipts(Limits(**limits))
        self.epoch = EPOCH
        self.names = 0

    def server(self):
        self.names += 1
        return ResumeServer(self.receipts, self.epoch, "link{}".format(self.names), self.clock)

    def restart(self):
        self.epoch = NEXT_EPOCH
        self.receipts = Receipts()

    def connect(self, horizon=10):
        """Return the server's end, all decisions as {id: (action, error)}, and the replays."""
        end = self.server()
        params, decisions = self.client.connected(Facts("i", self.epoch, horizon))
        replays = []
        if params is not None:
            answer = end.resume(params)
            decisions = decisions + self.client.answered(answer.payload)
            replays = answer.replays
        found = {one.id: (one.action, one.error) for one in decisions}
        assert len(found) == len(decisions), "each is decided once"
        return end, found, replays

    def finish(self, request_id, payload=b"result"):
        return self.receipts.finish(request_id, True, payload, None, self.clock.now)


@pytest.fixture
def pair():
    return Pair()


# One line over several connections.


def test_each_call_gets_the_decision_that_its_state_asks_for():
    pair = Pair(one_result=10)
    end, decisions, _ = pair.connect()
    assert decisions == {}
    new, running, done, large = [pair.client.begin() for _ in range(4)]
    for one in (running, done, large):
        assert end.accept(one).action == RUN
    pair.finish(done)
    pair.finish(large, b"x" * 11)
    pair.client.lost()
    end, decisions, replays = pair.connect()
    assert {one: action for one, (action, _) in decisions.items()} == {
        new: SEND,
        running: WAIT,
        done: WAIT,
        large: SETTLE,
    }
    assert replays == [(done, Outcome(True, b"result"))]
    error = decisions[large][1]
    assert (error.code, error.state) == ("unknown_outcome", "finished")
    assert pair.client.in_flight == [new, running, done]
    assert end.accept(new).action == RUN
    assert end.accept(running).action == JOIN
    # Both connections are told; the first is dead and nobody has noticed yet.
    assert pair.finish(running) == ["link1", "link2"]


def test_the_question_names_epoch_line_and_calls_under_way(pair):
    assert json.loads(pair.client.connected(Facts("i", EPOCH, 10)).params.decode()) == {
        "epoch": None,
        "line": None,
        "below": None,
        "ids": [],
    }
    pair.connect()
    settled, call = pair.client.begin(), pair.client.begin()
    pair.client.settle(settled, "done")
    pair.client.lost()
    asked = json.loads(pair.client.connected(Facts("i", EPOCH, 10)).params.decode())
    line = split(call)[0]
    assert asked == {
        "epoch": EPOCH,
        "line": line.hex(),
        "below": id_text(call),
        "ids": [id_text(call)],
    }


def test_ids_look_like_uuids_of_version_4_and_grow(pair):
    pair.connect()
    ids = [pair.client.begin() for _ in range(3)]
    assert ids == sorted(set(ids))
    assert all(id_text(one)[14] == "4" and id_text(one)[19] in "89ab" for one in ids)
    pair.restart()
    pair.connect()
    assert split(pair.client.begin())[0] != split(ids[0])[0], "no line is used twice"


def test_a_late_copy_from_a_connection_that_was_given_up_runs_nothing(pair):
    old, _, _ = pair.connect()
    call = pair.client.begin()
    pair.client.lost()
    end, decisions, _ = pair.connect()
    assert decisions[call][0] == SEND
    assert end.accept(call).action == RUN
    assert old.accept(call).action == JOIN
    pair.finish(call)
    assert pair.client.settle(call, "done")
    assert old.accept(call).action == REPLAY
    end.acknowledge(pair.client.ack())
    assert len(pair.receipts) == 0
    assert old.accept(call).action == UNKNOWN


def test_a_receipt_that_was_evicted_is_an_unknown_outcome_not_a_second_run():
    pair = Pair(entries=1)
    end, _, _ = pair.connect()
    calls = [pair.client.begin() for _ in range(2)]
    for call in calls:
        assert end.accept(call).action == RUN
        pair.finish(call)
    pair.client.lost()
    end, decisions, replays = pair.connect()
    action, error = decisions[calls[0]]
    assert (action, error.code, error.state) == (SETTLE, "unknown_outcome", "running")
    assert [one for one, _ in replays] == [calls[1]]
    assert end.accept(calls[0]).action == UNKNOWN


def test_a_line_that_is_forgotten_is_replaced_and_its_calls_are_unknown():
    pair = Pair(ttl=10.0)
    end, _, _ = pair.connect()
    call = pair.client.begin()
    end.closed()
    pair.client.lost()
    pair.clock.advance(10.0)
    end, decisions, _ = pair.connect()
    assert decisions[call][0] == SETTLE
    fresh = pair.client.begin()
    assert split(fresh)[0] == end.line != split(call)[0]
    assert end.accept(fresh).action == RUN


def test_a_server_that_was_started_anew_is_not_asked(pair):
    pair.connect()
    call = pair.client.begin()
    pair.client.lost()
    pair.restart()
    params, decisions = pair.client.connected(Facts("i", NEXT_EPOCH, 10))
    assert json.loads(params.decode()) == {"epoch": None, "line": None, "below": None, "ids": []}
    assert [(one.id, one.action) for one in decisions] == [(call, SETTLE)]
    assert decisions[0].error.code == "unknown_outcome"
    assert "started anew" in decisions[0].error.message
    assert not pair.client.ready


def test_a_server_without_receipts_leaves_the_outcome_open(pair):
    _, decisions, _ = pair.connect(horizon=0)
    assert pair.client.ready and decisions == {}
    call = pair.client.begin()
    pair.client.lost()
    _, decisions, _ = pair.connect(horizon=0)
    assert decisions[call][0] == SETTLE
    assert "cannot tell" in decisions[call][1].message
    assert pair.client.ack() is None


def test_a_connection_that_breaks_before_the_answer_changes_nothing(pair):
    end, _, _ = pair.connect()
    call = pair.client.begin()
    end.accept(call)
    for _ in range(3):
        pair.client.lost()
        params, decisions = pair.client.connected(Facts("i", EPOCH, 10))
        assert decisions == []
        pair.server().resume(params)
        with pytest.raises(LocalProtocolError):
            pair.client.begin()
    pair.client.lost()
    _, decisions, _ = pair.connect()
    assert decisions == {call: (WAIT, None)}


def test_what_was_settled_while_the_question_was_under_way_is_not_decided(pair):
    pair.connect()
    call, other = pair.client.begin(), pair.client.begin()
    pair.client.lost()
    params, _ = pair.client.connected(Facts("i", EPOCH, 10))
    assert pair.client.settle(call, "timeout")
    decided = pair.client.answered(pair.server().resume(params).payload)
    assert [one.id for one in decided] == [other]


# The tracker.


def test_the_tracker_holds_what_is_under_way_and_how_it_ended(pair):
    pair.connect()
    call, lost = pair.client.begin(), pair.client.begin()
    record = pair.tracker.get_pending(id_text(call), "driver")
    assert record.route_key == RouteKey("maya")
    assert record.metadata == {"epoch": EPOCH}
    assert pair.client.settle(call, "failed", "no such thing")
    assert not pair.client.settle(call, "done")
    receipt = pair.tracker.get_receipt_by_external_id(EPOCH + "/" + id_text(call))
    assert (receipt.status, receipt.error) == ("failed", "no such thing")
    pair.restart()
    pair.connect()
    receipt = pair.tracker.get_receipt_by_external_id(EPOCH + "/" + id_text(lost))
    assert receipt.status == "unknown_outcome"
    assert pair.tracker.list_pending() == []


def test_what_the_tracker_has_let_go_is_settled_not_lost(pair):
    pair.connect()
    calls = [pair.client.begin() for _ in range(2)]
    pair.tracker.clear()
    _, decisions, _ = pair.connect()
    assert [decisions[call][0] for call in calls] == [SETTLE, SETTLE]
    assert pair.client.in_flight == []


def test_a_full_tracker_refuses_before_anything_is_in_flight():
    pair = Pair(max_records=1)
    pair.connect()
    pair.client.begin()
    with pytest.raises(TrackerFull):
        pair.client.begin()
    assert len(pair.client.in_flight) == 1


def test_no_call_begins_before_the_resume(pair):
    with pytest.raises(LocalProtocolError, match="resumed"):
        pair.client.begin()
    pair.connect()
    pair.client.lost()
    with pytest.raises(LocalProtocolError, match="resumed"):
        pair.client.begin()


# Acknowledgement.


def test_answers_are_acknowledged_together_and_their_receipts_go(pair):
    end, _, _ = pair.connect()
    slow = pair.client.begin()
    end.accept(slow)
    assert pair.client.ack() is None
    for _ in range(ACK_EVERY):
        assert not pair.client.ack_due
        call = pair.client.begin()
        end.accept(call)
        pair.finish(call)
        pair.client.settle(call, "done")
    assert pair.client.ack_due
    said = pair.client.ack()
    assert json.loads(said.decode())["below"] == id_text(slow)
    end.acknowledge(said)
    assert pair.receipts.result_bytes == 0
    assert end.accept(slow).action == JOIN, "it is not settled"
    assert pair.client.ack() is None
    pair.finish(slow)
    pair.client.settle(slow, "done")
    end.acknowledge(pair.client.ack())
    assert len(pair.receipts) == 0


def test_a_lost_acknowledgement_is_made_up_for_by_the_next_question(pair):
    end, _, _ = pair.connect()
    call = pair.client.begin()
    end.accept(call)
    pair.finish(call)
    pair.client.settle(call, "done")
    assert pair.client.ack() is not None  # and it never arrives
    pair.client.lost()
    pair.connect()
    assert len(pair.receipts) == 0


def test_old_calls_of_another_line_do_not_hold_the_new_one_back(pair):
    pair.connect()
    old = pair.client.begin()
    pair.client.lost()
    pair.client.connected(Facts("i", EPOCH, 10))
    # Such as no server of ours says it: the line is forgotten, and its call runs all the same.
    answer = {"epoch": EPOCH, "line": "0123456789abcdef", "states": {id_text(old): "running"}}
    pair.client.answered(json.dumps(answer).encode())
    new = pair.client.begin()
    pair.client.settle(new, "done")
    said = json.loads(pair.client.ack().decode())
    assert said["below"] == id_text(pair.client.begin())
    pair.client.settle(old, "done")
    assert pair.client.ack() is None


# The server's end.


def test_a_connection_that_has_not_resumed_keeps_no_receipts(pair):
    assert pair.server().accept(b"some random id..").action == UNTRACKED
    assert len(pair.receipts) == 0


def test_a_connection_speaks_for_its_own_line_only(pair):
    end, _, _ = pair.connect()
    call = pair.client.begin()
    end.accept(call)
    pair.finish(call)
    stranger = Pair()
    stranger.receipts = pair.receipts
    stranger.clock.token_bytes(1)  # or it would draw the same line
    stranger.clock.token_bytes(1)
    other, _, _ = stranger.connect()
    assert other.line != end.line
    assert other.accept(call).action == UNKNOWN
    below = id_text(other.line + b"\xff" * 8)
    said = {"line": other.line.hex(), "below": below, "ids": [id_text(call)]}
    other.acknowledge(json.dumps(said).encode())
    said["line"], said["below"] = end.line.hex(), id_text(end.line + b"\xff" * 8)
    other.acknowledge(json.dumps(said).encode())
    assert end.accept(call).action == REPLAY


def test_ids_of_another_line_are_unknown_in_the_answer(pair):
    end, _, _ = pair.connect()
    params = {"epoch": EPOCH, "line": end.line.hex(), "ids": [id_text(b"x" * 16)] * 2}
    answer = json.loads(pair.server().resume(json.dumps(params).encode()).payload.decode())
    assert answer["states"] == {id_text(b"x" * 16): "unknown"}


def test_a_connection_resumes_once(pair):
    end, _, _ = pair.connect()
    with pytest.raises(RemoteProtocolError, match="already"):
        end.resume(b'{"ids": []}')


def test_calls_of_a_closed_connection_run_on_and_it_is_told_no_more():
    pair = Pair(ttl=10.0)
    end, _, _ = pair.connect()
    call = pair.client.begin()
    assert end.accept(call).action == RUN
    end.closed()
    end.closed()
    assert pair.finish(call) == []
    pair.clock.advance(9.0)
    _, decisions, replays = pair.connect()
    assert decisions[call][0] == WAIT
    assert [one for one, _ in replays] == [call]


def test_a_server_that_never_resumed_may_close(pair):
    pair.server().closed()


def test_a_dropped_result_is_said_to_a_request_too():
    pair = Pair(one_result=1)
    end, _, _ = pair.connect()
    call = pair.client.begin()
    end.accept(call)
    pair.finish(call)
    assert end.accept(call).action == DROPPED
    assert lost_outcome(DROPPED).state == "finished"
    assert lost_outcome(UNKNOWN).state == "running"


# What comes may be anything.

ID = id_text(b"i" * 16)
BAD_QUESTIONS = [
    b"",
    b"\xff",
    b"[]",
    b"[" * 100_000,
    b"{}",
    b'{"ids": {}}',
    b'{"ids": [1]}',
    b'{"ids": ["no"]}',
    b'{"ids": [{}]}',
    b'{"ids": [], "line": 5}',
    b'{"ids": [], "line": "xyz"}',
    b'{"ids": [], "below": 7}',
]


@pytest.mark.parametrize("params", BAD_QUESTIONS, ids=lambda params: repr(params[:30]))
def test_a_malformed_question_is_refused_and_changes_nothing(pair, params):
    end = pair.server()
    with pytest.raises(RemoteProtocolError):
        end.resume(params)
    assert end.line is None
    assert not lines_of(pair.receipts)
    with pytest.raises(RemoteProtocolError):
        end.acknowledge(params)


def test_a_malformed_answer_is_refused_and_decides_nothing(pair):
    pair.connect()
    call = pair.client.begin()
    pair.client.lost()
    params, _ = pair.client.connected(Facts("i", EPOCH, 10))
    good = json.loads(pair.server().resume(params).payload.decode())
    wrong = [
        {"epoch": "another"},
        {"line": None},
        {"line": "short"},
        {"states": None},
        {"states": {}},
        {"states": {id_text(call): "odd"}},
        {"states": {id_text(call): ["done"]}},
    ]
    for change in wrong:
        with pytest.raises(RemoteProtocolError):
            pair.client.answered(json.dumps({**good, **change}).encode())
        assert not pair.client.ready
    decided = pair.client.answered(json.dumps(good).encode())
    assert [(one.id, one.action) for one in decided] == [(call, SEND)]
    with pytest.raises(LocalProtocolError):
        pair.client.answered(json.dumps(good).encode())


JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from([EPOCH, ID, "0123456789abcdef", "done", ""]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
CONTENT = st.dictionaries(st.sampled_from(["epoch", "line", "below", "ids", "states"]), JSON)


@given(CONTENT | JSON)
def test_whatever_comes_is_answered_or_refused(content):
    pair = Pair()
    data = json.dumps(content).encode()
    for receive in (pair.server().resume, pair.server().acknowledge):
        try:
            receive(data)
        except RemoteProtocolError:
            pass
    pair.client.connected(Facts("i", EPOCH, 10))
    try:
        pair.client.answered(data)
    except RemoteProtocolError:
        assert not pair.client.ready
