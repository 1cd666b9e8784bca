"""One end of a framed connection: what it says, what it hears, what it owes."""

from __future__ import annotations

import struct

import pytest

from dcc_mcp_embed.rpc.hello import HELLO_LIMIT, ClientHello, Facts, ServerHello, place
from dcc_mcp_embed.rpc.peer import Ended, Greeted, Peer, Quotas
from dcc_mcp_embed.transport_errors import (
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    FrameTooLarge,
    Internal,
    PingTimeout,
    Serialization,
)
from dcc_mcp_embed.wire.frames import frame
from dcc_mcp_embed.wire.messages import (
    OURS,
    REFERENCE,
    Form,
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    decode,
    encode,
    id_text,
)
from fakes.clock import FakeClock

ID = bytes(range(16))
KEY = b"k" * 32
PLACE = place(("127.0.0.1", 1))
FORMS = [
    Form(shape, bytes_as) for shape in ("tagged", "bare", "map") for bytes_as in ("array", "bin")
]


@pytest.fixture
def clock():
    return FakeClock()


def peer(clock, **options):
    return Peer(clock, **options)


def framed(*messages, form=REFERENCE):
    return b"".join(frame(encode(message, form)) for message in messages)


def said(one):
    """Return the messages that a peer wants sent, with their forms."""
    return messages_in(one.data_to_send())


def messages_in(data):
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(decode(data[4 : 4 + size]))
        data = data[4 + size :]
    return found


def exchange(one, other):
    """Carry bytes until both are silent; return the events of each."""
    events = ([], [])
    while True:
        sent = one.data_to_send(), other.data_to_send()
        if not any(sent):
            return events
        events[1].extend(other.receive_data(sent[0]))
        events[0].extend(one.receive_data(sent[1]))


# Calls.


def test_a_call_is_settled_by_its_answer_and_by_no_other(clock):
    one = peer(clock)
    first, second = one.call("a", b"1"), one.call("b", b"2")
    assert one.in_flight == 2
    (request, _), _ = said(one)
    assert request == Request(first.id, "a", b"1")
    answer = Response(second.id, True, b"two", None)
    assert one.receive_data(framed(answer)) == [second]
    assert not first.done and second.done
    assert second.result() == answer
    assert one.receive_data(framed(Response(first.id, True, b"one", None))) == [first]
    assert first.result().payload == b"one"
    assert one.in_flight == 0


@pytest.mark.parametrize(("error", "text"), [("boom", "boom"), (None, "unknown error")])
def test_a_failed_call_raises_what_the_peer_said(clock, error, text):
    one = peer(clock)
    call = one.call("m", b"")
    one.receive_data(framed(Response(call.id, False, b"", error)))
    with pytest.raises(CallFailed) as caught:
        call.result()
    assert str(caught.value) == "call 'm' failed: " + text


def test_ids_are_version_4_uuids_and_differ(clock):
    one = peer(clock)
    ids = {one.new_id() for _ in range(1000)}
    assert len(ids) == 1000
    for ident in ids:
        text = id_text(ident)
        assert text[14] == "4" and text[19] in "89ab"
    assert not ids & {peer(clock).new_id() for _ in range(1000)}


def test_a_call_that_cannot_be_said_leaves_nothing_behind(clock):
    one = peer(clock)
    with pytest.raises(Serialization):
        one.call("\ud800", b"")
    assert one.in_flight == 0 and one.data_to_send() == b""


def test_no_more_calls_than_the_quota(clock):
    one = peer(clock, quotas=Quotas(in_flight=2))
    calls = [one.call("m", b""), one.ping()]
    with pytest.raises(Internal, match=r"too many calls in flight \(max: 2\)"):
        one.call("m", b"")
    with pytest.raises(Internal):
        one.ping()
    one.receive_data(framed(Response(calls[0].id, True, b"", None)))
    one.call("m", b"")


def test_an_unasked_answer_is_an_event(clock):
    one = peer(clock)
    answer = Response(ID, True, b"", None)
    assert one.receive_data(framed(answer)) == [answer]
    ident, data = one.request("m", b"")
    assert decode(data[4:])[0] == Request(ident, "m", b"")
    answer = Response(ident, True, b"", None)
    assert one.receive_data(framed(answer)) == [answer]


