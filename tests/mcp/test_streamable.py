"""Streamable HTTP, as a client has it: answers of every form, sessions, streams that end early."""

from __future__ import annotations

import itertools
import json
import socket
import threading

import pytest

from dcc_mcp_embed.mcp import exchange, streamable
from dcc_mcp_embed.mcp.connection import Broken
from dcc_mcp_embed.mcp.streamable import Streamable
from dcc_mcp_embed.mcp.url import parse
from dcc_mcp_embed.mcp.wire import Expired, HttpFailed, Refused
from dcc_mcp_embed.net.tasks import Cut, TimedOut, sleep, within
from fakes.clock import FakeClock
from fakes.driving import Driver, left_behind
from fakes.scripted import Scripted, answer, event, json_answer

DEADLINE = 20.0
LEGACY = "2025-11-25"
ASKED = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}
TOLD = {"jsonrpc": "2.0", "method": "notifications/initialized"}
ANSWER = {"jsonrpc": "2.0", "id": 7, "result": {"content": []}}
ERROR = {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "No such method"}}
NOISE = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7}}
QUESTION = {"jsonrpc": "2.0", "id": 7, "method": "roots/list"}
STREAM = "Content-Type: text/event-stream"


@pytest.fixture
def it(monkeypatch):
    monkeypatch.setattr(streamable, "_LEAST_RETRY", 0.001)
    one = Driver()
    yield one
    one.close()


def wire_to(it, url, version=None, session=None, fields=()):
    wire = Streamable(it.loop, parse(url), fields, lambda: None, it.failures.append)
    wire._session = session
    if version is not None:
        wire.opened(version)
    return wire


class Ask:
    """Asks a scripted server, and keeps what is heard besides."""

    def __init__(self, it, *plays, version=None, session=None, fields=()):
        self.it, self.heard = it, []
        self._how = {"version": version, "session": session, "fields": fields}
        self.server = Scripted(*plays)

    def __enter__(self):
        self.server.__enter__()
        self.wire = wire_to(self.it, self.server.url, **self._how)
        return self

    def __exit__(self, *error):
        self.wire.close()
        self.it.turn(5)
        self.server.__exit__(*error)
        if error[0] is None:
            assert self.it.left() == {}

    def ask(self, message=ASKED, fields=(), **how):
        return self.it.run(self.wire.ask(message, fields, self.heard.append), **how)

    def tell(self, message=TOLD):
        return self.it.run(self.wire.tell(message, ()))

    def broken(self):
        """Return how asking breaks."""
        with pytest.raises(Broken) as caught:
            self.ask()
        return caught.value

    @property
    def requests(self):
        return self.server.requests


def stream(*events, end=True, headers=()):
    """Return a stream in chunks, with or without its end."""
    lines = ["HTTP/1.1 200 OK", STREAM, *headers, "Transfer-Encoding: chunked", "", ""]
    found = "\r\n".join(lines).encode("ascii")
    for one in events:
        found += b"%x\r\n%b\r\n" % (len(one), one)
    return found + (b"0\r\n\r\n" if end else b"")


def playing(*replies, size=0, then_left=True):
    """Return a play: one reply for each request; then the client leaves, or the connection ends."""

    def play(line):
        for reply in replies:
            line.request()
            line.send(reply, size)
        if then_left:
            line.left()

    return play


# -- answers --------------------------------------------------------------------------------------

FORMS = {
    "JSON": (json_answer(ANSWER), []),
    "JSON in chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n" % (len(json.dumps(ANSWER)), json.dumps(ANSWER).encode())
        + b"0\r\n\r\n",
        [],
    ),
    "a batch": (json_answer([NOISE, ANSWER, QUESTION]), [NOISE, QUESTION]),
    "a stream": (stream(event(ANSWER)), []),
    "a stream of several": (
        stream(event(NOISE), b": comment\n\n", event(QUESTION), event(ANSWER, event="message")),
        [NOISE, QUESTION],
    ),
    "a stream with other things": (
        stream(event(ERROR, event="other"), event(id="5", retry="10"), b"data:\n\n", event(ANSWER)),
        [],
    ),
    "a stream with CR LF": (
        stream(event(NOISE).replace(b"\n", b"\r\n"), event(ANSWER).replace(b"\n", b"\r\n")),
        [NOISE],
    ),
    "a batch in a stream": (stream(event([NOISE, ANSWER])), [NOISE]),
    "an error": (json_answer(ERROR), []),
    "no coding": (json_answer(ANSWER, "Content-Encoding: Identity"), []),
    "an error in a stream": (stream(event(ERROR)), []),
}


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("version", [None, LEGACY])
@pytest.mark.parametrize("name", sorted(FORMS))
def test_an_answer_of_any_form_and_in_any_pieces(it, name, version, size):
    reply, heard = FORMS[name]
    with Ask(it, playing(reply, reply, size=size), version=version) as asking:
        for _ in range(2):
            assert asking.ask() == (ERROR if "error" in name else ANSWER)
            it.until(lambda: asking.wire._origin._idle)
        assert asking.heard == heard * 2
        assert asking.server.connections == 1, "and the connection is kept"


