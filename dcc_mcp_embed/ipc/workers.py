"""Threads for functions that are not ours: as many as are needed, none that anybody waits for.

A function that never returns costs its thread and nothing else: the threads are daemons, and a
spare one is made before a function begins, by the very thread that runs it. So whoever hands a
function over, such as an event loop, never starts a thread and never waits.

Threads of ours must not collect the host's cyclic garbage (see ``collector``). A worker's function
keeps the collector off like other work of ours does, but not for long: a spare worker gives it back
when its patience is over, so that a function that never returns does not end all collections.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, List, Optional

from .. import collector

__all__ = ["Workers"]

#: Seconds that a thread waits for work, and that one function may keep the collector off.
_PATIENCE = 5.0


class Workers:
    """At most ``most`` threads, started when needed; with one, functions run in order.

    Beyond them ``line`` functions wait for their turn, about: it is looked at without a lock. What
    a function raises goes to ``on_error(function, error)``, on its thread. ``litter()`` is called
    on a worker when its garbage has made a collection due, which an idle host would never run.
    """

    def __init__(
        self,
        most: int,
        line: int = 1024,
        name: str = "dcc-mcp-embed ipc",
        on_error: Callable[[Any, BaseException], None] = lambda function, error: None,
        litter: Callable[[], None] = lambda: None,
        patience: float = _PATIENCE,
    ) -> None:
        self._most = most
        self._line = line
        self._name = name
        self._on_error = on_error
        self._litter = litter
        self._patience = patience
        #: Its ``put`` neither blocks nor takes a lock that another thread could hold.
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._stopping = False
        #: Those that there are, by their number; none is ever joined.
        self._threads: List[int] = []
        #: Those whose function keeps the collector off.
        self._pausing: List[int] = []

    def start(self) -> None:
        """Start the first thread, so that :meth:`run` starts none; idempotent.

        Raises RuntimeError where the system, or the end of the interpreter, allows no thread.
        """
        with self._lock:
            if self._threads or self._stopping:
                return
            # Counted as idle before it runs.
            self._idle += 1
            self._threads.append(0)
        try:
            self._spawn()
        except BaseException:
            # Whatever kept it from starting goes on to the caller; it counts no more.
            with self._lock:
                self._idle -= 1
                self._threads.remove(0)
            raise

    def run(self, function: Callable[..., Any], *args: Any) -> bool:
        """Have ``function(*args)`` run on a worker soon. Any thread, never blocks.

        False: too many wait already, or the workers have been stopped.
        """
        if self._stopping or self._queue.qsize() >= self._line:
            return False
        if not self._threads:
            self.start()
        self._queue.put((function, args))
        return True

    def stop(self) -> None:
        """Run nothing more; idempotent. Any thread, waits for nothing.

        Idle threads end now, the others when their function does. What waits never runs.
        """
        self._stopping = True
        self._queue.put(None)

    # -- on the workers -----------------------------------------------------------------------

    def _spawn(self) -> None:
        collector.Thread(self._work, self._name).start()

    def _work(self) -> None:
        me = threading.get_ident()
        with self._lock:
            self._threads[self._threads.index(0)] = me
        while True:
            job = self._next(me)
            if job is None:
                return
            self._perform(me, *job)
            del job

    def _next(self, me: int) -> Optional[Any]:
        """Return the next function and its arguments; None: this thread is to end.

        Whoever gets here has been counted as idle.
        """
        patience: Optional[float] = self._patience
        while True:
            try:
                job = self._queue.get(True, patience)
            except queue.Empty:
                with self._lock:
                    self._relieve()
                    if self._idle > 1:
                        self._idle -= 1
                        self._threads.remove(me)
                        return None
                    # The last one stays; it has to wake up as long as there may be a pause to end.
                    busy = len(self._threads) > self._idle
                    patience = self._patience if busy else None
                continue
            if self._stopping:
                # For the next one.
                self._queue.put(None)
                with self._lock:
                    self._idle -= 1
                    self._threads.remove(me)
                return None
            return job

    def _perform(self, me: int, function: Callable[..., Any], args: Any) -> None:
        self._begin(me)
        try:
            function(*args)
        except BaseException as error:
            # Also what ends a program: nobody sits at this thread to have it ended.
            self._tell(function, error)
        finally:
            due = collector.due()
            self._end(me)
        if due:
            self._litter()

    def _tell(self, function: Any, error: BaseException) -> None:
        try:
            self._on_error(function, error)
        except Exception:
            pass  # such as a log that nobody reads any more: there is nobody else to be told

    def _begin(self, me: int) -> None:
        spare = False
        with self._lock:
            self._idle -= 1
            if self._idle:
                self._pausing.append(me)
                collector.pause()
                return
            if len(self._threads) < self._most and not self._stopping:
                spare = True
                self._idle += 1
                self._threads.append(0)
                self._pausing.append(me)
                collector.pause()
            else:
                # All are busy: there is nobody who could end the pause.
                self._relieve()
        if spare:
            try:
                self._spawn()
            except RuntimeError:
                # No more threads, or the end of the interpreter: what waits, waits for us.
                with self._lock:
                    self._idle -= 1
                    self._threads.remove(0)
                    self._relieve()

    def _end(self, me: int) -> None:
        with self._lock:
            self._idle += 1
            if me in self._pausing:
                self._pausing.remove(me)
                collector.resume()

    def _relieve(self) -> None:
        """Give the collector back to the host, also for the functions that go on."""
        for _ in self._pausing:
            collector.resume()
        self._pausing.clear()
