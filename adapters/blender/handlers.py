"""What we have hung on Blender's own events, and how it is taken back."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple

__all__ = ["Handlers"]


class Handlers:
    """Functions in ``bpy.app.handlers``. Main thread."""

    def __init__(self) -> None:
        self._hung: List[Tuple[Any, Any]] = []

    def hang_on(self, name: str, method: Callable[[], None]) -> None:
        """Call ``method()`` at the event ``name``, also after another file was opened."""
        import bpy

        # Handlers not marked as persistent are dropped when a file is opened, and only plain
        # functions take that mark.
        @bpy.app.handlers.persistent  # type: ignore[misc]
        def handler(*_: Any) -> None:
            method()

        handlers = getattr(bpy.app.handlers, name)
        handlers.append(handler)
        self._hung.append((handlers, handler))

    def close(self) -> None:
        """Take them back. Twice is fine."""
        for handlers, function in self._hung:
            if function in handlers:
                handlers.remove(function)
        self._hung = []
