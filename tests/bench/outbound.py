#!/usr/bin/env python3
"""Measure what tracking a message costs, and that it costs no more when many are pending."""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import time
from itertools import islice
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = os.path.dirname(_TESTS)

from dcc_mcp_embed.rpc.outbound import (  # noqa: E402
    DeliveryReceipt,
    OutboundTracker,
    RouteKey,
)

FEW, MANY = 100, 100_000
#: Seconds for which one thing is measured before it is the next one's turn.
_SLICE = 0.02
_ROUTE = RouteKey("maya")
#: What must not grow by more than that; the others go through memory that no cache holds.
_STEADY = ("begin + finish", "get_pending, no driver, of 100")
_GROWTH = 2.0


class Subject(NamedTuple):
    """``work(count)`` does it so many times; ``batch`` of them are timed at once."""

    name: str
    work: Callable[[int], Any]
    batch: int = 500


def filled(pending: int) -> OutboundTracker:
    """Return a tracker with so many pending messages, and room for one more of each kind."""
    tracker = OutboundTracker(max_records=pending + 1)
    for number in range(pending):
        tracker.begin_tracking("pending {}".format(number), _ROUTE, "d")
    return tracker


def life(tracker: OutboundTracker, external: bool) -> Callable[[int], None]:
    """Begin and finish messages; with an external id each leaves a receipt and ousts another."""
    numbers = iter(range(sys.maxsize))

    def work(count: int) -> None:
        for number in islice(numbers, count):
            message = "message {}".format(number)
            tracker.begin_tracking(message, _ROUTE, "d")
            receipt = DeliveryReceipt(message, "sent", "d", message if external else None)
            tracker.finish_tracking(receipt)

    return work


def look_up(find: Callable[[str], Any], among: int) -> Callable[[int], None]:
    """Look up the first ``among`` messages in no order."""
    draw = random.Random(among)
    asked = ["pending {}".format(draw.randrange(among)) for _ in range(20_000)]
    place = [0]

    def work(count: int) -> None:
        first = place[0]
        place[0] = (first + count) % (len(asked) - count)
        for message in asked[first : first + count]:
            find(message)

    return work


def search(tracker: OutboundTracker) -> Callable[[str], Any]:
    """Return the look-up that goes through everything."""
    records = tracker.list_pending()

    def find(message: str) -> Any:
        found = [one for one in records if one.internal_message_id == message]
        return found[0] if len(found) == 1 else None

    return find


def subjects(pending: int) -> List[Subject]:
    """Return what is measured with so many messages pending."""
    tracker = filled(pending)
    plain = {one.internal_message_id: one for one in tracker.list_pending()}
    searched = look_up(search(tracker), FEW)
    return [
        Subject("begin + finish", life(filled(pending), external=False)),
        Subject("begin + finish, receipt kept", life(filled(pending), external=True)),
        Subject("get_pending, no driver, of 100", look_up(tracker.get_pending, FEW)),
        Subject("get_pending, no driver, of all", look_up(tracker.get_pending, pending)),
        Subject("a plain dict's get, of all", look_up(plain.get, pending)),
        Subject("searching all", searched, 1 if pending > FEW else 50),
    ]


def measure(subject: Subject) -> float:
    """Return µs for one, the best batch of a slice: what else the machine does only adds to it."""
    best, end = float("inf"), time.perf_counter() + _SLICE
    while True:
        begin = time.perf_counter()
        subject.work(subject.batch)
        now = time.perf_counter()
        best = min(best, (now - begin) / subject.batch)
        if now >= end:
            return best * 1e6


def main() -> int:
    """Measure and print. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 tests/bench/outbound.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="medians are over them")
    parser.add_argument(
        "--check", action="store_true", help="exit status 1 if what must be steady has doubled"
    )
    options = parser.parse_args()
    pairs = list(zip(subjects(FEW), subjects(MANY)))
    found: Dict[str, List[Tuple[float, float]]] = {few.name: [] for few, _ in pairs}
    for _ in range(options.rounds):
        for few, many in pairs:
            found[few.name].append((measure(few), measure(many)))

    print("Python {}, µs, {} rounds".format(platform.python_version(), options.rounds))
    print("{:31} {:>10} {:>12} {:>8}".format("pending", "100", "100 000", "ratio"))
    growth = {}
    for name, rounds in found.items():
        few_us, many_us = (statistics.median(column) for column in zip(*rounds))
        growth[name] = statistics.median(many / few for few, many in rounds)
        print("{:31} {:10.2f} {:12.2f} {:7.1f}x".format(name, few_us, many_us, growth[name]))
    return int(options.check and max(growth[name] for name in _STEADY) > _GROWTH)


if __name__ == "__main__":
    sys.exit(main())
