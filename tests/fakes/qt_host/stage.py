"""A Qt application as a test plays it: without a scene, and with the one of the standalone host."""

from __future__ import annotations

from typing import Any, Callable

from dcc_mcp_embed.adapters.qt.adapter import QtAdapter
from dcc_mcp_embed.adapters.standalone.adapter import SceneChunk
from dcc_mcp_embed.adapters.standalone.backend import StandaloneBackend
from dcc_mcp_embed.adapters.standalone.scene import Scene

from dcc_mcp_embed.host.adapter import UndoChunk
from fakes import qtloop

__all__ = ["BareQtStage", "QtStage"]


class SceneAdapter(QtAdapter):
    """A Qt application with a scene, as a host derives its adapter from the generic one."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(StandaloneBackend(scene))
        self.scene = scene

    def undo_chunk(self, label: str) -> UndoChunk:
        return SceneChunk(self.scene, label)

    def scene_path(self) -> str:
        return self.scene.file


class BareQtStage:
    """A Qt application whose only tools are code and its caller's."""

    name = "qt-bare"
    can = frozenset(("modal", "spin", "ask", "quit", "throttle"))

    def _make(self) -> Any:
        return QtAdapter()

    def __enter__(self) -> BareQtStage:
        qtloop.the_application()
        self.adapter = self._make()
        return self

    def __exit__(self, *_: Any) -> None:
        self.adapter.close()
        qtloop.tidy()

    def run(self, body: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Run the application's loop here while ``body()`` runs on another thread."""
        return qtloop.run(body, seconds)

    def open_modal(self, title: str) -> None:
        qtloop.open_modal(title)

    def close_modal(self) -> None:
        qtloop.close_modal()

    def spin(self) -> None:
        qtloop.spin()

    def quit(self) -> None:
        qtloop.quit_application()

    def answer(self, choice: str) -> None:
        qtloop.press(choice)

    def throttled(self, on: bool) -> None:
        """Have the loop turn only now and then, or leave it alone again. Any thread."""
        qtloop.throttled(on)


class QtStage(BareQtStage):
    """The same with a scene and undo steps."""

    name = "qt"
    can = BareQtStage.can | {"undo", "scene"}

    def _make(self) -> Any:
        return SceneAdapter(Scene())
