"""TLS: whom the client trusts, that nobody else is told anything, and what an end means."""

from __future__ import annotations

import itertools
import os
import re
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from dcc_mcp_embed.mcp import tls
from dcc_mcp_embed.mcp.connection import Broken, Origin
from dcc_mcp_embed.mcp.url import Url
from dcc_mcp_embed.net import dialing
from dcc_mcp_embed.net.tasks import Cut, TimedOut, within
from dcc_mcp_embed.wire import http1
from fakes.certificates import AUTHORITY, server_context
from fakes.driving import Driver, left_behind
from fakes.scripted import Scripted, answer, answering
from helpers import ROOT

DEADLINE = 20.0
REQUEST = http1.request("POST", "/mcp", [("Host", "h")], b"question")
HELLO = answer("200 OK", "Content-Type: text/plain", body=b"hello")


@pytest.fixture
def it():
    one = Driver()
    yield one
    one.close()


@pytest.fixture
def trusting(monkeypatch):
    """Our certificates are those of the system."""
    monkeypatch.setenv("SSL_CERT_FILE", AUTHORITY)


def origin_of(it, server, host="127.0.0.1"):
    return Origin(it.loop, Url(True, host, server.port, "/mcp"), tls.make_context)


async def answered(origin, data=REQUEST):
    """Return the body of one exchange, and give its connection back."""
    connection = await origin.take()
    try:
        connection.send(data, "POST", None)
        head = await connection.head()
        body = bytearray()
        piece = await connection.read()
        while piece:
            body += piece
            piece = await connection.read()
    except BaseException:
        connection.abort()
        raise
    origin.give_back(connection, head)
    return bytes(body)


def broken(it, origin):
    with pytest.raises(Broken) as caught:
        it.run(answered(origin))
    return caught.value


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_who_is_vouched_for_is_spoken_to_and_again(it, trusting, host, version):
    context = server_context()
    context.maximum_version = context.minimum_version = getattr(ssl.TLSVersion, version)
    with Scripted(answering(HELLO, HELLO), context=context) as server:
        origin = origin_of(it, server, host)
        assert it.run(answered(origin)) == b"hello"
        assert it.run(answered(origin)) == b"hello"
        assert server.connections == 1
        assert [one.body for one in server.requests] == [b"question"] * 2
        origin.close()


def test_greetings_and_answers_may_come_in_any_pieces(it, trusting):
    def play(line):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inside = server_context().wrap_bio(incoming, outgoing, server_side=True)

        def until(step):
            while True:
                try:
                    found = step()
                except ssl.SSLWantReadError:
                    line.send(outgoing.read(), 1)
                    data = line.receive()
                    incoming.write(data)
                else:
                    line.send(outgoing.read(), 1)
                    return found

        until(inside.do_handshake)
        for _ in range(2):
            asked = b""
            while not asked.endswith(b"question"):
                asked += until(lambda: inside.read(1000))
            for at in range(0, len(HELLO), 9):
                until(lambda at=at: inside.write(HELLO[at : at + 9]))
        until(lambda: inside.read(1000))

    with Scripted(play) as server:
        origin = origin_of(it, server)
        assert it.run(answered(origin)) == b"hello"
        assert it.run(answered(origin)) == b"hello"
        origin.close()


# -- who is not trusted ---------------------------------------------------------------------------


def test_who_is_vouched_for_by_a_stranger_is_told_nothing(it):
    with Scripted(context=server_context()) as server:
        problem = broken(it, origin_of(it, server))
        assert problem.sent is False
        assert "certificate is not good" in problem.reason
        assert it.left() == {}
    assert server.requests == [] and len(server.ungreeted) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [("expired", "expired"), ("elsewhere", "(?i)mismatch|doesn't match|not valid")],
)
def test_who_shows_a_bad_certificate_is_told_nothing(it, trusting, name, told):
    with Scripted(context=server_context(name)) as server:
        problem = broken(it, origin_of(it, server))
        assert problem.sent is False
        assert re.search(told, problem.reason), problem.reason
        assert it.left() == {}
    assert server.requests == [] and len(server.ungreeted) == 1


