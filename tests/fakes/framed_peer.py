"""A framed peer on real sockets, in threads of this process, that keeps what it hears."""

from __future__ import annotations

import socket
import threading
from typing import Any, Callable, List, Optional

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.rpc.hello import Facts, ServerHello, place
from dcc_mcp_embed.rpc.peer import Peer
from dcc_mcp_embed.wire.messages import Request
from fakes.places import listening

__all__ = ["DEADLINE", "FramedPeer"]

#: Seconds for anything that takes a moment.
DEADLINE = 20.0


class FramedPeer:
    """Answers every request with its params, as a context manager.

    ``path``: of a unix socket; None: a port of 127.0.0.1. ``key`` and ``instance_id``: with the
    hello. ``answer(method, params)`` returns the payload, or raises what the answer fails with.
    """

    def __init__(
        self,
        path: Optional[str] = None,
        key: Optional[bytes] = None,
        instance_id: str = "",
        answer: Callable[[str, bytes], bytes] = lambda method, params: params,
    ) -> None:
        self._key = key
        self._facts = Facts(instance_id, "epoch-1")
        self._answer = answer
        self._lock = threading.Condition()
        #: Raw bytes of each connection, in the order of their coming.
        self.received: List[bytearray] = []
        #: (method, params) of every request.
        self.requests: List[Any] = []
        self._open: List[socket.socket] = []
        #: The first so many connections are heard, but not answered any more.
        self.deaf = 0
        self._listener, self.address = listening(path)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return self.address.port or 0

    def __enter__(self) -> FramedPeer:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and cut every connection."""
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed before
        self._listener.close()
        self._threads[0].join(DEADLINE)
        self.cut()
        for thread in self._threads:
            thread.join(DEADLINE)

    def cut(self) -> None:
        """End every connection, as a peer that is killed does."""
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other end was quicker

    def wait(self, condition: Callable[[], Any]) -> None:
        """Return once ``condition`` holds; it is looked at whenever something happens."""
        with self._lock:
            assert self._lock.wait_for(condition, DEADLINE), "it never came to that"

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self.received)

    @property
    def open(self) -> int:
        """How many there are."""
        return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                number = len(self.received)
                self.received.append(bytearray())
                self._open.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
                self._threads.append(thread)
                self._lock.notify_all()
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        heard = self.received[number]
        clock = SystemClock()
        hello = None
        if self._key is not None:
            hello = ServerHello(self._key, place(sock.getsockname()), self._facts, clock)
        peer = Peer(clock, hello=hello)
        with sock:
            while peer.ended is None:
                try:
                    data = sock.recv(65536)
                except OSError:
                    data = b""
                with self._lock:
                    heard += data
                    self._lock.notify_all()
                events = peer.receive_data(data) if data else peer.receive_eof()
                said = peer.data_to_send()
                for event in events:
                    if isinstance(event, Request):
                        said += self._respond(peer, event)
                try:
                    sock.sendall(said if number >= self.deaf else b"")
                except OSError:
                    break
            with self._lock:
                self._open.remove(sock)
                self._lock.notify_all()

    def _respond(self, peer: Peer, request: Request) -> bytes:
        with self._lock:
            self.requests.append((request.method, request.params))
            self._lock.notify_all()
        try:
            return peer.answer(request.id, True, self._answer(request.method, request.params))
        except ValueError as error:
            return peer.answer(request.id, False, b"", str(error))
