"""Users' functions, called from the loop, which they would hold up: elsewhere."""

from __future__ import annotations

from typing import Any, Callable, Tuple

from ..net.callables import is_coroutine_function
from ..net.dialing import apart
from ..net.loop import Loop
from ..net.tasks import Wait

__all__ = ["called", "run_here"]


async def called(
    loop: Loop, function: Callable[..., Any], args: Tuple[Any, ...], asyncio_loop: Any
) -> Any:
    """Return what a function or coroutine function returns; raise what it raises. Loop thread.

    A coroutine function runs on ``asyncio_loop`` if that runs; all else on a thread of its own.
    """
    if is_coroutine_function(function) and asyncio_loop is not None and asyncio_loop.is_running():
        # Loaded long since, as there is a loop of it.
        import asyncio

        wait: Wait[Any] = Wait()

        def done(future: Any) -> None:
            error = asyncio.CancelledError() if future.cancelled() else future.exception()
            if error is not None:
                loop.call_soon(
                    wait.fail, RuntimeError("it was cancelled") if future.cancelled() else error
                )
            else:
                loop.call_soon(wait.settle, future.result())

        asyncio.run_coroutine_threadsafe(function(*args), asyncio_loop).add_done_callback(done)
        return await wait
    return await apart(loop, lambda: run_here(function, args), "dcc-mcp-embed mcp callback")


def run_here(function: Callable[..., Any], args: Tuple[Any, ...]) -> Any:
    """Return what it returns, on this thread; a coroutine gets an asyncio loop of its own."""
    value = function(*args)
    if hasattr(type(value), "__await__"):
        import asyncio

        return asyncio.run(_awaited(value))
    return value


async def _awaited(value: Any) -> Any:
    return await value
