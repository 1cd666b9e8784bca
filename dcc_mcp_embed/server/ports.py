"""Which port a server gets: the preferred one of its kind of host, else any free one.

A preferred port that somebody holds is looked at: one of ours is another running host of the same
kind; a server that is just closing gives the port up in a moment; one that answers as anything
else is a stranger, to whom a client may have shown that port's token, which is therefore retired.
One that accepts and says nothing is taken for one of ours whose host holds the interpreter:
retiring its token would break the user's configuration each time a host is busy.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Callable, Optional

from ..clock import Clock
from ..config import PREFERRED_PORTS, Settings
from ..digest import compare_digest
from ..errors import StartError
from ..net.listener import bind
from ..net.reading import events
from ..records import NamedTuple
from ..secret import Secret, retire_token
from ..wire import http1

__all__ = [
    "CHALLENGE",
    "KIND",
    "PROOF",
    "Bound",
    "Occupant",
    "listen",
    "listen_as",
    "who_answers",
]

_LOOPBACK = "127.0.0.1"
#: A port that refuses connections but cannot be bound is about to be free: try so often, so long.
_TRIES = 10
_PAUSE = 0.05
#: One of ours answers from its loop thread; a host that computes may need a few GIL switches.
PROBE_TIMEOUT = 0.25
CHALLENGE = "X-DCC-MCP-Challenge"
PROOF = "X-DCC-MCP-Proof"
KIND = "X-DCC-MCP-Kind"


class Bound(NamedTuple):
    """A socket that listens on ``port``."""

    sock: socket.socket
    port: int


def listen_as(
    kind: str, settings: Settings, secret: Secret, clock: Clock, warn: Callable[[str], None]
) -> Bound:
    """Bind the port for a server of this ``kind`` of host. Blocks at most a second.

    Raises StartError when the settings fix a port that cannot be had.
    """

    def occupant(port: int) -> Occupant:
        found = who_answers(port, secret, clock)
        if found.state == "stranger":
            # A client with a pasted configuration may have shown it this port's token.
            retire_token(settings.data_dir, kind, port, clock)
            warn("port {} is held by a stranger; its token is retired".format(port))
        return found

    wanted = settings.port
    preferred = PREFERRED_PORTS.get(kind, 0) if wanted is None else wanted
    try:
        return listen(preferred, bool(wanted), occupant, clock)
    except OSError as error:
        raise StartError(
            "Port {} cannot be used: {}. Choose another, or none for any free one.".format(
                wanted, error.strerror
            )
        ) from error


def listen(preferred: int, exact: bool, occupant: Callable[[int], Occupant], clock: Clock) -> Bound:
    """Bind ``preferred`` on loopback, or any free port unless ``exact``. Blocks at most a second.

    ``occupant(port)`` is asked who holds a port that is taken. Raises OSError when ``exact`` and
    the port stays taken.
    """
    problem: Optional[OSError] = None
    for attempt in range(_TRIES):
        try:
            sock = bind(_LOOPBACK, preferred)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            problem = error
        else:
            return Bound(sock, sock.getsockname()[1])
        if occupant(preferred).state != "nobody":
            break
        if attempt < _TRIES - 1:
            clock.sleep(_PAUSE)
    if exact and problem is not None:
        raise problem
    sock = bind(_LOOPBACK, 0)
    return Bound(sock, sock.getsockname()[1])


class Occupant(NamedTuple):
    """Who answers on a port: nobody, silent, stranger or ours; ``kind`` only for ours."""

    state: str
    kind: str = ""


def who_answers(
    port: int, secret: Secret, clock: Clock, timeout: float = PROBE_TIMEOUT
) -> Occupant:
    """Ask the server on a loopback ``port`` to prove that it holds our secret. Blocks ``timeout``.

    It is shown nothing but a random challenge. The time is for everything together: a stranger
    that sends a byte now and then must not hold up a host's start.
    """
    challenge = clock.token_bytes(16).hex()
    deadline = clock.monotonic() + timeout
    try:
        sock = socket.create_connection((_LOOPBACK, port), timeout)
    except socket.timeout:
        return Occupant("silent")
    except OSError:
        return Occupant("nobody")
    with sock:
        try:
            sock.sendall(
                http1.request(
                    "GET",
                    "/",
                    (
                        ("Host", "{}:{}".format(_LOOPBACK, port)),
                        (CHALLENGE, challenge),
                        ("Connection", "close"),
                    ),
                    b"",
                )
            )
            head = _read_head(sock, deadline, clock)
        except socket.timeout:
            return Occupant("silent")
        except OSError:
            return Occupant("stranger")
    if head is None:
        return Occupant("stranger")
    kind = head.headers.get(KIND) or ""
    if not compare_digest(
        (head.headers.get(PROOF) or "").encode("utf-8"),
        secret.proof(kind, port, challenge).encode("ascii"),
    ):
        return Occupant("stranger")
    return Occupant("ours", kind)


def _read_head(sock: socket.socket, deadline: float, clock: Clock) -> Any:
    """Return the head of the answer; None for anything else, and for one that trickles in.

    Raises socket.timeout if nothing came at all: ours answers in one piece or not yet.
    """
    parser = http1.ResponseParser(16384, 65536)
    try:
        event = next(events(sock, parser, deadline, clock))
    except socket.timeout:
        if parser.buffered:
            return None
        raise
    return event if type(event) is http1.ResponseHead else None
