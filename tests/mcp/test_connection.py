"""HTTP connections of the client: exchanges, which of them are kept, what may have been sent."""

from __future__ import annotations

import itertools
import random
import select
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcc_mcp_embed.mcp.connection import Broken, Origin
from dcc_mcp_embed.mcp.url import Url
from dcc_mcp_embed.net.tasks import Cut, Wait
from dcc_mcp_embed.wire import http1
from fakes.clock import FakeClock
from fakes.driving import Driver, left_behind
from fakes.scripted import Gone, Scripted, answer, answering

DEADLINE = 20.0
REQUEST = http1.request("POST", "/mcp", [("Host", "h")], b"question")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HELLO = answer("200 OK", "Content-Type: text/plain", body=b"hello")


@pytest.fixture
def it():
    one = Driver()
    yield one
    one.close()


def answering_once(line):
    """Answer, and end the connection without saying so."""
    line.request()
    line.send(HELLO)


def origin_of(it, server):
    return Origin(it.loop, Url(False, "127.0.0.1", server.port, "/mcp"), lambda: None)


async def answered(origin, data=REQUEST, method="POST", max_body=None):
    """Return (head, body) of one exchange, and give its connection back."""
    connection = await origin.take()
    try:
        connection.send(data, method, max_body)
        head = await connection.head()
        body = bytearray()
        piece = await connection.read()
        while piece:
            body += piece
            piece = await connection.read()
        assert await connection.read() == b"", "its end is its end"
    except BaseException:
        connection.abort()
        raise
    origin.give_back(connection, head)
    return head, bytes(body)


def broken(it, origin, **how):
    """Return how an exchange breaks."""
    with pytest.raises(Broken) as caught:
        it.run(answered(origin, **how))
    assert str(caught.value) == caught.value.reason != ""
    return caught.value


# -- answers --------------------------------------------------------------------------------------

ANSWERS = {
    "with a length": (HELLO, b"hello"),
    "empty": (answer("202 Accepted"), b""),
    "without any": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "in chunks": (
        CHUNKED + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        b"hello",
    ),
    "in no chunk": (CHUNKED + b"0\r\n\r\n", b""),
    "after others": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO,
        b"hello",
    ),
}


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_answers_come_whole_however_they_are_cut_and_more_can_be_asked(it, name, size):
    reply, body = ANSWERS[name]

    def play(line):
        for _ in range(3):
            assert line.request().body == b"question"
            line.send(reply, size)
        line.left()

    with Scripted(play) as server:
        origin = origin_of(it, server)
        for _ in range(3):
            head, found = it.run(answered(origin))
            assert (head.status // 100, found) == (2, body)
        assert len(it.sockets()) == 1
        origin.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        answer("200 OK", "Connection: close", body=b"hello"),
    ],
)
def test_a_server_that_ends_with_its_answer_is_connected_to_anew(it, reply):
    def play(line):
        line.request()
        line.send(reply)

    with Scripted(play, play) as server:
        origin = origin_of(it, server)
        for _ in range(2):
            assert it.run(answered(origin))[1] == b"hello"
            it.until(lambda: it.sockets() == [])
        assert server.connections == 2


@given(st.lists(st.binary(max_size=3000), max_size=6), st.integers(0, 2**32))
def test_a_body_comes_as_it_was_sent(bodies, seed):
    """Cut at random places, in chunks of random sizes; without a server, for the number of them."""
    it, chance = Driver(), random.Random(seed)
    near, far = socket.socketpair()
    try:
        sent = b""
        for body in bodies:
            if chance.random() < 0.5:
                sent += answer("200 OK", body=body)
                continue
            sent += http1.stream_head(200, [])
            at = 0
            while at < len(body):
                size = chance.randint(1, len(body))
                sent += http1.chunk(body[at : at + size])
                at += size
            sent += http1.LAST_CHUNK
        origin = Origin(it.loop, Url(False, "127.0.0.1", 1, "/"), lambda: None)
        origin._dial = dialing(it, origin, near)
        # What is sent before it is asked for is refused: one by one.
        for body in bodies:
            end = response_end(sent)
            reply, sent = sent[:end], sent[end:]
            _, ends = it.begin(answered(origin))
            it.until(lambda: far_has(far))
            while reply:
                size = chance.randint(1, len(reply))
                far.sendall(reply[:size])
                reply = reply[size:]
                it.turn()
            it.until(lambda ends=ends: ends)
            assert ends[0][1] is None and ends[0][0][1] == body
        origin.close()
    finally:
        far.close()
        near.close()
        it.close()


