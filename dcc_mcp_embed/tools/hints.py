"""Words for error messages: short forms of values, and the name somebody may have meant."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Iterable, List, Optional

__all__ = ["kind_of", "meant", "show"]

#: A name longer than this is not compared: the search is quadratic and runs on the loop thread,
#: on text that a client chose. No name of ours is longer.
MAX_COMPARED = 64
MAX_SHOWN = 60

_KINDS = (
    (bool, "a boolean"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "an object"),
)


def kind_of(value: Any) -> str:
    """Return what kind of JSON value this is, with its article."""
    if value is None:
        return "null"
    for kind, word in _KINDS:
        if isinstance(value, kind):
            return word
    return "a " + type(value).__name__


def show(value: Any) -> str:
    """Return a JSON value as a message can show it: what it is and, if short, its content."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        # Cut before repr: the text may be as long as a request may be.
        cut = value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 3] + "..."
        return "the text {!r}".format(cut)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        # Longer ones may not be converted to decimal text since 3.11.
        return str(value) if value.bit_length() <= 256 else "a number of many digits"
    if isinstance(value, list):
        return "a list of {}".format(len(value))
    return kind_of(value)


def meant(name: str, known: Iterable[str]) -> Optional[str]:
    """Return "Did you mean 'x'?" for the known names that look like ``name``, None without any."""
    if not isinstance(name, str) or len(name) > MAX_COMPARED:
        return None
    by_folded: Dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.lower(), candidate)
    found: List[str] = difflib.get_close_matches(name.lower(), list(by_folded), n=3)
    if not found:
        return None
    return "Did you mean {}?".format(" or ".join("'{}'".format(by_folded[one]) for one in found))
