"""Servers of others: whatever is sent to them is kept, and they answer what a test wants."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from typing import Any, Callable, Dict, List, Union

from .live import DEADLINE

__all__ = ["Answering", "foreign_row", "http", "rpc"]


def http(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Return an HTTP response."""
    head = "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
    return head.format(status, kind, len(body)).encode("latin-1") + body


def rpc(result: str) -> bytes:
    """Return the response to the first request of a client; ``result`` is JSON."""
    return http(b'{"jsonrpc":"2.0","id":1,"result":%b}' % result.encode("utf-8"))


class Answering(threading.Thread):
    """Listens on ``host``; ``reply`` is sent as it is, or called with the connection."""

    def __init__(
        self,
        reply: Union[bytes, Callable[[socket.socket], None]] = b"",
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(name="answering", daemon=True)
        self.reply = reply
        self.heard: List[bytes] = []
        self._sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._sock.bind((host, 0))
        self._sock.listen(5)
        self.port: int = self._sock.getsockname()[1]
        self._peers: List[threading.Thread] = []
        self.start()

    def run(self) -> None:
        while True:
            try:
                peer = self._sock.accept()[0]
            except OSError:
                return
            talking = threading.Thread(target=self._talk, args=(peer,), name="peer", daemon=True)
            self._peers.append(talking)
            talking.start()

    def _talk(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(DEADLINE)
            try:
                self.heard.append(peer.recv(65536))
                if callable(self.reply):
                    self.reply(peer)
                    return
                peer.sendall(self.reply)
                while True:
                    more = peer.recv(65536)
                    if not more:
                        return
                    self.heard.append(more)
            except OSError:
                # The other side has had enough.
                return

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: Any) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self.join(DEADLINE)
        for peer in self._peers:
            peer.join(DEADLINE)


def foreign_row(**fields: Any) -> Dict[str, Any]:
    """Return a registry row that another program may have written, whatever it says."""
    row = {
        "dcc_type": "maya",
        "instance_id": str(uuid.uuid4()),
        "host": "127.0.0.1",
        "port": 1,
        "pid": os.getpid(),
        "metadata": {},
        "registered_at": time.time(),
        "last_heartbeat": time.time(),
        "status": "available",
    }
    row.update(fields)
    return row
