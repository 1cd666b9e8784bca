"""Make a value of a tool fit for JSON, or name the place where it is not."""

from __future__ import annotations

import json
from collections import abc
from typing import Any, Dict, List, Tuple

from ..errors import HostError
from ..records import NamedTuple
from .content import Content

__all__ = ["Tidied", "decode", "encode", "plain", "text_of", "tidy"]

# Not ASCII-only: a model reads this text, and escapes cost it six characters for one.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
decode = json.JSONDecoder().decode

#: Deeper than this and other readers of our JSON give up.
_MAX_DEPTH = 100
_INFINITY = float("inf")
_KEYS = (str, int, float, bool, type(None))


class Tidied(NamedTuple):
    """A JSON value, and the places of numbers that were not finite and became null."""

    value: Any
    not_finite: List[str]


def tidy(value: Any, root: str) -> Tidied:
    """Return a copy of ``value`` that JSON can hold; ``root`` is what messages call it.

    Mappings become dicts, tuples lists, NaN and infinities null; lone surrogates (bytes of a file
    name that are not UTF-8) become U+FFFD. Raises HostError naming the path and type of anything
    else.
    """
    not_finite: List[str] = []
    return Tidied(_walk(value, (root,), not_finite), not_finite)


def text_of(value: Any, root: str, notes: List[str]) -> Tuple[str, int]:
    """Return (compact JSON, its size in bytes); ``root`` is what messages call the value.

    What had to be changed is added to ``notes``. Raises HostError for what JSON cannot hold.
    """
    try:
        text = encode(value)
        return text, len(text) if text.isascii() else len(text.encode("utf-8"))
    except (TypeError, ValueError, RecursionError):
        # Not JSON as it is; UnicodeEncodeError is a ValueError.
        clean = tidy(value, root)
    if clean.not_finite:
        notes.append(_not_finite(clean.not_finite))
    text = encode(clean.value)
    return text, len(text.encode("utf-8"))


def _not_finite(places: List[str]) -> str:
    shown = ", ".join(places[:5]) + (", ..." if len(places) > 5 else "")
    return "{} not finite (NaN or infinite) and sent as null: {}.".format(
        "A number was" if len(places) == 1 else "{} numbers were".format(len(places)), shown
    )


def _walk(value: Any, path: Tuple[Any, ...], not_finite: List[str]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    # The plain base types of what may be a host's own subclass.
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float):
        if -_INFINITY < value < _INFINITY:
            return float.__float__(value)
        not_finite.append(_where(path))
        return None
    if len(path) > _MAX_DEPTH:
        raise HostError(
            "The tool's result is nested deeper than {} levels at {}.".format(
                _MAX_DEPTH, _where(path[:6]) + "..."
            ),
            hint="The tool must return a flatter value; it may hold itself.",
        )
    if isinstance(value, abc.Mapping):
        return _mapping(value, path, not_finite)
    if isinstance(value, (list, tuple)):
        return [_walk(item, path + (place,), not_finite) for place, item in enumerate(value)]
    raise HostError(
        "The tool returned a value of type {} at {}, which JSON cannot hold.".format(
            _type_name(value), _where(path)
        ),
        hint=_advice(value),
    )


def _mapping(value: Any, path: Tuple[Any, ...], not_finite: List[str]) -> Dict[str, Any]:
    result = {}
    for key, member in value.items():
        if not isinstance(key, _KEYS):
            raise HostError(
                "The tool returned a key of type {} in {}; JSON's keys are text.".format(
                    _type_name(key), _where(path)
                ),
                hint="The tool must use text keys, such as the object's path.",
            )
        name = plain(key) if isinstance(key, str) else str(key)
        result[name] = _walk(member, path + (name,), not_finite)
    return result


def plain(value: str) -> str:
    """Return text as a plain str that UTF-8 can hold; lone surrogates become U+FFFD."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= one <= "\udfff" else one for one in value)
    return str.__str__(value)


def _type_name(value: Any) -> str:
    kind = type(value)
    if kind.__module__ in ("builtins", None):
        return kind.__qualname__
    return "{}.{}".format(kind.__module__, kind.__qualname__)


def _advice(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "The tool must return bytes as Image, Audio or Resource."
    if isinstance(value, Content):
        return "The tool must return it itself or in a list, not inside of data."
    if isinstance(value, (set, frozenset)):
        return "The tool must return a sorted list instead."
    return "The tool must return what describes it (its path, name or numbers) instead."


def _where(path: Tuple[Any, ...]) -> str:
    words = [str(path[0])]
    for part in path[1:]:
        words.append("[{}]".format(part) if isinstance(part, int) else ".{}".format(part[:60]))
    return "".join(words)
