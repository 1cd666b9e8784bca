"""Turn what a weak model sends into the JSON type that was asked for, or say why it cannot be.

One converter per JSON type. Each returns the value, changed only where nothing is lost, or raises
:class:`Misfit`. What is accepted beyond the type itself: numeric text, "true"/"false", JSON text
for lists and objects, comma lists, one value where a list is wanted, whole floats for integers.
Numbers that are not finite are refused everywhere.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Optional, Union

from ..parsing import loads
from .hints import show

__all__ = ["CONVERTERS", "Misfit", "check_finite", "json_type", "to_list", "to_object"]

Converter = Callable[[Any], Any]

#: ASCII digits only: Python's own int() and float() also take "1_000", other scripts and "nan".
#: Compiled when they are first needed: no start needs them.
_WHOLE = r"\s*[+-]?[0-9]{1,300}\s*\Z"
_NUMBER = r"\s*[+-]?(?:[0-9]{1,300}\.?[0-9]{0,300}|\.[0-9]{1,300})(?:[eE][+-]?[0-9]{1,4})?\s*\Z"
_FLAGS = {"true": True, "false": False}
_INFINITY = float("inf")


class Misfit(Exception):
    """A value does not fit. ``text`` continues the sentence that begins with the argument's name.

    ``path`` leads from the argument to the value: names and positions, outermost first; it grows
    at its front while the exception travels up.
    """

    def __init__(self, text: str, hint: Optional[str] = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.path: List[Union[str, int]] = []

    def where(self) -> str:
        """Return the path as one writes it in code: ``items[2].name``."""
        words = []
        for part in self.path:
            words.append("[{}]".format(part) if isinstance(part, int) else "." + part[:60])
        return "".join(words).lstrip(".")


def unfit(wanted: str, value: Any, hint: Optional[str] = None) -> Misfit:
    """Return the error that says what is wanted and what came."""
    return Misfit("must be {}, not {}".format(wanted, show(value)), hint)


def check_finite(value: Any) -> Any:
    """Return a JSON value of any shape; raises Misfit if a number in it is not finite."""
    if isinstance(value, (dict, list)):
        # A loop, not recursion: the depth is the client's choice.
        waiting = [value]
        while waiting:
            group = waiting.pop()
            for item in group.values() if isinstance(group, dict) else group:
                if isinstance(item, (dict, list)):
                    waiting.append(item)
                elif isinstance(item, float) and not -_INFINITY < item < _INFINITY:
                    raise unfit("free of numbers that are not finite", item)
    elif isinstance(value, float) and not -_INFINITY < value < _INFINITY:
        raise unfit("a finite number", value)
    return value


def json_type(value: Any) -> str:
    """Return the JSON Schema type of a decoded JSON value; whole numbers are "integer"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, (list, tuple)) else "object"


def to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise unfit("text", value)


def to_whole(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        if re.match(_WHOLE, value):
            return int(value)
        if re.match(_NUMBER, value):
            number = float(value)
            if number.is_integer():
                return int(number)
    elif isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise unfit("a whole number", value)


def to_number(value: Any) -> float:
    if type(value) is float:
        number = value
    elif isinstance(value, bool):
        raise unfit("a number", value)
    elif isinstance(value, (int, float)) or isinstance(value, str) and re.match(_NUMBER, value):
        try:
            number = float(value)
        except OverflowError:
            raise unfit("a number that fits 64 bits of floating point", value) from None
    else:
        raise unfit("a number", value)
    if not -_INFINITY < number < _INFINITY:
        raise unfit("a finite number", value)
    return number


def to_flag(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    if isinstance(value, str) and len(value) < 16:
        flag = _FLAGS.get(value.strip().lower())
        if flag is not None:
            return flag
    raise unfit("true or false", value)


def to_null(value: Any) -> None:
    if value is not None:
        raise unfit("null", value)


def to_list(value: Any) -> List[Any]:
    """Return a list: as it is, from JSON text, from a comma list, or of the one value."""
    if isinstance(value, list):
        return value
    if isinstance(value, tuple):
        return list(value)
    if value is None:
        raise unfit("a list", value)
    if not isinstance(value, str):
        return [value]
    text = value.strip()
    if not text:
        return []
    if text[0] == "[" and text[-1] == "]":
        parsed = _from_json(text, "a list", '["a", "b"] or [1, 2, 3]')
        return parsed if isinstance(parsed, list) else [parsed]
    if text[0] == "{" and text[-1] == "}":
        return [value]
    return [part.strip() for part in text.split(",")]


def to_object(value: Any) -> Dict[str, Any]:
    """Return an object: as it is, or from JSON text."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text[:1] == "{":
            parsed = _from_json(text, "an object", '{"name": 1}')
            if isinstance(parsed, dict):
                return parsed
    raise unfit("an object", value, 'Write it as JSON: {"name": value}.')


def _from_json(text: str, wanted: str, example: str) -> Any:
    try:
        return loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise unfit(wanted, text, "Write it as JSON: {}.".format(example)) from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


#: JSON Schema type -> converter.
CONVERTERS: Dict[str, Converter] = {
    "string": to_text,
    "integer": to_whole,
    "number": to_number,
    "boolean": to_flag,
    "null": to_null,
    "array": to_list,
    "object": to_object,
}
