"""An HTTP server that does on each connection what a test says, to the byte.

    def play(line):
        assert line.request().method == "POST"
        line.send(b"HTTP/1.1 200 OK\\r\\n...")

    with Scripted(play) as server:
        ...  connect to server.port

Each connection has a thread and the next of the plays, and is closed at its end. What fails in a
play, and a connection that no play is left for, fail the test at the end of the context.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional

__all__ = ["Gone", "Line", "Request", "Scripted", "answer", "answering", "event", "json_answer"]

#: Seconds for whatever a client has to do.
DEADLINE = 20.0


class Gone(Exception):
    """The client has closed the connection. In a play it ends it, and nothing else."""


class Request(NamedTuple):
    """``headers``: by name in lower case."""

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body.decode("utf-8"))


class Line:
    """A connection, as its server has it."""

    def __init__(self, sock: socket.socket, requests: List[Request]) -> None:
        self.sock = sock
        self._requests = requests
        self._rest = bytearray()

    def receive(self) -> bytes:
        """Return what comes next. Raises Gone."""
        try:
            data = self.sock.recv(1 << 16)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            raise Gone() from None
        return data

    def _more(self) -> None:
        self._rest += self.receive()

    def request(self) -> Request:
        """Read a request, all of it. Raises Gone."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers: Dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, line
            headers[name.lower()] = value
        length = int(headers.get("content-length", "0"))
        while len(self._rest) < length:
            self._more()
        body = bytes(self._rest[:length])
        del self._rest[:length]
        method, target, _ = first.split(" ")
        request = Request(method, target, headers, body)
        self._requests.append(request)
        return request

    def send(self, data: bytes, size: int = 0) -> None:
        """Send bytes, ``size`` at a time (0: at once). Raises Gone."""
        try:
            for at in range(0, len(data), size or len(data) or 1):
                self.sock.sendall(data[at : at + (size or len(data))])
        except (ConnectionError, ssl.SSLError):
            raise Gone() from None

    def end(self) -> None:
        """Say that nothing more comes, and go on reading. Raises Gone."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The client has left, with something unread.
            raise Gone() from None

    def drain(self) -> None:
        """Read until the client closes the connection, whatever it says."""
        while True:
            self.receive()

    def left(self) -> None:
        """Return once the client has closed the connection; that nothing more comes is claimed."""
        try:
            self._more()
        except Gone:
            return
        raise AssertionError("the client says more: {!r}".format(bytes(self._rest[:200])))

    def reset(self) -> None:
        """Break the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Play = Callable[[Line], Any]


class Scripted:
    """See the module. ``context``: it speaks TLS by that; what it could not greet has no play.

    ``requests``: all that have come. ``connections``: how many. ``ungreeted``: those without TLS.
    """

    def __init__(self, *plays: Play, context: Optional[ssl.SSLContext] = None) -> None:
        self.requests: List[Request] = []
        self.connections = 0
        self.ungreeted: List[Exception] = []
        self._plays = list(plays)
        self._context = context
        self._problems: List[BaseException] = []
        self._lock = threading.Lock()
        self._socks: List[socket.socket] = []
        self._threads: List[threading.Thread] = []
        self._over = False
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        scheme = "http" if self._context is None else "https"
        return "{}://127.0.0.1:{}/mcp".format(scheme, self.port)

    def __enter__(self) -> Scripted:
        self._acceptor = threading.Thread(target=self._accept, name="scripted server")
        self._acceptor.start()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._over = True
        # Wakes whoever accepts.
        socket.create_connection(("127.0.0.1", self.port), DEADLINE).close()
        self._acceptor.join(DEADLINE)
        self._listener.close()
        with self._lock:
            for sock in self._socks:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # It is closed.
                    continue
        for thread in self._threads:
            thread.join(DEADLINE)
        for sock in self._socks:
            sock.close()
        if error is None:
            for problem in self._problems:
                raise problem

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._over:
                sock.close()
                return
            sock.settimeout(DEADLINE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number, self.connections = self.connections, self.connections + 1
            self._socks.append(sock)
            thread = threading.Thread(target=self._play, args=(sock, number), name="scripted line")
            self._threads.append(thread)
            thread.start()

    def _play(self, sock: socket.socket, number: int) -> None:
        try:
            if self._context is not None:
                try:
                    sock = self._context.wrap_socket(sock, server_side=True)
                except (OSError, ValueError) as error:
                    self.ungreeted.append(error)
                    return
                with self._lock:
                    self._socks.append(sock)
            if number >= len(self._plays):
                raise AssertionError("nobody has expected connection {}".format(number + 1))
            self._plays[number](Line(sock, self.requests))
        except Gone:
            # As clients may.
            pass
        except BaseException as problem:
            # Whatever it is: the test is told.
            if not self._over:
                self._problems.append(problem)
        finally:
            sock.close()


# What is often said.


def answer(status: str, *headers: str, body: bytes = b"", length: Optional[int] = None) -> bytes:
    """Return a whole response: ``answer("200 OK", "Content-Type: text/plain", body=b"x")``."""
    size = len(body) if length is None else length
    lines = ["HTTP/1.1 " + status, *headers, "Content-Length: {}".format(size), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def json_answer(message: Any, *headers: str, status: str = "200 OK") -> bytes:
    """Return a response with JSON in it."""
    body = json.dumps(message).encode("utf-8")
    return answer(status, "Content-Type: application/json", *headers, body=body)


def event(message: Any = None, **fields: Any) -> bytes:
    """Return an event of a stream; ``fields``: its other lines."""
    lines = ["{}: {}".format(name, value) for name, value in fields.items()]
    if message is not None:
        lines.append("data: " + json.dumps(message))
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def answering(*replies: bytes) -> Play:
    """Return a play: each request is answered so, then the client leaves."""

    def play(line: Line) -> None:
        for reply in replies:
            line.request()
            line.send(reply)
        line.left()

    return play
