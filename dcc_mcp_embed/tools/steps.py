"""How far a call is, as its tool says it: read where the step is taken, then fit for everybody."""

from __future__ import annotations

from typing import Any, Optional, Union

from ..errors import HostError
from .entries import Progress
from .tidy import plain

__all__ = ["MAX_MESSAGE", "read_step"]

#: Characters of a step's message.
MAX_MESSAGE = 500
_INFINITY = float("inf")
_HINT = (
    "The tool must yield Progress(done, total, message), or call ctx.progress() with the same: "
    "finite numbers and a text."
)


def read_step(step: Any) -> Progress:
    """Return what a tool has reported as plain numbers and text. On the tool's own thread.

    Raises HostError for what is none.
    """
    if not isinstance(step, Progress):
        raise HostError("The tool yielded a {}.".format(type(step).__name__), hint=_HINT)
    done, total, message = step
    return Progress(
        _number(done, "done"), None if total is None else _number(total, "total"), _text(message)
    )


def _number(value: Any, member: str) -> Union[int, float]:
    try:
        # Text would be a float too.
        number = float(value) if not isinstance(value, (str, bytes)) else _INFINITY
    except (TypeError, ValueError, OverflowError):
        number = _INFINITY
    if not -_INFINITY < number < _INFINITY:
        raise HostError(
            "The tool reported progress whose {} is a {} that is no finite number.".format(
                member, type(value).__name__
            ),
            hint=_HINT,
        )
    return int(value) if isinstance(value, int) else number


def _text(message: Any) -> Optional[str]:
    if message is None:
        return None
    try:
        return plain(message if isinstance(message, str) else str(message))[:MAX_MESSAGE]
    except Exception:
        # Its own code, which may raise anything; that is the tool's failure.
        raise HostError(
            "The tool reported progress whose message is a {} that has no text.".format(
                type(message).__name__
            ),
            hint=_HINT,
        ) from None
