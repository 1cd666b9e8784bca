"""The adapter for 3ds Max: with its window, or as ``3dsmaxbatch``."""

from __future__ import annotations

import atexit
from typing import Any, Callable, List, Optional

from ...errors import StartError, Unsupported
from ...host.adapter import HostAdapter, Question, UndoChunk
from ...host.waiter import MainThreadWaiter
from .events import Events
from .headless import is_headless
from .interface import Interface
from .runtime import Runtime
from .scene import MaxScene
from .undo import Step

__all__ = ["MaxAdapter"]

#: What tells that another file is open, or this one has another name.
_SCENE_EVENTS = ("filePostOpen", "filePostSave", "systemPostNew", "systemPostReset")
#: The year of 3ds Max 1 would be this one, counted as it has counted since 2008.
_YEAR_0 = 1998


class MaxAdapter(HostAdapter):
    """One running 3ds Max. Made on its main thread.

    With a window Qt's loop, which is that of 3ds Max, runs the pump. ``3dsmaxbatch`` loads no user
    interface and ends with its script: there the script's thread calls :meth:`serve_forever`.
    """

    dcc_type = "3dsmax"

    def __init__(self) -> None:
        self._runtime = Runtime()
        self._interface: Optional[Interface] = None
        self._waiter: Optional[MainThreadWaiter] = None
        batch = is_headless(self._runtime.rt)
        if batch:
            self._waiter = MainThreadWaiter()
        else:
            self._interface = Interface(self._runtime)
        self._scene = MaxScene(self._runtime, batch)
        self._events = Events(self._runtime)
        self._exits: List[Callable[[], None]] = []
        self._pump: Optional[Callable[[], Any]] = None
        # One object for all wakes: the way to the main thread tells by it that it is woken already.
        self._quietly = self._run
        self._closed = False

    def version(self) -> str:
        """Return the year, as 3ds Max tells it since 2020; before, it only has a number."""
        told = list(self._runtime.rt.maxVersion())
        if len(told) > 7:
            return str(told[7])
        return str(int(told[0]) // 1000 + _YEAR_0)

    def is_main_thread(self) -> bool:
        return self._runtime.is_main_thread()

    def wake(self, pump: Callable[[], None]) -> None:
        self._pump = pump
        if self._waiter is not None:
            self._waiter.wake(self._quietly)
        elif self._interface is not None:
            self._interface.wake(self._quietly)

    def _run(self) -> Any:
        """Run the pump in quiet mode: 3ds Max answers its own questions then, it opens no dialog
        that a call would have to wait behind."""
        pump = self._pump
        quiet = self._runtime.pymxs.quiet(True)
        quiet.__enter__()
        try:
            return pump() if pump is not None else None
        finally:
            quiet.__exit__(None, None, None)

    def serve_forever(self) -> None:
        if self._waiter is None:
            raise Unsupported(
                "3ds Max with a window runs its own loop; nothing needs to serve.",
                hint="Leave out serve_forever(); start() is enough.",
            )
        if not self.is_main_thread():
            raise StartError("serve_forever() must be called on the main thread of 3ds Max")
        self._waiter.serve_forever()

    def is_interactive(self) -> bool:
        return self._interface is not None

    def modal_state(self) -> Optional[str]:
        """Return what keeps the scene from being changed; see ``interface``. Batch: nothing."""
        return None if self._interface is None else self._interface.modal_state()

    def undo_chunk(self, label: str) -> UndoChunk:
        return Step(self._runtime, label, shows=self._interface is not None)

    def on_exit(self, callback: Callable[[], None]) -> None:
        # Once, whoever tells first.
        if not self._exits:
            if self._waiter is not None:
                # The script that serves is the host: it ends when serving does.
                self._waiter.on_exit(self._exit)
                atexit.register(self._exit)
            elif self._interface is not None:
                self._interface.on_quit(self._exit)
            self._events.hang_on(("preSystemShutdown",), self._exit)
        self._exits.append(callback)

    def _exit(self) -> None:
        exits, self._exits = self._exits, []
        for callback in exits:
            callback()

    def scene_path(self) -> str:
        return self._scene.file()

    def on_scene_change(self, callback: Callable[[], None]) -> None:
        self._events.hang_on(_SCENE_EVENTS, callback)

    def ask(self, question: Question) -> None:
        if self._interface is None:
            raise Unsupported(
                "3dsmaxbatch has nobody to ask: '{}'.".format(question.title),
                hint="Decide it by a setting before 3ds Max is started.",
                state="not_started",
            )
        self._interface.ask(question)

    def scene_backend(self) -> Any:
        return self._scene

    def tool_modules(self) -> List[Any]:
        from . import maxscript

        return [maxscript]

    def close(self) -> None:
        """End serving; take back the callbacks, the questions and the streams. Twice is fine."""
        if self._waiter is not None:
            self._waiter.close()
        if self._closed or not self.is_main_thread():
            return
        self._closed = True
        atexit.unregister(self._exit)
        self._events.close()
        if self._interface is not None:
            self._interface.close()