def test_what_is_sent(it):
    given = [("Authorization", "Bearer t"), ("accept", "text/html"), ("X-Own", "1")]
    own = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call")]
    with Ask(it, playing(json_answer(ANSWER)), fields=given) as asking:
        asking.ask(fields=own)
        (request,) = asking.requests
    assert (request.method, request.target, request.message) == ("POST", "/mcp", ASKED)
    assert request.headers == {
        "host": "127.0.0.1:{}".format(asking.server.port),
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "authorization": "Bearer t",
        "x-own": "1",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "content-length": str(len(request.body)),
    }


@pytest.mark.parametrize(
    "reply",
    [
        answer("202 Accepted"),
        answer("200 OK"),
        answer("204 No Content", length=0),
        json_answer({}),
        stream(),
        stream(end=False),
        answer("202 Accepted", length=100_000) + b"x" * 50_000,
    ],
    ids=lambda reply: str(reply[:40]),
)
def test_what_is_only_told_is_not_waited_for(it, reply):
    with Ask(it, playing(reply)) as asking:
        assert asking.tell() is None
        assert asking.requests[0].message == TOLD


def test_what_is_told_may_be_refused(it):
    refused = answer("400 Bad Request", body=b"not that")
    with Ask(it, playing(refused)) as asking:
        with pytest.raises(HttpFailed, match="HTTP 400: not that"):
            asking.tell()


def test_the_rest_of_an_answered_stream_is_nobodys_business(it, monkeypatch):
    monkeypatch.setattr(streamable, "_TAIL", 0.05)
    with Ask(it, playing(stream(event(ANSWER), end=False))) as asking:
        assert asking.ask() == ANSWER
        assert len(it.sockets()) == 1
        it.until(lambda: it.sockets() == [])


def test_an_answer_is_one_whatever_follows_in_the_same_breath(it):
    reply = stream(event(ANSWER) + b"data: garbage\n\n" + event(NOISE))
    with Ask(it, playing(reply)) as asking:
        assert asking.ask() == ANSWER


# -- no answers -----------------------------------------------------------------------------------

NO_ANSWERS = {
    "no JSON": (answer("200 OK", "Content-Type: application/json", body=b"{"), "cannot be read"),
    "no message": (json_answer([1]), "cannot be read"),
    "a text": (answer("200 OK", "Content-Type: text/html", body=b"<html>"), "'text/html'"),
    "nothing of any kind": (answer("200 OK"), "no kind of content"),
    "a coding": (json_answer(ANSWER, "Content-Encoding: gzip"), "'gzip', a coding"),
    "a coding of a stream": (stream(event(ANSWER), headers=["Content-Encoding: br"]), "'br'"),
    "nothing": (answer("202 Accepted"), "without an answer"),
    "another's answer": (json_answer(dict(ANSWER, id=8)), "without an answer"),
    "only noise": (json_answer([NOISE]), "without an answer"),
    "the same question": (json_answer(QUESTION), "without an answer"),
    "a stream of nothing": (stream(), "ended before the answer"),
    "a stream without it": (stream(event(NOISE)), "ended before the answer"),
    "garbage in a stream": (stream(b"data: garbage\n\n"), "stream cannot be read"),
    "a number in a stream": (stream(event(5)), "stream cannot be read"),
    "garbage": (b"garbage\r\n\r\n", ""),
}


@pytest.mark.parametrize("version", [None, LEGACY])
@pytest.mark.parametrize("name", sorted(NO_ANSWERS))
def test_what_is_no_answer_breaks_in_words(it, name, version):
    reply, told = NO_ANSWERS[name]
    with Ask(it, playing(reply), version=version) as asking:
        problem = asking.broken()
        assert told in problem.reason and problem.sent is True
        assert asking.server.connections == 1
        it.until(lambda: not asking.wire._origin._open.keys() - asking.wire._origin._idle.keys())


