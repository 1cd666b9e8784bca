"""The floor: a blocking ping-pong. A client says two sizes, then sends one and gets the other.

On TCP, or on the unix socket whose path is the argument.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading


def serve(connection: socket.socket) -> None:
    """Answer one client until it goes."""
    with connection:
        asked, answered = struct.unpack(">II", connection.recv(8, socket.MSG_WAITALL))
        answer = bytes(answered)
        received = bytearray(asked)
        while True:
            count = connection.recv_into(received, asked, socket.MSG_WAITALL)
            if count < asked:
                return
            connection.sendall(answer)


def main() -> None:
    """Listen, print the port or the path as one JSON line, serve each client on a thread."""
    if sys.argv[1:]:
        listener, address = socket.socket(socket.AF_UNIX), sys.argv[1]
        listener.bind(address)
        ready = {"path": address}
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        # What it accepts inherits this.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready = {"port": listener.getsockname()[1]}
    listener.listen()
    print(json.dumps(ready), flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main()
