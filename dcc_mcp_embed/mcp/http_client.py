"""A blocking MCP client over HTTP for servers that speak 2026-07-28, ours among them.

One connection, one request at a time, on the calling thread. Knows no secret: the token is given.
"""

from __future__ import annotations

import itertools
import re
import socket
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import urlsplit

from ..clock import Clock, SystemClock
from ..errors import ConfigError, HostBusyNative, RemoteProtocolError, Unreachable
from ..host import guard
from ..net.reading import events
from ..net.stream import SEND_FLAGS
from ..wire import http1, jsonrpc, sse
from ..wire.mcp.revisions import META_CAPABILITIES, META_CLIENT, META_VERSION, STATELESS

__all__ = ["HttpClient", "split_url", "tools_in"]

_VERSION = STATELESS[-1]
_NAMED = {"tools/call": "name"}
#: A server of ours answers in milliseconds; anything above is its host holding the interpreter.
_CONNECT_TIMEOUT = 5.0
_MAX_HEAD = 64 * 1024
#: As much as one frame of the other wire may have, bytes.
_MAX_BODY = 256 * 1024 * 1024
#: What urlsplit passes over, or takes out, depends on the version of Python.
_URL = re.compile(r"[!-~]+", re.ASCII)


def split_url(url: str) -> Tuple[str, int, str]:
    """Return (host, port, path) of an ``http`` URL. Raises ConfigError."""
    host, port, path = None, None, ""
    if _URL.fullmatch(url):
        try:
            parts = urlsplit(url)
            if parts.scheme == "http" and parts.username is None:
                host, port, path = parts.hostname, parts.port, parts.path
        except ValueError:
            host = None
    if not host or not port:
        raise ConfigError("{!r} is not a URL like http://127.0.0.1:21344/mcp".format(url[:200]))
    return host, port, path or "/mcp"


