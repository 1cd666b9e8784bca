"""The standalone host: its main thread is whichever thread serves."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, List, Optional

from ...errors import EmbedError, Unsupported
from ...host.adapter import HostAdapter, Question, UndoChunk
from .backend import StandaloneBackend
from .scene import Scene

__all__ = ["StandaloneAdapter"]

#: A lock wait cannot be interrupted on Windows, so Ctrl-C is looked for this often there. None
#: waits for good: on POSIX a signal ends the wait, and an idle host wakes up not once.
SLICE_S: Optional[float] = 0.5 if os.name == "nt" else None


class StandaloneAdapter(HostAdapter):
    """A host with a scene in memory and no user interface.

    The main thread is the one that made the adapter, or, while :meth:`serve_forever` runs, the
    one that runs it.
    """

    dcc_type = "standalone"

    def __init__(self, scene: Optional[Scene] = None, slice_s: Optional[float] = SLICE_S) -> None:
        self.scene = Scene() if scene is None else scene
        #: What :meth:`modal_state` returns: lets a test play a host with a dialog open.
        self.modal: Optional[str] = None
        #: What :meth:`ask` calls: lets a test play the person at the host.
        self.answerer: Optional[Callable[[Question], None]] = None
        self._slice_s = slice_s
        self._owner = threading.get_ident()
        self._server: Optional[int] = None
        # Held while there is nothing to do: waking is releasing it. The bare lock is both the
        # flag and the wait, so waking is one call, coalesces by itself, and takes no other lock.
        self._nothing = threading.Lock()
        self._nothing.acquire()
        self._pump: Optional[Callable[[], None]] = None
        self._closed = False
        self._on_exit: List[Callable[[], None]] = []

    def version(self) -> str:
        return "1.0"

    def is_main_thread(self) -> bool:
        return threading.get_ident() == (self._owner if self._server is None else self._server)

    def wake(self, pump: Callable[[], None]) -> None:
        self._pump = pump
        self._release()

    def _release(self) -> None:
        try:
            self._nothing.release()
        except RuntimeError:
            # Released already: the serving thread has yet to take it, and will then see this too.
            pass

    def serve_forever(self) -> None:
        """Run the pump whenever it is woken, until :meth:`close`; then call the exit callbacks.

        Ctrl-C passes through as KeyboardInterrupt. Raises EmbedError if another thread serves.
        """
        if self._server is not None:
            raise EmbedError("serve_forever() already runs; one thread at a time can serve.")
        self._server = threading.get_ident()
        try:
            timeout = -1 if self._slice_s is None else self._slice_s
            while not self._closed:
                if self._nothing.acquire(timeout=timeout) and not self._closed:
                    pump = self._pump
                    if pump is not None:
                        pump()
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

    def _exit(self) -> Optional[Exception]:
        """Call every exit callback once, the last first; return the first error."""
        failure: Optional[Exception] = None
        while self._on_exit:
            try:
                self._on_exit.pop()()
            except Exception as error:  # one broken callback must not cost the others theirs
                failure = failure or error
        return failure

    def close(self) -> None:
        """End :meth:`serve_forever`. Any thread; twice is fine."""
        self._closed = True
        self._release()

    def is_interactive(self) -> bool:
        return False

    def modal_state(self) -> Optional[str]:
        return self.modal

    def undo_chunk(self, label: str) -> UndoChunk:
        return SceneChunk(self.scene, label)

    def on_exit(self, callback: Callable[[], None]) -> None:
        self._on_exit.append(callback)

    def scene_path(self) -> str:
        return self.scene.file

    def ask(self, question: Question) -> None:
        if self.answerer is None:
            raise Unsupported(
                "Nobody sits at a standalone host to answer '{}'.".format(question.title),
                hint="Decide it by a setting before the host is started.",
                state="not_started",
            )
        self.answerer(question)

    def scene_backend(self) -> StandaloneBackend:
        return StandaloneBackend(self.scene)


class SceneChunk(UndoChunk):
    """One undo step of the scene; left by an exception it leaves nothing behind."""

    def __init__(self, scene: Scene, label: str) -> None:
        self._scene = scene
        self._label = label

    def __enter__(self) -> SceneChunk:
        self._scene.open_chunk(self._label)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.steps = self._scene.close_chunk()
        else:
            self._scene.roll_back_chunk()
            self.steps = 0
