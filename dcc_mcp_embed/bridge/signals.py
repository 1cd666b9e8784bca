"""SIGTERM and Ctrl-C for a bridge that no input ends."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import contextmanager
from typing import Callable, Iterator

__all__ = ["calls_on_signals"]


@contextmanager
def calls_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have ``stop()`` called for each of them, on whatever thread. Main thread.

    The interpreter runs handlers on the main thread only, and a signal does not end that thread's
    waiting if another thread took it, or if it came in the moment before. So each signal is also
    written, from wherever it was taken, to where a thread waits for it.
    """

    def listen() -> None:
        while heard.recv(1):
            stop()

    heard, told = socket.socketpair()
    with heard, told:
        told.setblocking(False)
        listener = threading.Thread(target=listen, name="dcc-mcp-embed end", daemon=True)
        listener.start()
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop())
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            told.close()
            listener.join()
