"""``haio``: the asyncio policy that Houdini sets, and that forbids loops off the main thread.

As read from an installed Houdini (haio.HoudiniEventLoopPolicy; HOUDINI_ASYNCIO is on by default).
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import Any, Iterator

from .strict import ledger

__all__ = ["houdini_policy"]


class _Loop(asyncio.SelectorEventLoop):
    def run_forever(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("Current thread is not the main thread")
        super().run_forever()


class HoudiniEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = _Loop

    def __init__(self) -> None:
        super().__init__()
        #: How many loops were made.
        self.made = 0

    def new_event_loop(self) -> Any:
        self.made += 1
        return super().new_event_loop()

    def set_event_loop(self, loop: Any) -> None:
        if loop is not None:
            ledger().blame("asyncio's loop was set in Houdini")
        super().set_event_loop(loop)

    def get_child_watcher(self) -> Any:
        raise NotImplementedError


@contextmanager
def houdini_policy() -> Iterator[None]:
    """Have Houdini's policy in place; it is to be there still at the end."""
    before = asyncio.get_event_loop_policy()
    policy = HoudiniEventLoopPolicy()
    asyncio.set_event_loop_policy(policy)
    try:
        yield
        if asyncio.get_event_loop_policy() is not policy:
            ledger().blame("Houdini's asyncio policy was replaced")
    finally:
        asyncio.set_event_loop_policy(before)