def dialing(it, origin, near):
    """Return what gives an origin's first connection, over a socket that is there."""
    from dcc_mcp_embed.mcp.connection import Connection
    from dcc_mcp_embed.net.stream import Stream

    made = []

    async def dial():
        assert not made
        stream = lambda protocol: Stream(it.loop, near, protocol)  # noqa: E731
        made.append(Connection(stream, lambda stream: True))
        origin._open[made[0]] = None
        made[0].lost = origin._forget
        return made[0]

    return dial


def far_has(far):
    far.setblocking(False)
    try:
        return far.recv(1 << 16)
    except BlockingIOError:
        return b""
    finally:
        far.setblocking(True)


def response_end(sent):
    parser = http1.ResponseParser()
    parser.receive_data(sent)
    while not isinstance(parser.next_event(), http1.End):
        pass
    return len(sent) - parser.buffered


# -- which are kept -------------------------------------------------------------------------------


def test_connections_are_kept_and_the_latest_is_used_first(it):
    go = threading.Event()

    def play(line):
        line.request()
        assert go.wait(DEADLINE)
        line.send(HELLO)
        line.request()
        line.send(HELLO)
        line.left()

    def second(line):
        line.request()
        line.send(HELLO)
        go.set()
        line.left()

    with Scripted(play, second) as server:
        origin = origin_of(it, server)
        _, first = it.begin(answered(origin))
        it.until(lambda: len(server.requests) == 1)
        it.run(answered(origin))
        it.until(lambda: first)
        it.run(answered(origin))
        assert (server.connections, len(server.requests)) == (2, 3)
        origin.close()


def test_no_more_are_kept_than_are_of_use(it):
    together = threading.Barrier(10)

    def play(line):
        line.request()
        together.wait(DEADLINE)
        line.send(HELLO)
        line.left()

    with Scripted(*[play] * 10) as server:
        origin = origin_of(it, server)
        all_ends = [it.begin(answered(origin))[1] for _ in range(10)]
        it.until(lambda: all(all_ends))
        it.turn(3)
        assert len(it.sockets()) == 8
        origin.close()
        assert it.left() == {}


def test_a_kept_connection_that_the_server_closes_is_seen_to_be_closed(it):
    leave = threading.Event()

    def play(line):
        line.request()
        line.send(HELLO)
        assert leave.wait(DEADLINE)

    with Scripted(play, answering(HELLO)) as server:
        origin = origin_of(it, server)
        it.run(answered(origin))
        assert len(it.sockets()) == 1
        leave.set()
        it.until(lambda: it.sockets() == [])
        assert it.timers() == []
        assert it.run(answered(origin))[1] == b"hello"
        assert server.connections == 2
        origin.close()


def test_what_has_been_closed_is_not_sent_on_even_if_the_loop_has_not_looked(it):
    async def twice(origin):
        await answered(origin)
        (sock,) = it.sockets()
        # The server's end of it comes.
        assert select.select([sock], [], [], DEADLINE)[0]
        return await answered(origin)

    with Scripted(answering_once, answering(HELLO)) as server:
        origin = origin_of(it, server)
        assert it.run(twice(origin))[1] == b"hello"
        assert len(server.requests) == 2
        origin.close()


def test_who_ends_each_connection_without_saying_so_is_known_by_it():
    clock = FakeClock()
    it = Driver(clock)
    plays = [answering_once, answering(HELLO), answering(HELLO), answering(HELLO, HELLO)]
    with Scripted(*plays) as server:
        origin = origin_of(it, server)
        for seconds, kept in ((0.9, 0), (59.0, 0), (1.1, 0), (0.0, 1), (0.0, 1)):
            it.run(answered(origin))
            clock.advance(seconds)
            it.until(lambda kept=kept: len(it.sockets()) == kept)
        assert server.connections == 4
        origin.close()
    it.close()


