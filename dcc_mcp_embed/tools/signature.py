"""Read a function's parameters from its code object; ``inspect`` is too heavy to load in a host."""

from __future__ import annotations

from types import CodeType, FunctionType, MethodType
from typing import Any, Dict, Optional, Tuple

from ..errors import ConfigError
from ..records import NamedTuple

__all__ = ["MISSING", "Parameter", "Signature", "place_of", "read"]

# Flags of a code object; they have had these values since Python 3.5.
_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x4, 0x8, 0x20, 0x80, 0x200

#: functools.wraps chains longer than this are a loop.
_MAX_WRAPPED = 32


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


#: Stands for "no default" and "no annotation", where None is a value.
MISSING: Any = _Missing()


class Parameter(NamedTuple):
    """One parameter; ``annotation`` may be text still to be evaluated."""

    name: str
    annotation: Any
    default: Any


class Signature(NamedTuple):
    """What can be passed to a function by name, without its context and its ``self``.

    Annotations that are text are evaluated in ``scope``. ``open``: it takes any other name too
    (``**kwargs``).
    """

    parameters: Tuple[Parameter, ...]
    takes_context: bool
    stepwise: bool
    open: bool
    scope: Dict[str, Any]
    place: str

    def names(self) -> Tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)


def place_of(function: Any) -> str:
    """Return where a function stands, as messages name it: ``module.name (file.py:12)``."""
    inner = _unwrapped(function)
    name = "{}.{}".format(
        getattr(inner, "__module__", "?"), getattr(inner, "__qualname__", repr(inner))
    )
    code: Optional[CodeType] = getattr(inner, "__code__", None)
    if code is None:
        return name
    file = code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "{} ({}:{})".format(name, file, code.co_firstlineno)


def read(function: Any) -> Signature:
    """Return the signature of ``function``.

    A function made with functools.wraps has the signature of the one it wraps. Raises ConfigError
    for what is no plain function or bound method, and for parameters that no client can fill.
    """
    place = place_of(function)
    inner = _unwrapped(function)
    if not isinstance(inner, FunctionType):
        raise ConfigError(
            "{} is no plain function; decorate a function (and put other decorators below, "
            "made with functools.wraps).".format(place)
        )
    code = inner.__code__
    if code.co_flags & (_COROUTINE | _ASYNC_GENERATOR):
        raise ConfigError(
            "{} is an async function, but hosts have no asyncio loop of ours. Write 'def'; for "
            "long work write a generator that yields Progress.".format(place)
        )
    positional = code.co_varnames[: code.co_argcount]
    named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    if isinstance(function, MethodType):
        positional = positional[1:]
    elif positional[:1] in (("self",), ("cls",)):
        raise ConfigError(
            "{} is a method in a class body, where there is no object to call it on. Declare a "
            "function of the module.".format(place)
        )
    takes_context = positional[:1] == ("ctx",)
    _check_by_name(code, positional, takes_context, place)
    defaults = _defaults(inner, positional)
    annotations = inner.__annotations__
    return Signature(
        tuple(
            Parameter(name, annotations.get(name, MISSING), defaults.get(name, MISSING))
            for name in positional[takes_context:] + named
        ),
        takes_context,
        bool(code.co_flags & _GENERATOR),
        bool(code.co_flags & _VARKEYWORDS),
        inner.__globals__,
        place,
    )


def _unwrapped(function: Any) -> Any:
    for _ in range(_MAX_WRAPPED):
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is None:
            break
        function = wrapped
    return function.__func__ if isinstance(function, MethodType) else function


def _check_by_name(
    code: CodeType, positional: Tuple[str, ...], takes_context: bool, place: str
) -> None:
    for name in code.co_varnames[: getattr(code, "co_posonlyargcount", 0)]:
        if name in positional[takes_context:]:
            raise ConfigError(
                "{}: parameter '{}' is positional-only, but arguments come by name. Remove the "
                "'/'.".format(place, name)
            )
    if "ctx" in positional[1:]:
        raise ConfigError(
            "{}: 'ctx' is the call's context and must be the first parameter.".format(place)
        )


def _defaults(function: FunctionType, positional: Tuple[str, ...]) -> Dict[str, Any]:
    values = function.__defaults__ or ()
    found = dict(zip(positional[len(positional) - len(values) :], values)) if values else {}
    found.update(function.__kwdefaults__ or {})
    return found
