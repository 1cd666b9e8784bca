"""The bridge of one client at its lines, from the first of them to the last.

One thread, which waits for no host.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ..clock import Clock
from ..wire.mcp.machine import McpMachine
from .client import Client
from .core import Core, MakeWatch
from .desk import Moments
from .reception import Reception
from .stdio import LineReader, LineWriter
from .voice import LineVoice

__all__ = ["Bridge"]

#: Seconds that calls under way get once the client has closed its end.
_GRACE_S = 0.5
#: Seconds for the last answers to be read.
_FLUSH_S = 1.0

MakeReader = Callable[[Callable[[Any], None], Callable[[], None]], LineReader]
MakeWriter = Callable[[Callable[[], None]], LineWriter]


class Bridge:
    """One client's bridge: ``start``, then ``run``, which returns when the client has gone."""

    def __init__(self, core: Core, machine: McpMachine, clock: Clock) -> None:
        self._core = core
        self._machine = machine
        self._end = _End(core, clock)
        core.desk.add(self._end)
        self._reader: LineReader
        self._writer: LineWriter
        self._reception: Reception

    def start(self, reader: MakeReader, writer: MakeWriter, watch: MakeWatch) -> None:
        """Begin to read, to write and to look.

        ``reader(deliver, ended)``, ``writer(broken)`` and ``watch(deliver)`` make what does that;
        what they call back may come on any thread.
        """
        core, post = self._core, self._core.desk.post
        self._writer = writer(lambda: post(self._end.now))
        self._reader = reader(lambda line: post(self._line, line), self._eof)
        client = Client(LineVoice(self._writer))
        core.enter(client)
        self._reception = Reception(client, self._machine, core.service)
        self._writer.start()
        core.start(watch)
        self._reader.start()

    def run(self) -> None:
        """Serve until the client has gone."""
        try:
            while not self._end.over:
                self.turn()
        finally:
            self._core.stop()
            self._writer.flush(_FLUSH_S)
            self._writer.stop()

    def turn(self) -> None:
        """Wait for one event, deal with it, and with what its time has come for."""
        self._core.desk.turn()

    def _line(self, line: Any) -> None:
        try:
            self._reception.line(line)
        finally:
            self._reader.done(line)

    def _eof(self) -> None:
        # On the reader's thread: whoever waits for room must not wait any more.
        self._writer.hurry()
        self._core.desk.post(self._end.soon)


class _End(Moments):
    """When it is over: once the client has gone and what it asked for is answered, or at once."""

    def __init__(self, core: Core, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._at: Optional[float] = None
        self.over = False

    def now(self) -> None:
        """Nobody reads any more."""
        self.over = True

    def soon(self) -> None:
        """Nothing more is asked."""
        self._at = self._clock.monotonic() + _GRACE_S

    def next(self) -> Optional[float]:
        return self._at

    def due(self, now: float) -> None:
        if self._at is not None:
            self.over = self.over or self._at <= now or not self._core.owing
