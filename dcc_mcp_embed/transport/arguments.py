"""What callers give to channels and listeners: contents and times."""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping, Optional, TypeVar, Union

from ..host import guard
from ..wire.octets import BytesLike, as_bytes

__all__ = ["HOST_WAIT_MS", "Content", "as_content", "milliseconds", "wait"]

_Found = TypeVar("_Found")
Content = Union[BytesLike, Mapping[str, Any], None]

#: A wait without an end on the main thread of a host ends after this: its window must come back.
HOST_WAIT_MS = 30_000
#: The reference takes 64 bits.
_MOST_MS = (1 << 64) - 1


def as_content(value: Content) -> bytes:
    """Return params, payload or data as bytes: a mapping becomes UTF-8 JSON, None is empty.

    Raises TypeError and ValueError for anything that is not bytes, a list of integers 0..255 or a
    mapping that JSON can say.
    """
    if type(value) is bytes:
        return value
    if value is None:
        return b""
    if isinstance(value, Mapping):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8")
    return as_bytes(value)


def milliseconds(value: int) -> float:
    """Return a caller's milliseconds in seconds. Raises TypeError, OverflowError."""
    if not isinstance(value, int):
        raise TypeError("timeout_ms must be an integer, not {!r}".format(value))
    if not 0 <= value <= _MOST_MS:
        raise OverflowError("timeout_ms must be from 0 to {}, not {}".format(_MOST_MS, value))
    return value / 1000.0


def wait(
    function: Callable[[Optional[int]], _Found], timeout_ms: Optional[int], what: str
) -> _Found:
    """Return what ``function`` waits for, at most the milliseconds it is given; None: no end.

    On the main thread of a host that this process serves there is always an end, and the host
    refuses foreign jobs meanwhile instead of queueing them behind the wait.
    """
    if not guard.is_served_main_thread():
        return function(timeout_ms)
    with guard.blocking((what, 0)):
        return function(HOST_WAIT_MS if timeout_ms is None else timeout_ms)
