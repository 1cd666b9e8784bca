"""``hdefereval``: no stub has it, so each name here says who tells of it."""

from __future__ import annotations

import sys
import threading
import traceback
import types
from typing import Any, Dict, List, Optional, Tuple

from .strict import ledger

__all__ = ["SOURCES", "Deferring", "make_module"]

_DOCS = "https://www.sidefx.com/docs/houdini/hom/hdefereval.html"
_SYNAPSE = "Synapse host/main_thread_executor.py, which read hdefereval.py of 20.5.445"

#: Name -> who tells of it. executeInMainThread, which some pages name, does not exist.
SOURCES = {
    "executeDeferred": _DOCS,
    "executeDeferredAfterWaiting": _DOCS,
    "executeInMainThreadWithResult": _DOCS,
    "execute_in_main_thread_with_result": _DOCS + " (the older name of it)",
    "execute_deferred": _DOCS + " (the older name of it)",
    "_queueDeferred": _SYNAPSE,
    "_processDeferred": _SYNAPSE,
    "_last_result": _SYNAPSE,
    "_last_exc_info": _SYNAPSE,
}

_Job = Tuple[Any, Tuple[Any, ...], Dict[str, Any], bool, int]


class Deferring:
    """The queue. One job per tick of the event loop, whose callback is there only while it works.

    ``dead_locks``: whether a blocking call on the main thread really waits for itself, for ever.
    Else it is written down as the mistake that it is.
    """

    def __init__(self, hou: Any, dead_locks: bool = False) -> None:
        self._hou = hou
        self._main = threading.get_ident()
        self._dead_locks = dead_locks
        self._queue: List[_Job] = []
        self._running = False
        self._condition = threading.Condition()
        #: How many calls were made that wait for a result.
        self.blocking = 0
        self.last_result: Any = None
        self.last_exc_info: Any = None

    def queue(
        self, code: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any], block: bool, waits: int = 0
    ) -> Any:
        if (args or kwargs) and not callable(code):
            raise ValueError("Arguments are for callables only")
        self.blocking += block
        if block and threading.get_ident() == self._main:
            ledger().blame("hdefereval.executeInMainThreadWithResult dead-locks on the main thread")
            if not self._dead_locks:
                raise RuntimeError("Houdini would hang here, for ever")
        with self._condition:
            self._queue.append((code, args, kwargs, block, waits))
            if not self._running:
                self._running = True
                self._hou.ui.addEventLoopCallback(self.process)
            if not block:
                return None
            # Whose result has come is not asked: the slots are everybody's.
            self._condition.wait()
        if self.last_exc_info is not None:
            raise self.last_exc_info[1]
        return self.last_result

    def process(self) -> None:
        """Be the event loop's callback. Main thread."""
        with self._condition:
            if not self._queue:
                self._running = False
                self._hou.ui.removeEventLoopCallback(self.process)
                return
            code, args, kwargs, block, waits = self._queue.pop(0)
            if waits > 0:
                self._queue.append((code, args, kwargs, block, waits - 1))
                return
        result, problem = None, None
        try:
            if callable(code):
                result = code(*args, **kwargs)
            else:
                result = eval(code, vars(sys.modules["__main__"]))
        except Exception:
            problem = sys.exc_info()
        if not block:
            if problem is not None:
                traceback.print_exception(*problem)
            return
        with self._condition:
            self.last_result, self.last_exc_info = result, problem
            self._condition.notify_all()

    @property
    def waiting(self) -> int:
        return len(self._queue)


class _Module(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        ledger().blame("hdefereval has no {}".format(name))
        raise AttributeError(name)


def make_module(deferring: Deferring) -> types.ModuleType:
    """Return the module ``hdefereval``. Its functions may be called on any thread."""

    def executeDeferred(code: Any, *args: Any, **kwargs: Any) -> None:
        deferring.queue(code, args, kwargs, block=False)

    def executeDeferredAfterWaiting(code: Any, num_waits: int, *args: Any, **kwargs: Any) -> None:
        deferring.queue(code, args, kwargs, block=False, waits=num_waits)

    def executeInMainThreadWithResult(code: Any, *args: Any, **kwargs: Any) -> Any:
        return deferring.queue(code, args, kwargs, block=True)

    module = _Module("hdefereval")
    functions = (executeDeferred, executeDeferredAfterWaiting, executeInMainThreadWithResult)
    vars(module).update({one.__name__: one for one in functions})
    vars(module)["execute_deferred"] = executeDeferred
    vars(module)["execute_in_main_thread_with_result"] = executeInMainThreadWithResult
    return module


def drain(deferring: Optional[Deferring], loop: Any, times: int = 100) -> None:
    """Let what was deferred run, and its callback leave. Main thread."""
    for _ in range(times):
        if deferring is None or not (deferring.waiting or deferring._running):
            return
        loop.tick()
