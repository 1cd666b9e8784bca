"""Futures between our threads and whoever waits: set on the one side, waited for on the other.

An error that is raised holds the frames it came through: where these hold the future, which holds
the error, only the collector would end that, and it may be off. So these let go of both.
"""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import Any, TypeVar

from .. import collector
from .readiness import SLICE_S

__all__ = ["awaited", "awaited_for", "fail", "offer", "settle", "waited"]

_T = TypeVar("_T")

# Setting them. Any thread.


def settle(future: Future[Any], value: Any) -> None:
    """Set the result, once."""
    # False: whoever waited has gone.
    if future.set_running_or_notify_cancel():
        future.set_result(value)


def fail(future: Future[Any], error: BaseException) -> None:
    """Set the error, once."""
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def offer(future: Future[Any], value: Any) -> None:
    """Set the result, unless another thread does or nobody waits any more."""
    if future.done():
        # Before 3.8 a second result would be taken, and told again.
        return
    try:
        future.set_result(value)
    except Exception:  # InvalidStateError, which has no name before 3.8: another thread was quicker
        pass


# Waiting for them.


async def awaited(future: Future[_T]) -> _T:
    """Return the result; cancelled, cancel the future too.

    As ``asyncio.wrap_future``, but it leaves no cycle behind, nor an error where the loop is closed
    meanwhile.
    """
    try:
        await _until_done(future)
        return _result(future)
    except BaseException:
        # Cancelled, mostly: nobody waits any more. It goes on to the caller.
        future.cancel()
        raise
    finally:
        del future


async def _until_done(future: Future[Any]) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    gate = loop.create_future()

    def open_gate() -> None:
        if not gate.done():
            gate.set_result(None)

    def done(_: Any) -> None:
        try:
            loop.call_soon_threadsafe(open_gate)
        except RuntimeError:
            pass  # it is closed: nobody waits any more

    future.add_done_callback(done)
    del future
    await gate


async def awaited_for(future: Future[None], timeout: float) -> None:
    """Wait, not longer than ``timeout`` seconds; the future is not cancelled: others may wait."""
    import asyncio

    try:
        await asyncio.wait_for(_until_done(future), timeout)
    except asyncio.TimeoutError:
        pass


def waited(future: Future[_T]) -> _T:
    """Wait and return the result, without asyncio; interrupted, cancel the future."""
    try:
        with collector.blocking():
            # In slices where Ctrl-C does not interrupt a wait.
            while SLICE_S is not None and not future.done():
                wait([future], SLICE_S)
            return _result(future)
    except BaseException:
        # Ctrl-C, mostly: nobody waits any more. It goes on to the caller.
        future.cancel()
        raise
    finally:
        del future


def _result(future: Future[_T]) -> _T:
    """Wait for the result. ``Future.result`` itself makes a cycle before Python 3.8."""
    error = future.exception()
    try:
        if error is not None:
            raise error
        return future.result()
    finally:
        del error, future
