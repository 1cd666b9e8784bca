"""Many who connect at the same moment, before anybody is accepted."""

from __future__ import annotations

import selectors
import socket
from typing import Any, List

#: More than one turn of a loop accepts.
MANY = 300
DEADLINE = 10.0


def allowed() -> int:
    """Return how many every system like this one lets wait at a listening socket."""
    try:
        with open("/proc/sys/net/core/somaxconn", "rb") as file:
            return int(file.read())
    except OSError:
        return 128


def burst(address: Any, family: int = socket.AF_INET) -> List[socket.socket]:
    """Connect as often as one can that nobody accepts yet, at most MANY times; all are connected.

    Raises OSError if one was turned away, AssertionError if some still try after a deadline.
    """
    clients: List[socket.socket] = []
    with selectors.DefaultSelector() as waiting:
        try:
            for _ in range(min(MANY, allowed())):
                client = socket.socket(family)
                clients.append(client)
                client.setblocking(False)
                client.connect_ex(address)
                waiting.register(client, selectors.EVENT_WRITE)
            while waiting.get_map():
                ready = waiting.select(DEADLINE)
                assert ready, "{} of {} still try".format(len(waiting.get_map()), len(clients))
                for key, _ in ready:
                    # Raises for one that was turned away.
                    key.fileobj.getpeername()
                    waiting.unregister(key.fileobj)
        except BaseException:
            for client in clients:
                client.close()
            raise
    return clients
