"""Read a message in any form that is accepted, by the rules alone.

This is the whole truth about what is a message; the short cuts in ``messages`` say the same sooner
or say nothing. Accepted: an array that begins with the tag as text, bytes or number; a bare array;
a map in any order whose unknown keys mean nothing and whose optional fields may be missing. That is
what the reference takes (tried with the serialisation library it uses), and more: bytes as ``bin``,
the bare array, a map without a tag. Less only where a map has a key that is no text, the same key
twice, a text that is not UTF-8 or an extension type.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Type

from ..records import NamedTuple
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
from .frames import unpack_at
from .heads import ARRAY, BIN, MAP, MAX_ELEMENTS, TEXT, read_head
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
    if type(value) is bytes:
        return value.decode("utf-8")
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
    group, size, at = read_head(payload, 0)
    values = _Values(payload, at, MAX_ELEMENTS - size * (2 if group == MAP else 1))
    if group == ARRAY and size <= _LONGEST:
        shape, name, found = _array(values, size)
    elif group == MAP and values.elements >= 0:
        shape, name, found = _map(values, size)
    else:
        raise Serialization(
            "a message is an array of at most {} elements, or a map".format(_LONGEST)
        )
    kind = KINDS[name]
    rules = _RULES[kind]
    fields = []
    for field, rule, value in zip(kind._fields, rules, found):
        try:
            fields.append(rule(value))
        except ValueError as error:
            raise Serialization("{} of a {}: {}".format(field, name, error)) from None
    as_bin = any(rule is _bytes and type(value) is bytes for rule, value in zip(rules, found))
    return kind(*fields), Form(shape, "bin" if as_bin else "array")


def _array(values: _Values, size: int) -> Tuple[str, str, List[Any]]:
    """Return shape, name and the fields' values."""
    # No field takes any other array or a map: none is made just to be refused.
    found = [values.next(parts=False) for _ in range(size)]
    name = _tag(found[0]) if found else None
    shape = "bare"
    if name is not None:
        shape = "tagged"
        del found[0]
    elif size in _BARE and type(found[0]) in (bytes, str):
        name = _BARE[size]
    if name is None:
        raise Serialization("the first element is no known tag and no id")
    expected = len(KINDS[name]._fields)
    if len(found) != expected:
        raise Serialization("a {} has {} fields, not {}".format(name, expected, len(found)))
    return shape, name, found


def _map(values: _Values, size: int) -> Tuple[str, str, List[Any]]:
    """Return shape, name and the fields' values; a missing one is None."""
    found: Dict[str, Any] = {}
    for _ in range(size):
        key = values.next(parts=False)
        if type(key) is bytes:
            key = _decoded(key)
        if type(key) is not str:
            raise Serialization("the keys of a map are texts")
        if key in found:
            raise Serialization("the key {!r:.60} is there twice".format(key))
        found[key] = values.next()
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


class _Values:
    """Values one after the other, at most so many ``elements`` in all of them together.

    Arrays of bytes are not counted: they cost no more than other bytes.
    """

    __slots__ = ("_at", "_data", "elements")

    def __init__(self, data: bytes, at: int, elements: int) -> None:
        self._data = data
        self._at = at
        self.elements = elements

    def next(self, parts: bool = True) -> Any:
        """Return the next value, an array of bytes as _Octets. Raises Serialization.

        Without ``parts`` it raises for every other array and for a map as well.
        """
        data = self._data
        group, size, at = read_head(data, self._at)
        if group in (TEXT, BIN):
            self._at = at + size
            content = data[at : self._at]
            return content if group == BIN else _decoded(content)
        if group == ARRAY:
            octets = read_octets(data, self._at)
            if octets is not None:
                self._at = octets[1]
                return _Octets(octets[0])
        elif group == MAP and not parts:
            raise Serialization("a map stands where none can be")
        value, self._at, counted = unpack_at(data, self._at, self.elements)
        self.elements -= counted
        if group == ARRAY:
            # Not in their shortest form, but integers all the same.
            if all(type(element) is int and 0 <= element <= 255 for element in value):
                return _Octets(bytes(value))
            if not parts:
                raise Serialization("an array is not one of integers 0..255")
        return value


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Serialization(str(error)) from None
