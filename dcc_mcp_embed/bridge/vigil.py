"""Hosts that owe answers are asked for signs of life, and given up when there are none."""

from __future__ import annotations

from typing import Optional

from ..clock import Clock
from .desk import Desk, Moments
from .flights import Flights
from .pulse import PACE, Pulses
from .relay import Relay

__all__ = ["Vigil"]


class Vigil(Moments):
    """Watches over the hosts of what is under way. The desk's thread."""

    def __init__(self, desk: Desk, flights: Flights, relay: Relay, clock: Clock) -> None:
        self._desk = desk
        self._flights = flights
        self._relay = relay
        self._clock = clock
        self._pace = PACE
        self._pulses = Pulses(self._pace)

    def next(self) -> Optional[float]:
        return self._pulses.next(self._flights.oldest())

    def due(self, now: float) -> None:
        for instance in self._pulses.to_ask(now, self._flights.oldest()):
            self._feel(instance)

    def _feel(self, instance: str) -> None:
        host = self._flights.host(instance)
        self._relay.pulse(
            host,
            self._pace.answer,
            lambda alive: self._desk.post(self._felt, instance, alive),
        )

    def _felt(self, instance: str, alive: bool) -> None:
        now = self._clock.monotonic()
        self._pulses.answered(now, instance, alive)
        self._flights.give_up(instance, lambda began: self._pulses.lost(now, instance, began))
