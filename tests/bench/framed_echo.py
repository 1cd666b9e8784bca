"""Our side of framed.py: what a script makes of an IpcListener, a thread per channel, an echo.

On TCP, or on the unix socket whose path is the argument.
"""

from __future__ import annotations

import json
import os
import sys
import threading

# Run as a script, its folder is first on the path; the package is that of this checkout.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dcc_mcp_embed import FramedChannel, IpcListener, TransportAddress  # noqa: E402


def serve(channel: FramedChannel) -> None:
    """Answer one client until it goes."""
    while True:
        message = channel.recv()
        channel.send_response(message["id"], True, message["params"])


def main() -> None:
    """Listen, print the address as one JSON line, serve each client on a thread."""
    if sys.argv[1:]:
        address = TransportAddress.unix_socket(sys.argv[1])
    else:
        address = TransportAddress.tcp("127.0.0.1", 0)
    listener = IpcListener.bind(address)
    print(json.dumps({"address": str(listener.local_address())}), flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()


main()
