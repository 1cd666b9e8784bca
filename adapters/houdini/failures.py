"""What Houdini raises, said in the terms that an agent can act on."""

from __future__ import annotations

from typing import Any, Optional

from ...errors import HostError, InvalidArgument, NotFound, ToolError, TypeMismatch

__all__ = ["Telling", "text_of"]


class Telling:
    """A context manager that turns ``hou.Error`` into ours; ``what`` says what was being done."""

    def __init__(self, hou: Any, what: str) -> None:
        self._hou = hou
        self._what = what

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        if error is None or not isinstance(error, self._hou.Error):
            return None
        raise self._translate(error) from None

    def _translate(self, error: Any) -> ToolError:
        hou = self._hou
        text = "{}: {}".format(self._what, text_of(error))
        if isinstance(error, hou.ObjectWasDeleted):
            return NotFound(text, hint="Call list_objects to see what there is.")
        if isinstance(error, hou.PermissionError):
            return TypeMismatch(
                text,
                hint="It is locked, or inside a locked asset. Unlock it first (a locked parameter "
                "by hou.Parm.lock(False), an asset by allowEditingOfContents()).",
            )
        if isinstance(error, hou.OperationFailed):
            return InvalidArgument(text)
        return HostError(text)


def text_of(error: Any) -> str:
    """Return what a ``hou.Error`` says, in one line."""
    try:
        said = str(error.instanceMessage()) or str(error)
    except Exception:  # whatever there is of it
        said = str(error)
    return " ".join(said.split()) or type(error).__name__
