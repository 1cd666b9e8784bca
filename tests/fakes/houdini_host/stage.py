"""Houdini with its window, and hython, as a test plays them (see ``hosts.stages``)."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, FrozenSet, Iterator

from hosts.stages import Stage, on_thread

from .install import Houdini, install

__all__ = ["DeferredStage", "HoudiniStage", "HythonStage", "IdleStage", "OldHythonStage"]


class _Stage(Stage):
    _interactive = True
    #: Modules that the adapter does not find as it looks for its means.
    _hidden: FrozenSet[str] = frozenset()
    #: Whether the adapter has to wait for Houdini to be idle.
    idles = False
    #: Whether a blocking call of hdefereval on the main thread really hangs.
    dead_locks = False
    #: Whether it is Houdini 19.
    old = False

    def __enter__(self) -> Any:
        with ExitStack() as stack:
            self.host: Houdini = stack.enter_context(
                install(self._interactive, self.dead_locks, self.old)
            )
            from dcc_mcp_embed.adapters.houdini import create

            with _hiding(self._hidden):
                self.adapter = create()
            # Once more than the server did, while Houdini is still there.
            stack.callback(self._close)
            self._stack = stack.pop_all()
        return self

    def _close(self) -> None:
        self.adapter.close()

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


@contextmanager
def _hiding(names: FrozenSet[str]) -> Iterator[None]:
    """Have modules, and those in them, not be there."""
    gone = {one: sys.modules[one] for one in list(sys.modules) if one.split(".")[0] in names}
    for one in gone:
        del sys.modules[one]
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for one in names:
            del sys.modules[one]
        sys.modules.update(gone)


class HoudiniStage(_Stage):
    """Houdini with a user interface: a Qt loop with callbacks every 50 ms."""

    name = "houdini"
    can: FrozenSet[str] = frozenset(("modal", "spin", "ask", "quit", "undo", "scene", "throttle"))
    #: How many blocking calls of hdefereval a test has made itself.
    foreign = 0

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        from fakes import qtloop

        return qtloop.run(body, seconds)

    def _close(self) -> None:
        from fakes import qtloop

        super()._close()
        qtloop.tidy()
        deferring = self.host.deferring
        assert deferring is not None and deferring.blocking == self.foreign, (
            "a blocking call of hdefereval was made"
        )

    def open_modal(self, title: str) -> None:
        from fakes import qtloop

        qtloop.open_modal(title)

    def close_modal(self) -> None:
        from fakes import qtloop

        qtloop.close_modal()

    def spin(self) -> None:
        from fakes import qtloop

        qtloop.spin()

    def answer(self, choice: str) -> None:
        from fakes import qtloop

        qtloop.press(choice)

    def quit(self) -> None:
        """As by File > Quit: from now on Houdini is shutting down."""
        from fakes import qtloop

        def leave() -> None:
            self.host.hou.hipFile._leaving = True

        qtloop.post(leave)
        qtloop.quit_application()

    def throttled(self, slow: bool) -> None:
        from fakes import qtloop

        qtloop.throttled(slow)

    def starved(self, on: bool) -> None:
        """Call no callback of the event loop, as a Houdini does that is never idle. Any thread."""
        assert self.host.loop is not None
        self.host.loop.starved = on


_QT = frozenset(("PySide2", "PySide6", "shiboken2", "shiboken6"))


class DeferredStage(HoudiniStage):
    """A Houdini in which no binding of Qt can be had: ``hdefereval`` is left to wake it."""

    name = "houdini without Qt"
    can = frozenset(("spin", "undo", "scene", "throttle"))
    idles = True
    _hidden = _QT


class IdleStage(DeferredStage):
    """The same without ``hdefereval``: callbacks of the event loop are all there is."""

    name = "houdini without Qt and hdefereval"
    _hidden = _QT | {"hdefereval"}


class HythonStage(_Stage):
    """hython: no user interface, no hdefereval, nobody to turn a loop but the script itself."""

    name = "hython"
    can: FrozenSet[str] = frozenset(("quit", "scene"))
    _interactive = False

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        return on_thread(body, self.adapter.serve_forever, self.adapter.close, seconds)

    def quit(self) -> None:
        """The script that serves ends, and hython with it."""
        self.adapter.close()


class OldHythonStage(HythonStage):
    """The oldest that is to be served, with Python 3.7."""

    name = "hython 19"
    old = True
