"""A loop of asyncio on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import Any, Iterator

from fakes.driving import DEADLINE

__all__ = ["asyncio_running"]


@contextmanager
def asyncio_running() -> Iterator[Any]:
    """Yield a loop of asyncio that runs already."""
    loop = asyncio.new_event_loop()
    runs = threading.Event()
    loop.call_soon(runs.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        assert runs.wait(DEADLINE)
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)
        loop.close()
