"""Signs of life on a client's connection: heartbeats, and checks that somebody asks for. Pure."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Optional, Tuple

from ..net.timers import Timer
from ..rpc.pending import Probe
from .actions import Answered
from .agenda import Agenda
from .link import Link
from .tally import ClientTally

__all__ = ["Pulse"]

#: The part of an interval in which a heartbeat has to be answered.
_BEAT_PART = 0.75


class Pulse:
    """One connection's, from when it is ready to its end.

    ``interval``: seconds between heartbeats, 0: none. ``dead(now, reason)`` is called when one is
    not answered.
    """

    def __init__(
        self,
        now: float,
        link: Link,
        interval: float,
        agenda: Agenda,
        tally: ClientTally,
        dead: Callable[[float, str], None],
    ) -> None:
        self._link = link
        self._interval = interval
        self._agenda = agenda
        self._tally = tally
        self._dead = dead
        self._next: Optional[Timer] = None
        self._overdue: Optional[Timer] = None
        #: Checks: who waits, and until when.
        self._checks: Dict[Probe, Tuple[Any, Optional[Timer]]] = {}
        if interval > 0:
            self._next = agenda.at(now + interval, self._beat)

    def check(self, now: float, timeout: float, waiter: Any) -> None:
        """Ask the server for a sign of life."""
        probe = self._link.peer.ping()
        timer = None
        if timeout < math.inf:
            timer = self._agenda.at(now + timeout, self._check_overdue, probe)
        self._checks[probe] = waiter, timer

    def answered(self, probe: Probe) -> None:
        """Take the answer to a ping."""
        self._tally.last_latency = probe.round_trip
        self._checked(probe, True)

    def stop(self) -> None:
        """The connection is gone: no checks go well any more."""
        for timer in (self._next, self._overdue):
            if timer is not None:
                timer.cancel()
        self._next = self._overdue = None
        for probe in list(self._checks):
            self._checked(probe, False)

    def _checked(self, probe: Probe, well: bool) -> None:
        """End a check, if it is one."""
        waiter, timer = self._checks.pop(probe, (None, None))
        if timer is not None:
            timer.cancel()
        if waiter is not None:
            self._agenda.add(Answered(waiter, well))

    def _check_overdue(self, now: float, probe: Probe) -> None:
        self._link.peer.abandon(probe)
        self._checked(probe, False)

    def _beat(self, now: float) -> None:
        self._tally.heartbeats += 1
        probe = self._link.peer.ping()
        self._overdue = self._agenda.at(
            now + self._interval * _BEAT_PART, self._beat_overdue, probe, now, self._link.unsent
        )
        self._next = self._agenda.at(now + self._interval, self._beat)

    def _beat_overdue(self, now: float, probe: Probe, sent_at: float, unsent: int) -> None:
        if probe.done:
            return
        link = self._link
        if link.heard > sent_at or link.unsent < unsent:
            # It says something else, or reads something else first.
            link.peer.abandon(probe)
            return
        self._dead(
            now, "no answer to a heartbeat within {:g} s".format(self._interval * _BEAT_PART)
        )
