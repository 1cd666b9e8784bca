"""FramedChannel: answers find their calls whatever else happens, and nobody waits for others."""

from __future__ import annotations

import gc
import os
import socket
import threading
import tracemalloc
import weakref

import pytest

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.errors import HostBusy, WouldDeadlock
from dcc_mcp_embed.host import guard
from dcc_mcp_embed.net.readiness import Readiness
from dcc_mcp_embed.rpc.inbox import FULL_MESSAGES
from dcc_mcp_embed.rpc.peer import Peer
from dcc_mcp_embed.transport import arguments, turns
from dcc_mcp_embed.transport.carrier import Carrier
from dcc_mcp_embed.transport.channel import FramedChannel
from dcc_mcp_embed.transport.connect import raw_channel
from dcc_mcp_embed.transport.link import Link
from dcc_mcp_embed.transport_errors import (
    CallFailed,
    CallTimeout,
    ConnectionClosed,
    FrameTooLarge,
    Internal,
    PingTimeout,
    Serialization,
)
from dcc_mcp_embed.wire.messages import (
    OURS,
    Form,
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    id_bytes,
    id_text,
)
from fakes.caller import Caller
from fakes.channels import ADDRESS, DEADLINE, PATIENCE, Stage, ctrl_c, framed, until
from fakes.interrupt import Interrupt

ID = bytes(range(16))
MIB = 1 << 20
SHUT = "FramedChannel has been shut down"


@pytest.fixture
def stage():
    one = Stage()
    yield one
    one.close()


def notify(number=0, size=0):
    return Notify(None, "n{}".format(number), bytes(size))


def topics(count):
    return ["n{}".format(number) for number in range(count)]


def numbers(channel):
    """Return the topics of everything that can be received now."""
    found = []
    while True:
        message = channel.try_recv()
        if message is None:
            return found
        found.append(message["topic"])


# Calls.


@pytest.mark.parametrize(
    ("params", "payload"),
    [
        (b"\x00\x7f\x80\xff", b"\x00\x7f\x80\xff"),
        ([0, 127, 128, 255], b"\x00\x7f\x80\xff"),
        ({"name": "caf\u00e9", "n": [1]}, '{"name":"caf\u00e9","n":[1]}'.encode()),
        (bytearray(b"x"), b"x"),
        (None, b""),
        (b"", b""),
        (bytes(range(256)) * 8192, bytes(range(256)) * 8192),
    ],
    ids=["bytes", "list", "mapping", "bytearray", "none", "empty", "large"],
)
def test_a_call_returns_what_the_peer_answered(stage, params, payload):
    answer = stage.echo().call("echo", params)
    assert answer == {"id": answer["id"], "success": True, "payload": payload, "error": None}
    assert id_text(id_bytes(answer["id"])) == answer["id"]


@pytest.mark.parametrize("params", ["text", 5, [256], [-1], ["a"], {"a": b"bytes"}])
def test_params_that_are_no_bytes(stage, params):
    channel, wire = stage.pair()
    with pytest.raises((TypeError, ValueError)):
        channel.call("m", params)
    channel.send_notify("next")
    assert wire.hear() == Notify(None, "next", b""), "nothing was sent"


@pytest.mark.parametrize("name", [b"m", None, 5])
def test_a_name_that_is_no_text(stage, name):
    channel, _ = stage.pair()
    for use in (channel.call, channel.send_request, channel.send_notify):
        with pytest.raises(TypeError):
            use(name)


def test_a_call_that_fails(stage):
    with pytest.raises(CallFailed) as caught:
        stage.echo().call("fail")
    assert str(caught.value) == "call 'fail' failed: as you wish"


def test_a_call_that_is_not_answered_in_time_and_its_late_answer(stage):
    channel, wire = stage.pair()
    with pytest.raises(CallTimeout) as caught:
        channel.call("slow", timeout_ms=20)
    assert str(caught.value) == "call 'slow' timed out after 20ms"
    request = wire.hear()
    wire.say(Response(request.id, True, b"late", None))
    assert channel.recv(PATIENCE) == {
        "type": "response",
        "id": id_text(request.id),
        "success": True,
        "payload": b"late",
        "error": None,
    }
    assert channel.in_flight == 0


@pytest.mark.parametrize("timeout", ["1", 1.5, None])
def test_a_time_that_is_no_whole_number(stage, timeout):
    channel, _ = stage.pair()
    with pytest.raises(TypeError):
        channel.call("m", timeout_ms=timeout)


