"""Wait for what another thread or process does, and tells nobody of."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable, Iterable

__all__ = ["becomes", "until"]

#: Seconds for anything that takes a moment.
DEADLINE = 30.0


def until(
    condition: Callable[[], Any],
    what: str = "it never came to that",
    deadline: float = DEADLINE,
    pause: float = 0.002,
) -> Any:
    """Wait until ``condition()`` is true, and return it. Raises AssertionError: ``what``."""
    end = time.monotonic() + deadline
    moment = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "{} ({:g} s)".format(what, deadline)
        moment.wait(pause)


async def becomes(
    condition: Callable[[], Any],
    tasks: Iterable[asyncio.Future[Any]] = (),
    deadline: float = DEADLINE,
    pause: float = 0.005,
) -> None:
    """Wait so on an asyncio loop. Raises, too, what one of the ``tasks`` has failed with."""
    end = time.monotonic() + deadline
    while not condition():
        for task in tasks:
            if task.done():
                task.result()
        assert time.monotonic() < end, "it never came to that ({:g} s)".format(deadline)
        await asyncio.sleep(pause)
