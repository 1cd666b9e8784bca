"""The floor: a blocking ping-pong. A client says two sizes, then sends one and gets the other."""

from __future__ import annotations

import json
import socket
import struct
import threading


def serve(connection: socket.socket) -> None:
    """Answer one client until it goes."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked, answered = struct.unpack(">II", connection.recv(8, socket.MSG_WAITALL))
        answer = bytes(answered)
        received = bytearray(asked)
        while True:
            count = connection.recv_into(received, asked, socket.MSG_WAITALL)
            if count < asked:
                return
            connection.sendall(answer)


def main() -> None:
    """Listen, print the port as one JSON line, serve each client on a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main()