def test_a_negative_time(stage):
    channel, _ = stage.pair()
    for use in (channel.recv, channel.ping, lambda ms: channel.call("m", timeout_ms=ms)):
        with pytest.raises(OverflowError):
            use(-1)


def test_answers_in_another_order_than_the_calls(stage):
    channel, wire = stage.pair()
    helpers = [
        stage.thread(lambda n=n: channel.call("m", bytes([n]), PATIENCE)["payload"])
        for n in range(8)
    ]
    requests = [wire.hear() for _ in helpers]
    assert channel.in_flight == 8
    for request in reversed(requests):
        wire.say(Response(request.id, True, request.params * 3, None))
    assert [helper.result() for helper in helpers] == [bytes([n]) * 3 for n in range(8)]


def test_many_threads_on_one_channel_lose_and_double_nothing(stage):
    channel = stage.echo()

    def work(number):
        for count in range(100):
            params = b"%d:%d" % (number, count)
            if channel.call("echo", params, PATIENCE)["payload"] != params:
                return params
        return None

    helpers = [stage.thread(lambda n=n: work(n)) for n in range(16)]
    assert [helper.result() for helper in helpers] == [None] * 16
    assert channel.try_recv() is None


# Messages.


def test_messages_as_dictionaries(stage):
    channel, wire = stage.pair()
    wire.say(
        Request(ID, "m", b"p"),
        Notify(None, "t", b"d"),
        Notify(ID, "u", b""),
        Response(ID, False, b"", "no"),
    )
    text = id_text(ID)
    assert [channel.recv(PATIENCE) for _ in range(4)] == [
        {"type": "request", "id": text, "method": "m", "params": b"p"},
        {"type": "notify", "id": None, "topic": "t", "data": b"d"},
        {"type": "notify", "id": text, "topic": "u", "data": b""},
        {"type": "response", "id": text, "success": False, "payload": b"", "error": "no"},
    ]
    assert channel.recv(timeout_ms=1) is None
    assert channel.recv(0) is None
    assert channel.try_recv() is None


def test_what_is_sent_is_what_the_reference_takes(stage):
    channel, wire = stage.pair()
    ident = channel.send_request("m", [1, 255])
    channel.send_notify("t", {"a": 1})
    channel.send_response(id_text(ID).upper(), True, b"ok")
    channel.send_response(id_text(ID), False, error="no")
    sent = framed(
        Request(id_bytes(ident), "m", b"\x01\xff"),
        Notify(None, "t", b'{"a":1}'),
        Response(ID, True, b"ok", None),
        Response(ID, False, b"", "no"),
    )
    assert wire.sock.recv(1000) == sent


def test_the_answer_to_a_request_of_ours_that_is_no_call(stage):
    channel, wire = stage.pair()
    ident = channel.send_request("m")
    wire.say(Response(wire.hear().id, True, b"answer", None))
    message = channel.recv(PATIENCE)
    assert (message["type"], message["id"], message["payload"]) == ("response", ident, b"answer")


@pytest.mark.parametrize("form", [OURS, Form("bare", "array"), Form("map", "bin")])
def test_an_answer_has_the_form_of_its_request(stage, form):
    channel, wire = stage.pair()
    wire.say(Request(ID, "m", b"\xff"), form=form)
    channel.send_response(channel.recv(PATIENCE)["id"], True, b"\xff")
    assert wire.sock.recv(1000) == framed(Response(ID, True, b"\xff", None), form=form)


def test_an_id_that_is_none(stage):
    channel, _ = stage.pair()
    with pytest.raises(ValueError, match="invalid UUID: "):
        channel.send_response("nonsense", True)


def test_several_receivers_get_each_message_once(stage):
    channel, wire = stage.pair()
    helpers = [stage.thread(lambda: channel.recv(PATIENCE)["topic"]) for _ in range(8)]
    wire.say(*[notify(n) for n in range(8)])
    assert sorted(helper.result() for helper in helpers) == topics(8)


# Notifications that somebody listens to.


def test_a_listener_is_told_of_notifications_and_of_nothing_else(stage):
    channel, wire = stage.pair()
    heard = []
    wire.say(notify(1))
    assert channel.recv(PATIENCE)["topic"] == "n1"
    channel.listener = lambda topic, data: heard.append((topic, data, threading.get_ident()))
    call = stage.thread(lambda: channel.call("go", b"", PATIENCE))
    asked = wire.hear()
    wire.say(notify(2, 3), Request(ID, "r", b""), notify(3), Response(asked.id, True, b"", None))
    call.result()
    assert [one[:2] for one in heard] == [("n2", bytes(3)), ("n3", b"")]
    assert heard[0][2] != threading.get_ident(), "on the thread that reads"
    assert channel.recv(PATIENCE)["type"] == "request"
    channel.listener = None
    wire.say(notify(4))
    assert channel.recv(PATIENCE)["topic"] == "n4"
    assert len(heard) == 2