def test_who_ends_a_connection_after_a_while_is_not(it):
    clock = FakeClock()
    it = Driver(clock)
    leave = threading.Event()

    def play(line):
        line.request()
        line.send(HELLO)
        assert leave.wait(DEADLINE)

    with Scripted(play, answering(HELLO, HELLO)) as server:
        origin = origin_of(it, server)
        it.run(answered(origin))
        clock.advance(1.1)
        leave.set()
        it.until(lambda: it.sockets() == [])
        for _ in range(2):
            it.run(answered(origin))
        assert server.connections == 2
        origin.close()
    it.close()


@pytest.mark.parametrize(
    "extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\0", b"\r\n"]
)
@pytest.mark.parametrize("when", ["with the answer", "later"])
def test_what_nobody_has_asked_for_is_no_answer_to_what_is_asked_next(it, extra, when):
    later = threading.Event()

    def play(line):
        line.request()
        if when == "later":
            line.send(HELLO)
            assert later.wait(DEADLINE)
            line.send(extra)
        else:
            line.send(HELLO + extra)
        line.left()

    with Scripted(play, answering(HELLO)) as server:
        origin = origin_of(it, server)
        assert it.run(answered(origin))[1] == b"hello"
        later.set()
        # Not only once it has been idle for long.
        it.until(lambda: it.sockets() == [] or max(it.timers()) < 2.0)
        assert it.left() == {}
        assert it.run(answered(origin))[1] == b"hello"
        assert server.connections == 2
        origin.close()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (None, 4.0),
        ("Keep-Alive: timeout=5", 4.0),
        ("Keep-Alive: timeout=2, max=100", 1.0),
        ("Keep-Alive: max=100, Timeout=30", 29.0),
        ("Keep-Alive: timeout=99999", 300.0),
        ("Keep-Alive: nottimeout=1", 4.0),
        ("Keep-Alive: timeout=x", 4.0),
    ],
)
def test_it_is_kept_for_as_long_as_the_server_keeps_it(told, seconds):
    it = Driver(FakeClock())
    with Scripted(answering(answer("200 OK", *([told] if told else [])))) as server:
        origin = origin_of(it, server)
        it.run(answered(origin))
        assert it.timers() == [pytest.approx(seconds)]
        it.clock.advance(seconds - 0.1)
        it.turn()
        assert len(it.sockets()) == 1
        it.clock.advance(0.2)
        it.turn()
        assert it.left() == {}
    it.close()


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_server_that_keeps_it_for_no_time_is_connected_to_anew(it, seconds):
    reply = answer("200 OK", "Keep-Alive: timeout={}".format(seconds))
    with Scripted(answering(reply), answering(reply)) as server:
        origin = origin_of(it, server)

        async def twice():
            await answered(origin)
            await answered(origin)

        it.run(twice())
        assert it.left() == {}
        assert server.connections == 2


# -- what may have been sent ----------------------------------------------------------------------


def test_nothing_is_sent_where_nobody_is(it):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        url = Url(False, "127.0.0.1", port, "/")
        problem = broken(it, Origin(it.loop, url, lambda: None))
    assert problem.sent is False
    assert "http://127.0.0.1:{} cannot be reached".format(port) in problem.reason


def test_nothing_is_sent_once_the_client_is_closed(it):
    with Scripted() as server:
        origin = origin_of(it, server)
        origin.close()
        problem = broken(it, origin)
        assert problem.sent is False and problem.reason == "the client is closed"


def test_nothing_is_sent_on_what_is_lost_before(it):
    """Between being taken and being written to, say."""
    leave = threading.Event()

    def play(line):
        line.request()
        line.send(HELLO)
        assert leave.wait(DEADLINE)
        raise Gone()

    with Scripted(play) as server:
        origin = origin_of(it, server)

        async def late():
            await answered(origin)
            connection = await origin.take()
            leave.set()
            while not connection.closed:
                await turned()
            connection.send(REQUEST, "POST", None)
            await connection.head()

        async def turned():
            one = Wait()
            it.loop.call_later(0.001, one.settle)
            await one

        with pytest.raises(Broken) as caught:
            it.run(late())
        assert caught.value.sent is False
        assert len(server.requests) == 1


