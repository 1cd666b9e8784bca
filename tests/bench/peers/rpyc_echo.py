"""An echo over rpyc, as its threaded server does it."""

from __future__ import annotations

import json
import socket

import rpyc
from rpyc.core.channel import Channel
from rpyc.utils.server import ThreadedServer


class Echo(rpyc.Service):
    """One method, which clients keep a reference to."""

    def exposed_echo(self, payload: bytes) -> bytes:
        """Return the payload."""
        return payload


def main() -> None:
    """Listen, print the port as one JSON line, serve."""
    # It would deflate what is larger than 3000 bytes, which does not pay on one machine.
    Channel.COMPRESSION_THRESHOLD = 1 << 30
    server = ThreadedServer(Echo, hostname="127.0.0.1", port=0)
    # What it accepts inherits this; without it a burst of answers waits for acknowledgements.
    server.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(json.dumps({"port": server.port}), flush=True)
    server.start()


main()
