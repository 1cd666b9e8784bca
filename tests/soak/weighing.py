"""What processes under attack have: memory, threads and descriptors, and how much more is too much.

By /proc: Linux only.
"""

from __future__ import annotations

import os
import time
from typing import Dict, List, NamedTuple

from fakes.served import Served

__all__ = ["Size", "Weighed"]

#: Mebibytes that the last nine tenths may add, and the last half alone. Some large answers at the
#: same moment are good for three, which stay with the process.
GROWTH, LATE_GROWTH = 12.0, 6.0
#: Threads, and descriptors, that there may be more of at the end, with nobody connected.
SPARE = 3
#: Seconds until whatever waits for a peer that has left has given up: calls that stand in line for
#: the worker thread have all of their time first.
QUIET = 60.0


class Size(NamedTuple):
    """What a process has: memory (MiB), threads, descriptors."""

    memory: float
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return "{:.1f} MiB, {} threads, {} descriptors".format(*self)


def _size(pid: int) -> Size:
    with open("/proc/{}/status".format(pid), encoding="ascii", errors="replace") as file:
        found = dict(line.split(":", 1) for line in file)
    memory = int(found["VmRSS"].split()[0]) / 1024.0
    return Size(memory, int(found["Threads"]), len(os.listdir("/proc/{}/fd".format(pid))))


class Weighed:
    """A process that is weighed now and then. ``kept``: descriptors that it may keep for later."""

    def __init__(self, name: str, served: Served, kept: int = 0) -> None:
        self.name = name
        self._pid = served.process.pid
        self._kept = SPARE + kept
        self.first = self.last = _size(self._pid)
        #: "tenth" and "half" -> the memory after so many messages.
        self._marks: Dict[str, float] = {}

    def mark(self, half: bool) -> Size:
        """Weigh it during the run. ``half``: half of the messages have been sent."""
        self.last = _size(self._pid)
        self._marks.setdefault("tenth", self.last.memory)
        if half:
            self._marks.setdefault("half", self.last.memory)
        return self.last

    def settle(self) -> Size:
        """Weigh it once its threads and descriptors are few again, or will not be."""
        end = time.monotonic() + QUIET
        while True:
            self.last = _size(self._pid)
            few = (
                self.last.threads - self.first.threads <= SPARE
                and self.last.descriptors - self.first.descriptors <= self._kept
            )
            if few or time.monotonic() > end:
                return self.last
            # What becomes of another process tells nobody.
            time.sleep(0.2)

    def too_much(self) -> List[str]:
        """Print what has grown, and return what has grown beyond its bound."""
        bounds = [
            ("threads", self.last.threads - self.first.threads, SPARE),
            ("descriptors", self.last.descriptors - self.first.descriptors, self._kept),
        ]
        for mark, bound in (("tenth", GROWTH), ("half", LATE_GROWTH)):
            if mark in self._marks:
                grown = self.last.memory - self._marks[mark]
                bounds.append(("MiB since the first " + mark, grown, bound))
        for what, grown, bound in bounds:
            print("  {}: {:+.1f} {} (at most {:+.1f})".format(self.name, grown, what, bound))
        return [
            "{}: {:+.1f} {}".format(self.name, grown, what)
            for what, grown, bound in bounds
            if grown > bound
        ]
