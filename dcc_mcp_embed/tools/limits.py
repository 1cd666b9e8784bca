"""The limits of JSON Schema, keyword by keyword: each makes a check of a value of its type."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Optional

from ..errors import ConfigError
from .coerce import Misfit
from .hints import show

__all__ = ["FAMILIES", "Check"]

#: (value) -> None; raises Misfit.
Check = Callable[[Any], None]


def _bound(fits: Callable[[Any, Any], bool], words: str, size: bool = False) -> Any:
    """Return a maker of checks against one number; ``size`` compares the length."""

    def make(limit: Any) -> Optional[Check]:
        if isinstance(limit, bool) or not isinstance(limit, (int, float)):
            raise ConfigError("a limit in the schema is {!r}; it is a number".format(limit))

        def check(value: Any) -> None:
            number = len(value) if size else value
            if not fits(number, limit):
                came = "it has {}".format(number) if size else "it is {}".format(show(value))
                raise Misfit("must {}; {}".format(words.format(limit), came))

        return check

    return make


def _pattern(pattern: Any) -> Optional[Check]:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError):
        # Written in JavaScript's dialect of regular expressions: the client's business.
        return None

    def check(value: str) -> None:
        if not compiled.search(value):
            raise Misfit("must match {!r}, not {}".format(pattern, show(value)))

    return check


def _unique(wanted: Any) -> Optional[Check]:
    if wanted is not True:
        return None

    def check(value: List[Any]) -> None:
        if len({json.dumps(item, sort_keys=True) for item in value}) != len(value):
            raise Misfit("must not hold the same value twice")

    return check


def _multiple(step: Any) -> Optional[Check]:
    # Of floats only a rough answer exists (0.3 is no multiple of 0.1); they are left alone.
    if not isinstance(step, int) or isinstance(step, bool) or step < 1:
        return None

    def check(value: Any) -> None:
        if value % step:
            raise Misfit("must be a multiple of {}, not {}".format(step, show(value)))

    return check


def _at_least(number: Any, limit: Any) -> bool:
    return bool(number >= limit)


def _at_most(number: Any, limit: Any) -> bool:
    return bool(number <= limit)


#: type -> keyword -> maker of its check; None where the type's converter has built it in.
FAMILIES: Dict[str, Dict[str, Any]] = {
    "number": {
        "minimum": _bound(_at_least, "be {} or more"),
        "maximum": _bound(_at_most, "be {} or less"),
        "exclusiveMinimum": _bound(lambda number, limit: number > limit, "be more than {}"),
        "exclusiveMaximum": _bound(lambda number, limit: number < limit, "be less than {}"),
        "multipleOf": _multiple,
    },
    "string": {
        "minLength": _bound(_at_least, "have {} characters or more", size=True),
        "maxLength": _bound(_at_most, "have {} characters or less", size=True),
        "pattern": _pattern,
    },
    "array": {
        "items": None,
        "prefixItems": None,
        "minItems": _bound(_at_least, "have {} items or more", size=True),
        "maxItems": _bound(_at_most, "have {} items or less", size=True),
        "uniqueItems": _unique,
    },
    "object": {
        "properties": None,
        "required": None,
        "additionalProperties": None,
        "minProperties": _bound(_at_least, "have {} members or more", size=True),
        "maxProperties": _bound(_at_most, "have {} members or less", size=True),
    },
}