def test_a_second_answer_to_one_call_is_not_the_calls(clock):
    one = peer(clock)
    call = one.call("m", b"")
    answer, again = Response(call.id, True, b"1", None), Response(call.id, True, b"2", None)
    assert one.receive_data(framed(answer, again)) == [call, again]
    assert call.result() == answer


def test_a_pong_does_not_settle_a_call_nor_an_answer_a_ping(clock):
    one = peer(clock)
    call, probe = one.call("m", b""), one.ping()
    answer = Response(probe.id, True, b"", None)
    assert one.receive_data(framed(Pong(call.id, 1), answer)) == [answer]
    assert not call.done and not probe.done


# Time.


def test_what_is_abandoned_says_how_long_it_was_waited_for(clock):
    one = peer(clock)
    late, data = one.compose("slow", b"", clock.now + 3, 3000)
    assert messages_in(data)[0][0] == Request(late.id, "slow", b"")
    one.begin(late)
    soon = one.ping(clock.now + 1, 1000)
    assert (late.deadline, soon.deadline) == (clock.now + 3, clock.now + 1)
    one.call("for ever", b"")
    one.abandon(soon)
    assert soon.done and not late.done
    assert isinstance(soon.error, PingTimeout) and str(soon.error) == "ping timed out after 1000ms"
    one.abandon(late)
    with pytest.raises(CallTimeout) as caught:
        late.result()
    assert str(caught.value) == "call 'slow' timed out after 3000ms"
    assert one.in_flight == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_a_late_answer_is_an_event_only_where_that_is_wanted(clock, wanted):
    one = peer(clock, late_answers=wanted)
    call = one.call("m", b"")
    one.abandon(call)
    answer = Response(call.id, True, b"late", None)
    assert one.receive_data(framed(answer)) == ([answer] if wanted else [])
    assert isinstance(call.error, CallTimeout) and call.response is None
    # It was waited for once: the next with this id is unasked.
    assert one.receive_data(framed(answer)) == [answer]


def test_abandoning_what_is_settled_changes_nothing(clock):
    one = peer(clock)
    call = one.call("m", b"")
    answer = Response(call.id, True, b"", None)
    one.receive_data(framed(answer))
    one.abandon(call)
    assert call.result() == answer


def test_abandoned_calls_are_not_remembered_for_ever(clock):
    one = peer(clock)
    calls = [one.call("m", b"") for _ in range(1000)]
    for _ in range(3):
        for call in calls:
            one.abandon(call)
        calls = [one.call("m", b"") for _ in range(1000)]
    assert len(one._abandoned) <= 1024


# Pings.


def test_a_ping_is_answered_and_measured_by_our_own_clock(clock):
    far = FakeClock(now=5_000_000.0)
    one, other = peer(clock), peer(far)
    probe = one.ping()
    sent = one.data_to_send()
    clock.advance(0.25)
    assert other.receive_data(sent) == []
    ((pong, _),) = said(other)
    assert pong == Pong(probe.id, int(far.wall() * 1000))
    assert one.receive_data(framed(pong)) == [probe]
    assert probe.done and probe.round_trip == pytest.approx(0.25)
    assert one.receive_data(framed(pong)) == [], "a second one is nobody's"


def test_hundreds_of_unmatched_pongs_change_nothing(clock):
    one = peer(clock)
    assert one.receive_data(framed(*[Pong(ID, 1)] * 500)) == []
    assert one.receive_data(framed(Notify(None, "t", b""))) == [Notify(None, "t", b"")]


def test_whoever_pings_and_does_not_read_gets_no_pongs(clock):
    one = peer(clock, quotas=Quotas(unsent=1000))
    one.unsent = 999
    one.receive_data(framed(Ping(ID, 1)))
    assert said(one) != []
    one.unsent = 1000
    one.receive_data(framed(*[Ping(ID, 1)] * 100))
    assert said(one) == []


