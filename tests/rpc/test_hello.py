"""The hello: who knows the secret gets in, and nobody else learns or gains anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc.hello import (
    HELLO_LIMIT,
    ClientHello,
    Facts,
    HelloRefused,
    ServerHello,
    place,
)
from dcc_mcp_embed.wire.messages import (
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    encode,
)
from fakes.clock import FakeClock

KEY = b"k" * 32
PLACE = place(("127.0.0.1", 21340))
FACTS = Facts("0f0e0d0c-0b0a-4908-8706-050403020100", "epoch-1", 7)
ID = b"i" * 16


def client(key=KEY, where=PLACE, clock=None, expect=None, name=""):
    return ClientHello(key, where, clock or SystemClock(), expect, name)


def server(key=KEY, where=PLACE, clock=None):
    return ServerHello(key, where, FACTS, clock or SystemClock())


def talk(one, other, tape=None):
    """Carry messages between a client and a server until nobody has anything more to say."""
    message = one.start()
    while message is not None:
        answer = other.receive(message)
        if tape is not None:
            tape += [message, answer]
        message = one.receive(answer)


def content(message):
    return json.loads(
        (message.params if isinstance(message, Request) else message.payload).decode()
    )


def test_both_ends_are_sure_of_each_other_in_four_small_messages():
    one, other, tape = client(expect=FACTS.instance_id, name="houdini"), server(), []
    assert one.facts is None and other.facts is None
    talk(one, other, tape)
    assert one.facts == other.facts == FACTS
    assert other.client == "houdini"
    assert [type(message) for message in tape] == [Request, Response, Request, Response]
    assert max(len(encode(message)) for message in tape) < HELLO_LIMIT
    assert content(tape[0]) == {"wire": 1, "nonce": content(tape[0])["nonce"]}
    assert set(content(tape[1])) == {"nonce", "proof"}
    assert content(tape[3]) == {
        "instance_id": FACTS.instance_id,
        "epoch": "epoch-1",
        "receipt_horizon": 7,
    }


def test_neither_the_key_nor_two_equal_proofs_are_ever_sent():
    tapes = []
    for _ in range(2):
        tapes.append([])
        talk(client(), server(), tapes[-1])
    sent = [encode(message) for tape in tapes for message in tape]
    assert not any(KEY in data or KEY.hex().encode() in data for data in sent)
    proofs = [content(tape[at])["proof"] for tape in tapes for at in (1, 2)]
    assert len(set(proofs)) == 4


def test_a_squatter_without_the_secret_learns_nothing_from_a_client():
    """It is told a nonce and nothing else: no name, no proof."""
    one = client(name="a name")
    first = one.start()
    assert set(content(first)) == {"wire", "nonce"}
    forged = ServerHello(b"x" * 32, PLACE, FACTS, SystemClock()).receive(first)
    with pytest.raises(HelloRefused, match="does not know this user's secret"):
        one.receive(forged)
    assert one.facts is None


def test_a_client_without_the_secret_is_refused_and_told_so():
    one, other = client(key=b"x" * 32), server()
    first = other.receive(one.start())
    # Such a client cannot check the server's proof; it goes on all the same.
    nonce = content(first)["nonce"]
    proof = one._proof("client", one._nonce, nonce)
    with pytest.raises(HelloRefused, match="the proof is wrong") as caught:
        other.receive(Request(ID, "hello", json.dumps({"proof": proof}).encode()))
    assert caught.value.answer == Response(ID, False, b"", caught.value.reason)
    assert other.facts is None


def test_a_recorded_server_does_not_convince_another_client():
    tape = []
    talk(client(), server(), tape)
    recorded = content(tape[1])
    one = client()
    first = one.start()
    with pytest.raises(HelloRefused, match="secret"):
        one.receive(Response(first.id, True, json.dumps(recorded).encode(), None))


def test_a_recorded_client_does_not_convince_another_server():
    tape = []
    talk(client(), server(), tape)
    other = server()
    assert other.receive(tape[0]).success
    with pytest.raises(HelloRefused, match="the proof is wrong"):
        other.receive(tape[2])


def test_a_client_gets_its_own_proof_back_and_does_not_take_it():
    """Reflection: the attacker opens a second connection and has the victim answer itself."""
    victim, helper = client(), server()
    first = victim.start()
    # What a client would prove with these nonces, from a client that has a server's nonce.
    own = victim._proof("client", victim._nonce, victim._nonce)
    forged = json.dumps({"nonce": victim._nonce, "proof": own}).encode()
    with pytest.raises(HelloRefused, match="secret"):
        victim.receive(Response(first.id, True, forged, None))
    # And a server's proof is no client's.
    answer = helper.receive(client().start())
    back = json.dumps({"proof": content(answer)["proof"]}).encode()
    with pytest.raises(HelloRefused, match="the proof is wrong"):
        helper.receive(Request(ID, "hello", back))


@pytest.mark.parametrize(
    "elsewhere",
    [("127.0.0.1", 21341), ("127.0.0.2", 21340), ("::1", 21340, 0, 0), "/tmp/x.sock"],
)
def test_passing_messages_on_to_a_server_elsewhere_fails(elsewhere):
    victim, far = client(), server(where=place(elsewhere))
    with pytest.raises(HelloRefused, match="secret"):
        talk(victim, far)
    assert victim.facts is None and far.facts is None


def test_another_instance_is_refused_although_it_is_one_of_us():
    one, other = client(expect="11111111-1111-4111-8111-111111111111"), server()
    with pytest.raises(HelloRefused, match="another instance answers: " + FACTS.instance_id):
        talk(one, other)
    assert one.facts is None


def test_where_two_ends_meet_has_one_name_on_both():
    assert place(("127.0.0.1", 5)) == "tcp|127.0.0.1|5"
    assert place(("::1", 5, 0, 0)) == "tcp|::1|5"
    assert place(("::ffff:127.0.0.1", 5, 0, 0)) == place(("127.0.0.1", 5))
    assert place(("fe80::1%eth0", 5, 0, 2)) == place(("fe80::1", 5, 0, 7))
    assert place("/tmp/x") == place(b"/tmp/x") == "unix|/tmp/x"


OTHERS = [
    Notify(None, "t", b""),
    Ping(ID, 1),
    Pong(ID, 1),
    Shutdown(None),
    Response(ID, True, b"{}", None),
]


@pytest.mark.parametrize("message", OTHERS, ids=lambda message: type(message).__name__)
def test_a_server_takes_nothing_but_a_hello(message):
    with pytest.raises(HelloRefused, match="did not begin with a hello") as caught:
        server().receive(message)
    assert caught.value.answer is None


@pytest.mark.parametrize("message", [*OTHERS, Request(ID, "hello", b"{}")])
def test_a_client_takes_nothing_but_the_answer(message):
    one = client()
    one.start()
    with pytest.raises(HelloRefused, match="does not say hello"):
        one.receive(message)


@pytest.mark.parametrize(
    ("method", "params", "reason"),
    [
        ("tools/call", b"{}", "say hello first"),
        ("hello", b"", "no JSON object"),
        ("hello", b"[]", "no JSON object"),
        ("hello", b"\xff", "no JSON object"),
        ("hello", b"[" * 3000, "no JSON object"),
        ("hello", b"{}", "wire must be a number"),
        ("hello", b'{"wire":true,"nonce":"%s"}' % (b"0" * 64), "wire must be a number"),
        ("hello", b'{"wire":2,"nonce":"%s"}' % (b"0" * 64), "only version 1"),
        ("hello", b'{"wire":1}', "nonce must be 64 hex"),
        ("hello", b'{"wire":1,"nonce":5}', "nonce must be 64 hex"),
        ("hello", b'{"wire":1,"nonce":"%s"}' % (b"0" * 63), "nonce must be 64 hex"),
        ("hello", b'{"wire":1,"nonce":"%s"}' % (b"G" * 64), "nonce must be 64 hex"),
    ],
)
def test_a_server_says_what_is_wrong_with_the_first_hello(method, params, reason):
    other = server()
    with pytest.raises(HelloRefused, match=reason) as caught:
        other.receive(Request(ID, method, params))
    assert caught.value.answer == Response(ID, False, b"", caught.value.reason)
    assert caught.value.__context__ is None
    assert other.facts is None


@pytest.mark.parametrize("params", [b"{}", b'{"proof":null}', b'{"proof":"%s"}' % (b"0" * 64)])
def test_a_server_refuses_a_second_hello_without_the_proof(params):
    other = server()
    other.receive(client().start())
    with pytest.raises(HelloRefused):
        other.receive(Request(ID, "hello", params))
    assert other.facts is None


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"instance_id": 5, "epoch": "e", "receipt_horizon": 0},
        {"instance_id": "i", "epoch": "e" * 300, "receipt_horizon": 0},
        {"instance_id": "i", "epoch": "e", "receipt_horizon": -1},
    ],
)
def test_a_client_refuses_facts_that_are_none(facts):
    one, other = client(), server()
    second = one.receive(other.receive(one.start()))
    with pytest.raises(HelloRefused, match="must be a"):
        one.receive(Response(second.id, True, json.dumps(facts).encode(), None))
    assert one.facts is None


def test_a_client_passes_the_servers_words_on_but_not_all_of_them():
    one = client()
    first = one.start()
    with pytest.raises(HelloRefused) as caught:
        one.receive(Response(first.id, False, b"", "no " * 1000))
    assert caught.value.reason.startswith("the peer refused the hello: no no ")
    assert len(caught.value.reason) < 300


@given(st.binary(max_size=200))
def test_no_content_gets_anybody_in_or_raises_anything_else(data):
    clock = FakeClock()
    other, one = server(clock=clock), client(clock=clock)
    for end, message in (
        (other, Request(ID, "hello", data)),
        (one, Response(one.start().id, True, data, None)),
    ):
        try:
            end.receive(message)
        except HelloRefused:
            pass
        assert end.facts is None
