"""Our side of framed.py: an echo that answers each client on a thread of its own.

The argument says how: ``tcp``, or ``unix:PATH``, are what a script makes of an IpcListener, where
nobody is authenticated. ``registered:NAME`` is found under this name and does the hello.
"""

from __future__ import annotations

import json
import os
import sys
import threading

# Run as a script, its folder is first on the path; the package is that of this checkout.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dcc_mcp_embed import (  # noqa: E402
    ConnectionClosed,
    FramedChannel,
    IpcListener,
    TransportAddress,
    TransportManager,
)
from dcc_mcp_embed.clock import SystemClock  # noqa: E402
from dcc_mcp_embed.config import data_dir  # noqa: E402
from dcc_mcp_embed.net.sockets import bind_address  # noqa: E402
from dcc_mcp_embed.rpc.hello import Facts, ServerHello, place  # noqa: E402
from dcc_mcp_embed.rpc.peer import Peer  # noqa: E402
from dcc_mcp_embed.secret import open_secret  # noqa: E402
from dcc_mcp_embed.transport.carrier import Carrier  # noqa: E402
from dcc_mcp_embed.transport.link import Link  # noqa: E402


def serve(channel: FramedChannel) -> None:
    """Answer one client until it goes."""
    try:
        while True:
            message = channel.recv()
            assert message is not None
            channel.send_response(message["id"], True, message["params"])
    except ConnectionClosed:
        return


def start_thread(channel: FramedChannel) -> None:
    """Serve on a thread of its own."""
    threading.Thread(target=serve, args=(channel,), daemon=True).start()


def listen(address: TransportAddress) -> None:
    """Serve as scripts do; print the address as one JSON line."""
    listener = IpcListener.bind(address)
    print(json.dumps({"address": str(listener.local_address())}), flush=True)
    while True:
        start_thread(listener.accept())


def be_registered(name: str) -> None:
    """Serve who knows the user's secret; print the kind of host as one JSON line.

    Nothing of ours serves such channels on threads, so they are put together here.
    """
    clock = SystemClock()
    key = open_secret(data_dir(os.environ, sys.platform), clock).wire_key()
    bound = bind_address(TransportAddress.tcp("127.0.0.1", 0), clock)
    bound.sock.setblocking(True)
    port = bound.address.port
    assert port is not None
    manager = TransportManager()
    row = manager.register_service(name, "127.0.0.1", port, metadata={"dcc_mcp_embed_wire": "1"})
    print(json.dumps({"dcc_type": name}), flush=True)
    while True:
        sock = bound.accept()
        assert sock is not None
        hello = ServerHello(key, place(sock.getsockname()), Facts(row, "1"), clock)
        peer = Peer(clock, hello=hello)
        link = Link(sock, peer, clock)
        link.greet(clock.monotonic() + 2.0)
        start_thread(FramedChannel(Carrier(link, peer), ("127.0.0.1", port), clock))


def main() -> None:
    """Do what the argument says."""
    how, _, name = sys.argv[1].partition(":")
    if how == "registered":
        be_registered(name)
    elif how == "unix":
        listen(TransportAddress.unix_socket(name))
    else:
        listen(TransportAddress.tcp("127.0.0.1", 0))


main()
