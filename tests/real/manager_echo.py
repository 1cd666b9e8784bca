"""A second process with nothing but a registered raw listener, as a script of a user's would be.

``manager_echo.py REGISTRY tcp|unix``. Echoes params, counts what it hears, and says on stdout what
it registered. Method ``counts`` tells how many requests came, and how many contents of them were
there before; ``hang`` is never answered.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import dcc_mcp_embed as dcc_mcp_core


class Echo:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set = set()
        self._count = 0

    def answer(self, channel: Any, request: Any) -> None:
        method, params = request["method"], request["params"]
        if method == "hang":
            return
        if method == "counts":
            with self._lock:
                doubled = self._count - len(self._seen)
                payload = json.dumps({"count": self._count, "doubled": doubled}).encode()
        else:
            payload = params
            with self._lock:
                self._count += 1
                self._seen.add(params)
        channel.send_response(request["id"], True, payload)

    def serve(self, channel: Any) -> None:
        try:
            while True:
                self.answer(channel, channel.recv())
        except dcc_mcp_core.ConnectionClosed:
            channel.shutdown()


def main(directory: str, kind: str) -> None:
    manager = dcc_mcp_core.TransportManager(directory, heartbeat_interval=1)
    if kind == "unix":
        instance, listener = manager.bind_and_register("maya", version="2025")
    else:
        listener = dcc_mcp_core.IpcListener.bind(dcc_mcp_core.TransportAddress.tcp("127.0.0.1", 0))
        address = listener.local_address()
        instance = manager.register_service("maya", address.host, address.port, version="2025")
    print(json.dumps({"instance": instance, "address": str(listener.local_address())}), flush=True)
    echo = Echo()
    while True:
        channel = listener.accept()
        threading.Thread(target=echo.serve, args=(channel,), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
