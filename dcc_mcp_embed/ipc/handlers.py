"""Who answers a request: the functions of one server, and those that every server here has."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from ..net.callables import is_coroutine_function
from ..rpc.resume import RESUME
from .outcomes import Handler
from .utils import RequestHandlerRegistry

__all__ = ["Found", "Handlers", "request"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: A handler, and whether it is a coroutine function.
Found = Tuple[Handler, bool]

#: For every server of this process, after its own.
_decorated = RequestHandlerRegistry()


def request(name: str) -> Callable[[_Function], _Function]:
    """Return a decorator that has a function handle ``name`` in every server of this process.

    The function is called with the request's data. Raises ValueError for a name that is taken by
    another function, reserved, or no text.
    """
    _demand_free(name)
    return _decorated.register(name)


def _demand_free(name: Any) -> None:
    if name == RESUME:
        raise ValueError("{!r} is reserved: choose another name".format(name))


class Handlers:
    """The functions that one server has. Any thread."""

    def __init__(self) -> None:
        self._own = RequestHandlerRegistry()
        #: What was looked up before, by name.
        self._found: Dict[str, Found] = {}
        self._lock = threading.RLock()

    def register(self, name: str, handler: Handler, plain: bool) -> None:
        """Enter a function; ``plain``: no coroutine function. Raises ValueError, TypeError."""
        _demand_free(name)
        if plain and is_coroutine_function(handler):
            raise TypeError(_no_coroutines([name]))
        with self._lock:
            self._own.register(name)(handler)
            self._found.pop(name, None)

    def find(self, name: str) -> Optional[Found]:
        """Return the handler of a request, None if nobody handles it."""
        return self._found.get(name) or self._look_up(name)

    def _look_up(self, name: str) -> Optional[Found]:
        with self._lock:
            handler = self._own.get_handler(name) or _decorated.get_handler(name)
            if handler is None:
                return None
            found = self._found[name] = (handler, is_coroutine_function(handler))
            return found

    def names(self) -> List[str]:
        """Return the requests that are handled, this server's own first."""
        return list(dict.fromkeys([*self._own.names, *_decorated.names]))

    def begin(self, plain: bool) -> None:
        """Get ready for a start; ``plain``: with an own coroutine function it raises TypeError."""
        with self._lock:
            names = [name for name in self._own.names if plain and self._is_coroutine(name)]
            if names:
                raise TypeError(_no_coroutines(names))
            self._found.clear()

    def _is_coroutine(self, name: str) -> bool:
        handler = self._own.get_handler(name)
        return handler is not None and is_coroutine_function(handler)


def _no_coroutines(names: List[str]) -> str:
    return (
        "the handlers of {} are coroutine functions, which need an asyncio loop: start the server "
        "with `await start()` or `await start_background()`, or make them plain functions".format(
            ", ".join(repr(name) for name in names)
        )
    )
