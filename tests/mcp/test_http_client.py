"""The blocking client of the command line: connections that are kept, and what comes on them."""

from __future__ import annotations

import json
import threading

import pytest

from dcc_mcp_embed.errors import RemoteProtocolError, Unreachable
from dcc_mcp_embed.mcp.http_client import HttpClient
from fakes.scripted import Scripted, event, json_answer
from fakes.waiting import until

DEADLINE = 20.0


def result_of(request, **result):
    return {"jsonrpc": "2.0", "id": request.message["id"], "result": result}


def asked(line, extra=b"", **result):
    line.send(json_answer(result_of(line.request(), **result)) + extra)


def test_one_connection_is_enough():
    def play(line):
        asked(line, tools=[])
        request = line.request()
        body = event({"method": "n"}) + event(result_of(request, content=[1]))
        line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        line.send(b"Content-Length: %d\r\n\r\n%b" % (len(body), body), 1)
        asked(line, tools=[{"name": "x"}])
        line.left()

    told = []
    with Scripted(play) as server:
        with HttpClient(server.url, timeout=DEADLINE) as client:
            assert client.list_tools() == []
            assert client.call_tool("x", {}, told.append) == {"content": [1]}
            assert client.list_tools() == [{"name": "x"}]
        assert told == [{"method": "n"}] and server.connections == 1


@pytest.mark.parametrize("when", ["with the answer", "later"])
def test_what_comes_beyond_an_answer_is_none_to_what_is_asked_next(when):
    go, gone = threading.Event(), threading.Event()
    stale = json_answer({"jsonrpc": "2.0", "id": 2, "result": {"tools": [{"name": "stale"}]}})

    def play(line):
        asked(line, b"" if when == "later" else stale, tools=[])
        if when == "later":
            assert go.wait(DEADLINE)
            line.send(stale)
            gone.set()
        line.left()

    def second(line):
        asked(line, tools=[{"name": "fresh"}])
        line.left()

    with Scripted(play, second) as server:
        with HttpClient(server.url, timeout=DEADLINE) as client:
            assert client.list_tools() == []
            if when == "later":
                go.set()
                assert gone.wait(DEADLINE)
                until(lambda: readable(client), "nothing comes")
            assert client.list_tools() == [{"name": "fresh"}]
        assert server.connections == 2


def readable(client):
    import select

    return select.select([client._sock], [], [], 0)[0]


@pytest.mark.parametrize("hard", [False, True])
def test_a_connection_that_the_server_has_closed_is_not_written_to(hard):
    def play(line):
        asked(line, tools=[])
        if hard:
            read.wait(DEADLINE)
            line.reset()

    def second(line):
        asked(line, tools=[{"name": "x"}])
        line.left()

    read = threading.Event()
    with Scripted(play, second) as server:
        with HttpClient(server.url, timeout=DEADLINE) as client:
            client.list_tools()
            read.set()
            until(lambda: readable(client), "it is not closed")
            assert client.list_tools() == [{"name": "x"}]


def test_what_breaks_is_told_and_the_next_request_connects_anew():
    def breaks(line):
        line.request()
        line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    def last(line):
        line.request()
        line.send(json_answer({"error": {"code": 5, "message": "no"}}, status="400 Bad Request"))
        asked(line, tools=[])
        line.left()

    with Scripted(breaks, last) as server:
        with HttpClient(server.url, timeout=DEADLINE) as client:
            with pytest.raises(Unreachable):
                client.list_tools()
            with pytest.raises(RemoteProtocolError, match=r"no \(5\)"):
                client.list_tools()
            assert client.list_tools() == []
            assert json.loads(server.requests[0].body.decode())["method"] == "tools/list"
