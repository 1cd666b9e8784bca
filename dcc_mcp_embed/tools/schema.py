"""Make a tool's input schema from its function, in the subset that every MCP client accepts.

Each restriction has its client: unions, tuples, ``anyOf``, ``$ref``, limits and enums on anything
but text are refused or dropped by one or another. What the subset cannot say goes into the
description, and the server checks it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from .. import _compat
from ..errors import ConfigError
from ..records import NamedTuple
from .docstring import split
from .shapes import Rule, Shape, shape_of
from .signature import MISSING, Parameter, Signature

__all__ = ["Derived", "derive", "portable"]


class Derived(NamedTuple):
    """What a function's annotations say: the schema to show and the shape of each parameter."""

    input_schema: Dict[str, Any]
    shapes: Dict[str, Shape]
    required: List[str]


class _Bearer:
    """Holds annotations where get_type_hints looks for them."""

    def __init__(self, annotations: Dict[str, Any]) -> None:
        self.__annotations__ = annotations


def derive(signature: Signature, doc: Optional[str]) -> Derived:
    """Return the input schema of a function. Raises ConfigError naming function and parameter."""
    described = split(doc)[1]
    shapes: Dict[str, Shape] = {}
    properties: Dict[str, Rule] = {}
    required: List[str] = []
    for parameter in signature.parameters:
        try:
            shape = _shape(parameter, signature.scope)
        except ConfigError as error:
            raise ConfigError(
                "{}: parameter '{}' {}".format(signature.place, parameter.name, error)
            ) from None
        shapes[parameter.name] = shape
        rule = dict(shape.rule)
        if "description" not in rule and described.get(parameter.name):
            rule["description"] = described[parameter.name]
        shown = portable(rule)
        default = _shown_default(parameter.default, rule)
        if default is not None:
            shown["default"] = default
        properties[parameter.name] = shown
        if parameter.default is MISSING and not shape.optional:
            required.append(parameter.name)
    schema: Dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    schema["additionalProperties"] = signature.open
    return Derived(schema, shapes, required)


def portable(rule: Rule) -> Rule:
    """Return ``rule`` in the portable subset; what that cannot say moves into descriptions."""
    kind = rule.get("type")
    shown: Rule = {"type": kind or "string"}
    notes = [rule["description"]] if rule.get("description") else []
    if kind is None:
        notes.append("Any JSON value, as JSON text.")
    if "enum" in rule:
        if kind == "string":
            shown["enum"] = rule["enum"]
        else:
            notes.append("One of {}.".format(", ".join(_word(one) for one in rule["enum"])))
    if kind == "array":
        shown["items"] = portable(rule.get("items", {}))
        if "minItems" in rule:
            notes.append("Exactly {} items.".format(rule["minItems"]))
    elif kind == "object":
        members = rule.get("properties", {})
        shown["properties"] = {name: portable(one) for name, one in members.items()}
        if rule.get("required"):
            shown["required"] = rule["required"]
        extra = rule.get("additionalProperties", True)
        shown["additionalProperties"] = extra is not False
        if isinstance(extra, dict) and extra.get("type"):
            notes.append("Each value is of type {}.".format(extra["type"]))
    if notes:
        shown["description"] = " ".join(notes)
    return shown


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shape(parameter: Parameter, scope: Dict[str, Any]) -> Shape:
    annotation = parameter.annotation
    if annotation is MISSING:
        # Not annotated: a plain default tells the type, anything else takes anything.
        known = type(parameter.default) in (str, int, float, bool)
        return shape_of(type(parameter.default) if known else Any, _hints_of_class)
    plain = _PLAIN.get(annotation) if isinstance(annotation, str) else None
    if plain is None:
        plain = _evaluate(annotation, scope)
    shape = shape_of(plain, _hints_of_class)
    return shape._replace(optional=True) if parameter.default is None else shape


#: The annotations that most tools have only, without the cost of evaluating them.
_PLAIN: Dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


def _evaluate(annotation: Any, scope: Dict[str, Any]) -> Any:
    try:
        bearer: Any = _Bearer({"it": annotation})
        return _compat.get_type_hints(bearer, scope, include_extras=True)["it"]
    except Exception as error:
        # An annotation is code of the tool's author, and can raise anything.
        raise ConfigError(
            "has the annotation {!r}, which cannot be evaluated here ({}: {}). Define the names "
            "it uses above the function; up to Python 3.8 write List[int] for list[int], up to "
            "3.9 Optional[int] for int | None.".format(annotation, type(error).__name__, error)
        ) from error


def _hints_of_class(cls: Any) -> Dict[str, Any]:
    try:
        hints: Dict[str, Any] = _compat.get_type_hints(cls, include_extras=True)
    except Exception as error:
        # As above.
        raise ConfigError(
            "uses {}, whose annotations cannot be evaluated ({}: {}).".format(
                cls.__name__, type(error).__name__, error
            )
        ) from error
    return hints


def _shown_default(default: Any, rule: Rule) -> Any:
    """Return a default as JSON, None where it says nothing or JSON cannot say it."""
    if hasattr(type(default), "__members__"):
        texts = [one for one in (default.value, default.name) if one in rule.get("enum", ())]
        return texts[0] if texts else None
    if type(default) in (str, int, float, bool):
        return default
    if isinstance(default, (list, tuple)) and default:
        items = [one for one in default if type(one) in (str, int, float, bool)]
        return items if len(items) == len(default) else None
    return None