@pytest.mark.parametrize("name", ["elsewhere", "good"])
def test_a_certificate_is_to_have_the_name_that_the_url_has(it, trusting, monkeypatch, name):
    def resolve(host, port):
        assert host == "elsewhere.invalid"
        return [(int(socket.AF_INET), ("127.0.0.1", port))]

    monkeypatch.setattr(dialing, "_resolve", resolve)
    with Scripted(answering(HELLO), context=server_context(name)) as server:
        origin = origin_of(it, server, "elsewhere.invalid")
        if name == "elsewhere":
            assert it.run(answered(origin)) == b"hello"
        else:
            problem = broken(it, origin)
            assert problem.sent is False and "certificate is not good" in problem.reason
        origin.close()


def greeting(line):
    """Read how the client begins."""
    data = line.receive()
    assert data[:1] == b"\x16"
    return data


def half_a_greeting(line):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inside = server_context().wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(greeting(line))
    with pytest.raises(ssl.SSLWantReadError):
        inside.do_handshake()
    line.send(outgoing.read()[:200])


UNGREETED = {
    "plain HTTP": lambda line: [greeting(line), line.send(HELLO), line.drain()],
    "garbage": lambda line: [greeting(line), line.send(b"\x16\x03\x01" + b"x" * 500), line.drain()],
    "another protocol": lambda line: [line.send(b"220 mail.example ESMTP\r\n"), line.drain()],
    "cut at once": lambda line: None,
    "cut at once, hard": lambda line: line.reset(),
    "cut after its greeting": lambda line: [greeting(line), None],
    "cut after it, hard": lambda line: [greeting(line), line.reset()],
    "cut in ours": half_a_greeting,
    "cut in ours, hard": lambda line: [half_a_greeting(line), line.reset()],
}


@pytest.mark.parametrize("name", sorted(UNGREETED))
def test_who_cannot_greet_has_got_nothing(it, trusting, name):
    with Scripted(UNGREETED[name]) as server:
        problem = broken(it, origin_of(it, server))
        assert problem.sent is False and problem.reason
        # One that is cut so may not have come about.
        assert "TLS" in problem.reason or name.startswith("cut at once") or name.endswith("hard")
        assert it.left() == {}


def test_who_never_greets_is_waited_for_as_long_as_there_is_time(it, trusting):
    async def in_time(origin):
        with within(it.loop, 0.1):
            await answered(origin)

    with Scripted(lambda line: [greeting(line), line.left()]) as server:
        with pytest.raises(TimedOut):
            it.run(in_time(origin_of(it, server)))
        assert it.left() == {}


def test_a_python_without_tls_is_told_of(it):
    def make():
        raise ImportError("no module named _ssl")

    problem = broken(it, Origin(it.loop, Url(True, "127.0.0.1", 1, "/"), make))
    assert problem.sent is False and "_ssl" in problem.reason


# -- what an end means ----------------------------------------------------------------------------


def ending(reply, politely):
    def play(line):
        line.request()
        line.send(reply)
        if politely:
            try:
                line.sock.unwrap()
            except (OSError, ssl.SSLError):
                # The client does not wait for it.
                return

    return play


@pytest.mark.parametrize("politely", [False, True])
def test_after_the_greeting_something_may_have_been_read(it, trusting, politely):
    for reply in (b"", HELLO[:10], HELLO[:-1]):
        with Scripted(ending(reply, politely), context=server_context()) as server:
            problem = broken(it, origin_of(it, server))
            assert problem.sent is True
            assert it.left() == {}


@pytest.mark.parametrize("politely", [False, True])
def test_a_body_with_a_length_is_whole_however_it_ends(it, trusting, politely):
    with Scripted(ending(HELLO, politely), context=server_context()) as server:
        assert it.run(answered(origin_of(it, server))) == b"hello"
        it.until(lambda: it.sockets() == [])


def test_a_body_that_ends_with_the_connection_is_whole_if_the_server_says_so(it, trusting):
    reply = b"HTTP/1.1 200 OK\r\n\r\nhello"
    with Scripted(ending(reply, True), context=server_context()) as server:
        assert it.run(answered(origin_of(it, server))) == b"hello"
    with Scripted(ending(reply, False), context=server_context()) as server:
        assert broken(it, origin_of(it, server)).sent is True


def test_a_connection_that_is_closed_says_goodbye(it, trusting):
    seen = []

    def play(line):
        line.request()
        line.send(HELLO)
        line.sock.suppress_ragged_eofs = False
        seen.append(line.sock.recv(10))

    with Scripted(play, context=server_context()) as server:
        origin = origin_of(it, server)
        it.run(answered(origin))
        (connection,) = origin._open
        connection.close()
        assert it.left() == {}
        it.until(lambda: seen)
    assert seen == [b""]


