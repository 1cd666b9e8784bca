"""A watch over all that servers and bridges say to the clients of our tests: see ``specification``.

It stands where those clients read: at the connections of :mod:`fakes.live` and
:mod:`fakes.streaming`, the pipes of :mod:`fakes.bridged`, and the framed wire (:mod:`.frames`).
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

import pytest

from conformance.book import Asked, Book, named, note
from conformance.frames import watch_frames
from conformance.specification import REVISIONS, specification
from dcc_mcp_embed.mcp.http_client import HttpClient
from dcc_mcp_embed.wire.mcp.revisions import (
    BATCHES,
    LATEST_HANDSHAKE,
    META_SUBSCRIPTION,
    STATELESS,
)
from dcc_mcp_embed.wire.sse import SseParser
from fakes.bridged import Client
from fakes.live import Answer, Wire
from fakes.streaming import Streaming

__all__ = ["Watch", "as_the_specification_says"]

_CAN_CHECK = find_spec("jsonschema") is not None
#: What tests of streams have a server say.
_MADE_UP = "notifications/test is nothing that a server says"
#: Paths at which MCP is spoken.
_PLACES = ("/mcp", "/sse", "/messages")


@pytest.fixture(autouse=True)
def as_the_specification_says() -> Iterator[None]:
    """Fail a test in which a message was sent that no schema of the specification allows.

    A conftest that imports it has it for all tests beside it. Nothing is checked without
    ``jsonschema``.
    """
    if not _CAN_CHECK:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        watch = Watch(patch)
        yield
    problems = [one for one in watch.problems if _MADE_UP not in one]
    if problems:
        pytest.fail("\n".join(problems[:20]), pytrace=False)


class Watch:
    """Checks every message that clients of our tests are sent, until ``monkeypatch`` is undone.

    ``count`` messages were seen, ``kinds`` are (revision, what was said), ``problems`` tell of what
    no schema allows. A client that names no revision is taken for one of the last handshake.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self.problems: List[str] = []
        self.count = 0
        self.kinds: Set[Tuple[str, str]] = set()
        #: Session -> its revision.
        self._sessions: Dict[str, str] = {}
        #: Of all clients: an answer may come by another connection than its request.
        self._book: Book = {}
        #: Tool -> the schema of what it returns.
        self._outputs: Dict[str, Any] = {}
        self._watch_wires(monkeypatch)
        self._watch_pipes(monkeypatch)
        self._watch_our_client(monkeypatch)
        watch_frames(self, monkeypatch)

    # -- where messages come by ---------------------------------------------------------------

    def _watch_wires(self, monkeypatch: Any) -> None:
        watch = self
        send, read, event = Wire.send, Wire.read, Streaming.event
        read_stream = Streaming.read

        def sending(wire: Any, data: bytes) -> None:
            wire.book, wire.revision = {}, None
            for path, headers, body in _requests(data):
                wire.revision = watch._posted(wire.book, path, headers, body)
            send(wire, data)

        def reading(wire: Any, method: str = "GET") -> Answer:
            answer = read(wire, method)
            if wire.__dict__.get("revision") is None:
                return answer
            watch._opened(wire, answer)
            if b'"jsonrpc"' in answer.body:
                if answer.headers["content-type"] == "application/json":
                    watch.said(wire.revision, answer.json, wire.book)
                else:
                    for one in SseParser().receive_data(answer.body):
                        if one.data:
                            watch.said(wire.revision, json.loads(one.data), wire.book)
            return answer

        def reading_stream(wire: Any, method: str = "GET") -> Answer:
            answer = read_stream(wire, method)
            watch._opened(wire, answer)
            return answer

        def happening(wire: Any) -> Any:
            found = event(wire)
            if found is not None and found.event == "endpoint":
                wire.session = found.data.partition("sessionId=")[2]
            elif found is not None and found.data and wire.__dict__.get("revision"):
                # A client of the oldest transport opens its stream before it names its revision.
                session = watch._sessions.get(wire.__dict__.get("session", ""))
                watch.said(session or wire.revision, json.loads(found.data), wire.book)
            return found

        monkeypatch.setattr(Wire, "send", sending)
        monkeypatch.setattr(Wire, "read", reading)
        monkeypatch.setattr(Streaming, "read", reading_stream)
        monkeypatch.setattr(Streaming, "event", happening)

    def _opened(self, wire: Any, answer: Answer) -> None:
        """Note which revision a session was opened with."""
        if "mcp-session-id" in answer.headers and wire.__dict__.get("revision"):
            self._sessions[answer.headers["mcp-session-id"]] = wire.revision

    def _watch_pipes(self, monkeypatch: Any) -> None:
        watch = self
        begin, send, join = Client.__init__, Client.send, Client._join

        def beginning(client: Any, said: Any, heard: Any) -> None:
            client.lines = []
            begin(client, said, _Kept(heard, client.lines))

        def sending(client: Any, message: Any) -> None:
            book = client.__dict__.setdefault("book", {})
            usual = client.__dict__.get("revision", LATEST_HANDSHAKE)
            revision = named(message, usual)
            if type(message) is dict and message.get("method") == "initialize":
                client.revision = revision
            note(book, revision, message)
            send(client, message)

        def joining(client: Any) -> None:
            join(client)
            usual = client.__dict__.get("revision", LATEST_HANDSHAKE)
            for line in client.lines:
                try:
                    message = json.loads(line.decode("utf-8"))
                except ValueError:
                    # The client has found that strange already.
                    continue
                told = (message.get("params") or {}).get("_meta") or {}
                revision = STATELESS[-1] if META_SUBSCRIPTION in told else usual
                watch.said(revision, message, client.__dict__.get("book", {}))

        monkeypatch.setattr(Client, "__init__", beginning)
        monkeypatch.setattr(Client, "send", sending)
        monkeypatch.setattr(Client, "_join", joining)

    def _watch_our_client(self, monkeypatch: Any) -> None:
        """Check the other direction too: what our own client asks servers for."""
        watch = self
        exchange = HttpClient._exchange

        def exchanging(client: Any, headers: Any, body: bytes, *more: Any) -> Any:
            message = json.loads(body.decode("utf-8"))
            watch.wished(named(message, LATEST_HANDSHAKE), message)
            return exchange(client, headers, body, *more)

        monkeypatch.setattr(HttpClient, "_exchange", exchanging)

    def _posted(self, book: Book, path: str, headers: Dict[str, str], body: bytes) -> Optional[str]:
        """Note what is asked and return the revision of its answer; None if it is not MCP's."""
        place, _, query = path.partition("?")
        if not place.rstrip("/").endswith(_PLACES):
            return None
        session = query.partition("sessionId=")[2] or headers.get("mcp-session-id", "")
        revision = self._sessions.get(session, LATEST_HANDSHAKE)
        if headers.get("mcp-protocol-version") in REVISIONS:
            revision = headers["mcp-protocol-version"]
        try:
            value = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            return revision
        if type(value) is list:
            for one in value:
                note(book, BATCHES, one)
        else:
            revision = named(value, revision)
            if query and type(value) is dict and value.get("method") == "initialize":
                self._sessions[session] = revision
            note(book, revision, value)
        self._book.update(book)
        return revision

    # -- what they say ------------------------------------------------------------------------

    def said(self, revision: str, message: Any, book: Book) -> None:
        """Check one message, or a batch of answers, to who has asked what is in ``book``."""
        if type(message) is list:
            # There is one revision only that has batches.
            for one in message:
                self.said(BATCHES, one, book)
            return
        self.count += 1
        ident = message.get("id") if type(message) is dict else None
        asked: Optional[Asked] = None
        if type(ident) in (str, int) and "method" not in message:
            asked = book[ident] if ident in book else self._book.get(ident)
        if asked is not None:
            revision = asked.revision
        found = specification(revision).problems(message, asked and asked.method)
        if not found and asked is not None and "result" in message:
            found = self._contradictions(asked, message["result"])
        kind = "result" if "result" in message else "error"
        of = asked.method if asked is not None else "?"
        self.kinds.add((revision, message.get("method") or "{} of {}".format(kind, of)))
        self._tell(revision, message, found)

    def wished(self, revision: str, message: Any) -> None:
        """Check a request or a notification that our own client, or a bridge, sends."""
        self._tell(revision, message, specification(revision).problems_of_client(message))

    def _tell(self, revision: str, message: Any, found: List[str]) -> None:
        self.problems += [
            "{}: {}\n    in {}".format(revision, one, json.dumps(message)[:600]) for one in found
        ]

    def _contradictions(self, asked: Asked, result: Any) -> List[str]:
        """Return where a tool returns something else than it has said it would."""
        import jsonschema

        if asked.method == "tools/list":
            for tool in result["tools"]:
                self._outputs[tool["name"]] = tool.get("outputSchema")
        schema = self._outputs.get(asked.tool or "")
        if schema is None or result.get("isError") or "content" not in result:
            return []
        validator = jsonschema.Draft202012Validator(schema)
        wrong = validator.iter_errors(result.get("structuredContent"))
        return ["outputSchema: " + one.message[:300] for one in wrong]


class _Kept:
    """Lines that are read, kept as they came: tests take messages apart."""

    def __init__(self, file: Any, lines: List[bytes]) -> None:
        self._file = file
        self._lines = lines

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self._lines.append(line)
            yield line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _requests(data: bytes) -> Iterator[Tuple[str, Dict[str, str], bytes]]:
    """Yield (path, headers, body) of whole requests; of what else may be sent, nothing."""
    while data:
        head, found, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = headers.get("content-length", "0")
        if (
            "transfer-encoding" in headers
            or not found
            or len(words) != 3
            or not length.isdecimal()
            or len(rest) < int(length)
        ):
            return
        yield words[1], headers, rest[: int(length)]
        data = rest[int(length) :]