def test_a_notification_goes_out_while_a_call_of_another_thread_waits(stage):
    channel, wire = stage.pair()
    call = stage.thread(lambda: channel.call("go", b"", PATIENCE))
    asked = wire.hear()
    channel.send_notify("mcp", b"stop")
    assert wire.hear() == Notify(None, "mcp", b"stop")
    wire.say(Response(asked.id, True, b"", None))
    assert call.result()["success"]


def test_a_listener_that_calls_back_or_raises_does_no_silent_harm(stage):
    channel, wire = stage.pair()
    refused = []

    def calls_back(topic, data):
        try:
            channel.send_notify("x")
        except Internal as error:
            refused.append(str(error))

    channel.listener = calls_back
    wire.say(notify(1))
    assert channel.recv(10) is None
    assert len(refused) == 1

    def raises(topic, data):
        raise LookupError("a mistake")

    channel.listener = raises
    wire.say(notify(2))
    with pytest.raises(LookupError):
        channel.recv(PATIENCE)
    assert not channel.is_running
    channel.shutdown()
    with pytest.raises(Internal):
        channel.listener = calls_back


# Pings.


def test_a_ping_is_answered_by_whoever_waits_at_the_other_end(stage):
    near, far = stage.channels()
    helper = stage.thread(lambda: far.recv(PATIENCE))
    assert near.ping(PATIENCE) in range(PATIENCE)
    assert 0 < near.round_trip(PATIENCE) < DEADLINE
    near.send_notify("done")
    assert helper.result()["topic"] == "done"


def test_a_ping_that_nobody_answers(stage):
    channel, wire = stage.pair()
    with pytest.raises(PingTimeout) as caught:
        channel.ping(20)
    assert str(caught.value) == "ping timed out after 20ms"
    wire.say(Pong(wire.hear().id, 0))
    assert channel.try_recv() is None, "a late one is nobody's"


def test_pings_are_answered_while_a_call_waits(stage):
    channel, wire = stage.pair()
    helper = stage.thread(lambda: channel.call("m", timeout_ms=PATIENCE))
    request = wire.hear()
    wire.say(Ping(ID, 7))
    assert wire.hear().id == ID
    wire.say(Response(request.id, True, b"", None))
    assert helper.result()["success"]


def test_hundreds_of_unmatched_pongs_do_not_stop_a_channel(stage):
    channel, wire = stage.pair()
    wire.say(*[Pong(ID, 1)] * 1000, notify())
    assert channel.recv(PATIENCE)["topic"] == "n0"


def test_a_peer_that_pings_and_never_reads_stalls_only_itself(stage):
    channel, wire = stage.pair(4096)
    pings = framed(*[Ping(ID, 1)] * 1000)
    helper = stage.thread(lambda: channel.recv(PATIENCE))
    for _ in range(30):
        wire.sock.sendall(pings)
    wire.say(notify())
    assert helper.result()["topic"] == "n0"
    assert channel._carrier.peer.unsent < 200_000


# Leaving and leading.


@pytest.mark.parametrize("cut", [1, 4, 30, 5000])
def test_a_waiter_whose_time_is_over_leaves_the_stream_whole(stage, cut):
    """A frame that has half arrived when a call gives up is still received (W3)."""
    channel, wire = stage.pair()
    data = framed(notify(1, 10_000), notify(2))
    wire.sock.sendall(data[:cut])
    with pytest.raises(CallTimeout):
        channel.call("m", timeout_ms=20)
    channel.send_notify("in between")
    wire.sock.sendall(data[cut:])
    assert [channel.recv(PATIENCE)["topic"] for _ in range(2)] == ["n1", "n2"]


def test_whoever_waits_longer_takes_the_lead(stage):
    channel, wire = stage.pair()
    leader = stage.thread(lambda: channel.recv(300))
    until(lambda: channel._link._led)
    followers = [stage.thread(lambda: channel.call("m", b"", PATIENCE)) for _ in range(3)]
    requests = [wire.hear() for _ in followers]
    assert leader.result() is None
    for request in requests:
        wire.say(Response(request.id, True, b"", None))
    assert all(follower.result()["success"] for follower in followers)