def test_an_error_without_an_id_is_for_who_has_asked(it):
    error = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Unreadable"}}
    replies = [json_answer(error), json_answer(dict(error, id=None))]
    with Ask(it, playing(*replies)) as asking:
        assert asking.ask() == error
        assert asking.ask() == dict(error, id=None)


def test_much_is_too_much(it, monkeypatch):
    monkeypatch.setattr(streamable, "MAX_BODY", 1000)
    monkeypatch.setattr(streamable, "MAX_EVENT", 1000)
    long = {"jsonrpc": "2.0", "id": 7, "result": {"text": "x" * 2000}}
    with Ask(it, playing(json_answer(long)), playing(stream(event(long)))) as asking:
        assert "longer than 1000 bytes" in asking.broken().reason
        assert "longer than 1000 bytes" in asking.broken().reason
    with Ask(it, playing(stream(*[b"x" * 100] * 20, end=False))) as asking:
        assert "longer than 1000 bytes" in asking.broken().reason, "an endless line"
    # A stream as a whole may be as long as it likes.
    with Ask(it, playing(stream(*[event(NOISE)] * 100, event(ANSWER)))) as asking:
        assert asking.ask() == ANSWER


@pytest.mark.parametrize("piece", [b": still here\n\n", event(NOISE), b"x"], ids=str)
def test_a_stream_that_never_ends_is_followed_as_long_as_there_is_time(it, piece):
    def play(line):
        line.request()
        line.send(stream(end=False))
        while True:
            line.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            over.wait(0.001)

    async def in_time(wire):
        with within(it.loop, 0.2):
            await wire.ask(ASKED, (), heard.append)

    heard, over = [], threading.Event()
    with Scripted(play) as server:
        wire = wire_to(it, server.url, LEGACY)
        with pytest.raises(TimedOut):
            it.run(in_time(wire))
        assert it.left() == {}


# -- failures -------------------------------------------------------------------------------------


def test_the_stateless_era_answers_errors_with_a_status(it):
    for status in ("404 Not Found", "400 Bad Request", "500 Internal Server Error"):
        for error in (ERROR, dict(ERROR, id="server-error"), {"error": ERROR["error"]}):
            with Ask(it, playing(json_answer(error, status=status))) as asking:
                assert asking.ask() == error


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("404 Not Found", b"no such page", "HTTP 404: no such page"),
        ("405 Method Not Allowed", b"", "HTTP 405"),
        ("500 Oops", b'{"id": 7, "result": {}}', 'HTTP 500: {"id": 7'),
        ("503 Unavailable", b"<h1>\n  later</h1>", "HTTP 503: <h1> later</h1>"),
        ("429 Slow", b"[1]", "HTTP 429"),
        ("304 Not Modified", b"", "HTTP 304"),
        ("400 Bad", b'{"error": "text"}', 'HTTP 400: {"error": "text"}'),
    ],
)
def test_a_status_without_an_answer_is_told_with_its_text(it, status, body, told):
    with Ask(it, playing(answer(status, body=body), json_answer(ANSWER))) as asking:
        with pytest.raises(HttpFailed) as caught:
            asking.ask()
        assert str(caught.value).startswith(told)
        assert caught.value.status == int(status[:3])
        assert not isinstance(caught.value, Refused)
        assert asking.ask() == ANSWER and asking.server.connections == 1


@pytest.mark.parametrize("session", [None, "s"])
@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_who_is_not_let_in_is_told_so_also_if_it_is_told_in_json(it, status, session):
    replies = [answer(status, body=b"who?"), json_answer(ERROR, status=status)]
    with Ask(it, playing(*replies), session=session, version=LEGACY) as asking:
        for _ in replies:
            with pytest.raises(Refused, match="HTTP 40[13]"):
                asking.ask()


def test_the_text_of_a_failure_is_waited_for_only_so_long(it, monkeypatch):
    half = answer("503 Unavailable", length=100) + b"never more"
    lost = playing(half, then_left=False)
    endless = answer("503 Unavailable", length=10**9) + b"x" * 200_000
    with Ask(it, playing(half), lost, playing(endless)) as asking:
        # What does come in time is told, however long the rest of it takes.
        for patience, told in ((0.05, "503$"), (0.05, "503$"), (DEADLINE, "503: xxx")):
            monkeypatch.setattr(streamable, "_PATIENCE", patience)
            with pytest.raises(HttpFailed, match="HTTP " + told):
                asking.ask()
            it.until(lambda: it.sockets() == [])


