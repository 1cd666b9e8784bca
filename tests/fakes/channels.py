"""Channels whose other end a test holds: as a channel, as bare bytes, or served by a thread."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.transport.channel import FramedChannel
from dcc_mcp_embed.transport.connect import raw_channel
from dcc_mcp_embed.transport_errors import TransportError
from dcc_mcp_embed.wire.frames import frame
from dcc_mcp_embed.wire.messages import REFERENCE, Form, Message, decode, encode
from fakes.waiting import until

__all__ = [
    "ADDRESS",
    "DEADLINE",
    "PATIENCE",
    "Helper",
    "Stage",
    "Wire",
    "ctrl_c",
    "framed",
    "serve_echo",
    "until",
]

#: Seconds and milliseconds for anything that takes a moment.
DEADLINE = 30.0
PATIENCE = 30_000

ADDRESS = TransportAddress.tcp("127.0.0.1", 1)


def framed(*messages: Message, form: Form = REFERENCE) -> bytes:
    return b"".join(frame(encode(message, form)) for message in messages)


class Wire:
    """The far end of a channel, in bytes."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(DEADLINE)
        self.sock = sock

    def say(self, *messages: Message, form: Form = REFERENCE) -> None:
        self.sock.sendall(framed(*messages, form=form))

    def hear(self) -> Message:
        """Return the next message that the channel has sent."""
        size = int.from_bytes(self._exactly(4), "big")
        return decode(self._exactly(size))[0]

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(min(size - len(data), 1 << 20))
            if not piece:
                raise EOFError(data)
            data += piece
        return data


class Helper:
    """A thread whose result, or error, is fetched with a deadline."""

    def __init__(self, function: Callable[[], Any], patience: float = DEADLINE) -> None:
        self._function = function
        self._patience = patience
        self._result: Any = None
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(self._patience)
        assert not self._thread.is_alive(), "it hangs"
        if self._error is not None:
            raise self._error
        return self._result


class Stage:
    """Makes pairs and closes everything that it made."""

    def __init__(self) -> None:
        self._closing: List[Callable[[], Any]] = []

    def pair(self, *buffers: int) -> Any:
        """Return a channel and the wire at its other end; ``buffers``: bytes the kernel keeps."""
        near, far = socket.socketpair()
        for size in buffers:
            for end in (near, far):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        wire = Wire(far)
        self._closing.append(wire.close)
        return self._channel(near), wire

    def channels(self) -> Any:
        """Return two channels, one at each end."""
        near, far = socket.socketpair()
        return self._channel(near), self._channel(far)

    def echo(self) -> FramedChannel:
        """Return a channel to a thread that answers every request with its own params."""
        near, far = self.channels()
        helper = Helper(lambda: serve_echo(far))
        self._closing.append(helper.result)
        return near

    def thread(self, function: Callable[[], Any]) -> Helper:
        return Helper(function)

    def close(self) -> None:
        for close in self._closing:
            close()

    def _channel(self, sock: socket.socket) -> FramedChannel:
        channel = raw_channel(sock, ADDRESS, SystemClock())
        # First of all: whoever serves the other end ends by it.
        self._closing.insert(0, channel.shutdown)
        return channel


def serve_echo(channel: FramedChannel) -> int:
    """Answer every request with its own params until the peer goes; return how many there were.

    The method ``fail`` is answered with a failure, ``silent`` not at all.
    """
    count = 0
    try:
        while True:
            message = channel.recv(PATIENCE)
            assert message is not None, "nobody asks anything"
            if message["type"] != "request":
                continue
            count += 1
            if message["method"] == "fail":
                channel.send_response(message["id"], False, error="as you wish")
            elif message["method"] != "silent":
                channel.send_response(message["id"], True, message["params"])
    except TransportError:
        return count


@contextmanager
def ctrl_c(condition: Callable[[], Any]) -> Iterator[None]:
    """Interrupt the block, once, when ``condition`` holds. Main thread.

    A system call does not notice a signal that came just before it, and Python cannot help that;
    so the key is pressed again until the block is left.
    """
    interrupted: List[int] = []
    left = threading.Event()

    def handler(number: int, frame: Any) -> None:
        if not interrupted:
            interrupted.append(number)
            raise KeyboardInterrupt

    def press() -> None:
        until(condition)
        while not left.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            left.wait(0.05)

    before = signal.signal(signal.SIGINT, handler)
    helper = Helper(press)
    try:
        yield
    finally:
        left.set()
        helper.result()
        signal.signal(signal.SIGINT, before)