BREAKS = {
    "at once": lambda line: None,
    "after the question": lambda line: line.request(),
    "after it, hard": lambda line: [line.request(), line.reset()],
    "within the head": lambda line: [line.request(), line.send(HELLO[:20])],
    "before the body": lambda line: [line.request(), line.send(HELLO[:-5])],
    "within the body": lambda line: [line.request(), line.send(HELLO[:-2])],
    "within the body, hard": lambda line: [line.request(), line.send(HELLO[:-2]), line.reset()],
    "within a chunk": lambda line: [
        line.request(),
        line.send(CHUNKED + b"5\r\nhel"),
    ],
    "without the last chunk": lambda line: [
        line.request(),
        line.send(CHUNKED + b"5\r\nhello\r\n"),
    ],
}


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_what_breaks_after_it_was_written_may_have_been_read(it, name):
    with Scripted(BREAKS[name]) as server:
        problem = broken(it, origin_of(it, server))
        assert problem.sent is True
        assert it.left() == {}


GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "zeros": b"\0" * 100,
    "another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "an endless line": b"HTTP/1.1 200 " + b"x" * 100_000,
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 20_000,
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    "a bad chunk": CHUNKED + b"zz\r\n",
    "a kind of coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
}


@pytest.mark.parametrize("name", sorted(GARBAGE))
def test_garbage_breaks_the_connection_in_words(it, name):
    def play(line):
        line.request()
        line.send(GARBAGE[name])
        line.left()

    with Scripted(play) as server:
        problem = broken(it, origin_of(it, server))
        assert problem.sent is True
        assert it.left() == {}


def test_a_body_may_be_too_long(it):
    replies = [
        answer("200 OK", body=b"x" * 11),
        CHUNKED + b"9\r\nxxxxxxxxx\r\n2\r\nxx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxx",
    ]

    def playing(reply):
        def play(line):
            line.request()
            line.send(reply)
            line.left()

        return play

    with Scripted(*map(playing, replies)) as server:
        origin = origin_of(it, server)
        for _ in replies:
            assert "longer than 10 bytes" in broken(it, origin, max_body=10).reason


def test_how_it_broke_can_be_asked_twice(it):
    def play(line):
        line.request()

    with Scripted(play) as server:
        origin = origin_of(it, server)

        async def twice():
            connection = await origin.take()
            connection.send(REQUEST, "POST", None)
            for ask in (connection.head, connection.read, connection.head):
                with pytest.raises(Broken) as caught:
                    await ask()
                assert caught.value.sent and caught.value.reason

        it.run(twice())


# -- much -----------------------------------------------------------------------------------------


def test_what_nobody_reads_stays_with_the_server(it):
    size, piece = 64 * 1024 * 1024, bytes(range(256)) * 256
    sent = [0]

    def play(line):
        line.request()
        line.send(answer("200 OK", length=size))
        while sent[0] < size:
            line.send(piece)
            sent[0] += len(piece)
        line.request()
        line.send(HELLO)
        line.left()

    with Scripted(play) as server:
        origin = origin_of(it, server)

        async def slow():
            connection = await origin.take()
            connection.send(REQUEST, "POST", None)
            head = await connection.head()
            taken.append(connection)
            await go
            got = 0
            data = await connection.read()
            while data:
                for at in range(0, len(data), 65536):
                    assert data[at] == (got + at) % 256
                got += len(data)
                assert connection._held <= 4 * 1024 * 1024 + 65536
                data = await connection.read()
            origin.give_back(connection, head)
            return got

        taken, go = [], Wait()
        _, ends = it.begin(slow())
        it.until(lambda: taken and it.sockets() == [])
        assert 0 < taken[0]._held <= 4 * 1024 * 1024 + 65536
        assert sent[0] < size
        go.settle()
        it.until(lambda: ends)
        assert ends == [(size, None)]
        assert it.run(answered(origin))[1] == b"hello"
        assert server.connections == 1
        origin.close()


def test_a_long_request_is_read_when_the_server_likes(it):
    body = bytes(range(256)) * 65536
    go = threading.Event()

    def play(line):
        assert go.wait(DEADLINE)
        assert line.request().body == body
        line.send(HELLO)
        line.left()

    with Scripted(play) as server:
        origin = origin_of(it, server)
        data = http1.request("POST", "/mcp", [("Host", "h")], body)
        _, ends = it.begin(answered(origin, data))
        it.until(lambda: server.connections)
        it.turn(3)
        go.set()
        it.until(lambda: ends)
        assert ends[0][1] is None
        origin.close()


