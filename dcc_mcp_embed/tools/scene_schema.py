"""The pieces of input schema that the scene tools share, and the checks a schema cannot state.

Everything stays in the subset that every MCP client accepts: one type per value, no patterns, no
unions; limits stand in the description and are checked here.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..errors import InvalidArgument
from .backend import did_you_mean, nearest
from .matrix import Vector

__all__ = ["Given", "Schema", "choice", "choices", "paths_of", "schema", "vector", "vectors"]

Schema = Dict[str, Any]

#: Translate, rotate and scale, as far as they are given.
Given = Tuple[Optional[Vector], Optional[Vector], Optional[Vector]]

PATH: Schema = {
    "type": "string",
    "description": "Full path, as list_objects returns it, or a name that only one object has.",
}
PATHS: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Full paths, as list_objects returns them, or names that only one object has.",
}


def text(description: str) -> Schema:
    return {"type": "string", "description": description}


def flag(description: str, default: bool) -> Schema:
    return {"type": "boolean", "description": description, "default": default}


def number(description: str) -> Schema:
    return {"type": "number", "description": description}


def integer(description: str, default: int) -> Schema:
    return {"type": "integer", "description": description, "default": default}


def one_of(names: Sequence[str], description: str, default: str) -> Schema:
    return {
        "type": "string",
        "enum": list(names),
        "description": description,
        "default": default,
    }


def some_of(names: Sequence[str], description: str) -> Schema:
    return {
        "type": "array",
        "items": {"type": "string", "enum": list(names)},
        "description": description,
    }


def triple(description: str) -> Schema:
    return {"type": "array", "items": {"type": "number"}, "description": description}


def free_map(description: str) -> Schema:
    return {
        "type": "object",
        "properties": {},
        "additionalProperties": True,
        "description": description,
    }


def schema(properties: Dict[str, Schema], required: Sequence[str] = ()) -> Schema:
    """Return the schema of a tool's arguments."""
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        shape["required"] = list(required)
    return shape


def vector(name: str, value: Any) -> Optional[Vector]:
    """Return three finite numbers, None for None."""
    if value is None:
        return None
    try:
        # Text that looks like numbers was turned into them before, by the binder.
        numbers = [float(item) for item in value if not isinstance(item, str)]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise InvalidArgument(
            "'{}' must be three finite numbers [x, y, z], not {!r}.".format(name, value)
        )
    return (numbers[0], numbers[1], numbers[2])


def vectors(
    values: Mapping[str, Any], names: Sequence[str] = ("translate", "rotate", "scale")
) -> Given:
    """Return the parts of a transform out of a mapping; others in it are refused."""
    for name in values:
        choice("transform", name, names)
    translate, rotate, scale = (vector(name, values.get(name)) for name in names)
    return translate, rotate, scale


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return ``value`` if it is allowed. Raises InvalidArgument that lists what is."""
    if value in allowed:
        return value
    raise InvalidArgument(
        "'{}' cannot be '{}'. It takes: {}.".format(name, value, ", ".join(allowed)),
        hint=did_you_mean(nearest(str(value), allowed), "Use one of these."),
    )


def choices(name: str, values: Optional[Sequence[str]], allowed: Sequence[str]) -> List[str]:
    """Return the chosen names once each; all that are allowed for None."""
    if values is None:
        return list(allowed)
    return list(dict.fromkeys(choice(name, value, allowed) for value in values))


def paths_of(values: Sequence[str]) -> List[str]:
    """Return the asked paths once each. Raises InvalidArgument for none."""
    if not values:
        raise InvalidArgument(
            "'paths' is empty.", hint="Name at least one object, e.g. from list_objects."
        )
    return list(dict.fromkeys(values))