def test_each_ones_time_is_its_own(stage):
    channel, wire = stage.pair()
    leader = stage.thread(lambda: channel.recv(PATIENCE))
    until(lambda: channel._link._led)
    with pytest.raises(CallTimeout):
        channel.call("m", timeout_ms=20)
    with pytest.raises(PingTimeout):
        channel.ping(20)
    assert channel.recv(20) is None
    assert leader.is_alive()
    wire.say(notify())
    assert leader.result()["topic"] == "n0"


def test_a_message_is_not_lost_to_a_receiver_who_just_left(stage):
    channel, wire = stage.pair()
    for number in range(200):
        helper = stage.thread(lambda: channel.recv(1))
        wire.say(notify(number))
        found = helper.result() or channel.recv(PATIENCE)
        assert found["topic"] == "n{}".format(number)


# A queue that is full.


def fill(wire, first, most=100_000):
    """Send notifications until the channel takes no more; return how many it may have got."""
    wire.sock.settimeout(0.2)
    sent = first
    try:
        while sent < most:
            wire.sock.sendall(framed(notify(sent)))
            sent += 1
    except socket.timeout:
        pass
    wire.sock.settimeout(DEADLINE)
    return sent


def test_a_full_queue_is_not_read_on_and_loses_nothing(stage):
    channel, wire = stage.pair(4096)
    sent = fill(wire, 0)
    assert channel.is_running
    assert len(channel._link._inbox) <= FULL_MESSAGES + 4096
    sender = stage.thread(lambda: wire.say(notify(sent)))
    got = []
    # One was cut off when it did not fit; the rest of it was never sent.
    while len(got) < sent:
        got.append(channel.recv(PATIENCE)["topic"])
    assert got == topics(sent)
    sender.result()


def test_an_answer_is_found_behind_a_full_queue(stage):
    """Head-of-line: a call must not wait for somebody to receive (W4)."""
    channel, wire = stage.pair()
    wire.say(*[notify(n) for n in range(FULL_MESSAGES)])
    until(lambda: channel.is_running and channel._link._inbox.full)
    helper = stage.thread(lambda: channel.call("m", timeout_ms=PATIENCE))
    request = wire.hear()
    more = [notify(n) for n in range(FULL_MESSAGES, 3 * FULL_MESSAGES)]
    wire.say(*more, Response(request.id, True, b"found", None))
    assert helper.result()["payload"] == b"found"
    assert numbers(channel) == topics(3 * FULL_MESSAGES)
    assert channel.dropped == 0


def test_what_a_call_has_to_read_past_is_bounded_and_counted(stage):
    channel, wire = stage.pair()
    helper = stage.thread(lambda: channel.call("m", timeout_ms=PATIENCE))
    request = wire.hear()
    room = 16 * FULL_MESSAGES
    wire.say(*[notify(n) for n in range(room + 10)])
    wire.say(Request(ID, "do", b""))
    refused = wire.hear()
    assert refused == Response(ID, False, b"", "the receive queue is full")
    wire.say(Response(request.id, True, b"found", None))
    assert helper.result()["payload"] == b"found"
    assert channel.dropped == 11
    assert numbers(channel) == topics(room)


# A peer that does not read.


def test_a_blocked_sender_does_not_keep_others_from_receiving(stage):
    channel, wire = stage.pair(4096)
    sender = stage.thread(lambda: channel.send_notify("big", bytes(MIB)))
    until(lambda: channel._link._outbox)
    for number in range(20):
        wire.say(notify(number))
        assert channel.recv(PATIENCE)["topic"] == "n{}".format(number)
    assert sender.is_alive()
    assert wire.hear().data == bytes(MIB)
    sender.result()


def test_a_receiver_does_not_keep_a_sender_from_sending(stage):
    channel, wire = stage.pair(4096)
    receiver = stage.thread(lambda: channel.recv(PATIENCE))
    until(lambda: channel._link._led)
    sender = stage.thread(lambda: channel.send_notify("big", bytes(MIB)))
    assert wire.hear().data == bytes(MIB)
    sender.result()
    wire.say(notify())
    assert receiver.result()["topic"] == "n0"


def test_a_sender_reads_on_when_the_one_who_read_has_left(stage):
    channel, wire = stage.pair(4096)
    receiver = stage.thread(lambda: channel.recv(100))
    until(lambda: channel._link._led)
    sender = stage.thread(lambda: channel.send_notify("big", bytes(MIB)))
    assert receiver.result() is None
    # The peer reads only once it has got rid of its own.
    wire.say(notify(1, MIB))
    assert wire.hear().data == bytes(MIB)
    sender.result()
    assert channel.recv(PATIENCE)["topic"] == "n1"


