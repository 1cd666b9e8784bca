"""A million messages through one tracker, under a fake clock: is its memory flat?

    python3 tests/soak/outbound.py [messages, default 1000000]

Four drivers have 64 messages under way between them; each that is finished leaves a receipt, and
one in a thousand is never finished and expires. So from the second lifetime on as much is kept as
goes. Printed are the objects that the interpreter has allocated and, on Linux, the memory of the
process; exit status 1 if either has grown since then by more than a twentieth, or if anything is
left in the end.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from typing import Deque, List, Tuple

_TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = os.path.dirname(_TESTS)
sys.path.insert(1, _TESTS)

from dcc_mcp_embed.rpc.outbound import DeliveryReceipt, OutboundTracker, RouteKey  # noqa: E402
from fakes.clock import FakeClock  # noqa: E402

MESSAGES = 1_000_000
UNDER_WAY = 64
#: A message every millisecond, each kept ten seconds: ten thousand receipts.
STEP, TTL = 0.001, 10.0
NEVER_FINISHED = 1000
_ROUTE = RouteKey("maya", "instance", "session")


def memory() -> Tuple[int, int]:
    """Return (allocated objects, resident KiB; 0 where the system does not tell)."""
    gc.collect()
    try:
        with open("/proc/self/status") as file:
            resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    except OSError:
        resident = 0
    return sys.getallocatedblocks(), resident


def run(messages: int) -> int:
    """Send, print, and return the exit status."""
    clock = FakeClock()
    tracker = OutboundTracker(TTL, clock=clock)
    under_way: Deque[str] = deque()
    seen: List[Tuple[int, int]] = []
    before = memory()
    print("{:>10} {:>9} {:>10} {:>9}".format("messages", "pending", "objects", "KiB"))
    for number in range(1, messages + 1):
        clock.advance(STEP)
        message, driver = "m{}".format(number), "d{}".format(number % 4)
        tracker.begin_tracking(message, _ROUTE, driver, {"number": number})
        if number % NEVER_FINISHED:
            under_way.append(message)
        if len(under_way) > UNDER_WAY:
            oldest = under_way.popleft()
            external = "epoch/" + oldest
            record = tracker.get_pending(oldest)
            assert record is not None
            named = record.driver_id if number % 2 else None
            receipt = DeliveryReceipt(oldest, "sent", named, external)
            assert tracker.finish_tracking(receipt) is record
            assert tracker.get_pending(oldest) is None
            assert tracker.get_receipt_by_external_id(external) is receipt
        if number % max(1, messages // 20) == 0:
            seen.append(memory())
            pending = len(tracker.list_pending())
            print("{:10} {:9} {:10} {:9}".format(number, pending, *seen[-1]))
    steady = seen[len(seen) // 10 :]
    growth = [max(column) / max(1, steady[0][i]) for i, column in enumerate(zip(*steady))]
    clock.advance(TTL)
    assert tracker.list_pending() == []
    left = memory()[0] - before[0]
    print("grown to {:.3f} x objects, {:.3f} x KiB; {} objects left".format(*growth, left))
    return int(max(growth) > 1.05 or left > 1000)


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES))
