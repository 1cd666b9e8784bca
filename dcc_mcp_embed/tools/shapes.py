"""From a Python annotation to a JSON Schema and back from the JSON value to the Python one.

Annotations are told apart by their shape (``__origin__``, ``__metadata__``, ``__total__``), never
by identity: an author's may come from ``typing``, from our typing_extensions or from a copy that
the host ships.
"""

from __future__ import annotations

from collections import abc
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from ..errors import ConfigError
from ..parsing import loads
from ..records import NamedTuple
from .coerce import Misfit, check_finite

__all__ = ["Shape", "shape_of"]

Rule = Dict[str, Any]
Wrap = Callable[[Any], Any]

#: Python's default recursion limit leaves room for some hundred of our frames.
_MAX_DEPTH = 24


class Shape(NamedTuple):
    """What an annotation asks for.

    ``rule`` is a JSON Schema to check by; ``wrap`` makes the Python value of the checked JSON
    value, None where they are the same. ``optional``: None is allowed too.
    """

    rule: Rule
    wrap: Optional[Wrap] = None
    optional: bool = False


_SCALARS: Dict[Any, Rule] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
#: What a parametrised or bare collection becomes: origin -> maker from a list, None for the list.
_LISTS: Dict[Any, Optional[Wrap]] = {
    list: None,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: None,
    abc.MutableSequence: None,
    abc.Collection: None,
    abc.Iterable: None,
    abc.Set: frozenset,
    abc.MutableSet: set,
}
_MAPS = (dict, abc.Mapping, abc.MutableMapping)
#: Forms around a type that change nothing here.
_TRANSPARENT = ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")


def shape_of(annotation: Any, hints: Callable[[Any], Dict[str, Any]], depth: int = 0) -> Shape:
    """Return the shape of an evaluated annotation.

    ``hints(cls)`` returns the evaluated annotations of a TypedDict. Raises ConfigError, whose
    message continues the sentence that begins with the parameter.
    """
    if depth > _MAX_DEPTH:
        raise ConfigError("is nested too deeply. Give input_schema= for recursive types.")

    def inner(part: Any) -> Shape:
        return shape_of(part, hints, depth + 1)

    metadata = getattr(annotation, "__metadata__", None)
    if metadata is not None:
        return _described(inner(annotation.__origin__), metadata)
    try:
        rule = _SCALARS.get(annotation)
    except TypeError:
        rule = None
    if rule is not None:
        return Shape(dict(rule))
    if annotation is None or annotation is type(None):
        raise ConfigError("can only be None. Remove the parameter, or name the other type.")
    if annotation is Any or annotation is object or isinstance(annotation, TypeVar):
        return Shape({}, _free)
    supertype = getattr(annotation, "__supertype__", None)
    if supertype is not None:
        return inner(supertype)
    origin = getattr(annotation, "__origin__", None)
    arguments: Tuple[Any, ...] = getattr(annotation, "__args__", None) or ()
    form = getattr(origin, "_name", None)
    if form == "Literal":
        return _literal(annotation)
    if form in _TRANSPARENT:
        return inner(arguments[0])
    if form == "Union" or type(annotation).__name__ in ("UnionType", "Union"):
        return _union(arguments, inner)
    base = annotation if origin is None else origin
    if base in _LISTS:
        return _list(base, arguments, inner)
    if base in _MAPS:
        return _map(arguments, inner)
    if isinstance(base, type):
        return _class(base, hints, inner)
    raise ConfigError(_REFUSAL.format(annotation))


_REFUSAL = (
    "has the type {!r}, which no client can send. Take str, int, float, bool, a List, Dict, "
    "Literal, Enum or TypedDict of these, Optional, or Any; or give input_schema=."
)


def _free(value: Any) -> Any:
    """Return what a client means by a value for ``Any``: it may only be able to send text."""
    if not isinstance(value, str):
        return value
    try:
        return check_finite(loads(value))
    except (ValueError, RecursionError, Misfit):
        return value


def _described(shape: Shape, metadata: Tuple[Any, ...]) -> Shape:
    """Add the description in ``Annotated[...]``: text, or an object with such an attribute."""
    for one in metadata:
        # ``description`` as pydantic's Field has it, ``documentation`` as typing_extensions' Doc.
        for text in (one, getattr(one, "description", None), getattr(one, "documentation", None)):
            if isinstance(text, str):
                return shape._replace(rule=dict(shape.rule, description=text))
    return shape


def _literal(annotation: Any) -> Shape:
    values: List[Any] = []
    for value in annotation.__args__:
        # Nested ones are not flattened before Python 3.9.1.
        nested = getattr(value, "__args__", None)
        values.extend(nested if nested is not None else (value,))
    optional = None in values
    values = [value for value in values if value is not None]
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= {str, int, bool}:
        raise ConfigError("mixes kinds in its Literal. Use texts only.")
    rule = dict(_SCALARS[kinds.pop()], enum=values)
    return Shape(rule, None, optional)


