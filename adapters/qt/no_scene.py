"""The backend of an application that has no scene: each scene tool says so."""

from __future__ import annotations

from typing import Any

from ...errors import Unsupported
from ...tools.backend import SceneBackend

__all__ = ["NoScene"]


def _refuse(*_: Any, **__: Any) -> Any:
    raise Unsupported(
        "This application has no scene that could be read or changed.",
        hint="Only its own tools and code work here.",
        state="not_started",
    )


#: What a code tool finds in its namespace, and the labels of undo steps: there are none.
_EMPTY = ("namespace", "undo_label", "redo_label")


class NoScene(SceneBackend):
    """Refuses all that a scene can be asked for."""


for _name, _method in list(vars(SceneBackend).items()):
    if callable(_method) and not _name.startswith("_") and _name not in _EMPTY:
        setattr(NoScene, _name, _refuse)
