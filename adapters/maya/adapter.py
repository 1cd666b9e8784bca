"""The adapter for Maya: its event loop, undo steps, modal dialogs, questions, its end."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from typing import Any, Callable, List, Optional

from ...errors import Unsupported
from ...host.adapter import HostAdapter, Question, UndoChunk
from ...host.waiter import MainThreadWaiter
from ..qt import Questions, Wake, application, binding, modal_title
from . import tools
from .idle import DeferredWake, Gate, on_idle
from .messages import SCENE_CHANGES, Messages
from .scene import MayaScene
from .session import cmds, is_batch, on_main_thread, refuse_off_main, require_maya
from .undo import Chunk
from .window import main_window

__all__ = ["MayaAdapter"]


class MayaAdapter(HostAdapter):
    """One running Maya.

    With a window a queued event of Qt runs the pump, or where there is no binding of Qt Maya's
    idle queue; the first time not before Maya is idle, see ``idle``. In batch mode and in
    ``mayapy`` there is no idle: there the main thread calls :meth:`serve_forever`.
    """

    dcc_type = "maya"

    def __init__(self) -> None:
        require_maya()
        self._batch = is_batch()
        self._scene = MayaScene()
        self._messages = Messages()
        self._exits: List[Callable[[], None]] = []
        self._closed = False
        self._qt: Any = None
        self._questions: Optional[Questions] = None
        self._waker: Any = None
        self._gate: Optional[Gate] = None
        self._not_idle: Callable[[], None] = lambda: None
        if self._batch:
            self._waiter: Optional[MainThreadWaiter] = MainThreadWaiter()
            self._pass_on = self._waiter.wake
        else:
            self._waiter = None
            # In this order: Maya's own start need not have loaded its binding.
            qt = binding()
            self._qt = qt if application() is not None else None
            self._waker = DeferredWake() if self._qt is None else Wake(self._qt)
            self._gate = Gate(self._waker.wake)
            self._pass_on = self._gate.wake
            self._not_idle = on_idle(self._gate.open)

    def version(self) -> str:
        return str(cmds().about(version=True))

    def is_main_thread(self) -> bool:
        return on_main_thread()

    def wake(self, pump: Callable[[], None]) -> None:
        self._pass_on(pump)

    def serve_forever(self) -> None:
        if self._waiter is None:
            raise Unsupported(
                "Maya with a window runs its own loop; nothing needs to serve.",
                hint="Leave out serve_forever(); start() is enough.",
            )
        refuse_off_main()
        self._waiter.serve_forever()

    def is_interactive(self) -> bool:
        return not self._batch

    def modal_state(self) -> Optional[str]:
        return None if self._qt is None else modal_title(self._qt)

    def undo_chunk(self, label: str) -> UndoChunk:
        return Chunk(label)

    def on_exit(self, callback: Callable[[], None]) -> None:
        def once() -> None:
            if once in self._exits:
                self._exits.remove(once)
                callback()

        self._exits.append(once)
        # Also where Maya has a window: a crash of its own shutdown may skip its message.
        atexit.register(once)
        if self._waiter is not None:
            # Without a window the script that serves is the host: it ends when serving does.
            self._waiter.on_exit(once)
        else:
            self._messages.hang_on("kMayaExiting", once)

    def scene_path(self) -> str:
        return str(cmds().file(query=True, sceneName=True) or "")

    def on_scene_change(self, callback: Callable[[], None]) -> None:
        for name in SCENE_CHANGES:
            self._messages.hang_on(name, callback)

    def ask(self, question: Question) -> None:
        if self._qt is None:
            raise Unsupported(
                "Nobody can be asked in a Maya without a window.",
                hint="Decide it by a setting before Maya is started.",
                state="not_started",
            )
        if self._questions is None:
            self._questions = Questions(self._qt, lambda: main_window(self._qt))
        self._questions.ask(question)

    def scene_backend(self) -> Any:
        return self._scene

    def tool_modules(self) -> List[Any]:
        return [tools]

    def close(self) -> None:
        """End serving and take back callbacks, questions and the wake. Twice is fine.

        Without a window what was asked for by :meth:`on_exit` runs as serving ends.
        """
        if self._waiter is not None:
            self._waiter.close()
        if self._closed or not self.is_main_thread():
            return
        self._closed = True
        self._not_idle()
        for once in self._exits:
            atexit.unregister(once)
        # All of it, whatever one raises: there is no second time. The last one comes first.
        with ExitStack() as steps:
            for part in (self._waker, self._gate, self._questions, self._messages):
                if part is not None:
                    steps.callback(part.close)