def test_two_ends_that_both_send_a_lot_get_on(stage):
    near, far = stage.channels()
    big = bytes(4 * MIB)

    def call(channel):
        return channel.call("m", big, PATIENCE)

    def serve(channel):
        request = channel.recv(PATIENCE)
        channel.send_response(request["id"], True, request["params"])

    helpers = [stage.thread(lambda f=f, c=c: f(c)) for f in (call, serve) for c in (near, far)]
    answers = [helper.result() for helper in helpers[:2]]
    assert all(answer["payload"] == big for answer in answers)


def test_a_peer_that_goes_while_somebody_sends(stage):
    channel, wire = stage.pair(4096)
    senders = [stage.thread(lambda: channel.send_notify("big", bytes(MIB))) for _ in range(3)]
    until(lambda: len(channel._link._outbox) == 3)
    wire.close()
    for sender in senders:
        with pytest.raises(ConnectionClosed):
            sender.result()


def test_frames_of_several_senders_do_not_mix(stage):
    channel, wire = stage.pair(4096)
    helpers = [
        stage.thread(lambda n=n: channel.send_notify(str(n), bytes([n]) * 100_000))
        for n in range(8)
    ]
    until(lambda: len(channel._link._outbox) == 8)
    found = [wire.hear() for _ in helpers]
    assert sorted(int(message.topic) for message in found) == list(range(8))
    assert all(message.data == bytes([int(message.topic)]) * 100_000 for message in found)
    for helper in helpers:
        helper.result()


def test_a_frame_that_was_cut_off_closes_the_channel_and_says_so(stage):
    channel, _ = stage.pair(4096)
    waiter = stage.thread(lambda: channel.recv(PATIENCE))
    sends = (
        lambda: channel.send_notify("big", bytes(MIB), timeout_ms=50),
        lambda: channel.send_notify("next"),
    )
    for use in (*sends, waiter.result, channel.recv, lambda: channel.call("m")):
        with pytest.raises(Internal, match="a frame was cut off: the peer did not read in time"):
            use()
    assert not channel.is_running


def test_a_frame_that_has_not_begun_is_taken_back(stage):
    channel, wire = stage.pair(4096)
    sender = stage.thread(lambda: channel.send_notify("big", bytes(MIB)))
    until(lambda: channel._link._outbox)
    with pytest.raises(Internal, match="send timed out"):
        channel.send_notify("never", timeout_ms=20)
    with pytest.raises(CallTimeout):
        channel.call("never", timeout_ms=20)
    with pytest.raises(PingTimeout):
        channel.ping(20)
    assert wire.hear().topic == "big"
    sender.result()
    channel.send_notify("next")
    assert wire.hear().topic == "next"
    assert channel._carrier.peer.unsent == 0


# The end.


def waiting(stage, channel):
    """Return threads that wait in every way there is."""
    helpers = [
        stage.thread(lambda: channel.recv(PATIENCE)),
        stage.thread(channel.recv),
        stage.thread(lambda: channel.call("m", timeout_ms=PATIENCE)),
        stage.thread(lambda: channel.call("m", timeout_ms=PATIENCE)),
        stage.thread(lambda: channel.ping(PATIENCE)),
    ]
    until(lambda: channel.in_flight == 3 and len(channel._link._receivers) == 2)
    return helpers


@pytest.mark.parametrize("end", ["close", "half", "shutdown", "reset"])
def test_the_peers_end_is_told_to_all_who_wait_at_once(stage, end):
    channel, wire = stage.pair()
    helpers = waiting(stage, channel)
    if end == "close":
        wire.close()
    elif end == "half":
        wire.sock.shutdown(socket.SHUT_WR)
    elif end == "shutdown":
        wire.say(Shutdown("bye"))
    else:
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wire.close()
    for helper in helpers:
        with pytest.raises(ConnectionClosed, match="^connection closed by peer$"):
            helper.result()
    assert not channel.is_running and channel
    assert repr(channel) == "FramedChannel(running=false)"


def test_what_came_before_the_end_is_received_before_it_is_told(stage):
    channel, wire = stage.pair()
    wire.say(notify(1), notify(2), Shutdown(None))
    wire.close()
    assert [channel.recv(PATIENCE)["topic"], channel.try_recv()["topic"]] == ["n1", "n2"]
    for use in (channel.recv, channel.try_recv, channel.ping, lambda: channel.call("m")):
        with pytest.raises(ConnectionClosed):
            use()
    for use in (channel.send_notify, channel.send_request):
        with pytest.raises(ConnectionClosed):
            use("m")


