"""What Houdini forbids is written down, so that a test fails even where it was swallowed."""

from __future__ import annotations

import functools
import sys
import threading
import traceback
from typing import Any, Callable, List, Optional

from .stubs import stubs

__all__ = ["ANYWHERE", "Ledger", "hom", "ledger", "unknown", "use"]

#: Functions that may be called on any thread, by the word of the documentation.
ANYWHERE = {
    # "hou.exit() may be called from a different thread than the one executing the shutdown"
    "hou.exit",
}

#: Functions whose arguments the stubs have wrong: their docstrings say otherwise.
SLIPS = {
    # "enlargeToContain(self, point_or_bbox)"; the stub made two arguments of its two types.
    "hou.BoundingBox.enlargeToContain",
}


class Ledger:
    """The thread that may call Houdini, whether it still may, and what was done wrong."""

    def __init__(self) -> None:
        self.wrong: List[str] = []
        self.calls: List[str] = []
        self._main = threading.get_ident()
        self._gone = False

    def blame(self, text: str) -> None:
        """Write down a mistake together with the place of it in the code."""
        frames = [one for one in traceback.extract_stack() if "houdini_host" not in one.filename]
        where = " < ".join("{}:{}".format(f.filename, f.lineno) for f in reversed(frames[-3:]))
        self.wrong.append("{} ({})".format(text, where))
        if self._gone:
            # Too late for a stage to look: the test of a process looks at what it says.
            sys.stderr.write("HOUDINI MISUSED: {}\n".format(self.wrong[-1]))

    def enter(self, what: str) -> None:
        """Refuse a call that would crash or corrupt the real Houdini."""
        self.calls.append(what)
        if self._gone:
            self.blame("{} was called after Houdini's teardown".format(what))
            raise RuntimeError("Houdini is gone")
        if threading.get_ident() != self._main and what not in ANYWHERE:
            self.blame("{} was called off Houdini's main thread".format(what))
            raise RuntimeError("{} was called off the main thread".format(what))

    def tear_down(self) -> None:
        """From now on a call touches what has been freed."""
        self._gone = True

    def check(self) -> None:
        """Fail the test that did something wrong."""
        wrong, self.wrong = self.wrong, []
        assert not wrong, "Houdini was misused:\n  " + "\n  ".join(wrong)


_current: Optional[Ledger] = None


def use(one: Optional[Ledger]) -> None:
    """Make ``one`` the book of the Houdini that is up."""
    global _current
    _current = one


def ledger() -> Ledger:
    """Return the book of the Houdini that is up, or was last."""
    assert _current is not None
    return _current


def unknown(owner: str, name: str) -> AttributeError:
    """Return the error for a name that the fake does not have, having written it down."""
    full = ".".join(part for part in ("hou", owner, name) if part)
    if name.startswith("__"):
        return AttributeError(name)
    if stubs().has(owner, name):
        ledger().blame("the fake lacks {}".format(full))
        return AttributeError("the fake lacks {}".format(full))
    ledger().blame("Houdini has no {}".format(full))
    return AttributeError("Houdini has no {}".format(full))


def checked(owner: str, name: str, function: Callable[..., Any], bound: bool) -> Callable[..., Any]:
    """Return ``function`` such that each call of it is looked at first."""
    full = ".".join(part for part in ("hou", owner, name) if part)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        ledger().enter(full)
        given = args[1:] if bound else args
        problems = [one.problem(given, kwargs) for one in stubs().signatures(owner, name)]
        if None not in problems and full not in SLIPS:
            text = "{} {}".format(full, " or ".join(str(one) for one in problems) or "is unknown")
            ledger().blame(text)
            raise TypeError(text)
        return function(*args, **kwargs)

    return call


def hom(owner: str) -> Callable[[type], type]:
    """Make a class play ``hou.<owner>``: its public functions are checked, other names refused."""

    def decorate(kind: type) -> type:
        for name, value in list(vars(kind).items()):
            if callable(value) and not name.startswith("_"):
                setattr(kind, name, checked(owner, name, value, bound=True))
        kind.__getattr__ = lambda self, name: _refuse(owner, name)  # type: ignore[attr-defined]
        return kind

    return decorate


def _refuse(owner: str, name: str) -> Any:
    raise unknown(owner, name)
