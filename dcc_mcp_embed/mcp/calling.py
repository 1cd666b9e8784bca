"""Users' functions, called from the loop, which they would hold up: elsewhere."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Tuple

from ..net.callables import is_coroutine_function
from ..net.dialing import apart
from ..net.loop import Loop
from ..net.tasks import Ended, Group, Inbox, Wait

__all__ = ["Telling", "called", "run_here", "running_loop"]


#: Notifications of progress that wait for a user's function.
_MOST_TOLD = 1_000


async def called(
    loop: Loop, function: Callable[..., Any], args: Tuple[Any, ...], asyncio_loop: Any
) -> Any:
    """Return what a function or coroutine function returns; raise what it raises. Loop thread.

    A coroutine function runs on ``asyncio_loop`` if that runs; all else on a thread of its own.
    """
    future = None
    if is_coroutine_function(function) and asyncio_loop is not None and asyncio_loop.is_running():
        future = _begun_there(function(*args), asyncio_loop)
    if future is None:
        return await apart(loop, lambda: run_here(function, args), "dcc-mcp-embed mcp callback")
    return await _ended_there(loop, future, asyncio_loop)


def _begun_there(coroutine: Any, asyncio_loop: Any) -> Any:
    """Return the future of a coroutine on a loop of asyncio; None if that was closed just now."""
    # Loaded long since, as there is a loop of it.
    import asyncio

    try:
        return asyncio.run_coroutine_threadsafe(coroutine, asyncio_loop)
    except RuntimeError:
        coroutine.close()
        return None


async def _ended_there(loop: Loop, future: Any, asyncio_loop: Any) -> Any:
    wait: Wait[Any] = Wait()

    def done(future: Any) -> None:
        if future.cancelled():
            loop.call_soon(wait.fail, RuntimeError("it was cancelled"))
            return
        error = future.exception()
        if error is None:
            loop.call_soon(wait.settle, future.result())
        else:
            loop.call_soon(wait.fail, error if isinstance(error, Exception) else _stopped(error))

    future.add_done_callback(done)
    try:
        return await wait
    except BaseException:
        # Cut, mostly: nobody wants it any more. A loop that is closed takes no word of that.
        if not asyncio_loop.is_closed():
            future.cancel()
        raise


def _stopped(error: BaseException) -> RuntimeError:
    return RuntimeError("it ended with {!r}".format(error))


def run_here(function: Callable[..., Any], args: Tuple[Any, ...]) -> Any:
    """Return what it returns, on this thread; a coroutine gets an asyncio loop of its own."""
    value = function(*args)
    if hasattr(type(value), "__await__"):
        import asyncio

        return asyncio.run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value


def running_loop() -> Any:
    """Return the asyncio loop that runs on this thread, or None."""
    # Where nobody has loaded asyncio there is none.
    asyncio = sys.modules.get("asyncio")
    running = getattr(asyncio, "_get_running_loop", None)
    return None if running is None else running()


class Telling:
    """Tells a user's function of progress, in order, beside what makes it. Loop thread.

    ``broke(error)`` hears of what the function raises.
    """

    def __init__(
        self,
        loop: Loop,
        function: Callable[[Dict[str, Any]], Any],
        asyncio_loop: Any,
        broke: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._function = function
        self._asyncio_loop = asyncio_loop
        self._broke = broke
        self._inbox: Inbox[Dict[str, Any]] = Inbox()
        self._over: Wait[None] = Wait()
        self._tasks = Group(loop, self._over.fail)
        self._tasks.spawn(self._tell())

    def take(self, params: Dict[str, Any]) -> None:
        """Have it told; of a server that says too much some is left out."""
        if len(self._inbox) < _MOST_TOLD:
            self._inbox.put(params)

    async def _tell(self) -> None:
        try:
            while True:
                params = await self._inbox.get()
                try:
                    await called(self._loop, self._function, (params,), self._asyncio_loop)
                except Exception as error:
                    self._broke(error)
        except Ended:
            self._over.settle()

    async def all_told(self) -> None:
        """Go on once it has been told all of it."""
        self._inbox.end()
        await self._over

    def end(self) -> None:
        """Tell it nothing more."""
        self._tasks.cancel()
