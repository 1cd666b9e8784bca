"""One connected client of each kind, all behind the same three functions.

Each takes the bytes to echo and returns the bytes that came back; nobody encodes beforehand.
"""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from bench import client

__all__ = ["BURST", "KEY", "LARGE", "SMALL", "Link", "open_link"]

#: What is echoed: letters, which are one byte each as an integer array and need no JSON escape.
SMALL = b"abcdefgh" * 4
LARGE = 1 << 20
#: Calls in flight at once on one connection.
BURST = 64
#: multiprocessing.connection authenticates with it before the first message.
KEY = "bench"

#: Size of ours on the wire in the reference's form: 4 length, 1 array, 8 tag, 18 id, 5 method and
#: 3 + 32 params; the answer has a longer tag, a flag and an error instead of the method.
_FRAMES = {len(SMALL): (71, 69), LARGE: (LARGE + 41, LARGE + 39)}
_PATIENCE_MS = 20_000


class Link(NamedTuple):
    """``echo``: one call. ``burst``: that many calls in flight at once, answers in order."""

    echo: Callable[[bytes], bytes]
    burst: Callable[[bytes, int], List[bytes]]
    close: Callable[[], Any]


def _raw(ready: Dict[str, Any]) -> Link:
    """Return the floor: what comes back is counted, and the payload stands for it."""

    def connect() -> socket.socket:
        if "port" in ready:
            return client.connect(ready["port"])
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(ready["path"])
        return sock

    socks = {size: connect() for size in _FRAMES}
    askers = {size: client.raw_asker(socks[size], *frames) for size, frames in _FRAMES.items()}
    sock = socks[len(SMALL)]
    asked, answered = _FRAMES[len(SMALL)]
    request, received = bytes(asked), bytearray(BURST * answered)

    def echo(payload: bytes) -> bytes:
        askers[len(payload)]()
        return payload

    def burst(payload: bytes, count: int) -> List[bytes]:
        for _ in range(count):
            sock.sendall(request)
        wanted = count * answered
        if sock.recv_into(received, wanted, socket.MSG_WAITALL) != wanted:
            raise client.BadAnswer("the floor answered less than it was asked for")
        return [payload] * count

    def close() -> None:
        for one in socks.values():
            one.close()

    return Link(echo, burst, close)


def _connection(ready: Dict[str, Any]) -> Link:
    from multiprocessing.connection import Client

    connection = Client(("127.0.0.1", ready["port"]), authkey=KEY.encode("ascii"))
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send, receive = connection.send_bytes, connection.recv_bytes

    def echo(payload: bytes) -> bytes:
        send(payload)
        return receive()

    def burst(payload: bytes, count: int) -> List[bytes]:
        for _ in range(count):
            send(payload)
        return [receive() for _ in range(count)]

    return Link(echo, burst, connection.close)


def _rpyc(ready: Dict[str, Any]) -> Link:
    import rpyc
    from rpyc.core.channel import Channel
    from rpyc.core.stream import SocketStream

    # It would deflate what is larger than 3000 bytes, which does not pay on one machine.
    Channel.COMPRESSION_THRESHOLD = LARGE * 2
    stream = SocketStream.connect("127.0.0.1", ready["port"], nodelay=True)
    connection = rpyc.connect_stream(stream)
    echo = connection.root.echo
    later = rpyc.async_(echo)

    def burst(payload: bytes, count: int) -> List[bytes]:
        waiting = [later(payload) for _ in range(count)]
        return [one.value for one in waiting]

    return Link(echo, burst, connection.close)


def _pyro5(ready: Dict[str, Any]) -> Link:
    import Pyro5.api
    from Pyro5.protocol import FLAGS_BATCH

    # The quickest of its serializers, by far for bytes.
    Pyro5.config.SERIALIZER = "marshal"
    Pyro5.config.SOCK_NODELAY = True
    proxy = Pyro5.api.Proxy(ready["uri"])

    def burst(payload: bytes, count: int) -> List[bytes]:
        # A proxy has one call in flight; a batch is its way to wait once for many. This is what
        # its BatchProxy does, but for the {}: it gives None, on which this serializer breaks.
        calls = [("echo", (payload,), {}) for _ in range(count)]
        answers: List[bytes] = proxy._pyroInvoke("<batch>", calls, {}, FLAGS_BATCH)
        return answers

    return Link(proxy.echo, burst, proxy._pyroRelease)


