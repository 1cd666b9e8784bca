"""The client's decisions: a server beside it, bytes carried by hand, a clock that waits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcc_mcp_embed.errors import UnknownOutcome
from dcc_mcp_embed.ipc import early, errands
from dcc_mcp_embed.ipc.answers import NotConnected, NotSent, RequestFailed
from dcc_mcp_embed.ipc.limits import MAX_FRAME
from dcc_mcp_embed.transport_errors import CallTimeout
from examples import examples
from fakes.ipc_world import World
from fakes.receipts import lines_of


@pytest.fixture
def world():
    world = World()
    world.greet()
    return world


def values(world):
    return [json.loads(one.response.payload.decode()) for one in world.settled if one.response]


# Connecting.


def test_a_first_connection_says_so_once():
    world = World()
    assert world.session.state == "disconnected"
    world.connect()
    assert world.session.state == "connecting"
    assert world.answers == {}
    world.run()
    assert world.session.state == "connected"
    assert (world.log, world.answers) == (["Connected"], {"connect": [True]})
    world.connect(name="again")
    assert (world.dials, world.answers["again"]) == (1, [True])


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_so_many_attempts_and_one_more_are_made(retries):
    world = World()
    world.listening = False
    world.connect(retries)
    for _ in range(20):
        world.advance(5.0)
    assert (world.dials, world.answers) == (retries + 1, {"connect": [False]})
    assert (world.finished, world.session.tally.last_error) == (1, "nobody listens")
    assert world.log == []


def test_attempts_grow_apart_up_to_the_interval_less_chance():
    world = World(reconnect_interval=2.0)
    world.listening = False
    world.connect(100)
    pauses = []
    while len(pauses) < 8:
        pauses.append(world.session.next_timer(world.clock.now))
        world.advance(pauses[-1] + 1e-9)
    # The fake's chance is one half, of a quarter.
    assert pauses == pytest.approx([0.875 * min(2.0, 0.5 * 1.5**n) for n in range(8)])


def test_the_pauses_begin_again_after_a_success():
    world = World()
    world.listening = False
    world.connect(10)
    for _ in range(5):
        world.advance(3.0)
    world.listening = True
    world.advance(3.0)
    world.run()
    assert world.session.connected
    world.kill()
    assert world.session.next_timer(world.clock.now) == pytest.approx(0.4375)


def test_a_server_with_another_secret_is_asked_once():
    world = World()
    world.server.key = b"x" * 32
    world.connect(5)
    world.run()
    assert (world.dials, world.answers, world.finished) == (1, {"connect": [False]}, 1)
    assert world.session.tally.last_error == (
        "whoever answers does not know the secret "
        "(the `secret=` that was given, or this user's own), "
        "or a forwarded port has another number than the server's"
    )


def test_whoever_speaks_something_else_is_tried_again():
    world = World()
    world.connect(1)
    world.session.receive_data(world.clock.now, b"HTTP/1.1 503 no\r\n\r\n")
    world.look()
    assert "is no SocketServer" in world.session.tally.last_error
    world.advance(1.0)
    assert world.dials == 2


def test_a_hello_and_a_resume_have_their_time():
    world = World()
    world.connect(5)
    world.advance(2.0)
    assert "no hello within 2 s" in world.session.tally.last_error
    world.server.mute = True
    world.advance(1.0)
    world.run()
    assert world.dials == 2 and not world.session.connected
    world.advance(5.0)
    assert "did not answer to resume" in world.session.tally.last_error
    world.server.mute = False
    world.advance(1.0)
    world.run()
    assert world.session.connected


def test_a_connect_while_it_waits_tries_at_once_and_has_its_own_patience():
    world = World()
    world.greet()
    world.listening = False
    world.kill()
    world.connect(0, "impatient")
    assert world.answers["impatient"] == [False]
    assert world.session.state == "reconnecting", "that goes on all the same"
    world.connect(100, "patient")
    world.listening = True
    world.advance(10.0)
    world.run()
    assert world.answers["patient"] == [True]


def test_a_connect_that_is_withdrawn_is_the_end_of_it():
    world = World()
    world.listening = False
    world.connect(5)
    world.session.withdraw(world.clock.now, "connect")
    world.look()
    assert (world.finished, world.answers) == (1, {})
    world.listening = True
    world.advance(10.0)
    assert world.dials == 1


def test_a_connect_that_is_withdrawn_leaves_the_others():
    world = World()
    world.listening = False
    world.connect(5)
    world.connect(5, "other")
    world.session.withdraw(world.clock.now, "connect")
    world.listening = True
    world.advance(3.0)
    world.run()
    assert world.answers == {"other": [True]}
    world.listening = False
    world.kill()
    world.connect(5, "third")
    world.session.withdraw(world.clock.now, "third")
    world.look()
    assert world.session.state == "reconnecting", "that was there before"


def test_a_connect_that_is_withdrawn_in_the_middle_of_its_hello():
    world = World()
    world.connect()
    world.session.withdraw(world.clock.now, "connect")
    world.look()
    assert world.link is None and world.session.idle
    assert world.session.next_timer(world.clock.now) is None


def test_a_later_connect_begins_anew(world):
    world.session.disconnect(world.clock.now, "disconnect")
    world.look()
    world.listening = False
    world.connect(1, "later")
    assert world.session.state == "connecting"
    world.advance(3.0)
    assert (world.answers["later"], world.session.state) == ([False], "disconnected")


def test_what_comes_of_an_attempt_that_was_given_up_is_not_wanted():
    world = World()
    world.session.connect(world.clock.now, 0, "connect")
    (dial,) = world.session.take()
    world.session.disconnect(world.clock.now, "disconnect")
    world.look()
    assert world.answers == {"connect": [False], "disconnect": [True]}
    assert not world.session.dialed(world.clock.now, dial.number, "unix|/s", b"k" * 32)
    world.session.dial_failed(world.clock.now, dial.number, "late")
    assert world.session.tally.last_error != "late"


# Requests.


def test_a_request_is_answered(world):
    errand = world.ask()
    assert world.session.in_flight == 1
    world.run()
    world.server.finish()
    world.run()
    assert (world.settled, values(world)) == ([errand], [1])
    assert world.session.in_flight == 0


def test_a_failure_has_the_servers_words(world):
    errand = world.ask()
    world.run()
    payload = b'{"code":"not_found","message":"m","hint":"look","retryable":true}'
    world.server.finish(success=False, payload=payload)
    world.run()
    error = errand.error
    assert isinstance(error, RequestFailed)
    assert str(error) == "call 'work' failed: it failed"
    assert (error.code, error.hint, error.retryable, error.state) == (
        "not_found",
        "look",
        True,
        None,
    )
    assert world.session.tally.errors == 1


def test_a_failure_that_says_unknown_is_one(world):
    errand = world.ask()
    world.run()
    world.server.finish(success=False, payload=b'{"code":"unknown_outcome","message":"who knows"}')
    world.run()
    assert isinstance(errand.error, UnknownOutcome)
    assert world.session.tally.unknown_outcomes == 1


def test_before_and_after_there_is_no_connection():
    world = World()
    errand = world.ask()
    assert str(errand.error) == "not connected (it never was): call connect() first"
    world.greet()
    world.session.disconnect(world.clock.now, "disconnect")
    world.look()
    assert isinstance(world.ask().error, NotConnected)
    assert not world.server.ran


def test_time_that_is_over_says_whether_it_was_sent(world):
    errand = world.ask(timeout=2.0)
    world.run()
    world.advance(2.0)
    assert type(errand.error) is CallTimeout
    assert str(errand.error) == "call 'work' timed out after 2000ms"
    assert world.session._link.peer.in_flight == 0, "nothing is kept for it"
    world.server.finish()
    world.run()
    assert world.settled == [errand], "a late answer means nothing"
    world.listening = False
    world.kill()
    held = world.ask(timeout=1.0)
    world.advance(0.5)
    world.advance(0.5)
    assert isinstance(held.error, NotSent)
    assert "was not sent within 1000ms: not connected (nobody listens)" in str(held.error)
    assert world.session.tally.timeouts == 2
    assert world.session.held == 0


def test_a_request_that_is_abandoned_is_not_sent_or_not_waited_for(world):
    sent = world.ask()
    world.run()
    world.session.abandon(world.clock.now, sent)
    world.look()
    assert world.settled == [sent] and sent.error is sent.response is None
    world.kill()
    held = world.ask()
    world.session.abandon(world.clock.now, held)
    world.advance(1.0)
    world.run()
    assert world.session.connected
    assert world.server.ran == {1: 1}
    world.session.abandon(world.clock.now, held)
    assert len(world.settled) == 2


def test_too_many_wait_for_their_turn(world):
    errands = [world.ask() for _ in range(1010)]
    assert (world.session.in_flight, world.session.held) == (1000, 10)
    world.run()
    for _ in range(1010):
        world.server.finish()
        world.run()
    assert len(values(world)) == len(errands) == 1010
    assert world.server.ran == {n + 1: 1 for n in range(1010)}


def test_what_is_under_way_has_so_many_bytes_at_most(world, monkeypatch):
    monkeypatch.setattr(errands, "MAX_UNDER_WAY", 3)
    for _ in range(4):
        world.ask()
    late = world.ask(timeout=1.0)
    assert (world.session.in_flight, world.session.held) == (3, 2)
    world.run()
    world.advance(1.0)
    assert isinstance(late.error, NotSent)
    assert "the requests under way have 3 bytes, of 3 at most" in str(late.error)
    world.kill()
    world.advance(1.0)
    world.run()
    assert (world.session.in_flight, world.session.held) == (3, 1)
    world.server.finish()
    world.run()
    assert (world.session.in_flight, world.session.held) == (3, 0)
    world.server.finish_all()
    world.run()
    assert world.server.ran == {1: 1, 2: 1, 3: 1, 4: 1}


def test_a_server_that_does_not_read_is_not_sent_more(world):
    world.session.note_unsent(2 * 1024 * 1024)
    errand = world.ask(timeout=1.0)
    assert world.session.held == 1
    world.session.sent(2 * 1024 * 1024 - 1)
    world.look()
    assert world.session.held == 0
    world.session.note_unsent(1 << 30)
    other = world.ask(timeout=1.0)
    world.advance(1.0)
    assert "does not read" in str(other.error)
    assert not isinstance(errand.error, NotSent)


def test_answers_are_acknowledged_before_a_long_silence(world):
    world.ask()
    world.run()
    world.server.finish()
    world.run()
    assert world.link.heard == []
    world.advance(1.0)
    world.run()
    assert world.link.heard == ["acknowledge"]
    assert len(world.server.receipts) == 0
    assert world.session.next_timer(world.clock.now) > 20, "and then it is silent"


def test_many_answers_are_acknowledged_together(world):
    for _ in range(64):
        world.ask()
        world.run()
        world.server.finish()
        world.run()
    assert world.link.heard == ["acknowledge"] * 2


# Breaks.


def test_each_request_gets_what_its_state_asks_for(world):
    world.ask()
    world.run()
    world.server.finish()
    world.ask()
    world.run()  # the first is answered
    for _ in range(2):
        world.ask()
    world.carry_up()
    world.server.finish(1)  # the third has run, and its answer is lost
    world.ask()  # never arrives
    world.kill()
    assert world.session.state == "reconnecting"
    new = world.ask()
    assert world.session.held == 1
    world.advance(1.0)
    world.run()
    assert values(world) == [1, 3], "the third's answer was repeated"
    world.server.finish_all()
    world.run()
    assert sorted(values(world)) == [1, 2, 3, 4, 5, 6]
    assert new in world.settled
    assert world.server.ran == dict.fromkeys(range(1, 7), 1)
    tally = world.session.tally
    assert (tally.resent, tally.joined, tally.reconnects) == (1, 3, 1)
    assert world.log == ["Connected", "Disconnected", "Connected"]


def test_half_a_request_is_sent_again_as_a_whole(world):
    world.ask()
    world.carry_up(20)
    world.kill()
    world.advance(1.0)
    world.run()
    world.server.finish_all()
    world.run()
    assert (values(world), world.server.ran, world.session.tally.resent) == ([1], {1: 1}, 1)


def test_a_receipt_that_was_evicted_is_an_unknown_outcome():
    world = World(limits={"entries": 1})
    world.greet()
    for _ in range(2):
        world.ask()
    world.carry_up()
    world.server.finish()
    world.server.finish()
    world.kill()
    world.advance(1.0)
    world.run()
    first, second = world.settled
    assert isinstance(first.error, UnknownOutcome)
    assert second.response is not None
    assert world.server.ran == {1: 1, 2: 1}
    assert world.session.tally.unknown_outcomes == 1


def test_a_server_that_was_started_anew_leaves_the_outcome_open(world):
    world.ask()
    world.carry_up()
    world.kill()
    held = world.ask()
    world.server.restart()
    world.advance(1.0)
    world.run()
    (lost,) = world.settled
    assert "started anew" in str(lost.error)
    world.server.finish_all()
    world.run()
    assert held.response is not None
    assert world.server.ran == {1: 1, 2: 1}


def test_a_server_without_receipts_is_used_and_leaves_the_outcome_open():
    world = World(limits={"horizon": 0})
    world.greet()
    world.ask()
    world.run()
    world.kill()
    world.advance(1.0)
    world.run()
    assert world.session.connected
    assert "cannot tell" in str(world.settled[0].error)
    world.ask()
    world.run()
    world.server.finish_all()
    world.run()
    assert values(world) == [2]


@pytest.mark.parametrize("payload", [b"{}", b"no", b'{"epoch":"other","line":null,"states":{}}'])
def test_a_bad_answer_to_resume_is_a_failed_attempt(world, payload):
    world.ask()
    world.carry_up()
    world.kill()
    world.server.mute = True
    world.advance(1.0)
    world.run()
    link = world.link
    question = next(iter(link.peer._requests))
    link.respond(question, True, payload)
    world.carry_down()
    assert world.link is None and world.session.state == "reconnecting"
    assert "resume" in world.session.tally.last_error
    world.server.mute = False
    world.advance(1.0)
    world.run()
    world.server.finish_all()
    world.run()
    assert (values(world), world.server.ran) == ([1], {1: 1})


def test_a_frame_that_no_server_sends_ends_the_connection(world):
    world.session.receive_data(world.clock.now, (MAX_FRAME + 1).to_bytes(4, "big"))
    world.run()
    assert not world.session.connected
    assert "frame too large" in world.session.tally.last_error


def test_a_connection_ends_once():
    world = World()
    world.server.mute = True
    world.connect(1)
    world.run()
    question = next(iter(world.link.peer._requests))
    world.link.respond(question, True, b"{}")
    world.link.notify("news", b"1")
    world.link.peer.shutdown("goodbye")
    world.carry_down()
    assert (world.pushes, world.answers) == ([], {})
    assert "resume" in world.session.tally.last_error
    world.server.mute = False
    world.advance(1.0)
    world.run()
    assert (world.answers, world.dials) == ({"connect": [True]}, 2)


def test_what_was_to_be_sent_on_a_lost_connection_is_not_sent_on_the_next(world):
    for _ in range(32):
        world.ask()
    world.run()
    world.server.finish_all()
    world.link.peer.shutdown()
    world.session.receive_data(world.clock.now, world.link.data_to_send())
    assert world.session.data_to_send() == b"", "an acknowledgement"
    world.look()
    assert len(values(world)) == 32


def test_a_resume_that_is_refused_is_a_failed_attempt():
    world = World()
    world.server.mute = True
    world.connect(1)
    world.run()
    question = next(iter(world.link.peer._requests))
    world.link.respond(question, False, b"", "no such method")
    world.carry_down()
    assert "refused to resume: no such method" in world.session.tally.last_error
    world.server.mute = False
    world.advance(1.0)
    world.run()
    assert world.answers == {"connect": [True]}


def test_deadlines_hold_while_there_is_no_connection(world):
    errand = world.ask(timeout=5.0)
    world.carry_up()
    world.listening = False
    world.kill()
    for _ in range(50):
        world.advance(0.1)
    assert type(errand.error) is CallTimeout
    world.listening = True
    world.advance(3.0)
    world.run()
    assert world.session.connected and world.session.tally.joined == 0


def test_without_reconnects_a_break_is_the_end():
    world = World(auto_reconnect=False)
    world.greet()
    world.ask()
    world.carry_up()
    world.kill(OSError("cable"))
    (errand,) = world.settled
    assert isinstance(errand.error, UnknownOutcome) and "cable" in str(errand.error)
    assert (world.finished, world.log) == (1, ["Connected", "Disconnected"])
    assert "cable" in str(world.ask().error)
    world.greet()
    assert world.log[-1] == "Connected"


def test_nothing_is_left_to_do_after_the_end():
    world = World(auto_reconnect=False)
    world.greet()
    world.advance(30.0)  # a heartbeat
    world.ask()
    world.run()
    world.server.finish()
    world.run()  # the answer is not acknowledged yet
    world.ask(timeout=5.0)
    world.session.check(world.clock.now, 3.0, "check")
    world.kill()
    assert (world.finished, world.session.next_timer(world.clock.now)) == (1, None)


def test_attempts_that_are_used_up_settle_everything():
    world = World(max_reconnect_attempts=3)
    world.greet()
    world.ask()
    world.carry_up()
    world.listening = False
    world.kill()
    world.ask()
    for _ in range(10):
        world.advance(3.0)
    sent, held = world.settled
    assert isinstance(sent.error, UnknownOutcome)
    assert isinstance(held.error, NotConnected) and "nobody listens" in str(held.error)
    assert (world.dials, world.finished) == (1 + 3, 1)
    assert world.log == ["Connected", "Disconnected"]


def test_a_server_that_refuses_after_a_break_is_tried_again(world):
    world.server.key = b"x" * 32
    world.kill()
    for _ in range(5):
        world.advance(3.0)
        world.run()
    assert world.session.state == "reconnecting"
    world.server.key = b"k" * 32
    world.advance(3.0)
    world.run()
    assert world.session.connected


def test_disconnecting_says_goodbye_and_settles_everything(world):
    world.ask()
    world.run()
    world.server.finish()
    world.run()
    world.settled.clear()
    world.ask()
    world.run()
    link = world.link
    world.session.disconnect(world.clock.now, "disconnect")
    world.look()
    assert link.ended.reason == "the client disconnects"
    assert link.heard == ["acknowledge"]
    (errand,) = world.settled
    assert isinstance(errand.error, UnknownOutcome)
    assert world.log == ["Connected", "Disconnected"]
    assert (world.answers["disconnect"], world.finished) == ([True], 1)
    world.session.disconnect(world.clock.now, "again")
    world.look()
    assert (world.answers["again"], world.finished) == ([True], 2)
    assert world.log == ["Connected", "Disconnected"]
    assert world.session.next_timer(world.clock.now) is None


def test_the_line_goes_on_after_disconnecting(world):
    world.ask()
    world.run()
    world.session.disconnect(world.clock.now, "disconnect")
    world.look()
    world.greet()
    assert len(lines_of(world.server.receipts)) == 1
    world.ask()
    world.run()
    world.server.finish_all()
    world.run()
    assert values(world) == [2]


def test_the_servers_goodbye_is_the_reason(world):
    world.link.peer.shutdown("the server stops")
    world.carry_down()
    assert world.session.tally.last_error == "the server closed the connection: the server stops"


# Signs of life.


def test_a_heartbeat_is_answered_and_measured(world):
    world.advance(30.0)
    world.clock.advance(0.25)
    world.run()
    assert (world.session.tally.heartbeats, world.session.tally.last_latency) == (1, 0.25)
    world.advance(29.0)
    world.run()
    assert world.session.connected


@pytest.mark.parametrize("interval", [0.5, 30.0])
def test_a_dead_connection_is_noticed_within_two_intervals(interval):
    world = World(heartbeat_interval=interval)
    world.greet()
    world.advance(interval)
    world.run()
    died = world.clock.now
    while world.session.connected:
        world.advance(interval / 20)
        assert world.clock.now - died < 2 * interval
    assert "no answer to a heartbeat" in world.session.tally.last_error
    assert world.log == ["Connected", "Disconnected"]
    world.advance(1.0)
    world.run()
    assert world.session.connected


def test_whoever_says_something_else_is_alive(world):
    world.advance(30.0)
    world.up = b""  # the ping is lost
    world.link.notify("news", b"1")
    world.clock.advance(1.0)
    world.carry_down()
    world.advance(22.0)
    assert world.session.connected


def test_whoever_reads_something_else_first_is_alive(world):
    world.session.note_unsent(1_000_000)
    world.advance(30.0)
    world.session.note_unsent(500_000)
    world.advance(22.6)
    assert world.session.connected
    world.session.note_unsent(500_000)
    world.advance(7.5)
    world.session.note_unsent(500_000)
    world.advance(22.6)
    assert not world.session.connected


def test_no_heartbeats_if_none_are_wanted():
    world = World(heartbeat_interval=0.0)
    world.greet()
    assert world.session.next_timer(world.clock.now) is None


def test_a_health_check_asks_now(world):
    world.session.check(world.clock.now, 3.0, "check")
    world.look()
    assert world.answers.get("check") is None
    world.run()
    assert world.answers["check"] == [True]
    world.session.check(world.clock.now, 3.0, "late")
    world.look()
    world.advance(3.0)
    assert world.answers["late"] == [False]
    world.run()
    world.session.check(world.clock.now, 3.0, "cut")
    world.look()
    world.kill()
    assert world.answers["cut"] == [False]
    world.session.check(world.clock.now, 3.0, "none")
    world.look()
    assert world.answers["none"] == [False]
    world.advance(10.0)
    assert {name: len(told) for name, told in world.answers.items()} == {
        "connect": 1,
        "check": 1,
        "late": 1,
        "cut": 1,
        "none": 1,
    }


def test_pushes_come_in_order_also_after_a_break(world):
    world.link.notify("news", b"1")
    world.link.notify("news", b"2")
    world.run()
    world.kill()
    world.advance(1.0)
    world.run()
    world.link.notify("other", b"3")
    world.run()
    assert world.pushes == [("news", b"1"), ("news", b"2"), ("other", b"3")]


def between_hello_and_resume():
    """Return a world whose server has let the client in and has not answered to resume."""
    world = World()
    world.server.mute = True
    world.connect()
    world.run()
    assert not world.session.connected
    return world


def test_pushes_before_the_answer_to_resume_come_after_the_connection_is_told():
    world = between_hello_and_resume()
    world.link.notify("news", b"1")
    world.link.notify("news", b"2")
    world.run()
    assert world.pushes == world.log == []
    world.link.answer_resume()
    world.link.notify("news", b"3")
    world.run()
    assert world.log == ["Connected"]
    assert world.pushes == [("news", b"1"), ("news", b"2"), ("news", b"3")]


def test_more_pushes_than_ever_come_before_that_answer_are_not_collected(monkeypatch):
    monkeypatch.setattr(early, "_MOST", 1000)
    world = between_hello_and_resume()
    for _ in range(11):
        world.link.notify("news", b"1" * 100)
    world.run()
    assert world.link is None and world.pushes == []
    assert "does not answer to resume" in world.session.tally.last_error


# Any order of things.

OPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 8)),
        st.tuples(st.just("up"), st.integers(1, 400)),
        st.tuples(st.just("down"), st.integers(1, 400)),
        st.tuples(st.just("run"), st.just(0)),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("finish"), st.integers(0, 9)),
        st.tuples(st.just("advance"), st.integers(1, 30)),
        st.tuples(st.just("deaf"), st.integers(0, 1)),
    ),
    max_size=120,
)


def step(world, op, number):
    if op == "ask":
        for _ in range(number):
            world.ask()
    elif op == "up":
        world.carry_up(number)
    elif op == "down":
        world.carry_down(number)
    elif op == "run":
        world.run()
    elif op == "kill":
        world.kill()
    elif op == "finish" and number < len(world.server.running):
        world.server.finish(number)
    elif op == "advance":
        world.advance(number / 10)
    elif op == "deaf":
        world.listening = not number


def heal(world):
    world.listening = True
    for _ in range(10):
        world.advance(3.0)
        world.run()
        world.server.finish_all()
        world.run()


@settings(max_examples=examples(300))
@given(OPS)
def test_whatever_is_cut_each_request_runs_once_and_is_answered(ops):
    world = World()
    world.greet()
    for op in ops:
        step(world, *op)
    heal(world)
    assert world.session.connected
    assert sorted(values(world)) == list(range(1, world.asked + 1))
    assert world.server.ran == dict.fromkeys(range(1, world.asked + 1), 1)
    assert (world.session.in_flight, world.session.held) == (0, 0)
    breaks = world.log.count("Disconnected")
    assert world.log == ["Connected"] + ["Disconnected", "Connected"] * breaks
    assert world.session.tally.reconnects == breaks


@settings(max_examples=examples(100))
@given(OPS, OPS)
def test_whatever_a_restart_cuts_runs_at_most_once_and_ends(ops, more):
    world = World()
    world.greet()
    for op in ops:
        step(world, *op)
    world.server.restart()
    world.kill()
    for op in more:
        step(world, *op)
    heal(world)
    assert len(world.settled) == world.asked
    for errand in world.settled:
        assert errand.response is not None or isinstance(errand.error, UnknownOutcome)
    assert max(world.server.ran.values(), default=1) == 1
    answered = [one.waiter for one in world.settled if one.response is not None]
    assert all(world.server.ran[n] == 1 for n in answered)
