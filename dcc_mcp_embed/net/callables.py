"""What users' functions are: coroutines or not."""

from __future__ import annotations

import functools
from typing import Any, Callable

__all__ = ["is_awaitable", "is_coroutine_function"]

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
