"""The adapter for Blender: which main loop there is, undo steps, modal states, questions."""

from __future__ import annotations

import atexit
import threading
from typing import Any, Callable, List, Optional

from ...clock import SystemClock
from ...errors import Unsupported
from ...host.adapter import HostAdapter, Question, UndoChunk
from ...host.waiter import MainThreadWaiter
from .handlers import Handlers
from .questions import Questions
from .scene import BlenderScene
from .ticker import Ticker
from .undo import Step
from .unsaved import Unsaved
from .watch import ChangeWatch

__all__ = ["BlenderAdapter"]


class BlenderAdapter(HostAdapter):
    """One running Blender.

    With a window its own main loop runs the pump (see ``ticker``). In background mode and as a
    module Blender runs no timers at all: there the main thread calls :meth:`serve_forever`.
    """

    dcc_type = "blender"

    def __init__(self) -> None:
        import bpy

        self._background: bool = bpy.app.background
        self._main = threading.get_ident()
        self._exits: List[Callable[[], None]] = []
        self._file_events = Handlers()
        self._closed = False
        self._unsaved = Unsaved() if self._background else None
        self._scene = BlenderScene(undoable=not self._background, unsaved=self._unsaved)
        self._watch: Optional[ChangeWatch] = None
        self._questions: Optional[Questions] = None
        self._waiter: Optional[MainThreadWaiter] = None
        self._ticker: Optional[Ticker] = None
        if self._background:
            self._waiter = MainThreadWaiter()
        else:
            now = SystemClock().monotonic
            self._ticker = Ticker(now)
            self._watch = ChangeWatch(now)
            self._questions = Questions()

    def version(self) -> str:
        import bpy

        return "{}.{}.{}".format(*bpy.app.version)

    def is_main_thread(self) -> bool:
        return threading.get_ident() == self._main

    def wake(self, pump: Callable[[], None]) -> None:
        if self._waiter is not None:
            self._waiter.wake(pump)
        elif self._ticker is not None:
            self._ticker.wake(pump)

    def serve_forever(self) -> None:
        if self._waiter is None:
            raise Unsupported(
                "Blender with a window runs its own loop; nothing needs to serve.",
                hint="Leave out serve_forever(); start() is enough.",
            )
        self._waiter.serve_forever()

    def is_interactive(self) -> bool:
        return not self._background

    def modal_state(self) -> Optional[str]:
        """Return what keeps Blender from being changed: a render, or an operator that runs.

        Deleting or undoing while the user drags crashes Blender (tried in 3.4.1). Blender tells
        of running operators from 4.2 on; before, changes that just came in and that no operator
        has finished are taken for a drag.
        """
        import bpy

        # Came to the Python API after 3.0.
        running = getattr(bpy.app, "is_job_running", None)
        if running is not None and running("RENDER"):
            return "Render"
        told = "modal_operators" in bpy.types.Window.bl_rna.properties
        if not told:
            moving = self._watch is not None and self._watch.in_motion()
            return "A change by hand that is not finished" if moving else None
        for window in bpy.context.window_manager.windows:
            for operator in window.modal_operators:
                if _is_built_in(operator.bl_idname):
                    return str(operator.name)
        return None

    def undo_chunk(self, label: str) -> UndoChunk:
        if self._watch is None:
            # Background Blender keeps no undo stack that anybody could use.
            return UndoChunk()
        return Step(label, self._scene, self._watch)

    def on_exit(self, callback: Callable[[], None]) -> None:
        # Blender finalises its interpreter when it quits; no handler is older than that (5.1 has
        # one). The timer must be gone before: 4.2 crashes with one that is still registered.
        atexit.register(callback)
        self._exits.append(callback)
        if self._waiter is not None:
            # Without a window the script that serves is the host: it ends when serving does.
            self._waiter.on_exit(callback)

    def scene_path(self) -> str:
        import bpy

        path: str = bpy.data.filepath
        return path

    def on_scene_change(self, callback: Callable[[], None]) -> None:
        for name in ("load_post", "save_post"):
            self._file_events.hang_on(name, callback)

    def ask(self, question: Question) -> None:
        if self._questions is None:
            raise Unsupported("Blender in background mode has nobody to ask.", state="not_started")
        self._questions.ask(question)

    def scene_backend(self) -> Any:
        return self._scene

    def close(self) -> None:
        """End serving and take back the timer, handlers and panels. Twice is fine.

        In background mode what was asked for by :meth:`on_exit` runs as serving ends.
        """
        if self._waiter is not None:
            self._waiter.close()
        if self._closed or not self.is_main_thread():
            return
        self._closed = True
        for callback in self._exits:
            atexit.unregister(callback)
        self._file_events.close()
        for part in (self._ticker, self._watch, self._questions, self._unsaved):
            if part is not None:
                part.close()


def _is_built_in(operator: str) -> bool:
    """Return whether Blender itself brings this operator.

    Those of add-ons do not count: some run as long as Blender does, to watch keys or the mouse.
    """
    import bpy

    return bpy.types.Operator.bl_rna_get_subclass_py(operator) is None
