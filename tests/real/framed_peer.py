"""A peer for test_framed_processes.py, in a process and a Python of its own.

Arguments: ``tcp`` or ``unix``, where (a port, 0 for any; or a path), and the key in hexadecimal or
``-`` for none. Prints its address as a JSON line, then answers each connection on a thread:

    echo    its params
    hang    never; prints a line
    count   how many calls of ``echo`` there were, and how many different ones
    memory  the size of this process's resident memory, bytes
"""

from __future__ import annotations

import json
import os
import sys
import threading

# Run as a script by another Python than the tests': the package is that of this checkout.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dcc_mcp_embed.address import TransportAddress  # noqa: E402
from dcc_mcp_embed.clock import SystemClock  # noqa: E402
from dcc_mcp_embed.net.readiness import READ, Readiness  # noqa: E402
from dcc_mcp_embed.net.sockets import bind_address  # noqa: E402
from dcc_mcp_embed.rpc.hello import HELLO_TIMEOUT, Facts, ServerHello, place  # noqa: E402
from dcc_mcp_embed.rpc.peer import Peer  # noqa: E402
from dcc_mcp_embed.transport.carrier import Carrier  # noqa: E402
from dcc_mcp_embed.transport.channel import FramedChannel  # noqa: E402
from dcc_mcp_embed.transport.link import Link  # noqa: E402
from dcc_mcp_embed.transport_errors import TransportError  # noqa: E402

CLOCK = SystemClock()
INSTANCE = "0f0e0d0c-0b0a-4908-8706-050403020100"
lock = threading.Lock()
calls = 0
different = set()


def tell(**content):
    # In one piece: several threads tell.
    os.write(1, json.dumps(content).encode("ascii") + b"\n")


def memory():
    """Return the resident size by Linux's own account."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answer(method, params):
    global calls
    if method == "echo":
        with lock:
            calls += 1
            different.add(params)
        return params
    if method == "count":
        with lock:
            return json.dumps([calls, len(different)]).encode("ascii")
    assert method == "memory", method
    return str(memory()).encode("ascii")


def serve(sock, key):
    """Answer one client until it goes, or does not say hello as it has to."""
    hello = None
    if key:
        hello = ServerHello(key, place(sock.getsockname()), Facts(INSTANCE, "1"), CLOCK)
    peer = Peer(CLOCK, hello=hello, late_answers=True)
    link = Link(sock, peer, CLOCK)
    with FramedChannel(Carrier(link, peer), ("client", 0), CLOCK) as channel:
        try:
            if key and not link.greet(CLOCK.monotonic() + HELLO_TIMEOUT):
                return
            while True:
                message = channel.recv()
                if message["method"] == "hang":
                    tell(hangs=True)
                    continue
                payload = answer(message["method"], message["params"])
                channel.send_response(message["id"], True, payload)
        except TransportError as error:
            tell(gone=str(error))


def main():
    kind, where, key = sys.argv[1:]
    address = TransportAddress.unix_socket(where)
    if kind == "tcp":
        address = TransportAddress.tcp("127.0.0.1", int(where))
    bound = bind_address(address, CLOCK)
    readiness = Readiness(bound.sock)
    tell(address=str(bound.address))
    while True:
        readiness.wait(READ, None)
        sock = bound.accept()
        if sock is not None:
            secret = b"" if key == "-" else bytes.fromhex(key)
            threading.Thread(target=serve, args=(sock, secret), daemon=True).start()


main()
