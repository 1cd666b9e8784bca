"""From what a command names to a client of it: a URL, or a row of the registry.

By a URL one speaks MCP over HTTP. A row that says it is one of us is spoken to over the framed wire
on the same port: there both ends prove that they know the user's secret, and that it is this very
instance, not another one that has got its port meanwhile. Anybody else's is plain MCP, without a
token.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Optional, Tuple, Union

from ..address import TransportAddress
from ..clock import SystemClock
from ..config import data_dir
from ..errors import (
    ConfigError,
    HostBusyNative,
    RemoteProtocolError,
    Unreachable,
    Unsupported,
)
from ..mcp.http_client import HttpClient, split_url, tools_in
from ..registry.entry import ServiceEntry
from ..secret import Secret, open_secret
from ..server.ports import who_answers
from ..server.row import WIRE
from ..transport.channel import FramedChannel
from ..transport.connect import open_channel
from ..transport_errors import CallTimeout, ConnectionClosed, TransportError
from ..wire import jsonrpc
from .finding import LOOPBACK, WIRE_KEY, find, short

__all__ = ["Client", "FramedClient", "prove", "reach"]


class FramedClient:
    """One of our servers over the framed wire. Blocks; one thread."""

    def __init__(self, channel: FramedChannel, timeout: float) -> None:
        self._channel = channel
        self._timeout_ms = int(timeout * 1000)

    def list_tools(self) -> List[Dict[str, Any]]:
        """Return the server's tool descriptions, each with a name."""
        return tools_in(self._call("tools/list"))

    def call_tool(self, name: str, arguments: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Call a tool and return its CallToolResult, failed ones included."""
        return self._call("tools/call", {"name": name, "arguments": arguments or {}})

    def _call(self, method: str, params: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        try:
            # In ASCII, which survives what is no text: a lone surrogate from the command line.
            data = jsonrpc.encode(params or {})
            answer = self._channel.call(method, data, self._timeout_ms)
        except CallTimeout as error:
            raise Unreachable(
                "No answer to {} within {:g} s. The call may still wait, for the host or for "
                "somebody's consent, or run: `status` tells, and --timeout waits longer.".format(
                    method, self._timeout_ms / 1000
                )
            ) from error
        except ConnectionClosed as error:
            raise Unreachable("The server does not answer: {}".format(error)) from error
        try:
            result = jsonrpc.decode(answer["payload"])
        except jsonrpc.Fault:
            result = None
        if not isinstance(result, dict):
            raise RemoteProtocolError("What the server answers cannot be understood.")
        return result

    def __enter__(self) -> FramedClient:
        return self

    def __exit__(self, *_: Any) -> None:
        self._channel.close()


Client = Union[FramedClient, HttpClient]


def reach(options: Any, timeout: float, ours: bool = False) -> Client:
    """Return a client for what the ``options`` of a command name; ``ours``: see ``find``.

    Raises ConfigError, Unreachable for nobody and strangers, HostBusyNative for a port that
    accepts and says nothing within ``timeout`` seconds.
    """
    if options.url is not None:
        return _by_url(options.url, timeout)
    return _by_row(find(options.dcc, options.instance, options.registry_dir, ours), timeout)


def _by_url(url: str, timeout: float) -> HttpClient:
    host, port, path = split_url(url)
    if path.rstrip("/") != "/mcp":
        # The token stands in the path: the URL is complete as it is.
        return HttpClient(url, timeout=timeout)
    if host not in LOOPBACK:
        raise ConfigError("{} is not this machine; only servers here can be reached".format(host))
    secret, kind = prove(port, timeout)
    # To the very address that was asked: ``localhost`` and ``::1`` may be somebody else.
    proven = "http://127.0.0.1:{}/mcp".format(port)
    return HttpClient(proven, secret.token(kind, port), timeout)


def _by_row(row: ServiceEntry, timeout: float) -> Client:
    if row.host not in LOOPBACK:
        raise ConfigError("{!r} is not this machine; it cannot be reached".format(row.host))
    if not row.port:
        raise ConfigError("{} does not say on which port it listens.".format(short(row)))
    wire = row.metadata.get(WIRE_KEY)
    if wire is None:
        return HttpClient(_mcp_url(row), timeout=timeout)
    if wire != WIRE:
        raise Unsupported(
            "{} is of a newer version of dcc_mcp_embed: it speaks version {!r} of the framed wire, "
            "this one {!r}.".format(short(row), wire[:20], WIRE),
            hint="Use the command line of that version, or the server's URL.",
        )
    secret, _ = prove(row.port, timeout)
    try:
        channel = open_channel(
            TransportAddress.tcp("127.0.0.1", row.port),
            timeout,
            SystemClock(),
            secret.wire_key(),
            row.instance_id,
            "dcc_mcp_embed command line",
        )
    except TransportError as error:
        raise Unreachable(str(error)) from error
    return FramedClient(channel, timeout)


def _mcp_url(row: ServiceEntry) -> str:
    """Return where a server that is none of ours speaks MCP. Raises ConfigError.

    A row is a claim: it must not have us send a call to anywhere but the host that it names.
    """
    told = row.metadata.get("mcp_url")
    if not told:
        return "http://{}:{}/mcp".format("[::1]" if row.host == "::1" else row.host, row.port)
    if split_url(told)[0] != row.host:
        raise ConfigError(
            "The row's mcp_url {!r} is not on the host that it names.".format(told[:200])
        )
    return told


def prove(port: int, timeout: float) -> Tuple[Secret, str]:
    """Return the user's secret and the kind of host, once who is on ``port`` has proved itself."""
    clock = SystemClock()
    secret = open_secret(data_dir(os.environ, sys.platform), clock)
    found = who_answers(port, secret, clock, timeout)
    if found.state == "ours":
        return secret, found.kind
    if found.state == "silent":
        raise HostBusyNative(
            "The port {} accepts connections and nobody answers.".format(port),
            hint="Native code in that host keeps its interpreter; wait, or look at the host.",
        )
    if found.state == "nobody":
        raise Unreachable("Nobody listens on port {}; is the host running?".format(port))
    raise Unreachable(
        "The server on port {} cannot prove that it is yours (another user's, another program, or "
        "started before the secret was rotated); it was told nothing.".format(port)
    )
