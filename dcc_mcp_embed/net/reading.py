"""Read what a peer answers on a blocking socket, all of it by one deadline."""

from __future__ import annotations

import socket
from typing import Any, Iterator

from ..clock import Clock

__all__ = ["events"]

_CHUNK = 65536


def events(sock: socket.socket, parser: Any, deadline: float, clock: Clock) -> Iterator[Any]:
    """Yield what ``parser`` makes of what comes. Whoever has the last event stops asking.

    ``parser`` has ``next_event()`` (None asks for bytes), ``receive_data`` and ``receive_eof``. A
    peer that sends a byte now and then gets no more time than one that sends none. Raises
    socket.timeout when the clock shows ``deadline``, OSError.
    """
    while True:
        event = parser.next_event()
        if event is not None:
            yield event
            continue
        left = deadline - clock.monotonic()
        if left <= 0:
            raise socket.timeout("the deadline has passed")
        sock.settimeout(left)
        data = sock.recv(_CHUNK)
        if data:
            parser.receive_data(data)
        else:
            parser.receive_eof()
