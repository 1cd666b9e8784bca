"""The transport of 2024-11-05: against our own server, and against one that a test scripts."""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.mcp import legacy_sse as legacy_sse_module
from dcc_mcp_embed.mcp.answering import ELICITATION, Answering
from dcc_mcp_embed.mcp.connection import Broken
from dcc_mcp_embed.mcp.legacy_sse import LegacySse
from dcc_mcp_embed.mcp.session import RpcFailed, Session
from dcc_mcp_embed.mcp.url import parse
from dcc_mcp_embed.mcp.wire import Expired, HttpFailed, Refused
from fakes.driving import DEADLINE
from fakes.live import starting
from fakes.scripted import Line, Scripted, answer, event
from fakes.turning import Turning

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
TAKEN = answer("202 Accepted")


class Talk:
    """A wire, a session on it, and the loop of both, which the test turns."""

    def __init__(
        self, url: str, headers: Optional[Dict[str, str]] = None, **functions: Any
    ) -> None:
        self.turning = Turning()
        loop = self.turning.loop
        fields = tuple((headers or {}).items())
        self.wire = LegacySse(loop, parse(url), fields, lambda: None, self.turning.failed)
        answering = Answering(loop, functions, lambda: None)
        self.changes: List[int] = []
        self.session = Session(
            loop,
            self.wire,
            answering,
            {"name": "test", "version": "1"},
            lambda: self.changes.append(1),
            self.turning.failed,
            probe=False,
        )
        self.heard: List[Any] = []
        self.run = self.turning.run

    def ask(self, ident: Any = 1) -> Any:
        message = {"jsonrpc": "2.0", "id": ident, "method": "m"}
        return self.wire.ask(message, (), self.heard.append)

    def close(self) -> None:
        self.session.close()
        self.turning.close()


@pytest.fixture
def talk() -> Iterator[Callable[..., Talk]]:
    talks: List[Talk] = []

    def make(url: str, headers: Optional[Dict[str, str]] = None, **functions: Any) -> Talk:
        talks.append(Talk(url, headers, **functions))
        return talks[-1]

    yield make
    for one in talks:
        one.close()


# -- our own server -------------------------------------------------------------------------------


@dcc_mcp_embed.tool(read_only=True, thread="worker")
def count(ctx) -> str:
    """Count to two, and say so."""
    yield dcc_mcp_embed.Progress(1, 2, "one")
    return "two"