# -- redirects ------------------------------------------------------------------------------------


def redirect(status, where):
    headers = [] if where is None else ["Location: " + where]
    return answer("{} Elsewhere".format(status), *headers, body=b"there")


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "where", ["/other", "other", "//127.0.0.1:{port}/other", "http://127.0.0.1:{port}/other"]
)
def test_a_redirect_within_the_origin_is_followed_with_all_that_was_said(it, status, where):
    def play(line):
        line.request()

        line.send(redirect(status, where.format(port=asking.server.port)))
        line.request()
        line.send(json_answer(ANSWER))
        line.left()

    with Ask(it, play, fields=[("Authorization", "Bearer t")], session="s") as asking:
        assert asking.ask() == ANSWER
        first, second = asking.requests
    assert second == first._replace(target="/other")
    assert second.headers["mcp-session-id"] == "s"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_refused_and_nothing_said_there(it, status):
    with Scripted() as other:
        elsewhere = "http://127.0.0.1:{}/mcp".format(other.port)
        for where in (elsewhere, elsewhere.replace("127.0.0.1", "localhost")):
            with Ask(it, playing(redirect(status, where)), session="s") as asking:
                with pytest.raises(HttpFailed, match="another server") as caught:
                    asking.ask()
                assert caught.value.status == status and where in str(caught.value)
        assert other.connections == 0 and other.requests == []


def test_another_scheme_at_the_same_place_is_another_origin(it):
    def play(line):
        line.request()
        line.send(redirect(307, asking.server.url.replace("http:", "https:")))
        line.left()

    with Ask(it, play) as asking:
        with pytest.raises(HttpFailed, match="another server"):
            asking.ask()
        assert asking.server.connections == 1


