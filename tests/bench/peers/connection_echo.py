"""An echo over multiprocessing.connection: whole byte strings, the least that it can do."""

from __future__ import annotations

import json
import socket
import sys
import threading
from multiprocessing.connection import Connection, Listener


def serve(connection: Connection) -> None:
    """Answer one client until it goes."""
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        try:
            while True:
                connection.send_bytes(connection.recv_bytes())
        except EOFError:
            return


def main() -> None:
    """Listen, print the port as one JSON line, serve each client on a thread; argument: the key."""
    listener = Listener(("127.0.0.1", 0), authkey=sys.argv[1].encode("ascii"))
    print(json.dumps({"port": listener.address[1]}), flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()


main()
