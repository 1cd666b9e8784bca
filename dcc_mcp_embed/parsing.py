"""Read JSON of strangers without a risk for the process.

Python 3.7 and 3.8 end the whole process ("Cannot recover from stack overflow") if one of the
garbage collector's callbacks meets the limit of recursion while C code has all but used it up, as
the decoder has in a text that is nested a thousand deep. There none starts while a text is read.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, TypeVar

from . import collector

__all__ = ["loads", "undisturbed"]

_F = TypeVar("_F", bound=Callable[..., Any])


def undisturbed(function: _F, needed: bool = sys.version_info < (3, 9)) -> _F:
    """Return what does as ``function``, and no collection starts meanwhile. Any thread."""
    if not needed:
        return function

    def call(*arguments: Any, **named: Any) -> Any:
        collector.pause(anyway=True)
        try:
            return function(*arguments, **named)
        finally:
            collector.resume()

    return call  # type: ignore[return-value]


loads = undisturbed(json.loads)
