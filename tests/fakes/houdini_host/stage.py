"""Houdini with its window, and hython, as a test plays them (see ``hosts.stages``)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Callable, FrozenSet

from hosts.stages import Stage, on_thread

from .install import Houdini, install

__all__ = ["HoudiniStage", "HythonStage"]


class _Stage(Stage):
    _interactive = True

    def __enter__(self) -> Any:
        self._stack = ExitStack()
        with ExitStack() as stack:
            self.host: Houdini = stack.enter_context(install(self._interactive))
            from dcc_mcp_embed.adapters.houdini import create

            self.adapter = create()
            # As an artist's scripts would: the adapter is closed while Houdini is still there.
            stack.callback(lambda: self.adapter.close())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)


class HoudiniStage(_Stage):
    """Houdini with a user interface: a Qt loop with callbacks every 50 ms."""

    name = "houdini"
    can: FrozenSet[str] = frozenset(("modal", "spin", "ask", "quit", "undo", "scene", "throttle"))

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
