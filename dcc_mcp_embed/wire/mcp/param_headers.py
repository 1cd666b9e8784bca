"""Arguments that a request repeats in its headers: ``x-mcp-header`` of 2026-07-28.

A property of a tool's input schema that is annotated so must stand in ``Mcp-Param-<name>`` too, for
whoever routes requests without reading them; what routes must be what runs.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..jsonrpc import Fault, Id
from .revisions import HEADER_MISMATCH
from .routing import decode_header, encode_header

__all__ = ["ParamHeader", "check_params", "param_headers", "repeated"]

_KEY = "x-mcp-header"
_PREFIX = "Mcp-Param-"
#: RFC 9110, 5.6.2: what the name of a header is made of.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z"
#: Fractions may be written in more than one way.
_TYPES = ("string", "integer", "boolean")
#: A whole number, as far as anybody writes one out.
_WHOLE = r"([+-]?[0-9]{1,400})(?:\.0{1,400})?\Z"

#: The way to a property from the root of the arguments, and its header.
ParamHeader = Tuple[Tuple[str, ...], str]


def param_headers(schema: Mapping[str, Any]) -> Tuple[ParamHeader, ...]:
    """Return the annotated properties of an input schema, those of its objects too.

    Raises ValueError, whose text continues the sentence that begins with what has the schema.
    """
    found: List[ParamHeader] = []
    _collect(schema, (), found)
    if len({header.lower() for _, header in found}) < len(found):
        raise ValueError("has two properties with the same {}".format(_KEY))
    return tuple(found)


def _collect(schema: Any, path: Tuple[str, ...], found: List[ParamHeader]) -> None:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return
    for name, one in properties.items():
        if not isinstance(one, Mapping):
            continue
        if _KEY in one:
            header = one[_KEY]
            if not isinstance(header, str) or not re.match(_TOKEN, header):
                raise ValueError("has the {} {!r}; it is the name of a header".format(_KEY, header))
            if one.get("type") not in _TYPES:
                raise ValueError(
                    "has the {} {!r} at a property whose type is none of {}".format(
                        _KEY, header, ", ".join(_TYPES)
                    )
                )
            found.append(((*path, name), _PREFIX + header))
        elif "properties" in one:
            _collect(one, (*path, name), found)


def repeated(pairs: Sequence[ParamHeader], arguments: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """Return the headers that a client has to send with these arguments; null ones have none."""
    found = []
    for path, header in pairs:
        value = _at(arguments, path)
        if value is not None:
            # Most peers have one kind of number, and write 17.0 as 17.
            whole = type(value) is float and value.is_integer()
            found.append((header, encode_header(_written(int(value) if whole else value))))
    return found


def _at(arguments: Any, path: Tuple[str, ...]) -> Any:
    for name in path:
        arguments = arguments.get(name) if type(arguments) is dict else None
    return arguments


def check_params(
    pairs: Sequence[ParamHeader], arguments: Dict[str, Any], headers: Any, id: Id
) -> None:
    """Raise Fault unless every annotated argument stands in its header, and no other does.

    ``headers`` offers ``get_all(name)``.
    """
    for path, header in pairs:
        value = _at(arguments, path)
        there = headers.get_all(header)
        if value is None and not there:
            continue
        if len(there) != 1:
            problem = "is missing" if not there else "stands there more than once"
            raise Fault(HEADER_MISMATCH, "The header {} {}".format(header, problem), id)
        said = decode_header(there[0])
        if value is None or said is None or not (said == _written(value) or _counts(said, value)):
            raise Fault(
                HEADER_MISMATCH,
                "The header {} says something else than the argument '{}'".format(
                    header, ".".join(path)
                ),
                id,
            )


def _written(value: Any) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    return value if type(value) is str else str(value)[:5000]


def _counts(said: str, value: Any) -> bool:
    """Return whether a header names the very number that ``value`` is, however it is written."""
    whole = re.match(_WHOLE, said) if type(value) in (int, float) else None
    # Python compares an integer and a float exactly.
    return whole is not None and int(whole.group(1)) == value