def tools_in(result: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the tools in the result of ``tools/list``. Raises RemoteProtocolError."""
    tools = result.get("tools")
    if type(tools) is not list or not all(
        type(tool) is dict and type(tool.get("name")) is str for tool in tools
    ):
        raise RemoteProtocolError("What the server answers is no list of tools.")
    return tools


class HttpClient:
    """Call methods of one MCP server. Not shared between threads."""

    def __init__(
        self,
        url: str,
        token: Optional[str] = None,
        timeout: float = 60.0,
        clock: Optional[Clock] = None,
        name: str = "dcc-mcp-embed",
    ) -> None:
        self._host, self._port, self._path = split_url(url)
        self._token = token
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._name = name
        self._ids = itertools.count(1)
        self._sock: Optional[socket.socket] = None

    def list_tools(self) -> List[Dict[str, Any]]:
        """Return the server's tool descriptions, each with a name. Raises as :meth:`request`."""
        return tools_in(self.request("tools/list", {}))

    def call_tool(
        self,
        name: str,
        arguments: Optional[Dict[str, Any]] = None,
        on_event: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> Dict[str, Any]:
        """Call a tool and return its CallToolResult, failed ones included.

        With ``on_event`` progress is asked for, and each notification is handed to it.
        """
        return self.request("tools/call", {"name": name, "arguments": arguments or {}}, on_event)

    def request(
        self,
        method: str,
        params: Dict[str, Any],
        on_event: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> Dict[str, Any]:
        """Send one request and return its result.

        Raises Unreachable, HostBusyNative (the port accepts and nobody answers), WouldDeadlock on
        the main thread of the host that is called, RemoteProtocolError for an error response and
        for whatever is no response at all.
        """
        ident = next(self._ids)
        meta: Dict[str, Any] = {
            META_VERSION: _VERSION,
            META_CAPABILITIES: {},
            META_CLIENT: {"name": self._name, "version": "0"},
        }
        if on_event is not None:
            meta["progressToken"] = ident
        message = {
            "jsonrpc": "2.0",
            "id": ident,
            "method": method,
            "params": dict(params, _meta=meta),
        }
        host = "[{}]".format(self._host) if ":" in self._host else self._host
        headers = [
            ("Host", "{}:{}".format(host, self._port)),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", _VERSION),
            ("Mcp-Method", method),
        ]
        if method in _NAMED:
            headers.append(("Mcp-Name", params[_NAMED[method]]))
        if self._token is not None:
            headers.append(("Authorization", "Bearer " + self._token))
        with guard.blocking((self._host, self._port)):
            status, answer = self._exchange(headers, jsonrpc.encode(message), ident, on_event)
        result = answer.get("result")
        if type(result) is dict:
            return result
        raise RemoteProtocolError(_explain(status, answer))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------

    def _exchange(
        self,
        headers: List[Tuple[str, str]],
        body: bytes,
        ident: int,
        on_event: Optional[Callable[[Dict[str, Any]], None]],
    ) -> Tuple[int, Dict[str, Any]]:
        data = http1.request("POST", self._path, headers, body)
        deadline = self._clock.monotonic() + self._timeout
        self._drop_stale()
        if self._sock is None:
            self._sock = self._connect()
        finished = False
        try:
            self._sock.settimeout(self._timeout)
            self._sock.sendall(data, SEND_FLAGS)
            answer = self._read(deadline, ident, on_event)
            finished = True
            return answer
        except socket.timeout:
            raise HostBusyNative(
                "{}:{} accepts connections but did not answer in {:g} s.".format(
                    self._host, self._port, self._timeout
                ),
                hint="Native code in that host keeps its interpreter; wait, or look at the host.",
            ) from None
        except OSError as error:
            raise Unreachable(
                "The connection to {}:{} broke: {}".format(self._host, self._port, error)
            ) from error
        finally:
            if not finished:
                self.close()

    def _drop_stale(self) -> None:
        """Close a connection on which something has come meanwhile: its end, or no answer."""
        sock = self._sock
        if sock is None:
            return
        sock.setblocking(False)
        try:
            sock.recv(1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # It is lost.
            pass
        self.close()

    def _connect(self) -> socket.socket:
        try:
            sock = socket.create_connection(
                (self._host, self._port), min(_CONNECT_TIMEOUT, self._timeout)
            )
        except (OSError, UnicodeError) as error:
            raise Unreachable(
                "Nothing answers at {}:{} ({}); is the host running?".format(
                    self._host, self._port, getattr(error, "strerror", None) or error
                )
            ) from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _read(
        self,
        deadline: float,
        ident: int,
        on_event: Optional[Callable[[Dict[str, Any]], None]],
    ) -> Tuple[int, Dict[str, Any]]:
        """Read one response, plain or as a stream of events, and return (status, answer)."""
        assert self._sock is not None
        parser = http1.ResponseParser(_MAX_HEAD, _MAX_BODY, "POST")
        stream: Optional[sse.SseParser] = None
        status = 0
        keep_alive = False
        body = bytearray()
        answer: Optional[Dict[str, Any]] = None
        for event in events(self._sock, parser, deadline, self._clock):
            if isinstance(event, http1.ResponseHead):
                status, keep_alive = event.status, event.keep_alive
                if "text/event-stream" in (event.headers.get("content-type") or ""):
                    stream = sse.SseParser()
            elif isinstance(event, http1.Data):
                if stream is None:
                    body += event.data
                    continue
                for found in stream.receive_data(event.data):
                    message = _decode(found.data.encode("utf-8"))
                    if message.get("id") == ident:
                        answer = message
                    elif message and on_event is not None:
                        on_event(message)
            elif isinstance(event, http1.End):
                if not keep_alive or parser.buffered:
                    # What comes beyond an answer is none to what is asked next.
                    self.close()
                break
            elif isinstance(event, http1.Failure):
                raise ConnectionError(event.reason)
        if answer is None:
            answer = _decode(bytes(body)) if stream is None else {}
        return status, answer


def _decode(body: bytes) -> Dict[str, Any]:
    """Return the JSON object in ``body``; what is none says nothing."""
    try:
        value = jsonrpc.decode(body)
    except jsonrpc.Fault:
        return {}
    return value if isinstance(value, dict) else {}


def _explain(status: int, answer: Dict[str, Any]) -> str:
    error = answer.get("error")
    if isinstance(error, dict):
        return "{} ({})".format(error.get("message"), error.get("code"))
    return "HTTP {}: {}".format(status, error or "no readable answer")
