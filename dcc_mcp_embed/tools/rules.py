"""Compile a JSON Schema into one function that coerces and checks a value.

The keywords in ``_CHOICES`` and in ``limits.FAMILIES`` are enforced. All others (``$ref``, ``not``,
``if``, ``format``, ...) are left alone, as JSON Schema allows for what a reader does not know, and
nothing is ever fetched. ``oneOf`` is checked as ``anyOf``: after coercion, "exactly one" means
little.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..errors import ConfigError
from ..records import NamedTuple
from .coerce import CONVERTERS, Converter, Misfit, check_finite, json_type, to_list, to_object
from .hints import meant, show
from .limits import FAMILIES

__all__ = ["MAX_DEPTH", "compile_rule", "takes_null"]

#: Schemas nested deeper than this are a mistake (or a loop), and checking them would recurse.
MAX_DEPTH = 48

#: Members named in one message.
MAX_NAMED = 24


def compile_rule(schema: Any, depth: int = 0) -> Converter:
    """Return a function (value) -> coerced value for ``schema``; it raises Misfit.

    Raises ConfigError for a schema that is not one.
    """
    if depth > MAX_DEPTH:
        raise ConfigError("the schema is nested deeper than {} levels".format(MAX_DEPTH))
    if schema is True:
        return check_finite
    if schema is False:
        return _refuse
    if not isinstance(schema, dict):
        raise ConfigError("{!r} is not a schema; a schema is a dict".format(schema))
    convert = _typed(schema, depth)
    checks: List[Converter] = []
    for keyword in _CHOICES:
        if keyword in schema:
            checks.append(_CHOICES[keyword](schema[keyword], depth))
    if not checks:
        return convert

    def converted(value: Any) -> Any:
        value = convert(value)
        for check in checks:
            value = check(value)
        return value

    return converted


def takes_null(schema: Any) -> bool:
    """Return whether ``schema`` asks for null, not merely does not exclude it."""
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    if kind == "null" or isinstance(kind, list) and "null" in kind:
        return True
    if any(one is None for one in _listed(schema, "enum")):
        return True
    return any(takes_null(one) for key in ("anyOf", "oneOf") for one in _listed(schema, key))


def _listed(schema: Mapping[str, Any], key: str) -> List[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else []


def _refuse(value: Any) -> Any:
    raise Misfit("cannot be given")


# -- by type ------------------------------------------------------------------------------------


def _typed(schema: Dict[str, Any], depth: int) -> Converter:
    kinds = schema.get("type")
    if kinds is None:
        return _untyped(schema, depth)
    if isinstance(kinds, str):
        return _of_type(kinds, schema, depth)
    if not isinstance(kinds, list) or not kinds:
        raise ConfigError("'type' is {!r}; it is a name or a list of names".format(kinds))
    by_kind = {kind: _of_type(kind, schema, depth) for kind in kinds}

    def of_one(value: Any) -> Any:
        kind = json_type(value)
        if kind == "integer" and kind not in by_kind:
            kind = "number"
        exact = by_kind.get(kind)
        if exact is not None:
            return exact(value)
        for convert in by_kind.values():
            try:
                return convert(value)
            except Misfit:
                pass
        raise Misfit("must be of type {}, not {}".format(" or ".join(by_kind), show(value)))

    return of_one


def _untyped(schema: Dict[str, Any], depth: int) -> Converter:
    """Without ``type``, keywords bind only values of their own type, and nothing is coerced."""
    by_kind = {}
    for kind, family in FAMILIES.items():
        if any(keyword in schema for keyword in family):
            by_kind[kind] = _of_type(kind, schema, depth)
    if "number" in by_kind:
        # What is whole stays an int: nobody asked for a float.
        by_kind["integer"] = _of_type("integer", schema, depth)
    if not by_kind:
        return check_finite

    def if_of_type(value: Any) -> Any:
        convert = by_kind.get(json_type(value))
        return check_finite(value) if convert is None else convert(value)

    return if_of_type


def _of_type(kind: str, schema: Dict[str, Any], depth: int) -> Converter:
    if kind not in CONVERTERS:
        raise ConfigError(
            "there is no type {!r}; the types are {}".format(kind, ", ".join(CONVERTERS))
        )
    if kind == "object":
        convert: Converter = _object(schema, depth)
    elif kind == "array":
        convert = _array(schema, depth)
    else:
        convert = CONVERTERS[kind]
    family = FAMILIES.get("number" if kind == "integer" else kind, {})
    checks = []
    for keyword, make in family.items():
        if keyword in schema and make is not None:
            check = make(schema[keyword])
            if check is not None:
                checks.append(check)
    if not checks:
        return convert

    def checked(value: Any) -> Any:
        value = convert(value)
        for check in checks:
            check(value)
        return value

    return checked


def _array(schema: Dict[str, Any], depth: int) -> Converter:
    items = schema.get("items")
    firsts = [compile_rule(one, depth + 1) for one in _listed(schema, "prefixItems")]
    if items is None and not firsts:
        return lambda value: check_finite(to_list(value))
    rest = check_finite if items is None else compile_rule(items, depth + 1)
    skip = len(firsts)

    def converted(value: Any) -> List[Any]:
        given = to_list(value)
        place = 0
        result = []
        try:
            for item in given:
                result.append(rest(item) if place >= skip else firsts[place](item))
                place += 1
        except Misfit as misfit:
            misfit.path.insert(0, place)
            raise
        return result

    return converted


class _Members(NamedTuple):
    """What an object may and must have. ``others`` is None where no other member may be."""

    known: Dict[str, Converter]
    nullable: Dict[str, bool]
    required: Tuple[str, ...]
    others: Optional[Converter]


def _members(schema: Dict[str, Any], depth: int) -> _Members:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    extra = schema.get("additionalProperties", True)
    if not isinstance(properties, dict):
        raise ConfigError("'properties' is {!r}; it is a dict of schemas".format(properties))
    if not isinstance(required, (list, tuple)):
        raise ConfigError("'required' is {!r}; it is a list of names".format(required))
    if "patternProperties" in schema and not isinstance(extra, dict):
        extra = True
    return _Members(
        {name: compile_rule(one, depth + 1) for name, one in properties.items()},
        {name: takes_null(one) or name in required for name, one in properties.items()},
        tuple(required),
        None if extra is False else compile_rule(extra, depth + 1),
    )


def _object(schema: Dict[str, Any], depth: int) -> Converter:
    known, nullable, required, others = _members(schema, depth)
    if not known and not required and others is check_finite:
        return lambda value: check_finite(to_object(value))

    def converted(value: Any) -> Dict[str, Any]:
        result = {}
        for name, member in to_object(value).items():
            convert = known.get(name, others)
            if convert is None:
                raise Misfit(
                    "has no member {!r}; it takes {}".format(
                        name[:60], _listing(tuple(known)) or "none"
                    ),
                    meant(name, known),
                )
            if member is None and not nullable.get(name, True):
                continue
            try:
                result[name] = convert(member)
            except Misfit as misfit:
                misfit.path.insert(0, name)
                raise
        for name in required:
            if name not in result:
                raise Misfit("lacks {!r}; it needs {}".format(name, _listing(required)))
        return result

    return converted


def _listing(names: Tuple[str, ...]) -> str:
    shown = ", ".join(names[:MAX_NAMED])
    return shown + (", ..." if len(names) > MAX_NAMED else "")


# -- choices ------------------------------------------------------------------------------------


def _same(one: Any, other: Any) -> bool:
    """JSON equality: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _enum(values: Any, depth: int) -> Converter:
    if not isinstance(values, (list, tuple)) or not values:
        raise ConfigError("'enum' is {!r}; it is a list of at least one value".format(values))
    texts = frozenset(one for one in values if isinstance(one, str))
    shown = [json.dumps(one, ensure_ascii=False) for one in values[:MAX_NAMED]]
    if len(values) > MAX_NAMED:
        shown.append("...")
    wanted = "{}{}".format("one of " if len(values) > 1 else "", ", ".join(shown))

    def of_enum(value: Any) -> Any:
        if isinstance(value, str):
            if value in texts:
                return value
        elif any(_same(value, one) for one in values):
            return value
        hint = meant(value, texts) if isinstance(value, str) else None
        raise Misfit("must be {}, not {}".format(wanted, show(value)), hint)

    return of_enum