def test_sending_to_a_peer_that_is_gone_still_receives_its_last_words(stage):
    channel, wire = stage.pair()
    wire.say(notify(1))
    wire.close()
    with pytest.raises(ConnectionClosed):
        channel.call("m")
    assert channel.recv()["topic"] == "n1"
    with pytest.raises(ConnectionClosed):
        channel.recv()


def test_is_running_knows_of_the_peers_end_without_being_used(stage):
    channel, wire = stage.pair()
    assert channel.is_running and channel.alive()
    wire.close()
    assert not channel.is_running and not channel.alive()


def test_looking_answers_pings_and_keeps_messages(stage):
    channel, wire = stage.pair()
    wire.say(notify(1), Ping(ID, 1))
    assert channel.is_running
    assert isinstance(wire.hear(), Pong)
    wire.say(Shutdown(None))
    assert not channel.is_running
    assert channel.recv()["topic"] == "n1"


def test_looking_does_not_take_for_ever_at_a_peer_that_never_stops(stage):
    channel, wire = stage.pair()
    stop = threading.Event()

    def flood():
        wire.sock.settimeout(0.05)
        while not stop.is_set():
            try:
                wire.say(Pong(ID, 1))
            except socket.timeout:
                return

    helper = stage.thread(flood)
    try:
        assert channel.is_running
        assert channel.try_recv() is None
    finally:
        stop.set()
    helper.result()


def test_after_shutdown(stage):
    channel, wire = stage.pair()
    helpers = waiting(stage, channel)
    channel.shutdown()
    channel.shutdown()
    for helper in helpers:
        with pytest.raises(RuntimeError, match=SHUT):
            helper.result()
    for use in (
        channel.recv,
        channel.try_recv,
        channel.ping,
        lambda: channel.call("m"),
        lambda: channel.send_request("m"),
        lambda: channel.send_notify("t"),
        lambda: channel.send_response(id_text(ID), True),
    ):
        with pytest.raises(RuntimeError) as caught:
            use()
        assert str(caught.value) == SHUT
    assert not channel and not channel.is_running
    assert repr(channel) == "FramedChannel(shutdown)"
    for _ in range(3):
        assert isinstance(wire.hear(), (Request, Ping))
    with pytest.raises(EOFError):
        wire.hear()


def test_a_block_closes_it(stage):
    channel, wire = stage.pair()
    with channel as same:
        assert same is channel
        assert bool(channel) and repr(channel) == "FramedChannel(running=true)"
        assert channel.hello is None
    assert not channel
    with pytest.raises(EOFError):
        wire.hear()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x10\x00\x00\x01", FrameTooLarge),
        (b"\x00\x00\x00\x01\xc1", Serialization),
        (b"HTTP/1.1 400 Bad Request\r\n", FrameTooLarge),
    ],
    ids=["over the limit", "no message", "HTTP"],
)
def test_what_is_no_frame_closes_it_and_says_why(stage, data, error):
    channel, wire = stage.pair()
    wire.say(notify(1))
    wire.sock.sendall(data)
    assert channel.recv(PATIENCE)["topic"] == "n1"
    for _ in range(2):
        with pytest.raises(error):
            channel.recv(PATIENCE)
    assert not channel.is_running


def test_a_header_of_200_mib_allocates_nothing(stage):
    channel, wire = stage.pair()
    channel.recv(0)
    tracemalloc.start()
    try:
        wire.sock.sendall((200 * MIB).to_bytes(4, "big") + b"\x94\xa7request")
        assert channel.recv(100) is None
        assert channel.is_running
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
    wire.close()
    with pytest.raises(ConnectionClosed):
        channel.recv(PATIENCE)


def test_too_large_a_frame_is_not_sent(stage, monkeypatch):
    from dcc_mcp_embed.wire import frames

    monkeypatch.setattr(frames, "MAX_FRAME", 1000)
    channel, wire = stage.pair()
    with pytest.raises(FrameTooLarge):
        channel.call("m", bytes(1000))
    channel.send_notify("next")
    assert wire.hear().topic == "next"


# Interruptions.


def test_ctrl_c_ends_a_wait_and_leaves_the_channel_whole(stage):
    channel, wire = stage.pair()
    wire.sock.sendall(framed(notify(1))[:7])

    for use in (lambda: channel.recv(PATIENCE), lambda: channel.call("m", timeout_ms=PATIENCE)):
        with ctrl_c(lambda: channel._link._led), pytest.raises(KeyboardInterrupt):
            use()
    assert channel.in_flight == 0
    wire.sock.sendall(framed(notify(1))[7:])
    assert channel.recv(PATIENCE)["topic"] == "n1"


