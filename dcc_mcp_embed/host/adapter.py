"""The contract between this package and a host application.

An adapter is small on purpose: the dispatcher does the queueing, the deadlines, the undo policy
and the honesty for every host. What stands here is only what differs between hosts. A method says
which thread may call it; "any thread" ones must never touch the host's API.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Callable, List, Optional, Sequence

from ..errors import Unsupported
from ..records import NamedTuple

__all__ = ["Choice", "HostAdapter", "Question", "UndoChunk"]

#: Answers to a :class:`Question`. ``once``: this call; ``process``: as long as the host runs;
#: ``client``: this client as long as the host runs; ``never``: refuse from now on.
Choice = str


class Question(NamedTuple):
    """Something only the person at the host may decide."""

    title: str
    text: str
    #: (choice, label) pairs, in the order to show them.
    choices: Sequence[Any]
    #: Called once with the choice, from any thread. An unanswered question is never called back.
    answer: Callable[[Choice], None]


class UndoChunk:
    """One undo step of the host, open between ``__enter__`` and ``__exit__``. Main thread.

    ``__exit__`` closes the step on every path. Left by an exception, a host that can tell that
    something was recorded undoes it. Afterwards ``steps`` is how many undo steps the user now
    has from it: 0 when nothing was recorded, otherwise 1.
    """

    steps = 0

    def __enter__(self) -> UndoChunk:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        return None


#: What an adapter must bring.
_MUST = ("version", "is_main_thread", "wake", "is_interactive", "scene_backend")


class HostAdapter:
    """What a host must offer, and what it may. Subclasses live in ``adapters/``.

    One that lacks what it must bring cannot be made. No metaclass sees to that: an adapter may be
    one of the host's own objects as well, Qt's for one, whose classes have another.
    """

    #: Kind of host as the dcc-mcp registry spells it: maya, houdini, 3dsmax, blender, standalone.
    dcc_type = "unknown"

    def __new__(cls, *_: Any, **__: Any) -> Any:
        lacking = [one for one in _MUST if getattr(cls, one) is getattr(HostAdapter, one)]
        if lacking:
            raise TypeError("{} lacks {}".format(cls.__name__, ", ".join(lacking)))
        return super().__new__(cls)

    @abstractmethod
    def version(self) -> str:
        """Return the host's version. Main thread; called once at start."""

    @abstractmethod
    def is_main_thread(self) -> bool:
        """Return whether the caller runs on the host's main thread. Any thread."""

    @abstractmethod
    def wake(self, pump: Callable[[], None]) -> None:
        """Ask the host to run ``pump`` on its main thread soon. Any thread, never blocks.

        ``pump`` is always the same callable. Waking twice before it ran is one run. It never
        raises; it returns the KeyboardInterrupt that a tool was broken off by, if there was one,
        for hosts whose main thread is ours to interrupt.
        """

    @abstractmethod
    def is_interactive(self) -> bool:
        """Return whether a person sits at a user interface. Main thread; called once at start."""

    def modal_state(self) -> Optional[str]:
        """Return the title of the modal dialog that is open, or None. Main thread."""
        return None

    def undo_chunk(self, label: str) -> UndoChunk:
        """Return one undo step named ``label``, not yet entered. Main thread."""
        return UndoChunk()

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the main thread when the host begins to exit. Main thread."""

    def scene_path(self) -> str:
        """Return the open scene's file, or ``""`` when it was never saved. Main thread."""
        return ""

    def on_scene_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the main thread when the host has opened or saved a file.

        Main thread. A host that does not tell of it is looked at after each call.
        """

    def ask(self, question: Question) -> None:
        """Show ``question`` without blocking anything. Main thread; only if interactive.

        Raises Unsupported where nobody can be asked.
        """
        raise Unsupported(
            "Nobody can be asked in {}: '{}'.".format(self.dcc_type, question.title),
            hint="Decide it by a setting before the host is started.",
            state="not_started",
        )

    @abstractmethod
    def scene_backend(self) -> Any:
        """Return the host's ``tools.backend.SceneBackend``. Main thread; called once at start."""

    def tool_modules(self) -> List[Any]:
        """Return modules with tools only this host has. Main thread; called once at start."""
        return []

    def serve_forever(self) -> None:
        """Run the pump on the calling main thread until :meth:`close`; for hosts without a loop.

        Raises Unsupported where the host has its own event loop.
        """
        raise Unsupported(
            "The event loop of {} is its own; nothing needs to serve.".format(self.dcc_type),
            hint="Leave out serve_forever(); start() is enough.",
        )

    def close(self) -> None:
        """Take back all timers, callbacks and menus. Main thread. Twice is fine."""
