"""The standalone host: its main thread is whichever thread serves."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ...errors import Unsupported
from ...host.adapter import HostAdapter, Question, UndoChunk
from ...host.waiter import SLICE_S, MainThreadWaiter
from .backend import StandaloneBackend
from .scene import Scene

__all__ = ["StandaloneAdapter"]


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
        self._waiter = MainThreadWaiter(slice_s)

    def version(self) -> str:
        return "1.0"

    def is_main_thread(self) -> bool:
        return self._waiter.is_main_thread()

    def wake(self, pump: Callable[[], None]) -> None:
        self._waiter.wake(pump)

    def serve_forever(self) -> None:
        self._waiter.serve_forever()

    def close(self) -> None:
        """End :meth:`serve_forever`. Any thread; twice is fine."""
        self._waiter.close()

    def is_interactive(self) -> bool:
        return False

    def modal_state(self) -> Optional[str]:
        return self.modal

    def undo_chunk(self, label: str) -> UndoChunk:
        return SceneChunk(self.scene, label)

    def on_exit(self, callback: Callable[[], None]) -> None:
        self._waiter.on_exit(callback)

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
