"""SIGTERM and Ctrl-C, for processes that are ours."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Tuple

__all__ = ["signals_heard"]

#: Both ends of what signals are written to, while they are.
_ends: Tuple[socket.socket, ...] = ()
_hooked = False


def _in_child() -> None:
    """Give a forked child its own signals back: what it is sent must not end its parent."""
    global _ends
    if not _ends:
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for sock in _ends:
        sock.close()
    _ends = ()


@contextmanager
def signals_heard(
    handler: Callable[[int, Any], None], heard: Callable[[int], None]
) -> Iterator[None]:
    """Make ``handler`` that of SIGTERM and Ctrl-C, and tell ``heard(number)`` besides. Main thread.

    The interpreter runs handlers on the main thread only, and a signal does not end that thread's
    waiting if another thread took it, or if it came in the moment before. So the number of each is
    also written, from wherever it was taken, to where a thread waits for it: ``heard`` is called on
    that one. In the end the handlers stay, as ending takes a moment; ``heard`` is called no more.
    """

    def listen() -> None:
        with here:
            number = here.recv(1)
            while number:
                heard(number[0])
                number = here.recv(1)

    global _ends, _hooked
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(after_in_child=_in_child)
    _ends = here, there = socket.socketpair()
    there.setblocking(False)
    threading.Thread(target=listen, name="dcc-mcp-embed end", daemon=True).start()
    signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        _ends = ()
        there.close()
