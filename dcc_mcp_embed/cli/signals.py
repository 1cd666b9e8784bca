"""SIGTERM and Ctrl-C for a process that is ours."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Tuple

from .. import embed
from ..clock import SystemClock

__all__ = ["GRACE", "ends_on_signals"]

#: How long after SIGTERM a running tool may go on, seconds. Service managers and container engines
#: kill after 10 s and more; whoever waits for an answer should be told before.
GRACE = 3.0

#: Both ends of what signals are written to, while they are.
_told: Tuple[socket.socket, ...] = ()
_hooked = False


def _in_child() -> None:
    """Give a forked child its own signals back: what it is sent must not end its parent."""
    global _told
    if not _told:
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for sock in _told:
        sock.close()
    _told = ()


@contextmanager
def ends_on_signals(
    server: embed.EmbeddedServer, flush: Callable[[], None] = lambda: None, grace: float = GRACE
) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end ``serve_forever``. Main thread.

    The first signal ends it as soon as no tool has the main thread. The second one puts the default
    handlers back and raises KeyboardInterrupt, so that a tool that does not end is broken off. If
    the first one was SIGTERM, nobody may be there to send another: ``grace`` seconds later every
    caller is told, ``flush()`` prints the log, and the process ends with status 1. Code that never
    gives the interpreter back holds up all of this.
    """

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, second)
        signal.signal(signal.SIGINT, second)
        server.adapter.close()

    def second(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt

    def listen() -> None:
        # The interpreter runs handlers on the main thread only, and a signal does not end that
        # thread's waiting if another thread took it, or if it came in the moment before. The number
        # of each signal is written here from wherever it was taken.
        while True:
            try:
                number = heard.recv(1)
            except OSError:
                return
            if not number:
                return
            server.adapter.close()
            if number[0] == signal.SIGTERM:
                give_up()

    def give_up() -> None:
        SystemClock().sleep(grace)
        try:
            server.logbook.error(
                "serve",
                "a tool still runs {:.0f} s after SIGTERM; the process ends without it".format(
                    grace
                ),
            )
            server.stop()
            flush()
        finally:
            os._exit(1)

    global _told, _hooked
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(after_in_child=_in_child)
    _told = heard, told = socket.socketpair()
    told.setblocking(False)
    threading.Thread(target=listen, name="dcc-mcp-embed end", daemon=True).start()
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, first)
    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        # The handlers stay: ending takes a moment, and a second signal shall cut it short.
        signal.set_wakeup_fd(-1)
        _told = ()
        told.close()
        heard.close()