def test_ctrl_c_ends_the_wait_of_a_thread_that_does_not_lead(stage):
    channel, wire = stage.pair()
    leader = stage.thread(lambda: channel.recv(PATIENCE))
    until(lambda: channel._link._led)

    with ctrl_c(lambda: channel._link._followers), pytest.raises(KeyboardInterrupt):
        channel.recv(PATIENCE)
    wire.say(notify(1))
    assert leader.result()["topic"] == "n1"


#: Lines that a whole wait runs through, at the very least.
WHOLE = 20


@pytest.mark.edges
def test_ctrl_c_at_any_line_of_waiting_is_just_that(stage):
    channel = stage.echo()
    number = 0
    while number < 1000:
        interrupt = Interrupt(number, [turns])
        try:
            with interrupt:
                channel.call("silent", timeout_ms=2)
        except KeyboardInterrupt:
            number += 1
        except CallTimeout:
            if number > WHOLE:
                break
            # On a busy machine the time can be over before the wait has begun: once more.
        # Another thread finds it whole.
        call = stage.thread(lambda: channel.call("echo", b"x", PATIENCE)["payload"])
        assert call.result() == b"x"
        assert channel.in_flight == 0
    assert number < 1000


@pytest.mark.edges
def test_ctrl_c_at_any_line_of_following_is_just_that(stage):
    channel = stage.echo()
    number = 0
    while number < 1000:
        leader = stage.thread(lambda: channel.recv(50))
        until(lambda: channel._link._led)
        interrupt = Interrupt(number, [turns])
        try:
            with interrupt:
                channel.call("silent", timeout_ms=2)
        except KeyboardInterrupt:
            number += 1
        except CallTimeout:
            if number > WHOLE:
                leader.result()
                break
            # As above.
        call = stage.thread(lambda: channel.call("echo", b"x", PATIENCE)["payload"])
        assert call.result() == b"x"
        assert leader.result() is None
    assert number < 1000


class Interrupting:
    """A socket that is interrupted right after it has done what it should."""

    def __init__(self, sock, where):
        self._sock = sock
        self._where = where

    def __getattr__(self, name):
        method = getattr(self._sock, name)
        if name != self._where:
            return method

        def interrupted(*arguments):
            method(*arguments)
            raise KeyboardInterrupt

        return interrupted


@pytest.mark.parametrize("where", ["recv", "send"])
def test_an_interruption_that_may_have_lost_bytes_closes_the_channel(where):
    near, far = socket.socketpair()
    with far:
        channel = raw_channel(Interrupting(near, where), ADDRESS, SystemClock())
        far.sendall(framed(notify(1)))
        with pytest.raises(KeyboardInterrupt):
            channel.call("m", timeout_ms=PATIENCE)
        assert not channel.is_running
        with pytest.raises(Internal, match="interrupted while"):
            channel.recv(PATIENCE)


def test_an_interruption_does_not_lose_a_message_that_had_arrived():
    near, far = socket.socketpair()
    with far:
        channel = raw_channel(Interrupting(near, "send"), ADDRESS, SystemClock())
        far.sendall(framed(notify(1), Ping(ID, 1)))
        with pytest.raises(KeyboardInterrupt):
            channel.recv(PATIENCE)
        assert channel.recv(PATIENCE)["topic"] == "n1"
        with pytest.raises(Internal, match="interrupted while sending"):
            channel.recv(PATIENCE)


# A host's main thread.


class _Host:
    """The test's own thread is the host's main thread."""

    def is_main_thread(self):
        return threading.current_thread() is threading.main_thread()


@pytest.fixture
def host():
    calls = Caller()
    guard.publish(("127.0.0.1", 5), _Host(), calls.dispatcher)
    yield calls
    guard.withdraw(("127.0.0.1", 5))


def test_a_host_that_calls_itself_from_its_main_thread_is_told(stage, host):
    near, _ = socket.socketpair()
    peer = Peer(SystemClock())
    with _, FramedChannel(
        Carrier(Link(near, peer, SystemClock()), peer), ("127.0.0.1", 5), SystemClock()
    ) as channel:
        with pytest.raises(WouldDeadlock):
            channel.call("m")
        helper = stage.thread(lambda: channel.call("m", timeout_ms=1))
        with pytest.raises(CallTimeout):
            helper.result()