@pytest.mark.parametrize("told", [[], ["Connection: close"]])
def test_an_answer_that_does_not_wait_for_the_request_leaves_nothing_open(it, told):
    go = threading.Event()

    def play(line):
        line.send(answer("413 Content Too Large", *told, body=b"no"))
        # It reads no more, and does not close either.
        assert go.wait(DEADLINE)

    with Scripted(play) as server:
        origin = origin_of(it, server)
        data = http1.request("POST", "/mcp", [("Host", "h")], b"x" * 30_000_000)
        head, body = it.run(answered(origin, data))
        assert (head.status, body) == (413, b"no")
        assert it.left() == {}, "the rest of the request would stand before the next one"
        go.set()


def test_what_a_server_says_before_it_hangs_up_is_heard(it):
    go = threading.Event()

    def play(line):
        line.receive()
        assert go.wait(DEADLINE)
        line.send(answer("401 Unauthorized", body=b"no"))
        # It has not read all: that the connection ends comes to the client as an error.

    with Scripted(play) as server:
        origin = origin_of(it, server)
        data = http1.request("POST", "/mcp", [("Host", "h")], b"x" * 30_000_000)
        _, ends = it.begin(answered(origin, data))
        it.until(lambda: origin._open and [one for one in server._threads if one.is_alive()])
        it.turn(3)
        go.set()
        # The loop hears of both at once.
        server._threads[0].join(DEADLINE)
        it.until(lambda: ends)
        head, body = ends[0][0]
        assert (head.status, body) == (401, b"no")
        origin.close()


# -- the ends -------------------------------------------------------------------------------------


def test_closing_breaks_what_is_under_way(it):
    with Scripted(lambda line: [line.request(), line.left()]) as server:
        origin = origin_of(it, server)
        _, ends = it.begin(answered(origin))
        it.until(lambda: server.requests)
        origin.close()
        it.until(lambda: ends)
        assert isinstance(ends[0][1], Broken) and ends[0][1].sent
        assert it.left() == {}


def test_closing_while_it_connects_sends_nothing(it):
    with Scripted(lambda line: line.left()) as server:
        origin = origin_of(it, server)
        _, ends = it.begin(answered(origin))
        it.turn()
        origin.close()
        it.until(lambda: ends)
        assert isinstance(ends[0][1], Broken) and ends[0][1].sent is False
        assert it.left() == {}


def test_being_cut_short_anywhere_closes_the_connection(it):
    """Given back, it stays; cut anywhere before, it does not."""

    def play(line):
        for _ in range(2):
            line.request()
            for piece in (HELLO[:30], HELLO[30:-3], HELLO[-3:]):
                line.send(piece)
        line.left()

    for number in itertools.count():
        with Scripted(play) as server:
            origin = origin_of(it, server)

            async def twice(origin=origin):
                await answered(origin)
                await answered(origin)

            try:
                it.run(twice(), stop_at=number)
            except Cut:
                assert it.left() == {}
            else:
                assert len(it.sockets()) == 1 and number >= 3
                origin.close()
                break


def test_a_forked_child_closes_its_copy_and_nothing_else(it):
    with Scripted(answering(HELLO)) as server:
        origin = origin_of(it, server)
        it.run(answered(origin))
        (connection,) = origin._open
        copy = connection._stream._sock.dup()
        origin.disown()
        assert connection._stream._sock.fileno() == -1
        copy.close()
        # Here it is the same process: its selector has to forget what is closed.
        it.loop._selector.unregister(it.sockets()[0])
        (timer,) = origin._idle.values()
        timer.cancel()


def test_no_circle_is_left(it):
    def play(line):
        for _ in range(200):
            line.request()
            line.send(HELLO)

    def round_trip():
        with pytest.raises(Broken):
            it.run(answered(origin_of(it, closed)))

    with Scripted(*[BREAKS["within the body"]] * 50) as closed:
        assert left_behind(round_trip, 10) == 0
    with Scripted(*[play] * 50) as server:

        def good():
            origin = origin_of(it, server)
            it.run(answered(origin))
            origin.close()
            it.turn(2)

        assert left_behind(good, 10) == 0