# -- much -----------------------------------------------------------------------------------------


def test_much_goes_both_ways(it, trusting):
    body = bytes(range(256)) * 32768

    def play(line):
        assert line.request().body == body
        line.send(answer("200 OK", body=body[::-1]))
        line.left()

    with Scripted(play, context=server_context()) as server:
        origin = origin_of(it, server)
        data = http1.request("POST", "/mcp", [("Host", "h")], body)
        assert it.run(answered(origin, data)) == body[::-1]
        origin.close()


def test_an_answer_that_does_not_wait_for_the_request_leaves_nothing_open(it, trusting):
    go = threading.Event()

    def play(line):
        line.send(answer("413 Content Too Large", "Connection: close", body=b"no"))
        assert go.wait(DEADLINE)

    with Scripted(play, context=server_context()) as server:
        data = http1.request("POST", "/mcp", [("Host", "h")], b"x" * 30_000_000)
        assert it.run(answered(origin_of(it, server), data)) == b"no"
        assert it.left() == {}
        go.set()


# -- the ends -------------------------------------------------------------------------------------


def test_being_cut_short_anywhere_leaves_nothing(it, trusting):
    for number in itertools.count():
        with Scripted(answering(HELLO, HELLO), context=server_context()) as server:
            origin = origin_of(it, server)

            async def twice(origin=origin):
                await answered(origin)
                await answered(origin)

            try:
                it.run(twice(), stop_at=number)
            except Cut:
                origin.close()
                assert it.left() == {}
            else:
                assert number >= 4
                origin.close()
                break


def test_no_circle_is_left(it, trusting):
    def refused():
        with pytest.raises(Broken):
            it.run(answered(origin_of(it, bad)))

    def good():
        origin = origin_of(it, server)
        it.run(answered(origin))
        origin.close()
        it.turn(2)

    context = server_context("expired")
    with Scripted(*[answering()] * 20, context=context) as bad:
        assert left_behind(refused, 5) == 0
    with Scripted(*[answering(HELLO)] * 20, context=server_context()) as server:
        assert left_behind(good, 5) == 0


LOADED = """
import sys
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.mcp import connection, legacy_sse, plugins, streamable, url
from dcc_mcp_embed.net.loop import Loop
from dcc_mcp_embed.net.tasks import Task

def use(address):
    def context():
        from dcc_mcp_embed.mcp.tls import make_context
        return make_context()

    loop = Loop(SystemClock(), lambda where, error: print(where, error))
    origin = connection.Origin(loop, url.parse(address), context)
    ends = []
    Task(loop, origin.take(), lambda *end: ends.append(end))
    while not ends:
        loop.turn()
    loop.close()
    return ends[0][1].reason

import socket
with socket.socket() as sock:
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    print("refused" in use("http://127.0.0.1:%d/" % port), "ssl" in sys.modules)
    print("refused" in use("https://127.0.0.1:%d/" % port), "ssl" in sys.modules)
"""


def test_it_is_loaded_only_where_it_is_needed():
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=ROOT),
        timeout=60,
    )
    assert done.stdout.decode().split() == ["True", "False", "True", "True"], done
    assert done.stderr == b""


def trusted(context):
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    return [
        dict(pair[0] for pair in one["subject"])["commonName"] for one in context.get_ca_certs()
    ]


def test_the_system_is_asked_whom_it_trusts(trusting):
    assert trusted(tls.make_context()) == ["dcc_mcp_embed test authority"]


def test_a_python_that_does_not_find_whom_the_system_trusts_is_helped(monkeypatch, tmp_path):
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "missing"))
    monkeypatch.setattr(tls, "_BUNDLES", (str(tmp_path / "nothing"), AUTHORITY, "/dev/null"))
    assert trusted(tls.make_context()) == ["dcc_mcp_embed test authority"]
    monkeypatch.setattr(tls, "_BUNDLES", (str(tmp_path / "nothing"),))
    assert trusted(tls.make_context()) == []


def test_a_forked_child_closes_its_copy(it, trusting):
    with Scripted(answering(HELLO), context=server_context()) as server:
        origin = origin_of(it, server)
        it.run(answered(origin))
        (near,) = it.sockets()
        it.loop.unregister(near)
        copy = near.dup()
        origin.disown()
        assert near.fileno() == -1
        copy.shutdown(socket.SHUT_RDWR)
        copy.close()
        for timer in origin._idle.values():
            timer.cancel()
