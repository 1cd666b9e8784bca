"""3ds Max as a test plays it: with a window and Qt's loop, or 3dsmaxbatch with neither."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any, Callable, FrozenSet

from hosts.stages import Stage, on_thread

from .host import MaxHost
from .install import install
from .listener import Listener

__all__ = ["MaxStage", "MaxbatchStage"]


class MaxStage(Stage):
    """The window's. This thread is the host's main one, and has the application."""

    name = "max"
    can: FrozenSet[str] = frozenset(("modal", "spin", "ask", "quit", "throttle", "undo", "scene"))
    batch = False
    host: MaxHost
    listener: Listener

    def __init__(self, year: int = 2025) -> None:
        self._year = year

    def __enter__(self) -> MaxStage:
        self._undo = ExitStack()
        try:
            self.host = self._undo.enter_context(install(self.batch, self._year))
            self._undo.enter_context(self._listening())
            self._open()
            self.adapter = self._create()
            self._undo.callback(self.adapter.close)
        except BaseException:
            self._undo.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._undo.__exit__(*error)

    def _create(self) -> Any:
        from dcc_mcp_embed.adapters.max import create

        return create()

    def _listening(self) -> Any:
        self.listener = Listener()
        stack = ExitStack()
        stack.callback(setattr, sys, "stdout", sys.stdout)
        sys.stdout = self.listener  # type: ignore[assignment]
        return stack

    def _open(self) -> None:
        from fakes import qtloop

        qtloop.the_application()
        window = qtloop.qt().QtWidgets.QMainWindow()
        window.setWindowTitle("Autodesk 3ds Max {}".format(self._year))
        window.menuBar().addMenu("Help")
        window.show()
        self.host.main_window = window
        # Qt's own number of it where it draws on no screen: no window of the system's.
        self.host.window_id = int(window.winId())
        self._undo.callback(self._shut, window)

    def _shut(self, window: Any) -> None:
        from fakes import qtloop

        self.host.main_window = None
        window.close()
        qtloop.qt().shiboken.delete(window)
        qtloop.tidy()

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        from fakes import qtloop

        return qtloop.run(body, seconds)

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

    def throttled(self, slow: bool) -> None:
        from fakes import qtloop

        qtloop.throttled(slow)

    def on_main(self, function: Callable[[], Any]) -> Any:
        """Run code of the host's own on its main thread. Any thread but that one."""
        from fakes import qtloop

        return qtloop.on_main(function)

    def quit(self) -> None:
        """Shut down: the callbacks first, then the application's loop ends."""
        from fakes import qtloop

        qtloop.post(self.host.quit)
        qtloop.quit_application()


class MaxbatchStage(MaxStage):
    """3dsmaxbatch: the script that it runs is all there is, and serves for as long as it likes."""

    name = "maxbatch"
    can: FrozenSet[str] = frozenset(("quit", "undo", "scene"))
    batch = True

    def _open(self) -> None:
        pass

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        return on_thread(body, self.adapter.serve_forever, self.adapter.close, seconds)

    def open_modal(self, title: str) -> None:
        raise self._cannot("modal")

    def close_modal(self) -> None:
        raise self._cannot("modal")

    def spin(self) -> None:
        raise self._cannot("spin")

    def answer(self, choice: str) -> None:
        raise self._cannot("ask")

    def quit(self) -> None:
        self.adapter.close()
