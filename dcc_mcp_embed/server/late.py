"""A handler that is loaded when somebody first asks for it, so that only hosts pay that need it."""

from __future__ import annotations

from typing import Callable, List, Optional

from .. import collector
from ..net.loop import Loop
from .exchange import FAILED, JSON, Exchange, problem

__all__ = ["Late"]

Handler = Callable[[Exchange], None]


class Late:
    """Have ``load()`` return the handler, on a thread of its own: the loop thread imports nothing.

    Whoever asks meanwhile waits. ``log(level, text)`` is told if it cannot be loaded; then the next
    one who asks has it tried again. Loop thread, but for ``load``.
    """

    def __init__(
        self, loop: Loop, load: Callable[[], Handler], log: Callable[[str, str], None]
    ) -> None:
        self._loop = loop
        self._load = load
        self._log = log
        self._handler: Optional[Handler] = None
        self._waiting: List[Exchange] = []

    def handle(self, exchange: Exchange) -> None:
        """Serve one request, once there is what serves it."""
        if self._handler is not None:
            self._handler(exchange)
            return
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            try:
                collector.Thread(self._run, "dcc-mcp-embed loading").start()
            except RuntimeError as error:
                # The system has no thread left.
                self._say(error)
                self._give_up()

    def _run(self) -> None:
        collector.pause()
        try:
            handler: Handler = self._load()
        except Exception as error:
            # Loading runs code of whole modules, which can raise anything.
            self._say(error)
            self._loop.call_soon(self._give_up)
        else:
            self._loop.call_soon(self._loaded, handler)
        finally:
            collector.resume()

    def _say(self, error: Exception) -> None:
        self._log("error", "a part of the server cannot be loaded: {!r}".format(error))

    def _give_up(self) -> None:
        for exchange in self._take_waiting():
            exchange.reply(500, JSON, problem(FAILED))

    def _take_waiting(self) -> List[Exchange]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _loaded(self, handler: Handler) -> None:
        self._handler = handler
        for exchange in self._take_waiting():
            try:
                handler(exchange)
            except Exception as error:
                # A defect of ours, whatever it is, must leave none of them waiting.
                exchange.fail(error, self._log)