def _union(arguments: Tuple[Any, ...], inner: Callable[[Any], Shape]) -> Shape:
    shapes = [inner(one) for one in arguments if one is not type(None)]
    optional = len(shapes) < len(arguments) or any(shape.optional for shape in shapes)
    if not shapes:
        raise ConfigError("can only be None. Remove the parameter, or name the other type.")
    kinds = [shape.rule.get("type") for shape in shapes]
    if len(shapes) == 1:
        chosen = shapes[0]
    elif any(shape.rule == {} for shape in shapes):
        chosen = Shape({}, _free)
    elif sorted(map(str, kinds)) == ["integer", "number"]:
        chosen = shapes[kinds.index("number")]
    elif len(shapes) == 2 and "array" in kinds:
        # One or many: a single value is taken as a list of one anyway.
        many, one = shapes[kinds.index("array")], shapes[1 - kinds.index("array")]
        if many.rule.get("items", {}).get("type") != one.rule.get("type"):
            raise ConfigError(_UNION)
        chosen = many
    else:
        raise ConfigError(_UNION)
    return chosen._replace(optional=optional)


_UNION = (
    "may be of several types, which many clients refuse. Take one type, or Any, or give "
    "input_schema=."
)


def _list(base: Any, arguments: Tuple[Any, ...], inner: Callable[[Any], Shape]) -> Shape:
    rule: Rule = {"type": "array"}
    if base is tuple and arguments and arguments[-1] is not Ellipsis:
        shapes = [inner(one) for one in arguments]
        if any(shape.rule != shapes[0].rule for shape in shapes):
            raise ConfigError(
                "is a tuple of different types, which many clients refuse. Use one type for all "
                "items, or several parameters."
            )
        rule.update(minItems=len(shapes), maxItems=len(shapes))
        item = shapes[0]
    else:
        item = inner(arguments[0]) if arguments else Shape({}, _free)
    if item.rule:
        rule["items"] = item.rule
    make = _LISTS[base]
    if make in (set, frozenset) and item.rule.get("type") in (None, "array", "object"):
        raise ConfigError("is a set of what cannot be in one. Use a List.")
    wrap = item.wrap
    if wrap is None:
        return Shape(rule, make)
    wrap_item: Wrap = wrap
    if make is None:
        return Shape(rule, lambda values: [wrap_item(value) for value in values])
    make_all: Wrap = make
    return Shape(rule, lambda values: make_all([wrap_item(value) for value in values]))


def _map(arguments: Tuple[Any, ...], inner: Callable[[Any], Shape]) -> Shape:
    if len(arguments) == 2 and not isinstance(arguments[0], TypeVar):
        if inner(arguments[0]).rule.get("type") != "string":
            raise ConfigError("is a Dict whose keys are not text. Use Dict[str, ...].")
        value = arguments[1]
        # Values of a free-form object arrive as JSON; there is nothing to make of them.
        if value is not Any and value is not object and not isinstance(value, TypeVar):
            shape = inner(value)
            rule = {"type": "object", "additionalProperties": shape.rule}
            if shape.wrap is None:
                return Shape(rule)
            wrap: Wrap = shape.wrap
            return Shape(rule, lambda values: {key: wrap(one) for key, one in values.items()})
    return Shape({"type": "object", "additionalProperties": True})


def _class(
    base: Any, hints: Callable[[Any], Dict[str, Any]], inner: Callable[[Any], Shape]
) -> Shape:
    members = getattr(base, "__members__", None)
    if members is not None:
        # An Enum: by value where the values are text, by name otherwise.
        by_value = all(isinstance(member.value, str) for member in members.values())
        table = {(one.value if by_value else name): one for name, one in members.items()}
        if not table:
            raise ConfigError("is an Enum without members.")
        return Shape({"type": "string", "enum": list(table)}, table.__getitem__)
    if issubclass(base, dict) and hasattr(base, "__total__"):
        return _typed_dict(base, hints, inner)
    if hasattr(base, "__fspath__"):
        return Shape({"type": "string"}, base)
    raise ConfigError(_REFUSAL.format(base))


def _typed_dict(
    base: Any, hints: Callable[[Any], Dict[str, Any]], inner: Callable[[Any], Shape]
) -> Shape:
    keys = getattr(base, "__required_keys__", None)
    properties: Dict[str, Rule] = {}
    wraps: Dict[str, Wrap] = {}
    required: List[str] = []
    for name, annotation in hints(base).items():
        shape = inner(annotation)
        properties[name] = shape.rule
        if shape.wrap is not None:
            wraps[name] = shape.wrap
        # The key sets do not know of NotRequired in annotations that are text.
        form = _form_of(annotation)
        needed = bool(base.__total__) if keys is None else name in keys
        if form == "Required" or (needed and form != "NotRequired" and not shape.optional):
            required.append(name)
    rule: Rule = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        rule["required"] = required
    if not wraps:
        return Shape(rule)

    def wrap(value: Dict[str, Any]) -> Dict[str, Any]:
        return {key: wraps[key](one) if key in wraps else one for key, one in value.items()}

    return Shape(rule, wrap)


def _form_of(annotation: Any) -> Optional[str]:
    while getattr(annotation, "__metadata__", None) is not None:
        annotation = annotation.__origin__
    name: Optional[str] = getattr(getattr(annotation, "__origin__", None), "_name", None)
    return name