# Forms.


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_an_answer_has_the_form_of_its_request(clock, form):
    one = peer(clock)
    request = Request(ID, "m", b"\xffpay")
    assert one.receive_data(framed(request, form=form)) == [request]
    answer = messages_in(one.answer(ID, True, b"\xffload"))
    assert answer == [(Response(ID, True, b"\xffload", None), form)]
    answer = messages_in(one.answer(ID, False, b"", "again"))
    assert answer == [(Response(ID, False, b"", "again"), REFERENCE)], "once per request"


@pytest.mark.parametrize("shape", ["tagged", "map"])
def test_a_pong_has_the_form_of_its_ping(clock, shape):
    one = peer(clock)
    one.receive_data(framed(Ping(ID, 1), form=Form(shape, "array")))
    assert said(one)[0][1].shape == shape


def forms_of_what_is_begun(one):
    one.call("m", b"x")
    data = one.data_to_send() + one.notification("t", b"x") + one.request("m", b"x")[1]
    return [found for _, found in messages_in(data)]


def test_what_a_raw_peer_begins_has_the_references_form(clock):
    assert forms_of_what_is_begun(peer(clock)) == [REFERENCE] * 3


def test_a_failed_answer_can_be_tried_again_in_the_same_form(clock):
    one = peer(clock)
    one.receive_data(framed(Request(ID, "m", b"x"), form=OURS))
    with pytest.raises(Serialization):
        one.answer(ID, False, b"", "\ud800")
    assert messages_in(one.answer(ID, False, b"x", "no"))[0][1] == OURS


# Requests of the peer.


def test_requests_over_the_quota_are_refused_where_that_is_wanted(clock):
    one = peer(clock, quotas=Quotas(requests=2, refuse=True))
    requests = [Request(bytes([n]) * 16, "m", b"") for n in range(4)]
    assert one.receive_data(framed(*requests, form=OURS)) == requests[:2]
    refusals = said(one)
    assert [message.id for message, _ in refusals] == [requests[2].id, requests[3].id]
    message, form = refusals[0]
    assert not message.success and message.error == "too many requests at once (max: 2)"
    assert form.shape == "tagged"
    one.answer(requests[0].id, True)
    assert one.receive_data(framed(requests[3])) == [requests[3]]


def test_requests_that_nobody_answers_do_not_pile_up(clock):
    one = peer(clock, quotas=Quotas(requests=10))
    for number in range(1000):
        request = Request(struct.pack(">QQ", 0, number), "m", b"")
        assert one.receive_data(framed(request, form=FORMS[5])) == [request]
    answers = [one.answer(struct.pack(">QQ", 0, number), True) for number in range(1000)]
    shapes = [messages_in(answer)[0][1].shape for answer in answers]
    assert shapes == ["tagged"] * 990 + ["map"] * 10, "the last ten are kept in mind"


# The end.


@pytest.mark.parametrize("reason", [None, "bye"])
def test_a_shutdown_ends_everything_pending_after_what_came_before_it(clock, reason):
    one = peer(clock)
    answered, lost, probe = one.call("a", b""), one.call("b", b""), one.ping()
    events = one.receive_data(
        framed(Response(answered.id, True, b"", None), Shutdown(reason), Notify(None, "t", b""))
    )
    assert events[:3] == [answered, lost, probe]
    assert isinstance(events[3], Ended) and events[3].reason == reason
    assert len(events) == 4, "what follows a shutdown is nothing"
    assert answered.result().success
    with pytest.raises(ConnectionClosed):
        lost.result()
    assert lost.error is not probe.error, "two threads raise them"
    with pytest.raises(ConnectionClosed):
        one.call("m", b"")
    assert one.receive_data(framed(Notify(None, "t", b""))) == []
    assert one.receive_eof() == []


def test_the_end_of_the_stream_ends_it_once(clock):
    one = peer(clock)
    call = one.call("m", b"")
    one.receive_data(framed(Notify(None, "t", b"x"))[:7])
    assert one.mid_frame
    events = one.receive_eof()
    assert events[0] is call and isinstance(events[1].error, ConnectionClosed)
    assert one.receive_eof() == [] and one.end(Internal("again")) == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\xff\xff\xff\xff", FrameTooLarge),
        (frame(b"\x94\xa7requesx"), Serialization),
        (frame(b""), Serialization),
        (b"GET / HTTP/1.1\r\n", FrameTooLarge),
    ],
)
def test_what_is_no_frame_ends_it_and_says_why(clock, data, error):
    one = peer(clock)
    good = Notify(None, "t", b"")
    call = one.call("m", b"")
    events = one.receive_data(framed(good) + data)
    assert events[:2] == [good, call]
    assert isinstance(events[2].error, error) and isinstance(call.error, error)


