"""Compile, once per tool, the function that turns a call's arguments into keyword arguments."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, NoReturn, Optional, Tuple

from ..errors import ConfigError, InvalidArgument
from ..records import NamedTuple
from .coerce import Converter, Misfit, check_finite
from .hints import kind_of, meant
from .rules import compile_rule, takes_null
from .schema import Derived
from .shapes import Shape
from .signature import MISSING, Signature

__all__ = ["Bind", "from_derived", "from_given"]

#: (arguments or None) -> keyword arguments; raises InvalidArgument.
Bind = Callable[[Optional[Dict[str, Any]]], Dict[str, Any]]

#: Keywords of a schema's root that say more than its members do.
_ROOT_KEYWORDS = ("anyOf", "oneOf", "allOf", "enum", "const", "minProperties", "maxProperties")


class _Plan(NamedTuple):
    """What a binder needs to know.

    ``droppable``: null means that the argument is left out. ``fills``: JSON texts of what is
    passed when nothing came. ``others`` converts names nobody declared, None refuses them.
    """

    tool: str
    converters: Dict[str, Converter]
    required: Tuple[str, ...]
    droppable: FrozenSet[str]
    fills: Tuple[Tuple[str, str], ...]
    others: Optional[Converter]
    whole: Optional[Converter]


def from_derived(tool: str, signature: Signature, derived: Derived) -> Bind:
    """Return the binder of a tool whose schema was made from its annotations."""
    converters = {name: _wrapped(shape) for name, shape in derived.shapes.items()}
    fills = tuple(
        (parameter.name, "null")
        for parameter in signature.parameters
        if parameter.default is MISSING and parameter.name not in derived.required
    )
    droppable = frozenset(
        name
        for name, shape in derived.shapes.items()
        if name not in derived.required and not shape.optional
    )
    others = check_finite if signature.open else None
    return _compile(
        _Plan(tool, converters, tuple(derived.required), droppable, fills, others, None)
    )


def from_given(tool: str, signature: Signature, schema: Mapping[str, Any]) -> Bind:
    """Return the binder of a tool that brought its own schema.

    Raises ConfigError where schema and function do not fit together, or for a schema that is none.
    """
    try:
        return _compile(_plan_given(tool, signature, schema))
    except ConfigError as error:
        raise ConfigError("{}: input_schema: {}".format(signature.place, error)) from None


def _plan_given(tool: str, signature: Signature, schema: Mapping[str, Any]) -> _Plan:
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ConfigError('its root must be {"type": "object", "properties": {...}}.')
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, (list, tuple)):
        raise ConfigError("'properties' is a dict of schemas, 'required' a list of names.")
    names = signature.names()
    for name in [*properties, *required]:
        if name not in names and not signature.open:
            raise ConfigError(
                "{!r} is no parameter of the function, which takes {}.".format(
                    name, ", ".join(names) or "none"
                )
            )
    fills = []
    for name, member in properties.items():
        default = member.get("default", MISSING) if isinstance(member, dict) else MISSING
        if default is not MISSING and name not in required:
            fills.append((name, _as_json(name, default)))
    filled = {name for name, _ in fills}
    by_default = {one.name for one in signature.parameters if one.default is not MISSING}
    for name in names:
        if name not in by_default and name not in filled and name not in required:
            raise ConfigError(
                "parameter {!r} has no default, so {!r} must be listed under 'required' (or get "
                "a default).".format(name, name)
            )
    extra = schema.get("additionalProperties", True)
    closed = extra is False or not signature.open
    converters = {name: compile_rule(one, 1) for name, one in properties.items()}
    if extra is not False:
        # Not described, yet not forbidden either: what the function can take passes.
        converters.update({name: check_finite for name in names if name not in converters})
    root = {key: schema[key] for key in _ROOT_KEYWORDS if key in schema}
    return _Plan(
        tool,
        converters,
        tuple(required),
        frozenset(
            name
            for name in converters
            if name not in required and not takes_null(properties.get(name))
        ),
        # The function's own default is the truth; the schema's stands in where it has none.
        tuple((name, text) for name, text in fills if name not in by_default),
        None if closed else compile_rule(extra, 1),
        compile_rule(root) if root else None,
    )


def _as_json(name: str, default: Any) -> str:
    try:
        return json.dumps(default, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError("the default of {!r} is not JSON: {}".format(name, error)) from None


def _wrapped(shape: Shape) -> Converter:
    convert, wrap = compile_rule(shape.rule), shape.wrap
    if shape.optional:
        inner = convert if wrap is None else _both(convert, wrap)
        return lambda value: None if value is None else inner(value)
    return convert if wrap is None else _both(convert, wrap)


def _both(convert: Converter, wrap: Converter) -> Converter:
    return lambda value: wrap(convert(value))


def _compile(plan: _Plan) -> Bind:
    converters, required, droppable = plan.converters, plan.required, plan.droppable
    fills, others, whole = plan.fills, plan.others, plan.whole

    def bind(arguments: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        kwargs: Dict[str, Any] = {}
        if arguments:
            if not isinstance(arguments, dict):
                _refuse_arguments(plan, arguments)
            name = ""
            try:
                for name, value in arguments.items():
                    convert = converters.get(name, others)
                    if convert is None:
                        _refuse_name(plan, name)
                    if value is None and name in droppable:
                        continue
                    kwargs[name] = convert(value)
            except Misfit as misfit:
                misfit.path.insert(0, name)
                _refuse_value(plan, misfit)
        for name in required:
            if name not in kwargs:
                _refuse_lack(plan, kwargs)
        for name, text in fills:
            if name not in kwargs:
                kwargs[name] = json.loads(text)
        if whole is not None:
            try:
                whole(kwargs)
            except Misfit as misfit:
                _refuse_value(plan, misfit)
        return kwargs

    return bind


# -- refusals -----------------------------------------------------------------------------------


def _refuse_arguments(plan: _Plan, arguments: Any) -> NoReturn:
    raise InvalidArgument(
        "The arguments of {} must be an object, not {}.".format(plan.tool, kind_of(arguments)),
        hint=_takes(plan),
    )


def _refuse_name(plan: _Plan, name: str) -> NoReturn:
    guess = meant(name, plan.converters)
    raise InvalidArgument(
        "{} has no argument '{}'.".format(plan.tool, str(name)[:60]),
        hint="{} {}".format(guess, _takes(plan)) if guess else _takes(plan),
    )


def _refuse_value(plan: _Plan, misfit: Misfit) -> NoReturn:
    where = misfit.where()
    subject = "'{}'".format(where) if where else "The arguments of {}: the call".format(plan.tool)
    raise InvalidArgument("{} {}.".format(subject, misfit.text), hint=misfit.hint) from None


def _refuse_lack(plan: _Plan, kwargs: Dict[str, Any]) -> NoReturn:
    missing = ["'{}'".format(name) for name in plan.required if name not in kwargs]
    raise InvalidArgument(
        "{} needs {}, which {} missing.".format(
            plan.tool, _and(missing), "is" if len(missing) == 1 else "are"
        ),
        hint=_takes(plan),
    )


def _takes(plan: _Plan) -> str:
    optional = [name for name in plan.converters if name not in plan.required]
    if not plan.converters:
        return "{} takes no arguments.".format(plan.tool)
    if not plan.required:
        return "{} takes {}.".format(plan.tool, ", ".join(optional))
    rest = "; it also takes {}".format(", ".join(optional)) if optional else ""
    return "{} needs {}{}.".format(plan.tool, ", ".join(plan.required), rest)


def _and(words: List[str]) -> str:
    return words[0] if len(words) == 1 else "{} and {}".format(", ".join(words[:-1]), words[-1])
