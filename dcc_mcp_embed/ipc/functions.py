"""Users' functions: what they are and return, and how what they raise is shown."""

from __future__ import annotations

import functools
import logging
from typing import Any, Callable

__all__ = ["close", "is_awaitable", "is_coroutine_function", "logger", "shown"]

logger = logging.getLogger("dcc_mcp_embed.ipc")

#: ``inspect.CO_COROUTINE``, without the import.
_CO_COROUTINE = 0x80


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Return whether calling it gives a coroutine; also for partials, methods and callables."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(type(function).__call__, "__code__", None)
    return bool(code is not None and code.co_flags & _CO_COROUTINE)


def is_awaitable(value: Any) -> bool:
    """Return whether ``await`` takes it. It looks at the type: an object may answer anything."""
    return hasattr(type(value), "__await__")


def close(awaitable: Any) -> None:
    """Give up a coroutine that will not be awaited, or anything else."""
    try:
        getattr(awaitable, "close", lambda: None)()
    except Exception as error:
        logger.error("closing %s failed: %s", type(awaitable), shown(error))


def shown(error: BaseException, show: Callable[[BaseException], str] = repr) -> str:
    """Return an exception's text, even if it raises another one when it is asked."""
    try:
        return show(error)
    except BaseException:
        return "(its text cannot be had)"
