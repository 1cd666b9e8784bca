"""Read a message in any form that is accepted, by the rules alone.

This is the whole truth about what is a message; the short cut in ``messages`` says the same sooner
or says nothing. Accepted: an array that begins with the tag as text, bytes or number; a bare array;
a map in any order whose unknown keys mean nothing and whose optional fields may be missing. That is
what the reference takes, but for bytes as ``bin``, the bare array and the map without a tag.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, Type

from ..transport_errors import Serialization
from .envelope import (
    KINDS,
    Form,
    Message,
    Notify,
    Ping,
    Pong,
    Request,
    Response,
    Shutdown,
    id_bytes,
)
from .frames import unpack
from .heads import ARRAY, BIN, MAP, TEXT, end_of, read_head
from .octets import read_octets

__all__ = ["read_message"]


class _Octets(NamedTuple):
    """An array of integers 0..255, read as the bytes it stands for."""

    value: bytes


# What a field takes. Each returns the field's value or raises ValueError saying what was wanted.

_Rule = Callable[[Any], Any]


def _identity(value: Any) -> bytes:
    if type(value) is bytes and len(value) == 16:
        return value
    if type(value) is str:
        return id_bytes(value)
    raise ValueError("takes a UUID")


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise ValueError("takes a text")


def _flag(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise ValueError("takes true or false")


def _bytes(value: Any) -> bytes:
    if type(value) is _Octets:
        return value.value
    if type(value) is bytes:
        return value
    raise ValueError("takes bytes: an array of integers 0..255, or bin")


def _milliseconds(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    raise ValueError("takes an integer from 0 on")


def _or_nil(rule: _Rule) -> _Rule:
    return lambda value: None if value is None else rule(value)


_RULES: Dict[Type[Message], Tuple[_Rule, ...]] = {
    Request: (_identity, _text, _bytes),
    Response: (_identity, _flag, _bytes, _or_nil(_text)),
    Ping: (_identity, _milliseconds),
    Pong: (_identity, _milliseconds),
    Notify: (_or_nil(_identity), _text, _bytes),
    Shutdown: (_or_nil(_text),),
}
_NAMES = tuple(KINDS)
#: Elements of a bare array -> what it is.
_BARE: Dict[int, str] = {3: "request", 4: "response"}
#: Key that only one kind of map without a tag has -> what it is.
_UNTAGGED = {"method": "request", "success": "response"}
#: Elements of the longest array that is a message, the tag included.
_LONGEST = 5


def read_message(payload: bytes) -> Tuple[Message, Form]:
    """Return the message in ``payload`` and the form it has; what follows it is ignored.

    Raises Serialization with what is wrong.
    """
    group, count, at = read_head(payload, 0)
    if group == ARRAY and count <= _LONGEST:
        shape, name, values = _array(payload, count, at)
    elif group == MAP:
        shape, name, values = _map(payload, count, at)
    else:
        raise Serialization("a message is an array of at most 5 elements, or a map")
    kind = KINDS[name]
    fields = []
    for field, rule, value in zip(kind._fields, _RULES[kind], values):
        try:
            fields.append(rule(value))
        except ValueError as error:
            raise Serialization("{} of a {}: {}".format(field, name, error)) from None
    as_bin = any(rule is _bytes and type(v) is bytes for rule, v in zip(_RULES[kind], values))
    return kind(*fields), Form(shape, "bin" if as_bin else "array")


def _array(data: bytes, count: int, at: int) -> Tuple[str, str, List[Any]]:
    """Return shape, name and the fields' values."""
    values = []
    for _ in range(count):
        # No field takes anything else that has parts: do not make them just to refuse them.
        value, at = _value(data, at, parts=False)
        values.append(value)
    name = _tag(values[0]) if values else None
    shape = "bare"
    if name is not None:
        shape = "tagged"
        del values[0]
    elif count in _BARE and type(values[0]) in (bytes, str):
        name = _BARE[count]
    if name is None:
        raise Serialization("the first element is no known tag and no id")
    expected = len(_RULES[KINDS[name]])
    if len(values) != expected:
        raise Serialization("a {} has {} fields, not {}".format(name, expected, len(values)))
    return shape, name, values


def _map(data: bytes, count: int, at: int) -> Tuple[str, str, List[Any]]:
    """Return shape, name and the fields' values; a missing one is None."""
    found: Dict[Any, Any] = {}
    for _ in range(count):
        if read_head(data, at).group not in (TEXT, BIN):
            raise Serialization("the keys of a map are texts")
        key, at = _value(data, at)
        if key in found:
            raise Serialization("{!r:.60} is there twice".format(key))
        found[key], at = _value(data, at)
    if "type" in found:
        name = _tag(found["type"])
    else:
        names = [name for field, name in _UNTAGGED.items() if field in found]
        name = names[0] if len(names) == 1 else None
    if name is None:
        raise Serialization("a map has a known 'type', or is a plain request or response")
    return "map", name, [found.get(field) for field in KINDS[name]._fields]


def _tag(value: Any) -> Optional[str]:
    """Return the message's name if this is a tag."""
    if type(value) is int:
        return _NAMES[value] if 0 <= value < len(_NAMES) else None
    if type(value) is bytes:
        value = value.decode("latin-1")
    return value if type(value) is str and value in KINDS else None


def _value(data: bytes, at: int, parts: bool = True) -> Tuple[Any, int]:
    """Return the value at ``at`` and the index after it; an array of bytes as _Octets.

    Raises Serialization, without ``parts`` also for every other array and for a map.
    """
    group = read_head(data, at).group
    if group == ARRAY:
        octets = read_octets(data, at)
        if octets is not None:
            return _Octets(octets[0]), octets[1]
    elif group == MAP and not parts:
        raise Serialization("no field of a message takes a map")
    end = end_of(data, at)
    value = unpack(data[at:end])
    if group == ARRAY:
        if all(type(element) is int and 0 <= element <= 255 for element in value):
            return _Octets(bytes(value)), end
        if not parts:
            raise Serialization("no field of a message takes an array but of integers 0..255")
    return value, end