@dcc_mcp_embed.tool
def ask(ctx) -> str:
    """Ask for a name."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "default": "nobody"}},
    }
    answered = yield ctx.elicit("Your name?", schema)
    return "hello {}".format(answered["content"]["name"])


@pytest.fixture
def start(tmp_path, monkeypatch):
    with starting(str(tmp_path), monkeypatch, registered=False, tools=[count, ask]) as begin:
        yield begin


def test_a_conversation_with_our_own_server(start, talk):
    live = start()
    url = "http://127.0.0.1:{}/sse".format(live.port)
    found = talk(url, live.authorization, **{ELICITATION: lambda params: {}})
    found.run(found.session.open())
    assert found.session.version == "2025-11-25"
    names = {one["name"] for one in found.run(found.session.list_tools())}
    assert names >= {"count", "ask"}
    progress: List[Any] = []
    result = found.run(found.session.call_tool("count", {}, progress.append))
    assert result["content"] == [{"type": "text", "text": "two"}]
    assert [one["message"] for one in progress] == ["one"]
    result = found.run(found.session.call_tool("ask", {}))
    assert result["content"][0]["text"] == "hello nobody"
    with pytest.raises(RpcFailed, match="-32601"):
        found.run(found.session.request("no/such", {}))
    found.run(found.session.leave())


def test_who_has_no_token_is_told(start, talk):
    live = start()
    found = talk("http://127.0.0.1:{}/sse".format(live.port))
    with pytest.raises(Refused, match="401"):
        found.run(found.session.open())


# -- a scripted one -------------------------------------------------------------------------------


class Streams:
    """A server of one stream: what is said goes out on it; each post is noted and answered."""

    def __init__(self, endpoint: str = "/post?s=1", replies: Any = (TAKEN,)) -> None:
        self._endpoint = endpoint
        self._replies = replies
        self._words: queue.Queue[Optional[bytes]] = queue.Queue()
        self.server = Scripted(self._listen, self._take, self._take)

    def _listen(self, line: Line) -> None:
        line.request()
        line.send(STREAM + b": hello\n\n" + event(event="endpoint", data=self._endpoint))
        for data in iter(self._words.get, None):
            line.send(data)
        line.reset()

    def _take(self, line: Line) -> None:
        for reply in self._replies:
            line.request()
            line.send(reply)
        line.left()

    def say(self, data: bytes) -> None:
        self._words.put(data)

    def end(self) -> None:
        """Break the stream."""
        self._words.put(None)

    def __enter__(self) -> Streams:
        self.server.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.end()
        self.server.__exit__(*error)


def reply(ident: Any = 1, **more: Any) -> Dict[str, Any]:
    return dict({"jsonrpc": "2.0", "id": ident, "result": {"n": ident}}, **more)


def test_answers_come_on_the_stream_and_the_users_headers_go_with_both(talk):
    with Streams() as peer:
        headers = {"Authorization": "Bearer t", "accept": "x", "Host": "y"}
        found = talk(peer.server.url, headers)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask(1))
        _, other = found.turning.begin(found.ask("b"))
        found.turning.until(lambda: len(peer.server.requests) == 3)
        peer.say(event(reply("b"), event="message") + event(reply(2)) + event(reply(1)))
        found.turning.until(lambda: over and other)
        assert over == [(reply(1), None)] and other == [(reply("b"), None)]
        # One that nobody has asked for.
        assert found.heard == [reply(2)]
        get, post = peer.server.requests[:2]
        assert (get.method, get.target) == ("GET", "/mcp")
        assert (post.method, post.target) == ("POST", "/post?s=1")
        assert get.headers["accept"] == "text/event-stream"
        assert post.headers["content-type"] == "application/json"
        for one in (get, post):
            assert one.headers["authorization"] == "Bearer t"
            assert one.headers["host"] == "127.0.0.1:{}".format(peer.server.port)


def test_one_post_after_the_other_goes_on_one_connection(talk):
    with Streams(replies=(TAKEN, TAKEN)) as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        for ident in (1, 2):
            _, over = found.turning.begin(found.ask(ident))
            found.turning.until(lambda count=ident + 1: len(peer.server.requests) == count)
            peer.say(event(reply(ident)))
            found.turning.until(lambda over=over: over)
        assert peer.server.connections == 2


def test_what_else_comes_is_heard_batches_too_and_the_rest_is_passed_over(talk):
    with Streams() as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        first, second = {"method": "notifications/a"}, {"method": "ping", "id": 9}
        odd = [{"id": ident, "result": {}} for ident in ([1], {}, None, 1.0, True)]
        peer.say(event(event="ping", data="x") + b": still there\n\n" + event([first, second]))
        peer.say(event(event="endpoint", data="/elsewhere") + event(event="message", data=""))
        peer.say(event(odd) + event(reply()))
        found.turning.until(lambda: over)
        assert found.heard == [first, second, *odd]
        assert over == [(reply(), None)]


@pytest.mark.parametrize(
    ("response", "kind", "text"),
    [
        (answer("401 Unauthorized", body=b"who are you"), Refused, "HTTP 401: who are you"),
        (answer("403 Forbidden"), Refused, "HTTP 403"),
        (answer("404 Not Found", body=b"nothing here"), HttpFailed, "HTTP 404: nothing here"),
        (answer("405 Method Not Allowed"), HttpFailed, "HTTP 405"),
        (answer("500 Oh", body=b"x" * 100_000), HttpFailed, "HTTP 500: xxx"),
        (answer("200 OK", "Content-Type: application/json", body=b"{}"), Broken, "no stream of ev"),
        (answer("200 OK"), Broken, "there is no stream of events at http://127.0.0.1:"),
        (STREAM + event(event="endpoint", data="http://127.0.0.1:1/x"), Broken, "leads to another"),
        (STREAM + event(event="endpoint", data="//elsewhere/x"), Broken, "leads to another"),
        (STREAM + event(event="endpoint", data="http://["), Broken, "leads to another"),
        (STREAM + b"data: {}\n\n", Broken, "the server closed the connection|ended its stream"),
        (STREAM + b"data: not json\n\n", Broken, "cannot be read"),
        (STREAM + b"data: [1]\n\n", Broken, "cannot be read"),
        (answer("307 Go", "Location: http://127.0.0.1:1/"), HttpFailed, "redirects to another"),
        (answer("307 Go"), HttpFailed, "redirects to another server .which it does not name"),
        (b"HTTP/1.1 nonsense\r\n\r\n", Broken, "."),
        (b"", Broken, "before a response came"),
    ],
)
def test_a_stream_that_is_none_is_told(talk, response, kind, text):
    def play(line: Line) -> None:
        line.request()
        line.send(response)
        # Not until it has been read: it could be lost otherwise.
        line.end()
        line.left()

    with Scripted(play) as server:
        found = talk(server.url)
        with pytest.raises(kind, match=text):
            found.run(found.wire.open())


def test_a_redirect_within_the_server_is_followed(talk):
    def play(line: Line) -> None:
        for status in ("301 Moved", "302 Found", "303 See", "307 There", "308 There"):
            line.request()
            line.send(answer(status, "Location: sse/"))
        line.request()
        line.send(STREAM + event(event="endpoint", data="post"))
        line.left()

    with Scripted(play) as server:
        found = talk(server.url)
        found.run(found.wire.open())
        assert [one.target for one in server.requests][:3] == ["/mcp", "/sse/", "/sse/sse/"]
        assert found.wire._posts.target == "/" + "sse/" * 5 + "post"


def test_but_not_for_ever(talk):
    def play(line: Line) -> None:
        for _ in range(6):
            line.request()
            line.send(answer("307 Again", "Location: /mcp"))
        line.left()

    with Scripted(play) as server:
        found = talk(server.url)
        with pytest.raises(HttpFailed, match="for ever"):
            found.run(found.wire.open())


@pytest.mark.parametrize(
    ("response", "kind", "text"),
    [
        (answer("404 Not Found"), Expired, "^$"),
        (answer("401 Unauthorized"), Refused, "401"),
        (answer("500 Oh", body=b"it is full"), HttpFailed, "HTTP 500: it is full"),
        (answer("302 Found", "Location: /x"), HttpFailed, "POST becomes a GET"),
        (answer("307 There", "Location: http://127.0.0.1:1/"), HttpFailed, "another server"),
    ],
)
def test_a_post_that_is_not_taken_is_told(talk, response, kind, text):
    with Streams(replies=(response,)) as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        with pytest.raises(kind, match=text):
            found.run(found.ask())


@pytest.mark.parametrize("size", [0, 70_000])
def test_an_answer_may_be_there_before_the_post_is_taken(talk, size):
    late = threading.Event()

    def take(line: Line) -> None:
        line.request()
        assert late.wait(DEADLINE)
        line.send(answer("202 Accepted", body=b"x" * size))
        line.left()

    peer = Streams()
    peer.server._plays[1] = take
    with peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        peer.say(event(reply()))
        late.set()
        found.turning.until(lambda: over)
        assert over == [(reply(), None)]


@pytest.mark.parametrize("end", [b"", answer("500 Oh"), None], ids=["broken", "500", "never"])
def test_an_answer_counts_whatever_becomes_of_the_post(talk, end, monkeypatch):
    monkeypatch.setattr(legacy_sse_module, "_TAIL", 0.01)
    late = threading.Event()

    def take(line: Line) -> None:
        line.request()
        if end is None:
            line.left()
        assert late.wait(DEADLINE)
        line.send(end or b"")

    peer = Streams()
    peer.server._plays[1] = take
    with peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        peer.say(event(reply()))
        found.turning.until(lambda: over)
        assert over == [(reply(), None)]
        late.set()
        # It is not waited for for ever either.
        found.turning.until(lambda: len(found.wire._origin._open) == 1)


def test_a_stream_that_ends_takes_what_is_still_posted_with_it(talk):
    def take(line: Line) -> None:
        line.request()
        line.left()

    peer = Streams()
    peer.server._plays[1] = take
    with peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        peer.end()
        found.turning.until(lambda: over)
        assert isinstance(over[0][1], Broken) and over[0][1].sent
        found.turning.until(lambda: not found.wire._origin._open)


def test_a_stream_that_ends_takes_what_waits_with_it(talk):
    with Streams() as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        found.turning.pass_time(0.02)
        peer.end()
        found.turning.until(lambda: over)
        error = over[0][1]
        assert isinstance(error, Broken) and error.sent
        assert found.wire.lost
        with pytest.raises(Broken) as caught:
            found.run(found.ask())
        assert not caught.value.sent
        with pytest.raises(Broken):
            found.run(found.wire.tell({}, ()))


def test_an_event_without_end_ends_it(talk, monkeypatch):
    monkeypatch.setattr(legacy_sse_module, "_MAX_EVENT", 10_000)
    with Streams() as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        peer.say(b"data: " + b"x" * 20_000)
        found.turning.until(lambda: found.wire.lost)
        assert "longer than 10000 bytes" in found.wire.over


def test_an_answer_that_nobody_waits_for_any_more_is_nothing(talk):
    with Streams() as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        task, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        task.cancel()
        found.turning.until(lambda: over)
        peer.say(event(reply()) + event({"method": "m"}))
        found.turning.until(lambda: {"method": "m"} in found.heard)
        assert found.wire._pending == {}


def test_who_closes_leaves_nobody_waiting(talk):
    with Streams() as peer:
        found = talk(peer.server.url)
        found.run(found.wire.open())
        _, over = found.turning.begin(found.ask())
        found.turning.until(lambda: len(peer.server.requests) == 2)
        found.wire.close()
        found.turning.until(lambda: over)
        assert isinstance(over[0][1], Broken)


def test_a_server_that_never_says_where_to_post_can_be_left(talk):
    def play(line: Line) -> None:
        line.request()
        line.send(STREAM)
        line.left()

    with Scripted(play) as server:
        found = talk(server.url)
        task, over = found.turning.begin(found.wire.open())
        found.turning.until(lambda: server.requests)
        found.turning.pass_time(0.02)
        task.cancel()
        found.turning.until(lambda: over)