def _channel(ready: Dict[str, Any]) -> Link:
    """Return ours as the reference has it: integer arrays, nobody authenticated."""
    from dcc_mcp_embed import TransportAddress, connect_ipc

    channel = connect_ipc(TransportAddress.parse(ready["address"]))
    return _echoing(channel, channel.shutdown)


def _lent(ready: Dict[str, Any]) -> Link:
    """Return ours as a script borrows it for a while: bytes as they are, both ends sure."""
    return _echoing(*_borrow(ready["dcc_type"]))


def _borrow(dcc_type: str) -> Tuple[Any, Callable[[], Any]]:
    """Return an authenticated channel and how to give everything back."""
    from dcc_mcp_embed import TransportManager

    stack = ExitStack()
    manager = stack.enter_context(TransportManager())
    return stack.enter_context(manager.connection(dcc_type)), stack.close


def _echoing(channel: Any, close: Callable[[], Any]) -> Link:
    """Return a link over a ``FramedChannel`` to framed_echo.py."""
    call, send, receive = channel.call, channel.send_request, channel.recv

    def echo(payload: bytes) -> bytes:
        answer: bytes = call("echo", payload)["payload"]
        return answer

    def burst(payload: bytes, count: int) -> List[bytes]:
        sent = [send("echo", payload) for _ in range(count)]
        return _in_order(sent, receive)

    return Link(echo, burst, close)


def _managed(ready: Dict[str, Any]) -> Link:
    """Return ours as a script calls that borrows for each call anew."""
    from dcc_mcp_embed import TransportManager

    manager = TransportManager()
    call, dcc_type = manager.call, ready["dcc_type"]

    def echo(payload: bytes) -> bytes:
        answer: bytes = call(dcc_type, "echo", payload)["payload"]
        return answer

    def burst(payload: bytes, count: int) -> List[bytes]:
        with manager.connection(dcc_type) as channel:
            return _echoing(channel, channel.close).burst(payload, count)

    return Link(echo, burst, manager.shutdown)


def _tool(ready: Dict[str, Any]) -> Link:
    """Return ours as an agent's bridge uses it: JSON, a tool on the server's loop thread."""
    channel, close = _borrow("standalone")

    def params(payload: bytes) -> Dict[str, Any]:
        return {"name": "echo_loop", "arguments": {"text": payload.decode("ascii")}}

    def text(payload: bytes) -> bytes:
        result = json.loads(payload.decode("utf-8"))
        said: str = result["content"][0]["text"]
        return said.encode("ascii")

    def echo(payload: bytes) -> bytes:
        return text(channel.call("tools/call", params(payload))["payload"])

    def burst(payload: bytes, count: int) -> List[bytes]:
        sent = [channel.send_request("tools/call", params(payload)) for _ in range(count)]
        return [text(one) for one in _in_order(sent, channel.recv)]

    return Link(echo, burst, close)


def _in_order(sent: List[str], receive: Callable[[int], Any]) -> List[bytes]:
    answers = {}
    for _ in sent:
        message = receive(_PATIENCE_MS)
        if message is None:
            raise client.BadAnswer("{} answers of {}".format(len(answers), len(sent)))
        answers[message["id"]] = message["payload"]
    return [answers[one] for one in sent]


_OPENERS: Dict[str, Callable[[Dict[str, Any]], Link]] = {
    "raw": _raw,
    "connection": _connection,
    "rpyc": _rpyc,
    "pyro5": _pyro5,
    "channel": _channel,
    "lent": _lent,
    "managed": _managed,
    "tool": _tool,
}


def open_link(kind: str, ready: Dict[str, Any]) -> Link:
    """Connect; ``ready`` is what the server said of itself."""
    return _OPENERS[kind](ready)
