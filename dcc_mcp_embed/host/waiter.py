"""The loop of a host that has none: wait on the main thread, run the pump when woken."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, List, Optional

from ..errors import EmbedError

__all__ = ["MainThreadWaiter"]

#: A lock wait cannot be interrupted on Windows, so Ctrl-C is looked for this often there. None
#: waits for good: on POSIX a signal ends the wait, and an idle host wakes up not once.
SLICE_S: Optional[float] = 0.5 if os.name == "nt" else None


class MainThreadWaiter:
    """``wake``, ``serve_forever`` and ``close`` of an adapter for a host without an event loop.

    The main thread is the one that made the waiter, or, while :meth:`serve_forever` runs, the one
    that runs it.
    """

    def __init__(self, slice_s: Optional[float] = SLICE_S) -> None:
        self._slice_s = slice_s
        self._owner = threading.get_ident()
        self._server: Optional[int] = None
        # Held while there is nothing to do: waking is releasing it. The bare lock is both the
        # flag and the wait, so waking is one call, coalesces by itself, and takes no other lock.
        self._nothing = threading.Lock()
        self._nothing.acquire()
        self._pump: Optional[Callable[[], Any]] = None
        self._closed = False
        self._on_exit: List[Callable[[], None]] = []

    def is_main_thread(self) -> bool:
        """Return whether the caller is the main thread. Any thread."""
        return threading.get_ident() == (self._owner if self._server is None else self._server)

    def wake(self, pump: Callable[[], Any]) -> None:
        """Have the serving thread run ``pump`` soon. Any thread, never blocks."""
        self._pump = pump
        self._release()

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when serving ends. Main thread."""
        self._on_exit.append(callback)

    def serve_forever(self) -> None:
        """Run the pump whenever it is woken, until :meth:`close`; then call the exit callbacks.

        Ctrl-C passes through as KeyboardInterrupt, also where a job ended with it: the pump then
        returns it, and no other host's loop takes it. Raises EmbedError if another thread serves.
        """
        if self._server is not None:
            raise EmbedError("serve_forever() already runs; one thread at a time can serve.")
        self._server = threading.get_ident()
        try:
            timeout = -1 if self._slice_s is None else self._slice_s
            while not self._closed:
                if self._nothing.acquire(timeout=timeout) and not self._closed:
                    pump = self._pump
                    interrupt = pump() if pump is not None else None
                    if isinstance(interrupt, KeyboardInterrupt):
                        try:
                            raise interrupt
                        finally:
                            # Its traceback holds this frame, which must not hold it.
                            interrupt = None
        except BaseException:
            # What ended the serving matters more than what goes wrong on the way out.
            self._exit()
            raise
        else:
            failure = self._exit()
            if failure is not None:
                raise failure
        finally:
            self._server = None

    def close(self) -> None:
        """End :meth:`serve_forever`. Any thread; twice is fine."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        try:
            self._nothing.release()
        except RuntimeError:
            # Released already: the serving thread has yet to take it, and will then see this too.
            pass

    def _exit(self) -> Optional[Exception]:
        """Call every exit callback once, the last first; return the first error."""
        failure: Optional[Exception] = None
        while self._on_exit:
            try:
                self._on_exit.pop()()
            except Exception as error:  # one broken callback must not cost the others theirs
                failure = failure or error
        return failure
