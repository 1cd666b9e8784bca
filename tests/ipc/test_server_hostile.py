"""SocketServer: whatever comes, whoever sent it is told, and the others are served."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from dcc_mcp_embed._vendor.msgpack import packb

from dcc_mcp_embed.ipc import caller, door
from dcc_mcp_embed.ipc.limits import MAX_FRAME
from dcc_mcp_embed.net.sockets import connect_address
from dcc_mcp_embed.rpc.hello import ClientHello, place
from dcc_mcp_embed.transport.connect import open_channel
from dcc_mcp_embed.transport_errors import ConnectionFailed, IpcConnectionFailed
from dcc_mcp_embed.wire.frames import frame
from dcc_mcp_embed.wire.messages import OURS, Request, encode
from fakes.ipc_raw import CLOCK, DEADLINE, Raw, end_of, target, until
from ipc.stages import Gate, Timed, posix, same, server


@pytest.fixture
def one():
    with server(echo=same) as one:
        yield one


@pytest.fixture
def other(one):
    """A client that is served before, meanwhile and after."""
    with Raw(one, "other") as raw:
        assert raw.call("echo", "before") == "before"
        yield raw
        assert raw.call("echo", "after") == "after"
    with Raw(one) as raw:
        assert raw.call("echo", "new") == "new"


# Strangers.

STRANGE = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "frame too large"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "frame too large"),
    "large": (b"\x00\x00\x10\x01", "frame too large: 4097 bytes"),
    "nothing": (frame(b""), "serialization error"),
    "noise": (frame(os.urandom(200)), ""),
    "no message": (frame(packb({"a": 1})), "serialization error"),
    "no hello": (frame(encode(Request(b"i" * 16, "echo", b"1"), OURS)), "say hello first"),
    "half a hello": (frame(encode(Request(b"i" * 16, "hello", b"{}"), OURS)), "the hello's wire"),
}


@pytest.mark.parametrize("name", sorted(STRANGE))
def test_a_stranger_is_told_what_is_wrong(one, other, name):
    data, text = STRANGE[name]
    with Raw(one, hello=False) as raw:
        raw.send(data)
        ended = raw.until_end()
        said = [answer.error for answer in raw.responses.values()]
        assert text in "{} {} {}".format(ended.reason, ended.error, said)
    assert one.get_stats()["refused"] == 1
    assert one.get_stats()["requests"] <= 1


def test_a_wrong_secret_is_told(one, other):
    wrong = target(one, secret="wrong")
    with pytest.raises(ConnectionFailed, match="whoever answers does not know this user's secret"):
        open_channel(wrong.address, DEADLINE, CLOCK, key=wrong.key)
    # And so is whoever does not look at the server's proof.
    with Raw(one, hello=False) as raw:
        raw.ask("hello", {"wire": 1, "nonce": "0" * 64}, b"a" * 16)
        assert raw.answer(b"a" * 16).success
        raw.ask("hello", {"proof": "0" * 64}, b"b" * 16)
        while b"b" * 16 not in raw.responses:
            raw.read()
        assert "the proof is wrong" in raw.responses[b"b" * 16].error
        raw.until_end()
    until(lambda: one.get_stats()["refused"] == 2)


def test_a_stranger_who_says_nothing_is_told_and_goes(one, other, monkeypatch):
    monkeypatch.setattr(caller, "HELLO_TIMEOUT", 0.1)
    assert end_of(one, b"") == "say hello within 0.1 s"


def test_who_leaves_in_the_middle_of_a_hello_counts_and_who_only_looks_does_not(one, other):
    for said in (b"", b"\0"):
        with Raw(one, hello=False) as raw:
            until(lambda: one._run.serving.door._strangers)
            raw.send(said)
        until(lambda: not one._run.serving.door._strangers)
    assert one.get_stats()["refused"] == 1


def test_a_hello_in_drops_does_not_get_more_time():
    with Timed(echo=same) as timed, Raw(timed.server) as other, Raw(
        timed.server, hello=False
    ) as raw:
        found = target(timed.server)
        start = ClientHello(found.key, place(raw.sock.getpeername()), CLOCK).start()
        drops = frame(encode(start))
        until(lambda: timed.server._run.serving.door._strangers)
        for number in range(16):
            raw.send(drops[number : number + 1])
            timed.advance(0.125)
            assert other.call("echo", number) == number
        assert raw.until_end().reason == "say hello within 2 s"
        assert timed.server.get_stats()["refused"] == 1


def test_strangers_do_not_keep_others_out(one, other, monkeypatch):
    monkeypatch.setattr(door, "_GRACE", 0.0)
    crowd = [connect_address(one.address, DEADLINE, CLOCK) for _ in range(door._MOST_STRANGERS * 3)]
    with Raw(one) as raw:
        assert raw.call("echo", 1) == 1
    assert len(one._run.serving.door._strangers) <= door._MOST_STRANGERS
    for sock in crowd:
        sock.close()


def test_a_stranger_makes_room_for_a_client_where_all_places_are_taken(one, other, monkeypatch):
    monkeypatch.setattr(door, "_MOST_CALLERS", 2)
    with connect_address(one.address, DEADLINE, CLOCK):
        until(lambda: one._run.serving.door._strangers)
        with Raw(one) as raw:
            assert raw.call("echo", 1) == 1
    until(lambda: one.get_stats()["connections"] == 1)


def test_too_many_clients_are_told(one, monkeypatch):
    monkeypatch.setattr(door, "_MOST_CALLERS", 2)
    found = target(one)
    with Raw(one) as first, Raw(one) as second:
        with pytest.raises(ConnectionFailed, match="2 clients are connected already"):
            open_channel(found.address, DEADLINE, CLOCK, key=found.key)
        assert first.call("echo", 1) == second.call("echo", 1) == 1
    until(lambda: one.get_stats()["connections"] == 0)
    with Raw(one) as third:
        assert third.call("echo", 1) == 1


# Clients.


def oversized(size):
    return size.to_bytes(4, "big") + b"\x95"


BROKEN = {
    "noise": (frame(b"\xc1" * 50), "serialization error"),
    "no message": (frame(packb(["request", 1])), "serialization error"),
    "no text": (frame(b"\x94\xa7request\xc4\x10" + b"i" * 16 + b"\xa1\xff\xc4\x00"), "serial"),
    "oversized": (oversized(MAX_FRAME + 1), "frame too large: {} bytes".format(MAX_FRAME + 1)),
    "enormous": (b"\xff\xff\xff\xff", "frame too large: 4294967295 bytes"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_client_whose_messages_are_broken_is_told_and_ends(one, other, name):
    data, text = BROKEN[name]
    with Raw(one) as raw:
        raw.send(data)
        assert text in raw.until_end().reason
    until(lambda: one.get_stats()["clients"] == {"other": 1})


def test_whoever_sends_too_much_is_told_although_it_goes_on_sending(one, other):
    with Raw(one) as raw:
        raw.send(oversized(MAX_FRAME * 2))
        for _ in range(64):
            raw.send(b"x" * 65536)
        assert "frame too large" in raw.until_end().reason


def test_the_largest_frame_is_taken(one, other):
    text = "x" * (MAX_FRAME - 4096 - 2)
    with Raw(one) as raw:
        assert raw.call("echo", text) == text


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"ids": 5}', b'{"ids": ["x"]}'])
def test_a_broken_acknowledgement_is_told(one, other, data):
    with Raw(one) as raw:
        raw.send(raw.peer.notification("acknowledge", data))
        assert raw.until_end().reason


@pytest.mark.parametrize("data", [b"", b"{", b'{"ids": 5}', b'{"ids": [], "line": "x"}'])
def test_a_broken_resume_is_told(one, other, data):
    with Raw(one, resume=False) as raw:
        answer = raw.answer(raw.ask("resume", raw=data))
        assert not answer.success
        assert answer.error
        assert raw.call("echo", 1) == 1


def test_a_second_resume_is_told(one, other):
    with Raw(one) as raw:
        answer = raw.answer(raw.ask("resume", {"epoch": None, "line": None, "ids": []}))
        assert "resumed already" in answer.error


def test_what_nobody_asked_for_is_passed_over(one, other):
    with Raw(one) as raw:
        raw.send(raw.peer.notification("something", b"else"))
        raw.send(raw.peer.answer(b"i" * 16, True, b"5"))
        assert raw.call("echo", 1) == 1


def test_a_client_that_is_gone_in_the_middle_costs_nothing(one, other):
    gate = Gate()
    one.register_handler("wait", gate)
    with Raw(one) as raw:
        raw.ask("wait")
        gate.demand()
        raw.send(b"\x00\x00\x10")
    until(lambda: one.get_stats()["connections"] == 1)
    gate.let.set()
    until(lambda: one.get_stats()["in_flight"] == 0)


def test_a_client_that_says_that_it_goes_is_let_go(one, other):
    with Raw(one) as raw:
        raw.peer.shutdown("enough")
        raw.send(raw.peer.data_to_send())
        raw.until_end()
        until(lambda: one.get_stats()["clients"] == {"other": 1})


def half_closed(one, raw):
    """Have a client end its side with answers unread, fewer than stop the server from reading."""
    (caller,) = [each for each in one._run.serving.door._callers if each.account == "half"]
    while not caller.stream.unsent:
        one.push_sync("news", "x" * 100_000, "half")
    raw.sock.shutdown(socket.SHUT_WR)


def test_a_client_that_ends_its_side_and_reads_no_more_is_let_go(one, other, monkeypatch):
    monkeypatch.setattr(caller, "_STALL", 0.1)
    with Raw(one, "half") as raw:
        half_closed(one, raw)
        until(lambda: one.get_stats()["clients"] == {"other": 1})


def test_nor_does_it_hold_up_a_stop(one, monkeypatch):
    monkeypatch.setattr(caller, "LINGER", 0.1)
    with Raw(one, "half") as raw:
        half_closed(one, raw)
        until(lambda: all(each._ending for each in one._run.serving.door._callers))
        one.stop_sync()


def test_a_client_that_resets_its_connection_costs_nothing(one, other):
    with Raw(one) as raw:
        raw.ask("echo", "x" * 100_000)
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    until(lambda: one.get_stats()["connections"] == 1)


def test_requests_before_the_end_of_the_hello_do_not_run(one, other):
    ran = []
    one.register_handler("effect", ran.append)
    with Raw(one, hello=False) as raw:
        raw.ask("hello", {"wire": 1, "nonce": "0" * 64}, b"a" * 16)
        raw.ask("effect", 1, b"b" * 16)
        raw.until_end()
    assert ran == []


def test_the_end_of_the_hello_comes_before_the_answer_to_what_came_with_it(one, other):
    found = target(one)
    with Raw(one, hello=False) as raw:
        hello = ClientHello(found.key, place(raw.sock.getpeername()), CLOCK)
        start = hello.start()
        raw.send(frame(encode(start)))
        proof = hello.receive(raw.answer(start.id))
        ident = raw.new_id()
        raw.send(frame(encode(proof)) + frame(encode(Request(ident, "resume", b"{"), OURS)))
        while len(raw.responses) < 2:
            raw.read()
        assert list(raw.responses) == [proof.id, ident]


def test_a_process_without_files_goes_on_when_there_are_some_again(one, other, monkeypatch):
    listening = one._run.serving.door._listening
    accept, refused = listening.accept, threading.Event()

    def refuse():
        refused.set()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(listening, "accept", refuse)
    found = target(one)
    with connect_address(found.address, DEADLINE, CLOCK):
        assert refused.wait(DEADLINE)
        monkeypatch.setattr(listening, "accept", accept)
        with Raw(one) as raw:
            assert raw.call("echo", 1) == 1


# Places.


@posix
def test_a_second_server_on_a_path_is_refused_and_the_first_serves(path):
    arguments = {"socket_path": path}
    first, second = server(arguments, echo=same), server(arguments)
    with first, Raw(first) as raw:
        with pytest.raises(IpcConnectionFailed, match="another listener is at " + path):
            second.start_background_sync()
        assert not second.running
        assert raw.call("echo", 1) == 1
        with Raw(first) as late:
            assert late.call("echo", 1) == 1
    second.start_background_sync()
    second.stop_sync()


@posix
def test_a_stale_socket_file_is_taken_over(path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    with server({"socket_path": path}) as one, Raw(one) as raw:
        assert raw.failure("x")["code"] == "not_found"
    assert not os.path.exists(path)


@posix
def test_a_file_of_somebody_else_is_left_alone(path):
    with open(path, "w") as file:
        file.write("dear diary")
    with pytest.raises(IpcConnectionFailed, match="exists and is not a socket"):
        server({"socket_path": path}).start_background_sync()
    with open(path) as file:
        assert file.read() == "dear diary"


@posix
def test_a_path_that_is_too_long_or_nowhere_is_told():
    for path in ("/tmp/" + "x" * 200, "/nonexistent/one.sock"):
        with pytest.raises(IpcConnectionFailed, match="bind failed: "):
            server({"socket_path": path}).start_background_sync()


def test_a_port_in_use_is_told(one):
    with pytest.raises(IpcConnectionFailed, match="bind failed: "):
        server({"port": one.address.port}).start_background_sync()


def test_the_wrong_place_is_told_when_the_server_is_made(path):
    for arguments in ({"host": "0.0.0.0", "port": 0}, {"socket_path": path, "port": 0}):
        with pytest.raises(ValueError):
            server(arguments)
