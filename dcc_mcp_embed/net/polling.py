"""The selector of the loop: the platform's best, with the collector off but for the wait itself.

Between the kernel's answer and the loop's first line the ``selectors`` module makes lists and
tuples; a garbage collection that has become due would start there, on the loop thread. So the
host's setting is back only around the innermost blocking call.
"""

from __future__ import annotations

import selectors
from typing import Any, Callable

from .. import collector

__all__ = ["make_selector"]

# The blocking method of each kind of kernel object that ``selectors`` wraps.
_WAITS = ("poll", "control")


class _QuietPoll:
    """A kernel poll object whose blocking call lets the host's collector setting through."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        for name in _WAITS:
            wait = getattr(inner, name, None)
            if wait is not None:
                setattr(self, name, _quiet(wait))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _quiet(wait: Callable[..., Any]) -> Callable[..., Any]:
    resume, pause = collector.resume, collector.pause

    def blocking(*arguments: Any) -> Any:
        resume()
        try:
            return wait(*arguments)
        finally:
            pause()

    return blocking


def make_selector() -> selectors.BaseSelector:
    """Return a selector for a thread that works under ``collector.pause()``."""
    selector: Any = selectors.DefaultSelector()
    if hasattr(selector, "_selector"):
        # epoll, kqueue, poll, /dev/poll. kqueue's ``control`` also registers, without blocking.
        selector._selector = _QuietPoll(selector._selector)
    else:
        # select(), the only one Windows has.
        selector._select = _quiet(selector._select)
    return selector  # type: ignore[no-any-return]