@pytest.mark.parametrize("where", [None, "", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/"])
def test_a_redirect_to_nowhere_is_refused(it, where):
    with Ask(it, playing(redirect(307, where))) as asking:
        with pytest.raises(HttpFailed):
            asking.ask()
        assert len(asking.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_make_it_a_get_says_which_url_to_use(it, status):
    with Ask(it, playing(redirect(status, "/other"))) as asking:
        with pytest.raises(HttpFailed, match="use the URL http://127.0.0.1:[0-9]+/other"):
            asking.ask()
        assert len(asking.requests) == 1


def test_redirects_in_a_circle_end(it):
    with Ask(it, playing(*[redirect(307, "/mcp")] * 6)) as asking:
        with pytest.raises(HttpFailed, match="for ever"):
            asking.ask()
        assert len(asking.requests) == 6


def test_what_was_redirected_has_left(it):
    """And where it led to cannot be reached: it is not as if nobody had got it."""
    reply = answer("307 There", "Location: /other", "Connection: close")
    with Ask(it, playing(reply)) as asking:
        asking.wire._origin._dial = refusing(asking.wire._origin._dial)
        assert asking.broken().sent is True


def refusing(dial):
    """Return a way to connect that leads somewhere once."""
    number = itertools.count()

    async def once():
        if next(number):
            raise Broken("nobody is there", False)
        return await dial()

    return once


# -- sessions -------------------------------------------------------------------------------------

BEGIN = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {}}


@pytest.mark.parametrize("streamed", [False, True])
def test_the_id_of_a_session_is_sent_back_with_everything(it, streamed):
    header = "Mcp-Session-Id: abc-123"
    first = stream(event(ANSWER), headers=[header]) if streamed else json_answer(ANSWER, header)
    no = answer("405 Method Not Allowed")
    play = playing(first, answer("202 Accepted"), json_answer(ANSWER), no, answer("200 OK"))
    with Ask(it, play) as asking:
        asking.ask(BEGIN)
        it.until(lambda: asking.wire._origin._idle)
        asking.wire.opened(LEGACY)
        asking.tell()
        it.turn(3)
        asking.ask()
        it.run(asking.wire.listen(asking.heard.append))
        it.turn(3)
        it.run(asking.wire.leave())
        it.run(asking.wire.leave())
        begin, *rest = asking.requests
    assert "mcp-session-id" not in begin.headers
    assert "mcp-protocol-version" not in begin.headers
    assert [one.method for one in rest] == ["POST", "POST", "GET", "DELETE"]
    for one in rest:
        assert one.headers["mcp-session-id"] == "abc-123"
        assert one.headers["mcp-protocol-version"] == LEGACY


def test_without_a_session_there_is_nothing_to_leave(it):
    with Ask(it, playing(json_answer(ANSWER))) as asking:
        asking.ask(BEGIN)
        it.run(asking.wire.leave())
        assert len(asking.requests) == 1


NO_SESSION = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
EXPIRIES = [
    answer("404 Not Found"),
    json_answer(dict(ERROR, error={"code": -32001, "message": "x"}), status="404 Not Found"),
    json_answer({"jsonrpc": "2.0", "id": None, "error": NO_SESSION}, status="400 Bad Request"),
]


@pytest.mark.parametrize("reply", EXPIRIES, ids=lambda reply: str(reply[-40:]))
def test_a_session_that_the_server_does_not_know_has_expired(it, reply):
    with Ask(it, playing(reply, reply, reply), session="s", version=LEGACY) as asking:
        with pytest.raises(Expired):
            asking.ask()
        with pytest.raises(Expired):
            asking.tell()


@pytest.mark.parametrize(
    "reply",
    [
        json_answer(ERROR, status="400 Bad Request"),
        json_answer(
            dict(ERROR, error={"code": -32602, "message": "session"}), status="400 Bad Request"
        ),
        json_answer(dict(ERROR, error=NO_SESSION)),
        json_answer(dict(ERROR, error=NO_SESSION), status="500 Oops"),
    ],
    ids=lambda reply: str(reply[:20]),
)
def test_no_other_failure_is_an_expiry(it, reply):
    with Ask(it, playing(reply), session="s", version=LEGACY) as asking:
        assert "error" in asking.ask()


def test_nothing_expires_without_a_session(it):
    with Ask(it, playing(EXPIRIES[2], EXPIRIES[0])) as asking:
        assert asking.ask()["error"] == NO_SESSION
        with pytest.raises(HttpFailed):
            asking.ask()


# -- streams that end early -----------------------------------------------------------------------

SOON = {"retry": "1"}


def resumed(it, *replies, version=LEGACY, session="s", **how):
    """Return an Ask whose requests all come on one connection."""
    return Ask(it, playing(*replies, **how), version=version, session=session)


def test_a_stream_that_ends_early_is_resumed_where_it_ended(it):
    first = stream(event(NOISE, id="1"), event(NOISE, id="two \u00fc", **SOON))
    with resumed(it, first, stream(event(NOISE, id="3"), event(ANSWER))) as asking:
        assert asking.ask() == ANSWER
        assert asking.heard == [NOISE] * 3
        post, get = asking.requests
    assert (get.method, get.target, get.body) == ("GET", "/mcp", b"")
    assert get.headers["last-event-id"] == "two \u00fc".encode("utf-8").decode("latin-1")
    assert get.headers["accept"] == "text/event-stream"
    assert get.headers["mcp-session-id"] == "s"
    assert get.headers["mcp-protocol-version"] == LEGACY
    assert "content-length" not in get.headers


@pytest.mark.parametrize("how", ["ended", "cut", "reset"])
def test_also_one_that_brought_only_an_id(it, how):
    """As servers do that answer later: an event with an id, a time, and no data."""

    def play(line):
        line.request()
        line.send(stream(event(id="p", **SOON), end=how == "ended"))
        if how == "reset":
            it_was_read.wait(DEADLINE)
            line.reset()
        elif how == "ended":
            line.request()
            line.send(stream(event(ANSWER)))
            line.left()

    it_was_read = threading.Event()
    plays = [play, playing(stream(event(ANSWER)))]
    with Ask(it, *plays, version=LEGACY) as asking:
        _, ends = it.begin(asking.wire.ask(ASKED, (), asking.heard.append))
        it.until(lambda: len(asking.requests) == 1)
        it.turn(20)
        it_was_read.set()
        it.until(lambda: ends)
        assert ends == [(ANSWER, None)]
        assert asking.requests[1].headers["last-event-id"] == "p"


def test_it_is_asked_for_again_as_soon_as_the_server_wants_and_not_before():
    it = Driver(FakeClock())
    with resumed(it, stream(event(id="1", retry="2500")), stream(event(ANSWER))) as asking:
        _, ends = it.begin(asking.wire.ask(ASKED, (), asking.heard.append))
        it.until(lambda: pytest.approx(2.5) in it.timers())
        it.clock.advance(2.4)
        it.turn(3)
        assert len(asking.requests) == 1
        it.clock.advance(0.2)
        it.until(lambda: ends)
        assert ends == [(ANSWER, None)]
    it.close()


@pytest.mark.parametrize(("told", "seconds"), [({}, 1.0), ({"retry": "0"}, 0.05)])
def test_a_server_that_says_nothing_or_at_once_is_not_pestered(told, seconds):
    it = Driver(FakeClock())
    with resumed(it, stream(event(NOISE, id="1", **told))) as asking:
        task, _ = it.begin(asking.wire.ask(ASKED, (), asking.heard.append))
        it.until(lambda: pytest.approx(seconds) in it.timers())
        task.cancel()
        it.turn(2)
    it.close()


def test_it_is_resumed_as_often_as_something_new_comes(it):
    more = [stream(event(NOISE, id=str(number), **SOON)) for number in range(12)]
    with resumed(it, *more, stream(event(ANSWER))) as asking:
        assert asking.ask() == ANSWER
        assert len(asking.heard) == 12
        ids = [one.headers.get("last-event-id") for one in asking.requests]
    assert ids == [None] + [str(number) for number in range(12)]


def test_not_for_ever_where_nothing_new_comes(it):
    first, again = stream(event(id="1", **SOON)), stream(event(id="1"))
    with resumed(it, first, *[again] * 5) as asking:
        problem = asking.broken()
        assert problem.sent is True and "before the answer" in problem.reason
        assert len(asking.requests) == 6


def test_a_server_that_is_away_is_asked_again_a_few_times(it):
    def gone(line):
        line.request()

    passing = answer("503 Unavailable")
    plays = [
        playing(stream(event(id="1", **SOON), end=False), then_left=False),
        gone,
        playing(passing, stream(event(ANSWER))),
    ]
    with Ask(it, *plays, version=LEGACY) as asking:
        assert asking.ask() == ANSWER
    with Ask(it, plays[0], *[gone] * 5, version=LEGACY) as asking:
        assert asking.broken().sent is True
        assert len(asking.requests) == 6


@pytest.mark.parametrize(
    "refusal",
    [
        answer("404 Not Found"),
        answer("405 No"),
        answer("400 Bad"),
        answer("401 Who"),
        json_answer({}),
    ],
    ids=lambda reply: str(reply[:20]),
)
def test_a_request_that_was_taken_is_never_said_to_be_not(it, refusal):
    """Whoever is told that a session has expired asks again: it would run twice."""
    with resumed(it, stream(event(id="1", **SOON)), refusal) as asking:
        problem = asking.broken()
        assert problem.sent is True and "not to be had" in problem.reason


@pytest.mark.parametrize(
    "first",
    [
        stream(event(NOISE)),
        stream(event(NOISE, id="")),
        stream(event(id="1"), event(id="")),
        stream(event(NOISE, id="\x01")),
        stream(event(NOISE, id=" x")),
        stream(event(NOISE, id="x" * 5000)),
        stream(b"id: 1\ndata: x"),
    ],
    ids=lambda reply: str(reply[-30:]),
)
def test_where_it_ended_has_to_be_known(it, first):
    with resumed(it, first) as asking:
        assert asking.broken().sent is True
        assert len(asking.requests) == 1


def test_the_stateless_era_resumes_nothing(it):
    with resumed(it, stream(event(NOISE, id="1", **SOON)), version=None, session=None) as asking:
        assert asking.broken().sent is True
        assert len(asking.requests) == 1


def test_garbage_is_not_asked_for_again(it):
    def play(line):
        line.request()
        line.send(stream(event(NOISE, id="1", **SOON), end=False))
        assert heard.wait(DEADLINE)
        line.send(b"f\r\ndata: garbage\n\n\r\n0\r\n\r\n")
        line.left()

    heard = threading.Event()
    with Ask(it, play, version=LEGACY, session="s") as asking:
        with pytest.raises(Broken, match="cannot be read"):
            it.run(asking.wire.ask(ASKED, (), lambda message: heard.set()))
        assert len(asking.requests) == 1


# -- what the server says of its own accord -------------------------------------------------------


def test_what_a_server_says_by_itself_is_heard_and_where_it_was_left_off(it):
    first = stream(event(NOISE, id="1", **SOON), event(QUESTION))
    with resumed(it, first, stream(event(NOISE)), answer("404 Not Found")) as asking:
        it.run(asking.wire.listen(asking.heard.append))
        assert asking.heard == [NOISE, QUESTION, NOISE]
        ids = [one.headers.get("last-event-id") for one in asking.requests]
    assert ids == [None, "1", "1"]


@pytest.mark.parametrize("status", ["405 No", "400 Bad", "401 Who", "500 Oops", "501 No", "200 OK"])
def test_a_server_that_says_nothing_is_not_asked_again(it, status):
    with resumed(it, answer(status)) as asking:
        assert it.run(asking.wire.listen(asking.heard.append)) is None


def test_one_that_ends_at_once_again_and_again_is_asked_ever_less_often():
    it = Driver(FakeClock())

    def play(line):
        while True:
            line.request()
            line.send(stream())

    # What is kept is not kept for so long.
    with Ask(it, *[play] * 9, version=LEGACY) as asking:
        task, _ = it.begin(asking.wire.listen(asking.heard.append))
        for seconds in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
            it.until(lambda seconds=seconds: pytest.approx(seconds) in it.timers())
            it.clock.advance(seconds)
        assert asking.heard == []
        task.cancel()
        it.turn(3)
    it.close()


@pytest.mark.parametrize("status", ["409 Conflict", "429 Slow", "502 Bad", "503 No", "504 Late"])
def test_one_that_is_not_there_for_the_moment_is_asked_again(it, status, monkeypatch):
    monkeypatch.setattr(streamable, "_RETRY", 0.01)
    replies = [answer(status), stream(event(NOISE)), answer("405 No")]
    with resumed(it, *replies) as asking:
        it.run(asking.wire.listen(asking.heard.append))
        assert asking.heard == [NOISE]


# -- the ends -------------------------------------------------------------------------------------


def story_of(it, wire):
    """Return a talk that goes through every place in which it can wait."""

    async def story():
        heard = []
        await wire.ask(BEGIN, (), heard.append)
        wire.opened(LEGACY)
        await wire.tell(TOLD, ())
        await wire.ask(ASKED, (), heard.append)
        await wire.ask(ASKED, (), heard.append)
        for _ in range(2):
            try:
                await wire.ask(ASKED, (), heard.append)
            except HttpFailed:
                continue
        await wire.listen(heard.append)
        await wire.leave()

    return story()


STORY = [
    redirect(307, "/mcp"),
    stream(event(ANSWER), headers=["Mcp-Session-Id: s"]),
    answer("202 Accepted"),
    stream(event(id="1", **SOON)),
    stream(event(NOISE), event(ANSWER)),
    json_answer(ANSWER),
    answer("500 Oops", body=b"sorry"),
    answer("500 Oops", length=10) + b"x" * 10,
    stream(event(NOISE, id="1", **SOON)),
    answer("405 No"),
    answer("200 OK"),
]


def test_being_cut_short_anywhere_leaves_nothing(it):
    def play(line):
        while len(server.requests) < len(STORY):
            line.request()
            reply = STORY[len(server.requests) - 1]
            for at in range(0, len(reply), 40):
                line.send(reply[at : at + 40])
        line.left()

    number = 0
    while True:
        with Scripted(*[play] * 12) as server:
            wire = wire_to(it, server.url)
            try:
                it.run(story_of(it, wire), stop_at=number)
            except Cut:
                # What is kept is idle, and so is what is read to its end.
                it.turn(2)
                under_way = set(wire._origin._open) - set(wire._origin._idle)
                assert len(under_way) <= len(wire._tails._tasks)
            else:
                assert number > 13
                break
            finally:
                wire.close()
                assert it.left() == {}
        number += 1


HALVES = {
    "no answer": b"",
    "a head": b"HTTP/1.1 200 OK\r\nContent-",
    "JSON": answer("200 OK", "Content-Type: application/json", length=99) + b"{",
    "a stream": stream(event(NOISE), b"data: ", end=False),
    "a failure": answer("500 Oops", length=99) + b"x",
    "a redirect": answer("307 There", "Location: /mcp", length=99) + b"x",
}


@pytest.mark.parametrize("version", [None, LEGACY])
@pytest.mark.parametrize("name", sorted(HALVES))
def test_being_cut_short_in_an_answer_closes_its_connection(it, name, version):
    def play(line):
        line.request()
        line.send(HALVES[name])
        sent.set()
        line.left()

    sent = threading.Event()
    with Scripted(play) as server:
        wire = wire_to(it, server.url, version)
        task, ends = it.begin(wire.ask(ASKED, (), [].append))
        it.until(sent.is_set)
        it.turn(5)
        task.cancel()
        it.until(lambda: ends)
        assert isinstance(ends[0][1], Cut)
        assert it.left() == {}


def test_being_cut_short_is_seen_by_the_server_at_once(it):
    """In the stateless era that is how a request is called off."""
    with Scripted(lambda line: [line.request(), line.left()]) as server:
        wire = wire_to(it, server.url)
        task, ends = it.begin(wire.ask(ASKED, (), [].append))
        it.until(lambda: server.requests)
        task.cancel()
        it.until(lambda: ends)
        assert it.left() == {}


def test_closing_breaks_what_is_under_way(it):
    async def late(wire):
        await sleep(it.loop, 0.01)
        wire.close()

    for play in (
        lambda line: [line.request(), line.left()],
        lambda line: [line.request(), line.send(stream(end=False)), line.left()],
    ):
        with Scripted(play) as server:
            wire = wire_to(it, server.url)
            _, ends = it.begin(wire.ask(ASKED, (), [].append))
            it.until(lambda server=server: server.requests)
            it.run(late(wire))
            it.until(lambda ends=ends: ends)
            assert isinstance(ends[0][1], Broken) and ends[0][1].sent
            assert it.left() == {}


def test_no_circle_is_left(it):
    bad = answer("500 Oops", body=b"sorry")
    late = stream(event(id="1", **SOON))

    def play(line):
        for reply in (json_answer(ANSWER), bad, stream(event(ANSWER)), late, answer("404 Not")):
            line.request()
            line.send(reply)
        line.left()

    def round_trip():
        wire = wire_to(it, server.url, LEGACY, "s")
        for number in range(4):
            try:
                it.run(wire.ask(ASKED, (), heard))
            except (HttpFailed, Broken):
                assert number in (1, 3)
        wire.close()
        it.turn(3)

    def heard(message):
        pass

    with Scripted(*[play] * 20) as server:
        assert left_behind(round_trip, 5) == 0


def test_a_refused_connection_is_known_to_have_sent_nothing(it):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        wire = wire_to(it, "http://127.0.0.1:{}/mcp".format(sock.getsockname()[1]), LEGACY)
        with pytest.raises(Broken) as caught:
            it.run(wire.ask(ASKED, (), [].append))
        assert caught.value.sent is False
        wire.close()


def ending_as_the_next_comes(line):
    """Answer, and end the connection once something more is sent on it."""
    line.request()
    line.send(json_answer(ANSWER))
    line.receive()


@pytest.mark.parametrize("message", [dict(ASKED, method="tools/list"), TOLD, QUESTION])
def test_what_may_come_twice_is_sent_again_where_a_kept_connection_ends(it, message):
    with Ask(it, ending_as_the_next_comes, playing(json_answer(ANSWER))) as asking:
        asking.ask()
        it.until(lambda: asking.wire._origin._idle)
        if "id" in message:
            assert asking.ask(message) == ANSWER
        else:
            asking.tell(message)
        assert [one.message for one in asking.requests] == [ASKED, message]


def test_it_is_sent_again_on_a_new_connection_and_on_no_other_that_was_kept(it):
    both = threading.Barrier(2)

    def play(line):
        line.request()
        both.wait(DEADLINE)
        line.send(json_answer(ANSWER))
        line.receive()

    with Ask(it, play, play, playing(json_answer(ANSWER))) as asking:
        ends = [it.begin(asking.wire.ask(ASKED, (), print))[1] for _ in range(2)]
        it.until(lambda: all(ends) and len(asking.wire._origin._idle) == 2)
        assert asking.ask(dict(ASKED, method="tools/list")) == ANSWER
        assert asking.server.connections == 3


def test_a_call_is_not(it):
    with Ask(it, ending_as_the_next_comes) as asking:
        asking.ask()
        it.until(lambda: asking.wire._origin._idle)
        assert asking.broken().sent is True


@pytest.mark.parametrize("said", ["", "HTTP/1.1 200 OK"])
def test_what_may_come_twice_is_sent_again_only_where_nothing_came_of_it(it, said):
    """On a new connection, or where an answer has begun, it is no matter of chance."""

    def play(line):
        if said:
            line.request()
            line.send(json_answer(ANSWER))
        line.request()
        line.send(said.encode("ascii"))

    with Ask(it, play) as asking:
        if said:
            asking.ask()
            it.until(lambda: asking.wire._origin._idle)
        with pytest.raises(Broken) as caught:
            asking.ask(dict(ASKED, method="tools/list"))
        assert caught.value.sent is True


def test_the_users_headers_do_not_replace_ours():
    given = [("HOST", "x"), ("X-A", "1"), ("Accept", "y")]
    assert exchange.merged(given, [("Host", "h"), ("Accept", "z")]) == [
        ("Host", "h"),
        ("Accept", "z"),
        ("X-A", "1"),
    ]
