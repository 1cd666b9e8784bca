"""The two threads on which tools run, each behind a queue: the host's main one and a worker."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Tuple

from .. import collector
from ..clock import Clock
from ..config import Limits
from ..errors import ToolError
from ..host.adapter import HostAdapter
from ..host.dispatch import Dispatcher
from ..host.job import Job
from ..host.worker import Worker
from ..logbook import LogBook

__all__ = ["make_lanes"]

#: How long the worker waits for an idle main thread to collect, seconds.
_CATCH_UP = 0.05


def make_lanes(
    adapter: HostAdapter,
    clock: Clock,
    limits: Limits,
    later: Callable[..., Any],
    logbook: LogBook,
    main_turned: Callable[[], None],
) -> Tuple[Dict[str, Dispatcher], Worker]:
    """Return the lanes by name, ``main`` and ``worker``, and the worker itself. Starts no thread.

    ``later(delay, function, *args)`` and ``main_turned()``: see Dispatcher.
    """

    def lane(executor: Any, turned: Callable[[], None]) -> Dispatcher:
        return Dispatcher(
            executor,
            clock,
            later,
            lambda level, text: logbook.add(level, "dispatch", text),
            limits.queued_jobs,
            limits.pump_budget,
            turned,
        )

    main = lane(adapter, main_turned)
    worker = Worker(
        lambda: _collect_on(main, clock),
        log=lambda level, text: logbook.add(level, "worker", text),
    )
    return {"main": main, "worker": lane(worker, lambda: None)}, worker


def _collect_on(main: Dispatcher, clock: Clock) -> None:
    """Have the host's main thread collect what a worker tool has left. Worker thread.

    An idle host does so at once; a busy one allocates, and so collects, by itself, and is asked
    for nothing.
    """
    if main.holder() is not None:
        return
    over = threading.Event()
    job = Job(
        clock.token_bytes(8).hex(),
        "collect",
        collector.catch_up,
        lambda value, error, report: value,
        lambda job, answer, error: over.set(),
        writes=False,
    )
    try:
        main.submit(job)
    except ToolError:
        # Busy, stalled or closing: a later call finds it still due.
        return
    if not over.wait(_CATCH_UP):
        # It is not idle after all: what waits in its line is what somebody has asked for.
        try:
            main.cancel(job.job_id)
        except ToolError:
            # It is over by now.
            return
