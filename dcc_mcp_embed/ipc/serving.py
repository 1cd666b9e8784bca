"""One run of a SocketServer on its loop: its clients, their requests, its pushes, and its end."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from functools import partial
from typing import Any, Callable, Optional

from ..net.loop import Loop
from ..net.promises import offer
from ..rpc.hello import Facts
from ..rpc.receipts import Receipts
from .calls import Calls
from .door import Door
from .functions import report
from .handlers import Handlers
from .outbox import Outbox
from .places import Listening
from .pushes import Pushes
from .tally import ServerTally

__all__ = ["Serving"]

#: Seconds that handlers have to come to their end when the server stops.
_STOPPING = 1.0


class Serving:
    """See the module. Loop thread only. ``ended`` is set when all is closed.

    ``health_interval`` None: nobody is pinged; ``asyncio_loop`` and ``litter``: see Handling.
    """

    def __init__(
        self,
        loop: Loop,
        listening: Listening,
        handlers: Handlers,
        receipts: Receipts,
        facts: Facts,
        health_interval: Optional[float],
        asyncio_loop: Any,
        litter: Callable[[], None],
        ended: Future[None],
    ) -> None:
        self.loop = loop
        self.address = listening.address
        self.tally = ServerTally()
        self._outbox = Outbox()
        self.calls = Calls(
            loop,
            handlers,
            receipts,
            self._outbox,
            self.tally,
            self._check_idle,
            asyncio_loop,
            litter,
        )
        self.door = Door(
            loop,
            listening,
            facts,
            health_interval,
            self.calls,
            self._outbox,
            self.tally,
            self._log,
            self._check_closed,
        )
        self.pushes = Pushes(loop, self.door, ended)
        self._ended = ended
        self._closing = False
        self._closed = False

    def _log(self, text: str, *args: Any) -> None:
        # A host's log handlers may take their time.
        warn = partial(report, text, *args, level=logging.WARNING)
        self.calls.handling.workers.run(warn)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop: take nothing more, answer what is under way, close; idempotent.

        Handlers that run have a moment to come to their end. Whoever still waits then is told that
        the server has stopped, and whether the handler had begun.
        """
        if self._closing:
            return
        self._closing = True
        self.door.close()
        self.calls.close()
        self._outbox.flush()
        if self.calls.in_flight:
            self.loop.call_later(_STOPPING, self._give_up)
        self._check_idle()

    def _give_up(self) -> None:
        self.calls.give_up()
        self._outbox.flush()
        self._check_idle()

    def _check_idle(self) -> None:
        """Once nothing is under way any more, end the connections."""
        if not self._closing or self.calls.in_flight or self._closed:
            return
        self._closed = True
        self.calls.handling.stop()
        self.door.clear()
        self._check_closed()

    def _check_closed(self) -> None:
        if self._closed and self.door.empty:
            self.loop.stop()
            offer(self._ended, None)
            self.pushes.end()
