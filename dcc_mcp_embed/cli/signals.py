"""SIGTERM and Ctrl-C for a process that serves a host."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator

from .. import embed
from ..clock import SystemClock
from ..net.signals import signals_heard

__all__ = ["GRACE", "ends_on_signals"]

#: How long after SIGTERM a running tool may go on, seconds. Service managers and container engines
#: kill after 10 s and more; whoever waits for an answer should be told before.
GRACE = 3.0
#: Seconds after one handler in which the next runs, if it has to.
_NOTICED = 0.25


@contextmanager
def ends_on_signals(
    server: embed.EmbeddedServer, flush: Callable[[], None] = lambda: None, grace: float = GRACE
) -> Iterator[threading.Event]:
    """Have SIGTERM and Ctrl-C end ``serve_forever``; yield what is set by the first. Main thread.

    The first signal ends it as soon as no tool has the main thread. The second one puts the default
    handlers back and raises KeyboardInterrupt, so that a tool that does not end is broken off. If
    one was SIGTERM, nobody may be there to send another: ``grace`` seconds later every caller is
    told, ``flush()`` prints the log, and the process ends with status 1. Code that never gives the
    interpreter back holds up all of this.
    """
    ending = _Ending(server, flush, grace)
    with signals_heard(ending.first, ending.heard):
        yield ending.taken


class _Ending:
    def __init__(
        self, server: embed.EmbeddedServer, flush: Callable[[], None], grace: float
    ) -> None:
        self._server = server
        self._flush = flush
        self._grace = grace
        self._count = 0
        self.taken = threading.Event()
        self._broken_off = threading.Event()

    def first(self, number: int, frame: Any) -> None:
        """Let the main thread go once no tool has it. Main thread."""
        signal.signal(signal.SIGTERM, self._second)
        signal.signal(signal.SIGINT, self._second)
        self.taken.set()
        self._server.adapter.close()

    def _second(self, number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._broken_off.set()
        raise KeyboardInterrupt

    def heard(self, number: int) -> None:
        """See to what no handler does in time. A thread of its own, that has each signal told."""
        self._count += 1
        self._server.adapter.close()
        if number == signal.SIGTERM:
            self._give_up()
        elif self._count == 2 and hasattr(signal, "pthread_kill"):
            name = "dcc-mcp-embed reminder"
            threading.Thread(target=self._remind, name=name, daemon=True).start()

    def _remind(self) -> None:
        """Send the second signal again if both came while native code ran: that is one handler."""
        self.taken.wait()
        if not self._broken_off.wait(_NOTICED):
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)

    def _give_up(self) -> None:
        SystemClock().sleep(self._grace)
        try:
            text = "a tool still runs {:.0f} s after SIGTERM; the process ends without it"
            self._server.logbook.error("serve", text.format(self._grace))
            self._server.stop()
            self._flush()
        finally:
            os._exit(1)
