"""The adapter for Houdini: which loop there is, undo steps, dialogs, questions, its end."""

from __future__ import annotations

import atexit
import sys
from contextlib import ExitStack
from typing import Any, Callable, List, Optional

from ...errors import Unsupported
from ...host.adapter import HostAdapter, Question, UndoChunk
from ...host.waiter import MainThreadWaiter
from .hipfile import FileEvents
from .hom import Hom
from .scene import HoudiniScene
from .undo import Stack, Step

__all__ = ["HoudiniAdapter"]


class HoudiniAdapter(HostAdapter):
    """One running Houdini. Made on its main thread.

    With a user interface its own event loop runs the pump: woken by Qt, else by ``hdefereval``,
    else by a callback of the event loop. ``hython`` has no loop: there the main thread calls
    :meth:`serve_forever`. asyncio, for which Houdini installs a policy of its own, is not used.
    """

    dcc_type = "houdini"

    def __init__(self) -> None:
        self._hom = Hom()
        self._pump: Optional[Callable[[], Any]] = None
        self._exits: List[Callable[[], None]] = []
        self._closed = False
        self._waiter: Optional[MainThreadWaiter] = None
        self._waker: Any = None
        self._qt: Any = None
        self._on_quit: Any = None
        self._questions: Any = None
        self._interactive = bool(self._hom().isUIAvailable())
        if self._interactive:
            self._find_a_wake()
        else:
            self._waiter = MainThreadWaiter()
        self._file_events = FileEvents(self._hom, self._quit)
        self._stack = Stack()
        self._scene = HoudiniScene(self._hom, self._stack)

    def version(self) -> str:
        return str(self._hom().applicationVersionString())

    def is_main_thread(self) -> bool:
        return self._hom.is_main_thread()

    def wake(self, pump: Callable[[], None]) -> None:
        self._pump = pump
        if self._waiter is not None:
            self._waiter.wake(self._run)
        else:
            self._waker.wake(self._run)

    def serve_forever(self) -> None:
        if self._waiter is None:
            raise Unsupported(
                "Houdini with a user interface runs its own loop; nothing needs to serve.",
                hint="Leave out serve_forever(); start() is enough.",
            )
        if not self.is_main_thread():
            raise Unsupported(
                "HOM stays with the thread that the adapter was made on.",
                hint="Call serve_forever() where start() was called.",
            )
        self._waiter.serve_forever()

    def is_interactive(self) -> bool:
        return self._interactive

    def modal_state(self) -> Optional[str]:
        """Return the title of the open dialog, or that a file is being loaded."""
        loading = getattr(self._hom().hipFile, "isLoadingHipFile", None)
        if loading is not None and loading():
            # Houdini draws its progress in a loop of its own, in which our pump may run.
            return "Loading a hip file"
        if self._qt is None:
            return None
        from ..qt import modal_title

        title: Optional[str] = modal_title(self._qt)
        return title

    def undo_chunk(self, label: str) -> UndoChunk:
        return Step(label, self._hom, self._stack)

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when Qt's application is about to quit, or when Python ends.

        HOM has no event for it. Whichever comes first counts, also a scene that is cleared while
        Houdini exits, and in hython the end of serving.
        """
        if not self._exits:
            atexit.register(self._end)
            if self._waiter is not None:
                self._waiter.on_exit(self._leave)
            elif self._qt is not None:
                from ..qt import OnQuit

                self._on_quit = OnQuit(self._qt, self._quit)
        self._exits.append(callback)

    def scene_path(self) -> str:
        return self._scene.file()

    def on_scene_change(self, callback: Callable[[], None]) -> None:
        self._file_events.add(callback)

    def ask(self, question: Question) -> None:
        if self._qt is None:
            super().ask(question)
            return
        if self._questions is None:
            from ..qt import Questions

            self._questions = Questions(self._qt, parent=self._window)
        self._questions.ask(question)

    def scene_backend(self) -> HoudiniScene:
        return self._scene

    def tool_modules(self) -> List[Any]:
        from . import tools

        return [tools]

    def close(self) -> None:
        """End serving and take back callbacks, dialogs and Qt's objects. Twice is fine."""
        if self._waiter is not None:
            self._waiter.close()
        if self._closed or not self.is_main_thread():
            return
        self._closed = True
        atexit.unregister(self._end)
        # All of it, whatever one raises: there is no second time. The last one comes first.
        with ExitStack() as steps:
            for part in (self._waker, self._on_quit, self._questions, self._file_events):
                if part is not None:
                    steps.callback(part.close)

    # -- inside -------------------------------------------------------------------------------

    def _find_a_wake(self) -> None:
        from ..qt import Wake, application, binding

        if application() is None:
            try:
                # Loads the binding that this Houdini is built with.
                self._hom().qt.mainWindow()
            except Exception:  # whatever an installation without a usable Qt raises
                pass
        if application() is not None:
            self._qt = binding()
        if self._qt is not None:
            self._waker = Wake(self._qt)
            return
        from .waking import DeferredWake, IdleWake

        try:
            self._waker = DeferredWake()
        except ImportError:
            self._waker = IdleWake(self._hom)

    def _run(self) -> Any:
        """Run the pump, unless there is no Houdini any more that its jobs could be run in."""
        pump = self._pump
        return pump() if pump is not None and self._hom.alive() else None

    def _window(self) -> Any:
        return self._hom().qt.mainWindow() if self._hom.alive() else None

    def _leave(self) -> None:
        """Call every exit callback once, the last first."""
        while self._exits:
            try:
                self._exits.pop()()
            except Exception:  # one broken callback must not cost the others theirs
                sys.excepthook(*sys.exc_info())

    def _quit(self) -> None:
        self._leave()
        # What comes from now on comes too late for HOM.
        self._hom.end()

    def _end(self) -> None:
        # Python ends: what there is of Houdini may not be touched any more.
        self._hom.end()
        self._leave()