def _const(value: Any, depth: int) -> Converter:
    return _enum([value], depth)


def _any_of(schemas: Any, depth: int) -> Converter:
    if not isinstance(schemas, list) or not schemas:
        raise ConfigError("'anyOf' and 'oneOf' are lists of at least one schema")
    branches = [compile_rule(one, depth + 1) for one in schemas]

    def of_any(value: Any) -> Any:
        accepted: List[Any] = []
        first: Optional[Misfit] = None
        for branch in branches:
            try:
                result = branch(value)
            except Misfit as misfit:
                first = first or misfit
                continue
            # A branch that takes the value as it is goes before one that has to convert it.
            if type(result) is type(value) and _same(result, value):
                return result
            accepted.append(result)
        if accepted:
            return accepted[0]
        assert first is not None
        if len(branches) == 1:
            raise first
        raise Misfit(
            "fits none of its {} forms; the first one says that it {}".format(
                len(branches), "{} {}".format(first.where(), first.text).strip()
            ),
            first.hint,
        )

    return of_any


def _all_of(schemas: Any, depth: int) -> Converter:
    if not isinstance(schemas, list) or not schemas:
        raise ConfigError("'allOf' is a list of at least one schema")
    branches = [compile_rule(one, depth + 1) for one in schemas]

    def of_all(value: Any) -> Any:
        for branch in branches:
            value = branch(value)
        return value

    return of_all


_CHOICES: Dict[str, Callable[[Any, int], Converter]] = {
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _any_of,
    "enum": _enum,
    "const": _const,
}
