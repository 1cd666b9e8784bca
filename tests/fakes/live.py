"""A real server on a real port, its host's main thread being a thread of the test."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from dcc_mcp_embed.adapters.standalone import create

from dcc_mcp_embed import embed

DEADLINE = 20.0


def tries(seconds: float = DEADLINE) -> Iterator[None]:
    """Yield again and again until the time is over: for what becomes true on another thread.

    In between that thread is let run.
    """
    end = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < end:
        yield
        pause.wait(0.001)


def on_loop(live: Live, function: Callable[[], Any]) -> Any:
    """Run it on the thread of a server's loop; return what it returned."""
    returned: List[Any] = []
    over = threading.Event()

    def run() -> None:
        try:
            returned.append(function())
        finally:
            over.set()

    live.server._loop.call_soon(run)
    assert over.wait(DEADLINE)
    assert returned, "it failed"
    return returned[0]


class Live:
    """Start a standalone host on its own thread; ``close()`` ends it and checks that it ended."""

    def __init__(
        self,
        home: str,
        monkeypatch: Any,
        adapter: Any = None,
        registered: bool = True,
        **options: Any,
    ) -> None:
        """Wait until the main thread serves and, if it is to be ``registered``, the row is there.

        So no thread that a start leaves to itself is still at work when a test begins.
        """
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", home)
        #: Where the server's row is: never the registry of this machine.
        self.registry_dir = os.path.join(home, "registry")
        monkeypatch.setenv("DCC_MCP_REGISTRY_DIR", self.registry_dir)
        self._options = dict({"port": 0}, **options)
        self._make_adapter = adapter or create
        self._ready = threading.Event()
        self._problem: List[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="test host main", daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        if self._problem:
            self._thread.join(DEADLINE)
            raise self._problem[0]
        for _ in tries():
            if self.server.dispatch_status != "booting":
                if registered:
                    self.server.wait_registered(DEADLINE)
                return
        raise AssertionError("the host's main thread runs no job")

    def _run(self) -> None:
        try:
            self.adapter = self._make_adapter()
            self.server = embed.start(adapter=self.adapter, **self._options)
        except BaseException as error:
            self._problem.append(error)
            return
        finally:
            self._ready.set()
        try:
            self.server.serve_forever()
        finally:
            self.server.stop()

    @property
    def serving(self) -> bool:
        """Return whether the host's main thread is still in its loop."""
        return self._thread.is_alive()

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def address(self) -> Tuple[str, int]:
        return ("127.0.0.1", self.server.port)

    @property
    def authorization(self) -> Dict[str, str]:
        token = self.server.token
        return {} if token is None else {"Authorization": "Bearer " + token}

    def connect(self) -> Wire:
        return Wire(self)

    def close(self) -> None:
        self.adapter.close()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the host's main thread did not end"

    def end(self) -> None:
        """Close it unless its main thread has ended."""
        if self.serving:
            self.close()


def _nothing(live: Live) -> None:
    """Ask nothing of a server that is about to be closed."""


@contextmanager
def starting(
    home: str, monkeypatch: Any, check: Callable[[Live], Any] = _nothing, **always: Any
) -> Iterator[Callable[..., Live]]:
    """Yield what starts a server; its keywords, and those of ``always``, are those of ``Live``.

    At the end each that serves still must pass ``check``, and is closed, whatever has failed.
    """
    running: List[Live] = []
    with ExitStack() as closing:

        def start(**options: Any) -> Live:
            live = Live(home, monkeypatch, **dict(always, **options))
            closing.callback(live.end)
            running.append(live)
            return live

        yield start
        for live in running:
            if live.serving:
                check(live)
                live.close()


class Answer:
    """One HTTP response."""

    def __init__(self, status: int, headers: Dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body.decode("utf-8"))

    @property
    def code(self) -> Optional[int]:
        """Return the JSON-RPC error code, None if it is no error."""
        error = self.json.get("error")
        return error["code"] if isinstance(error, dict) else None

    def __repr__(self) -> str:
        return "<Answer {} {!r}>".format(self.status, self.body[:200])


class Wire:
    """One connection, written and read by hand so that anything can be sent."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.sock = socket.create_connection(live.address, DEADLINE)
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(
        self,
        method: str,
        path: str,
        headers: Optional[Dict[str, Optional[str]]] = None,
        body: bytes = b"",
        version: str = "1.1",
    ) -> Answer:
        """Send one request with sensible headers (None removes one) and read its answer."""
        found: Dict[str, Optional[str]] = {
            "Host": "127.0.0.1:{}".format(self._live.port),
            "Accept": "application/json, text/event-stream",
        }
        found.update(self._live.authorization)
        if method in ("POST", "PUT"):
            found["Content-Type"] = "application/json"
            found["Content-Length"] = str(len(body))
        found.update(headers or {})
        lines = ["{} {} HTTP/{}".format(method, path, version)]
        lines += ["{}: {}".format(*pair) for pair in found.items() if pair[1] is not None]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return self.read(method)

    def rpc(
        self,
        method: str,
        params: Any = None,
        ident: Any = 1,
        headers: Optional[Dict[str, Optional[str]]] = None,
    ) -> Answer:
        message = {"jsonrpc": "2.0", "method": method}
        if ident is not None:
            message["id"] = ident
        if params is not None:
            message["params"] = params
        return self.request("POST", "/mcp", headers, json.dumps(message).encode("utf-8"))

    def tool(self, name: str, arguments: Any = None, **options: Any) -> Dict[str, Any]:
        answer = self.rpc("tools/call", {"name": name, "arguments": arguments or {}}, **options)
        assert answer.status == 200, answer
        return answer.json["result"]

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("closed with {!r} read".format(self._rest[:200]))
        self._rest += data

    def _chunk(self) -> bytes:
        """Read one chunk of a body that comes in chunks; the last one is empty."""
        while b"\r\n" not in self._rest:
            self._more()
        size, _, self._rest = self._rest.partition(b"\r\n")
        wanted = int(size, 16)
        while len(self._rest) < wanted + 2:
            self._more()
        data, self._rest = self._rest[:wanted], self._rest[wanted + 2 :]
        return data

    def read(self, method: str = "GET") -> Answer:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if method == "HEAD" or status in (100, 204):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                data = self._chunk()
                body += data
                if not data:
                    return Answer(status, headers, body)
        wanted = int(headers.get("content-length", "0"))
        while len(self._rest) < wanted:
            self._more()
        body, self._rest = self._rest[:wanted], self._rest[wanted:]
        return Answer(status, headers, body)

    def at_end(self) -> bool:
        """Return whether the server has closed this connection, waiting for it."""
        try:
            return not self._rest and self.sock.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
