"""An echo over Pyro5, on its threaded server, which answers in the serializer of the request."""

from __future__ import annotations

import json

import Pyro5.api


@Pyro5.api.expose
class Echo:
    """One method."""

    def echo(self, payload: bytes) -> bytes:
        """Return the payload."""
        return payload


def main() -> None:
    """Listen, print the object's address as one JSON line, serve."""
    Pyro5.config.SOCK_NODELAY = True
    daemon = Pyro5.api.Daemon("127.0.0.1", 0)
    print(json.dumps({"uri": str(daemon.register(Echo(), "echo"))}), flush=True)
    daemon.requestLoop()


main()
