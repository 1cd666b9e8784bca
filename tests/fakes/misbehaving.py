"""MCP servers that do, when a tool is called, what they are told: mostly something bad.

    with Misbehaving() as server:
        server.act = "garbage"
        ...  talk to server.url or server.sse_url

A thread per connection; all of it is gone at the end. ``python misbehaving.py ACT FILE`` is the
same over stdin and stdout; it adds a line to FILE for each call.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import struct
import sys
import threading
from typing import Any, Callable, Dict, List, Optional

__all__ = ["PLAIN_ACTS", "SSE_ACTS", "STDIO", "Misbehaving"]

DEADLINE = 20.0
LATEST, MODERN = "2025-11-25", "2026-07-28"
#: This file, as a program.
STDIO = os.path.abspath(__file__)

_SCHEMA = {"type": "object", "properties": {}}
TOOLS = [
    {"name": "write", "description": "Change something.", "inputSchema": _SCHEMA},
    {
        "name": "look",
        "description": "Change nothing.",
        "inputSchema": _SCHEMA,
        "annotations": {"readOnlyHint": True},
    },
]
_PIECE = b"a" * 65536


def answer_to(message: Dict[str, Any], modern: bool) -> Optional[Dict[str, Any]]:
    """Return the answer to whatever is no call of a tool; None for what has none."""
    method = message.get("method")
    if "id" not in message:
        return None
    common: Dict[str, Any] = {"capabilities": {"tools": {}}}
    if method == "initialize" and not modern:
        return good(
            message, dict(common, protocolVersion=LATEST, serverInfo={"name": "f", "version": "1"})
        )
    if method == "server/discover" and modern:
        return good(message, dict(common, supportedVersions=[MODERN]))
    if method == "tools/list":
        return good(message, {"tools": TOOLS})
    return bad(message, -32601, "there is no {}".format(method))


def good(message: Dict[str, Any], result: Any) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def bad(message: Dict[str, Any], code: int, text: str) -> Dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": text}}


def told(message: Dict[str, Any], failed: bool = False) -> Dict[str, Any]:
    """Return the result of a call."""
    content = [{"type": "text", "text": "it went wrong" if failed else "fine"}]
    return good(message, {"content": content, "isError": failed, "resultType": "complete"})


def noise(number: int) -> Dict[str, Any]:
    """Return a notification that nobody has asked for."""
    params = {"level": "info", "data": "noise {}".format(number)}
    return {"jsonrpc": "2.0", "method": "notifications/message", "params": params}


class Misbehaving:
    """A server over HTTP: streamable at ``url``, HTTP+SSE at ``sse_url``. ``act``: what calls do.

    ``modern``: it is of the stateless era. ``context``: speaks TLS with it.
    """

    def __init__(self, modern: bool = False, context: Any = None) -> None:
        self.act = "answer"
        self.modern = modern
        #: The tools that have been called, each as often as that has arrived.
        self.runs: List[str] = []
        #: The methods of all messages that have arrived.
        self.heard: List[str] = []
        self.ended = threading.Event()
        #: A call that does not go on by itself is under way.
        self.stuck = threading.Event()
        self._context = context
        self._lock = threading.Lock()
        self._sessions = 0
        self._known: List[str] = []
        self._connections: Dict[socket.socket, threading.Thread] = {}
        self._streams: Dict[str, queue.Queue[Any]] = {}
        self._port = 0
        self._listener: Optional[socket.socket] = None
        self._acceptor: Optional[threading.Thread] = None
        self.revive()

    @property
    def url(self) -> str:
        scheme = "http" if self._context is None else "https"
        return "{}://127.0.0.1:{}/mcp".format(scheme, self._port)

    @property
    def sse_url(self) -> str:
        return self.url[:-3] + "sse"

    # -- life and death -----------------------------------------------------------------------

    def revive(self) -> None:
        """Listen, at the same port as before; what was known is not known any more."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(16)
        self._port = listener.getsockname()[1]
        self._known.clear()
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()

    def kill(self) -> None:
        """End as a process does that is killed: nothing listens, all connections are reset."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections = list(self._connections)
        for sock in connections:
            cut(sock)

    def close(self) -> None:
        self.ended.set()
        self.kill()
        with self._lock:
            threads = [thread for thread in self._connections.values() if thread.is_alive()]
        for thread in [*threads, self._acceptor]:
            if thread is not None:
                thread.join(DEADLINE)

    def __enter__(self) -> Misbehaving:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            with self._lock:
                self._connections[sock] = thread
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        plain = sock
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock.makefile("rb") as reader:
                while self._exchange(sock, reader):
                    pass
        except (OSError, ValueError):
            pass  # it was killed, or the client has gone
        finally:
            sock.close()
            with self._lock:
                self._connections.pop(plain, None)

    # -- HTTP ---------------------------------------------------------------------------------

    def _exchange(self, sock: socket.socket, reader: Any) -> bool:
        """Take one request; return whether another may follow."""
        line = reader.readline().split()
        if len(line) != 3:
            return False
        method, target = line[0].decode("ascii"), line[1].decode("ascii")
        headers: Dict[str, str] = {}
        for raw in iter(reader.readline, b"\r\n"):
            if not raw:
                return False
            name, _, value = raw.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        call = _Http(self, sock, headers)
        if target == "/sse" and method == "GET":
            return self._stream(sock)
        if target.startswith("/messages/") and target[10:] in self._streams:
            call = _Events(self, sock, self._streams[target[10:]])
        elif target != "/mcp":
            return call.status(404, "nothing is there")
        elif method != "POST":
            return call.status(200 if method == "DELETE" else 405, "")
        message = json.loads(body.decode("utf-8"))
        self.heard.append(message.get("method"))
        if message.get("method") != "tools/call":
            return call.whole(answer_to(message, self.modern), message.get("method"))
        session = headers.get("mcp-session-id")
        known = self.act != "expired for ever" and session in self._known
        if not (known or self.modern or isinstance(call, _Events)):
            return call.status(404, "there is no such session")
        self.runs.append(message["params"]["name"])
        return bool(call.acts[self.act](call, message))

    def session(self) -> str:
        """Return the id of a session that begins."""
        self._sessions += 1
        self._known.append("session-{}".format(self._sessions))
        return self._known[-1]

    def forget(self) -> None:
        """Know no session any more."""
        self._known.clear()

    def _stream(self, sock: socket.socket) -> bool:
        """Send the events of an HTTP+SSE client until it goes, or the end of them comes."""
        ident = self.session()
        pieces: queue.Queue[Any] = queue.Queue()
        self._streams[ident] = pieces
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        sock.sendall(head + b"event: endpoint\ndata: /messages/" + ident.encode() + b"\n\n")
        while not self.ended.is_set():
            try:
                piece = pieces.get(timeout=0.02)
            except queue.Empty:
                # Notices, too, that the client has gone.
                sock.sendall(b":\n\n")
                continue
            if piece is None:
                return False
            if callable(piece):
                piece(sock)
            else:
                sock.sendall(piece)
        return False


class _Http:
    """A request, and how to answer it: as what comes on its own connection."""

    def __init__(self, server: Misbehaving, sock: socket.socket, headers: Dict[str, str]) -> None:
        self.server = server
        self.sock = sock
        self.headers = headers
        self.acts = PLAIN_ACTS

    def status(self, status: int, text: str, kind: str = "text/plain", more: str = "") -> bool:
        body = text.encode("utf-8")
        head = "HTTP/1.1 {} Status\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}\r\n"
        self.sock.sendall(head.format(status, kind, len(body), more).encode("ascii") + body)
        return True

    def whole(self, answer: Optional[Dict[str, Any]], method: Optional[str] = None) -> bool:
        if answer is None:
            return self.status(202, "")
        more = ""
        if method == "initialize":
            more = "Mcp-Session-Id: {}\r\n".format(self.server.session())
        status = 404 if self.server.modern and "error" in answer else 200
        return self.status(status, json.dumps(answer), "application/json", more)

    def raw(self, data: bytes) -> bool:
        self.sock.sendall(data)
        return False

    def events(self, data: bytes) -> bool:
        return self.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + data)

    def for_ever(self, piece: bytes) -> bool:
        # Until the client goes, which raises.
        while not self.server.ended.is_set():
            self.sock.sendall(piece)
        return False

    def stay(self) -> bool:
        self.server.stuck.set()
        # Until the client goes: there is nothing for it to send.
        self.sock.recv(1)
        return False


class _Events(_Http):
    """A message of an HTTP+SSE client: the answer goes to its stream."""

    def __init__(self, server: Misbehaving, sock: socket.socket, pieces: queue.Queue[Any]) -> None:
        super().__init__(server, sock, {})
        self._pieces = pieces
        self.acts = SSE_ACTS

    def whole(self, answer: Optional[Dict[str, Any]], method: Optional[str] = None) -> bool:
        if answer is not None:
            self.put(b"data: " + json.dumps(answer).encode("utf-8") + b"\n\n")
        return self.status(202, "")

    def put(self, piece: Any) -> bool:
        self._pieces.put(piece)
        return True


Act = Callable[[Any, Dict[str, Any]], bool]


def _die(call: _Http, message: Dict[str, Any]) -> bool:
    call.server.kill()
    return False


def _restart(call: _Http, message: Dict[str, Any]) -> bool:
    call.server.kill()
    call.server.act = "answer"
    call.server.revive()
    return False


def _half(call: _Http, message: Dict[str, Any]) -> bool:
    body = json.dumps(told(message)).encode("utf-8")
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    return call.raw(head.format(len(body)).encode("ascii") + body[: len(body) // 2])


def _half_twice(call: _Http, message: Dict[str, Any]) -> bool:
    if len(call.server.runs) == 2:
        call.server.act = "answer"
        call.server.forget()
    return _half(call, message)


def _events_for_ever(call: _Http, message: Dict[str, Any]) -> bool:
    call.events(b"")
    number = 0
    while call.server.act == "events for ever" and not call.server.ended.is_set():
        number += 1
        call.raw(b"data: " + json.dumps(noise(number)).encode("ascii") + b"\n\n")
    return False


def _body_for_ever(call: _Http, message: Dict[str, Any]) -> bool:
    call.raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a": "')
    return call.for_ever(_PIECE)


def _line_for_ever(call: _Http, message: Dict[str, Any]) -> bool:
    call.raw(b"HTTP/1.1 200 OK\r\nX-Long: ")
    return call.for_ever(_PIECE)


def _event_for_ever(call: _Http, message: Dict[str, Any]) -> bool:
    call.events(b"data: ")
    return call.for_ever(_PIECE)


#: What a call can be answered with on its own connection.
PLAIN_ACTS: Dict[str, Act] = {
    "answer": lambda call, message: call.whole(told(message)),
    "fail": lambda call, message: call.whole(told(message, failed=True)),
    "refuse": lambda call, message: call.whole(bad(message, -32602, "no such argument")),
    "no object": lambda call, message: call.whole(good(message, [])),
    "another's answer": lambda call, message: call.whole(dict(told(message), id="another")),
    "die": _die,
    "restart": _restart,
    "half": _half,
    "half twice": _half_twice,
    "slow": lambda call, message: call.stay(),
    "garbage": lambda call, message: call.raw(b"\x00\x01\x02 no HTTP\r\n\r\n"),
    "a page": lambda call, message: call.status(200, "<p>Hello", "text/html"),
    "no JSON": lambda call, message: call.status(200, "{]", "application/json"),
    "no JSON in an event": lambda call, message: call.events(b"data: {]\n\n"),
    "500": lambda call, message: call.status(500, "something broke"),
    "401": lambda call, message: call.status(401, "who are you"),
    "line for ever": _line_for_ever,
    "event for ever": _event_for_ever,
    "events for ever": _events_for_ever,
    "body for ever": _body_for_ever,
}


def _on_stream(work: Callable[[_Http, Dict[str, Any]], bool]) -> Act:
    """Return an act that goes on where the events of the client are sent."""

    def act(call: _Events, message: Dict[str, Any]) -> bool:
        def go_on(sock: socket.socket) -> None:
            class Plain(_Http):
                def events(self, data: bytes) -> bool:
                    return self.raw(data)

            work(Plain(call.server, sock, {}), message)

        call.put(go_on)
        return call.status(202, "")

    return act


#: What a call of an HTTP+SSE client can be answered with.
SSE_ACTS: Dict[str, Act] = {
    "answer": PLAIN_ACTS["answer"],
    "fail": PLAIN_ACTS["fail"],
    "die": _die,
    "restart": _restart,
    "slow": lambda call, message: call.status(202, ""),
    "no JSON in an event": _on_stream(lambda call, message: call.raw(b"data: {]\n\n")),
    "the end": lambda call, message: call.put(None) and call.status(202, ""),
    "500": PLAIN_ACTS["500"],
    "event for ever": _on_stream(_event_for_ever),
    "events for ever": _on_stream(_events_for_ever),
}


def cut(sock: socket.socket) -> None:
    """Reset a connection; whoever reads from it here is woken."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # gone already


