"""What pymxs has as contexts of Python's: undo, animate, attime, quiet, redraw."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

__all__ = ["CONTEXTS"]


class Context:
    """One of them. Made and entered on the main thread; it counts while it is open."""

    _name = ""

    def __init__(self, host: Any, value: Any) -> None:
        host.faults.on_main_thread("pymxs." + self._name)
        self._host, self._value = host, value

    def __enter__(self) -> Context:
        self._host.faults.on_main_thread("pymxs." + self._name)
        self._host.contexts[self._name] = self._host.contexts.get(self._name, 0) + 1
        self._begin()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Optional[bool]:
        self._host.contexts[self._name] -= 1
        return self._end(kind is not None)

    def _begin(self) -> None:
        pass

    def _end(self, failed: bool) -> Optional[bool]:
        return None


class Undo(Context):
    """One entry on the undo stack.

    A tool that exports for production says of the real one: it suppresses exceptions and undoes
    what was done. So an error in it never reaches whoever is around it.
    """

    _name = "undo"

    def __init__(self, host: Any, value: Any, label: str = "MAXScript") -> None:
        super().__init__(host, value)
        self._label = label

    def _begin(self) -> None:
        if self._value:
            self._host.hold.begin()
        else:
            self._host.hold.switch(False)

    def _end(self, failed: bool) -> Optional[bool]:
        if not self._value:
            self._host.hold.switch(True)
            return None
        if failed:
            self._host.hold.cancel()
            return True
        self._host.hold.accept(self._label)
        return None


class Animate(Context):
    _name = "animate"

    def _begin(self) -> None:
        self._host.animating.append(bool(self._value))

    def _end(self, failed: bool) -> None:
        self._host.animating.pop()


class AtTime(Context):
    _name = "attime"

    def _begin(self) -> None:
        self._host.times.append(float(self._value))

    def _end(self, failed: bool) -> None:
        self._host.times.pop()


class Quiet(Context):
    _name = "quiet"


class Redraw(Context):
    _name = "redraw"


CONTEXTS: Dict[str, Callable[..., Context]] = {
    one._name: one for one in (Undo, Animate, AtTime, Quiet, Redraw)
}