@pytest.mark.parametrize("way", ["recv", "call"])
def test_a_host_that_waits_on_its_main_thread_refuses_foreign_jobs(stage, host, way):
    channel, wire = stage.pair()
    uses = {"recv": channel.recv, "call": lambda: channel.call("m", timeout_ms=PATIENCE)}

    def foreign():
        until(lambda: channel._link._led)
        with pytest.raises(HostBusy):
            host.submit("foreign")
        if way == "call":
            wire.say(Response(wire.hear().id, True, b"", None))
        else:
            wire.say(notify())

    helper = stage.thread(foreign)
    assert uses[way]()
    helper.result()
    host.submit("later")
    host.host.run()
    assert host.effects == ["later"]


def test_a_wait_without_an_end_has_one_on_a_hosts_main_thread(stage, host, monkeypatch):
    monkeypatch.setattr(arguments, "HOST_WAIT_MS", 20)
    channel, wire = stage.pair()
    assert channel.recv() is None
    helper = stage.thread(channel.recv)
    assert channel.recv() is None
    wire.say(notify(1))
    assert helper.result()["topic"] == "n1"


# Leftovers.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_lets_go_without_the_peer_noticing(stage):
    channel, wire = stage.pair()
    child = os.fork()
    if not child:
        channel.abandon()
        channel.abandon()
        channel.shutdown()
        os._exit(0 if not channel.is_running else 1)
    assert os.waitpid(child, 0)[1] == 0
    channel.send_notify("still here")
    assert wire.hear().topic == "still here"


@pytest.mark.edges
def test_a_closed_channel_leaves_nothing_to_collect(stage):
    gc.collect()
    gc.disable()
    try:
        near, far = socket.socketpair()
        with far:
            channel = raw_channel(near, ADDRESS, SystemClock())
            far.sendall(framed(notify(1)))
            channel.recv(PATIENCE)
            with pytest.raises(CallTimeout):
                channel.call("m", timeout_ms=1)
            channel.shutdown()
        gone = weakref.ref(channel._link)
        del channel
        assert gone() is None
    finally:
        gc.enable()


# In the middle of itself.


class MeddlingClock(SystemClock):
    """Does something else, once, whenever a thread that holds the link's lock asks for the time."""

    def __init__(self):
        super().__init__()
        self._ask = self.monotonic
        self.monotonic = self._meddling
        self.link = None
        self.meddle = None

    def _meddling(self):
        if self.link is not None and self.link._lock._is_owned() and self.meddle is not None:
            meddle, self.meddle = self.meddle, None
            meddle()
        return self._ask()


def test_a_use_in_the_middle_of_another_is_an_error_and_no_hang():
    near, far = socket.socketpair()
    clock = MeddlingClock()
    channel = raw_channel(near, ADDRESS, clock)
    tried = []

    def meddle():
        for use in (
            lambda: channel.call("echo", timeout_ms=10),
            lambda: channel.send_request("echo"),
            lambda: channel.send_notify("topic"),
            lambda: channel.send_response(id_text(ID), True),
            lambda: channel.ping(10),
            lambda: channel.recv(10),
            channel.try_recv,
            channel.shutdown,
        ):
            with pytest.raises(Internal, match="in the middle of another call of this thread"):
                use()
            tried.append(use)
        assert channel.is_running, "as far as one knows"

    clock.link = channel._link
    clock.meddle = meddle
    with pytest.raises(CallTimeout):
        channel.call("echo", timeout_ms=10)
    assert len(tried) == 8
    assert channel.alive()
    assert channel.in_flight == 0
    channel.shutdown()
    assert not channel.is_running
    far.close()


@pytest.mark.edges
def test_a_finaliser_in_the_middle_of_a_use_hangs_nothing():
    near, far = socket.socketpair()
    clock = MeddlingClock()
    channel = raw_channel(near, ADDRESS, clock)
    failed = []

    class Tool:
        def __init__(self):
            self.me = self

        def __del__(self):
            try:
                channel.try_recv()
            except Internal as error:
                failed.append(str(error))

    def collect():
        Tool()
        gc.collect()

    clock.link = channel._link
    clock.meddle = collect
    assert channel.recv(10) is None
    assert len(failed) == 1
    channel.shutdown()
    far.close()


def test_a_use_while_another_one_of_the_thread_waits_is_fine(stage, monkeypatch):
    channel, wire = stage.pair()
    wait = Readiness.wait
    seen = []

    def interrupted(self, events, left):
        # Where the interpreter runs signal handlers while a system call waits.
        seen.append(channel.is_running)
        return wait(self, events, left)

    monkeypatch.setattr(Readiness, "wait", interrupted)
    wire.say(notify(1))
    assert channel.recv(PATIENCE)["topic"] == "n1"
    assert True in seen
