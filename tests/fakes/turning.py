"""A loop driven by the test, on which time may be made to pass at once."""

from __future__ import annotations

from typing import Any, List, Optional

from dcc_mcp_embed.net.tasks import sleep
from fakes.clock import FakeClock
from fakes.driving import Driver

__all__ = ["Turning"]


class _Jumping:
    """A selector under which nobody waits: the clock jumps to the next timer, if nothing comes."""

    def __init__(self, inner: Any, clock: FakeClock) -> None:
        self._inner = inner
        self._clock = clock

    def select(self, timeout: Optional[float]) -> List[Any]:
        found: List[Any] = self._inner.select(timeout and 0)
        if not found and timeout:
            self._clock.advance(timeout)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Turning(Driver):
    """With ``jumping``, the clock stands still and jumps: nothing may wait for other threads."""

    def __init__(self, jumping: bool = False) -> None:
        super().__init__(FakeClock() if jumping else None)
        if jumping:
            self.loop._selector = _Jumping(self.loop._selector, self.clock)

    def failed(self, error: BaseException) -> None:
        """Take note of what nobody waits for; it fails the test at its end."""
        self.failures.append(("a task", error))

    def pass_time(self, seconds: float) -> None:
        """Let a time pass."""
        self.run(sleep(self.loop, seconds))

    def __enter__(self) -> Turning:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