# -- over stdin and stdout ----------------------------------------------------------------------


def _say(value: Any) -> None:
    sys.stdout.buffer.write(json.dumps(value).encode("ascii") + b"\n")
    sys.stdout.buffer.flush()


def _run(act: str, message: Dict[str, Any], runs: int) -> None:
    if act == "die always" or (act == "die" and runs == 1):
        sys.stderr.write("these are its last words\n")
        sys.stderr.flush()
        os._exit(7)
    if act == "slow":
        return
    if act == "noise":
        sys.stdout.buffer.write(b"loading plug-ins ...\n\xff\xfe\n\n[1, 2\n")
    number = 0
    while act == "messages for ever":
        number += 1
        _say(noise(number))
    while act == "line for ever":
        sys.stdout.buffer.write(_PIECE)
    _say(told(message))


def main(act: str, path: str) -> None:
    """Serve until stdin ends."""
    if act == "ends at once":
        sys.stderr.write("there is no licence\n")
        raise SystemExit(3)
    for line in sys.stdin.buffer:
        if act == "says nothing":
            continue
        message = json.loads(line.decode("utf-8"))
        if message.get("method") != "tools/call":
            answer = answer_to(message, modern=False)
            if answer is not None:
                _say(answer)
            continue
        with open(path, "a", encoding="ascii") as file:
            file.write(message["params"]["name"] + "\n")
        with open(path, encoding="ascii") as file:
            runs = len(file.readlines())
        _run(act, message, runs)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except BrokenPipeError:
        # Whoever started it has gone.
        os._exit(0)