def test_the_size_of_a_frame_is_limited(clock):
    one = peer(clock, quotas=Quotas(frame=100))
    assert len(one.receive_data(framed(Notify(None, "t", bytes(80))))) == 1
    (ended,) = one.receive_data((101).to_bytes(4, "big"))
    assert str(ended.error) == "frame too large: 101 bytes (max: 100 bytes)"


def test_saying_goodbye(clock):
    one = peer(clock)
    one.shutdown("stopping")
    assert said(one) == [(Shutdown("stopping"), Form("tagged", "array"))]


# The hello.


def greeted(clock, **options):
    facts = Facts("instance", "epoch", 3)
    client = peer(clock, hello=ClientHello(KEY, PLACE, clock), **options)
    server = peer(clock, hello=ServerHello(KEY, PLACE, facts, clock), **options)
    return client, server, facts


def test_after_the_hello_both_ends_speak_bin(clock):
    client, server, facts = greeted(clock)
    assert not client.greeting.done
    events = exchange(client, server)
    assert events == ([Greeted(facts)], [Greeted(facts)])
    assert client.greeting.done and client.facts == server.facts == facts
    assert forms_of_what_is_begun(client) == forms_of_what_is_begun(server) == [OURS] * 3
    call = client.call("m", b"\xff" * 10)
    assert b"\xc4\x0a" + b"\xff" * 10 in client.data_to_send()
    server.receive_data(framed(Request(call.id, "m", b""), form=OURS))
    assert b"\xc4\x0a" + b"\xfe" * 10 in server.answer(call.id, True, b"\xfe" * 10)


def test_before_the_hello_nothing_else_is_heard_and_little_is_taken(clock):
    for message in (Notify(None, "t", b""), Ping(ID, 1), Request(ID, "tools/list", b"")):
        _, server, _ = greeted(clock)
        (ended,) = server.receive_data(framed(message))
        assert isinstance(ended, Ended)
        assert all(not answer.success for answer, _ in said(server))
    for one in greeted(clock)[:2]:
        (ended,) = one.receive_data((HELLO_LIMIT + 1).to_bytes(4, "big"))
        assert isinstance(ended.error, FrameTooLarge)
        assert isinstance(one.greeting.error, FrameTooLarge)


def test_after_the_hello_frames_may_be_large(clock):
    client, server, _ = greeted(clock, quotas=Quotas(frame=5000))
    exchange(client, server)
    assert len(server.receive_data(client.notification("t", bytes(4900)))) == 1
    assert server.receive_data((5001).to_bytes(4, "big")) != []


def test_a_request_right_behind_the_clients_hello_is_served(clock):
    client, server, facts = greeted(clock)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    request = Request(ID, "m", bytes(2 * HELLO_LIMIT))
    events = server.receive_data(client.data_to_send() + framed(request, form=OURS))
    assert events == [Greeted(facts), request]


def test_a_refused_client_is_told_and_both_ends_are_over(clock):
    client = peer(clock, hello=ClientHello(b"x" * 32, PLACE, clock))
    server = peer(clock, hello=ServerHello(KEY, PLACE, Facts("i", "e"), clock))
    to_client, _ = exchange(client, server)
    assert isinstance(to_client[0], Ended)
    assert "secret" in str(client.greeting.error) and client.facts is None
    # A client that goes on without checking is told why not.
    server = peer(clock, hello=ServerHello(KEY, PLACE, Facts("i", "e"), clock))
    server.receive_data(framed(Request(ID, "hello", b'{"wire":2,"nonce":"x"}')))
    ((answer, _),) = said(server)
    assert answer.error == "only version 1 of the wire is spoken here"
    assert server.ended is not None
