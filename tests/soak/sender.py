"""Conversations of spoiled messages, each from a generator of its own; see ``mutator.py``."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections import Counter, deque
from random import Random
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Tuple
from typing import Counter as Count

from dcc_mcp_embed.wire import frames, messages
from fakes.framed import FramedWire
from fakes.served import Served
from soak import seeds, spoiling

__all__ = ["PATIENCE", "Sender", "Web", "sidecar_port"]

#: Seconds in which a good client is answered, on a busy machine.
PATIENCE = 20.0
#: Seconds without a byte after which a peer that has said all has heard all.
SILENCE = 0.05
#: Connections that each sender leaves open.
LEFT_OPEN = 4

#: What no message may bring about: a status that says the server failed, an internal error that is
#: not what a tool, a prompt or a resource has said.
_DEFECT = re.compile(
    rb'HTTP/1\.1 50[024]|"code":-32603,(?!.{0,2000}?"data":\{"code")|the server failed on this'
)
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_SESSIONS = (
    re.compile(rb"mcp-session-id: *([0-9a-f]{16,64})\r\n", re.IGNORECASE),
    re.compile(rb"sessionId=([0-9a-f]{16,64})"),
)
_TASK = re.compile(rb'"taskId":"([0-9a-zA-Z-]+)"')
#: What is spoiled, a third of the messages being left as they are.
_WAYS = (
    *("well", "well", "well", "well", "fields", "fields", "text"),
    *("octets", "head", "head", "all"),
)
_STRANGE = (b"", b"\x16\x03\x01", b"SSH-2.0-x\r\n", b"GET ", b"\0\0\0\x05", b"{")

#: A connection, and the messages that are to be sent on it.
_Said = Tuple[socket.socket, List[bytes]]


def sidecar_port(served: Served) -> int:
    """Return the port of ``--qtserver``."""
    return int(served.facts["host_rpc"].rpartition(":")[2])


class Web(NamedTuple):
    """Where HTTP is spoken, with ids that were given out there, shared by all senders."""

    port: int
    token: str
    sessions: Deque[str]
    tasks: Deque[str]


class Sender:
    """Hold conversations, one after the other; one sender for each thread.

    ``host`` and ``bridge``: where they speak HTTP; ``key``: for the host's framed wire. ``counts``:
    what came of it; ``defects``: what must not have.
    """

    def __init__(self, host: Web, bridge: Web, sidecar: int, key: bytes) -> None:
        self._webs = {"http": host, "bridge": bridge}
        self._port = host.port
        self._sidecar = sidecar
        self._key = key
        self._open: Deque[socket.socket] = deque()
        self.counts: Count[str] = Counter()
        self.defects: List[str] = []
        self._kinds: Dict[str, Tuple[int, Callable[[Random], _Said]]] = {
            "http": (20, lambda rng: self._over_http(rng, host)),
            "bridge": (10, lambda rng: self._over_http(rng, bridge)),
            "framed": (5, self._over_the_framed_wire),
            "sidecar": (2, self._as_a_sidecar),
            "stranger": (1, self._as_a_stranger),
        }

    def converse(self, seed: int, number: int) -> int:
        """Hold conversation ``number`` of a seed; return how many messages it had."""
        rng = Random("{}.{}".format(seed, number))
        weights = [weight for weight, _ in self._kinds.values()]
        kind = rng.choices(list(self._kinds), weights)[0]
        try:
            sock, said = self._kinds[kind][1](rng)
        except (OSError, AssertionError) as error:
            self.defects.append("conversation {}: no connection: {!r}".format(number, error))
            return 0
        heard = self._talk(rng, sock, b"".join(said))
        self._note(kind, number, heard)
        return len(said)

    def close(self) -> None:
        """Leave those that were left open."""
        while self._open:
            self._open.popleft().close()

    # -- what is said -------------------------------------------------------------------------

    def _over_http(self, rng: Random, web: Web) -> _Said:
        said = [self._request(rng, web) for _ in range(rng.choice([1, 1, 2, 4]))]
        return _connect(web.port), said

    def _request(self, rng: Random, web: Web) -> bytes:
        one = seeds.http(rng, seeds.Known(list(web.sessions), list(web.tasks)))
        how = rng.choice(_WAYS)
        lines = [("Host", "127.0.0.1:{}".format(web.port)), *one.headers]
        path = one.path
        if rng.random() < 0.1:
            path = "/" + web.token + path
        elif rng.random() < 0.98:
            lines.append(("Authorization", "Bearer " + web.token))
        body = b""
        if one.body is not None:
            body = _json(rng, one.body, how)
            lines.append(("Content-Type", "application/json"))
            if rng.random() < 0.1:
                lines.append(("Transfer-Encoding", "chunked"))
                chunks = [b"%x\r\n%s\r\n" % (len(one), one) for one in spoiling.pieces(rng, body)]
                body = b"".join(chunks) + b"0\r\n\r\n"
            else:
                lines.append(("Content-Length", str(len(body))))
        first = (one.method, path, "HTTP/1.1")
        if how in ("head", "all"):
            first, lines = spoiling.head(rng, first, lines)
        shown = [" ".join(first), *("{}: {}".format(*pair) for pair in lines)]
        data = "\r\n".join(shown).encode("latin-1") + b"\r\n\r\n" + body
        return spoiling.octets(rng, data) if how in ("octets", "all") else data

    def _over_the_framed_wire(self, rng: Random) -> _Said:
        said = [_frame(rng) for _ in range(rng.choice([1, 2, 4, 16]))]
        if rng.random() < 0.2:
            # Before its hello a peer may say nothing else.
            return _connect(self._port), said
        wire = FramedWire(self._port, self._key)
        try:
            wire.greet()
        except BaseException:
            wire.close()
            raise
        return wire.sock, said

    def _as_a_sidecar(self, rng: Random) -> _Said:
        said = [_line(rng) for _ in range(rng.choice([1, 2, 4]))]
        return _connect(self._sidecar), said

    def _as_a_stranger(self, rng: Random) -> _Said:
        size = rng.choice([1, 3, 16, 300, 5000])
        noise = bytes(rng.randrange(256) for _ in range(size))
        sock = _connect(rng.choice([self._port, self._sidecar]))
        return sock, [rng.choice(_STRANGE) + noise]

    # -- how it is said, and what is heard ----------------------------------------------------

    def _talk(self, rng: Random, sock: socket.socket, data: bytes) -> bytes:
        """Send it as a whole or in pieces, listen, and end the connection as peers do."""
        end = rng.choices(["half", "wait", "close", "reset", "leave"], [9, 5, 2, 2, 2])[0]
        heard = b""
        try:
            for piece in spoiling.pieces(rng, data) if rng.random() < 0.5 else [data]:
                sock.sendall(piece)
                if rng.random() < 0.1:
                    # For a piece to come alone; who reads it does not say that it has.
                    time.sleep(0.001)
            if end == "half":
                sock.shutdown(socket.SHUT_WR)
            if end in ("half", "wait", "leave") or rng.random() < 0.5:
                heard = _hear(sock)
        except OSError:
            pass  # the server has closed it, as it may
        if end == "leave":
            self._open.append(sock)
            if len(self._open) > LEFT_OPEN:
                self._open.popleft().close()
            return heard
        if end == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        return heard

    def _note(self, kind: str, number: int, heard: bytes) -> None:
        if kind in self._webs:
            statuses = [one.decode("ascii") for one in _STATUS.findall(heard)]
            self.counts.update("{} {}".format(kind, one) for one in statuses)
            web = self._webs[kind]
            for pattern in _SESSIONS:
                web.sessions.extend(one.decode("ascii") for one in pattern.findall(heard))
            tasks = [one.decode("ascii") for one in _TASK.findall(heard)]
            web.tasks.extend(tasks)
            self.counts[kind + " tasks told of"] += len(tasks)
        else:
            self.counts[kind + (" answered" if heard else " not answered")] += 1
        defect = _DEFECT.search(heard)
        if defect:
            shown = heard[max(0, defect.start() - 200) : defect.end() + 300]
            self.defects.append("conversation {}: {!r}".format(number, shown))


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _hear(sock: socket.socket) -> bytes:
    heard: List[bytes] = []
    sock.settimeout(SILENCE)
    try:
        data = sock.recv(65536)
        while data:
            heard.append(data)
            data = sock.recv(65536)
    except (socket.timeout, ConnectionError):
        pass  # it has nothing more to say, or no more patience
    return b"".join(heard)


def _json(rng: Random, message: Any, how: str) -> bytes:
    if how in ("fields", "all"):
        message = spoiling.fields(rng, message)
    data = json.dumps(message).encode("ascii")
    return spoiling.text(rng, data) if how in ("text", "all") else data


def _frame(rng: Random) -> bytes:
    method, params = seeds.framed(rng)
    how = rng.choice(_WAYS)
    data = b"" if params is None else _json(rng, params, how)
    ident = bytes(rng.randrange(256) for _ in range(16))
    message: messages.Message = messages.Request(ident, method, data)
    if rng.random() < 0.2:
        message = rng.choice(
            [
                messages.Notify(ident, method, data),
                messages.Notify(None, method, data),
                messages.Ping(ident, 1),
                messages.Pong(ident, 1),
                messages.Response(ident, True, data, None),
                messages.Shutdown("over"),
            ]
        )
    payload = messages.encode(message, rng.choice([messages.OURS, messages.REFERENCE]))
    if how in ("octets", "all"):
        payload = spoiling.octets(rng, payload)
    if rng.random() < 0.03:
        return struct.pack(">I", rng.choice([0, 1, 2**24, 2**28, 2**32 - 1])) + payload
    return bytes(frames.frame(payload))


def _line(rng: Random) -> bytes:
    how = rng.choice(_WAYS)
    data = _json(rng, seeds.line(rng), how) + b"\n"
    return spoiling.octets(rng, data) if how in ("octets", "all") else data
